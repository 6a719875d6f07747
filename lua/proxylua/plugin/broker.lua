-- What a plugin may ask of its parent, and the check of each question against its permissions. A part a permission: each
-- answers functions by what they are asked for. Everything that comes in is a plugin's, and trusted in nothing.

local core = require "proxylua.core"
local plain = require "proxylua.plain"

local M = {}

local parts = { "read", "files", "net", "env", "exec" }

-- Answers the function that raises that a permission is missing: refuse("net", "reach example.com").
local function refusal(name)
  return function(permission, what)
    core.error.raise{
      kind = "forbidden", code = "plugin_permission",
      message = ("the plugin %s may not %s%s"):format(name, what,
        permission and ": it has no such permission (" .. permission .. ")" or ": no plugin may"),
    }
  end
end

--- The questions of one plugin.
-- @param name string
-- @param permissions table
-- @param reach "public": its hosts are those of the public internet; "loopback": this machine's too, for tests
-- @return table of functions that answer
-- @return table of functions that take notes
function M.open(name, permissions, reach)
  local handlers, refuse = { sleep = core.task.sleep }, refusal(name)
  for _, part in ipairs(parts) do
    local answers = require("proxylua.plugin." .. part).open(name, permissions, refuse, reach)
    for what, handler in pairs(answers) do handlers[what] = handler end
  end
  local notes = {
    print = function(text) core.system.write(plain.lines(tostring(text)), "\n") end,
    log = function(text) io.stderr:write("proxylua: ", name, ": ", plain.lines(tostring(text)), "\n") end,
    failed = function(text) io.stderr:write("proxylua: ", name, ": ", plain.lines(tostring(text)), "\n") end,
  }
  return handlers, notes
end

return M
