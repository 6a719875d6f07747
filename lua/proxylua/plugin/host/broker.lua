-- The requests of a plugin to its parent, and their check against its permissions. One part for
-- each permission: it returns functions by the names of requests. All input comes from a plugin and
-- is not trusted.

local core = require "proxylua.core"
local log = require "proxylua.log"
local plain = require "proxylua.util.text"

local M = {}

local parts = { "api", "files", "net", "env", "exec" }

-- Returns the function that raises the error of a missing permission: refuse("net", "reach
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

local MAX_LOGGED = 1 << 20 -- bytes of one process

-- Passes on the plugin's standard error: each line is marked as the plugin's, and their total is
-- limited.
local function log_of(name)
  local left = MAX_LOGGED
  local prefix = "proxylua: " .. name .. ": "
  return function(text, level)
    if left <= 0 then return end
    text = tostring(text):sub(1, left)
    local lines = level and log.json(level, text, name)
    if not lines then
      text = (level and log.prefix(level) or "") .. text
      lines = (prefix .. plain.lines(text):gsub("\n", "\n" .. prefix)):sub(1, left) .. "\n"
    end
    left = left - #lines
    io.stderr:write(lines)
    if left <= 0 then
      io.stderr:write(prefix, "only the first ", MAX_LOGGED >> 20, " MiB are shown\n")
    end
  end
end

--- The request handlers of one plugin.
-- @param name string
-- @param permissions table
-- @param reach "public": hosts of the public internet only; "loopback": this machine too, for tests
-- @return table of functions that return results
-- @return table of functions for notifications
function M.open(name, permissions, reach)
  local handlers, refuse = { sleep = core.task.sleep }, refusal(name)
  for _, part in ipairs(parts) do
    local answers = require("proxylua.plugin.host." .. part).open(name, permissions, refuse, reach)
    for what, handler in pairs(answers) do handlers[what] = handler end
  end
  local print_aside = log_of(name)
  local function print_log(level, text)
    if log.shows(level) then print_aside(text, level) end
  end
  local function print_text(text) core.system.write(plain.lines(tostring(text)), "\n") end
  return handlers, { print = print_text, print_aside = function(text) print_aside(text) end,
    log = print_log,
    failed = function(text) print_aside(text) end }
end

return M
