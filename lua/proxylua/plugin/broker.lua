-- What a plugin may ask of its parent, and the check of each question against its permissions. A part a permission; each is
-- opened with what was granted, nil when nothing was, and answers functions by what they are asked for.

local core = require "proxylua.core"

local M = {}

local parts = { "read" }

--- Raises that a permission is missing.
function M.refuse(name, permission, what)
  core.error.raise{
    kind = "forbidden", code = "plugin_permission",
    message = ("the plugin %s may not %s: it has no permission %s"):format(name, what, permission),
  }
end

-- What a plugin prints may hold bytes that a terminal obeys.
local function plain(text)
  return (tostring(text):gsub("[%c\x7F]", function(byte) return byte ~= "\n" and byte ~= "\t" and "?" or nil end))
end

--- The questions of one plugin.
-- @param name string
-- @param permissions table
-- @return table of functions that answer
-- @return table of functions that take notes
function M.open(name, permissions)
  local handlers = { sleep = core.task.sleep }
  for _, part in ipairs(parts) do
    for what, handler in pairs(require("proxylua.plugin." .. part).open(name, permissions)) do handlers[what] = handler end
  end
  local notes = {
    print = function(text) core.system.write(plain(text), "\n") end,
    log = function(text) io.stderr:write("proxylua: ", name, ": ", plain(text), "\n") end,
    failed = function(text) io.stderr:write("proxylua: ", name, ": ", plain(text), "\n") end,
  }
  return handlers, notes
end

return M
