-- Errors at the prompt: the message, and its place in the user's code.

local core = require "proxylua.core"
local plain = require "proxylua.util.text"

local M = {}

-- The frames of a traceback that are the user's.
local function own_frames(traceback)
  local frames = {}
  for frame in (traceback or ""):gmatch("\n\t([^\n]+)") do
    if not frame:find("^proxylua/") and not frame:find("^%[C%]")
      and not frame:find("^%(%.%.%.") then
      frames[#frames + 1] = "  " .. frame:gsub("in %a+ 'chunk'$", "in main chunk")
    end
  end
  return frames
end

--- A message handler: the error and its traceback in one table.
function M.catch(err)
  return { err = err, traceback = debug.traceback("", 2) }
end

--- The text of an error.
-- @param text of the value, as tostring makes it
-- @param err the value
-- @param traceback or nil
function M.text(text, err, traceback)
  local frames = own_frames(traceback)
  local says_where = type(err) == "string" and err:find("^[^\n]-:%d+: ")
  local is_plain = #frames == 1 and (says_where or frames[1]:find("^  stdin:%d+: in main chunk$"))
  if #frames == 0 or is_plain then return plain.lines(text) end
  return plain.lines(text .. "\n" .. table.concat(frames, "\n"))
end

--- Whether a value is the error of something that was cancelled.
function M.is_cancellation(err)
  return core.error.is(err) and err.kind == "cancelled"
end

--- Lets the errors by which Ctrl-C aborts code bypass the message handlers of xpcall: Lua calls
-- them during the abort, where they could not be aborted.
function M.spare_handlers()
  function _G.xpcall(fn, handler, ...) -- luacheck: globals xpcall
    if type(handler) ~= "function" then return xpcall(fn, handler, ...) end
    return xpcall(fn, function(err)
      if M.is_cancellation(err) and core.repl.interrupted() then return err end
      return handler(err)
    end, ...)
  end
end

return M
