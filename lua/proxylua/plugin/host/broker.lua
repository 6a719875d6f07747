-- What a plugin may ask of its parent, and the check of each question against its permissions. A
-- part a permission: each answers functions by what they are asked for. Everything that comes in is
-- a plugin's, and trusted in nothing.

local core = require "proxylua.core"
local plain = require "proxylua.util.text"

local M = {}

local parts = { "api", "files", "net", "env", "exec" }

-- Answers the function that raises that a permission is missing: refuse("net", "reach
-- example.com").
local function refusal(name)
  return function(permission, what)
    core.error.raise{
      kind = "forbidden", code = "plugin_permission",
      message = ("the plugin %s may not %s%s"):format(name, what,
        permission and ": it has no such permission (" .. permission .. ")" or ": no plugin may"),
    }
  end
end

local MOST_LOGGED = 1 << 20 -- bytes of one process

-- Takes what goes to standard error: each line is told to be the plugin's, and there is an end to
-- them.
local function log_of(name)
  local left = MOST_LOGGED
  return function(text)
    if left <= 0 then return end
    local prefix = "proxylua: " .. name .. ": "
    local lines = prefix .. plain.lines(tostring(text):sub(1, left)):gsub("\n", "\n" .. prefix)
    lines = lines:sub(1, left) .. "\n"
    left = left - #lines
    io.stderr:write(lines)
    if left <= 0 then
      io.stderr:write(prefix, "no more than ", MOST_LOGGED >> 20, " MiB of it is shown\n")
    end
  end
end

--- The questions of one plugin.
-- @param name string
-- @param permissions table
-- @param reach "public": its hosts are those of the public internet; "loopback": this machine's
--   too, for tests
-- @return table of functions that answer
-- @return table of functions that take notes
function M.open(name, permissions, reach)
  local handlers, refuse = { sleep = core.task.sleep }, refusal(name)
  for _, part in ipairs(parts) do
    local answers = require("proxylua.plugin.host." .. part).open(name, permissions, refuse, reach)
    for what, handler in pairs(answers) do handlers[what] = handler end
  end
  local log = log_of(name)
  local function print_text(text) core.system.write(plain.lines(tostring(text)), "\n") end
  return handlers, { print = print_text, log = log, failed = log }
end

return M
