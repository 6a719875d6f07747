-- Programs for plugins: those that were granted by their paths, with a list of arguments and
-- without a shell, in a minimal environment. A program runs with the user's rights: granting it
-- means trusting it with arguments of the plugin.

local core = require "proxylua.core"
local programs = require "proxylua.programs"

local M = {}

local handed_on = { "PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR" }

local function environment()
  local list = {}
  for _, name in ipairs(handed_on) do
    local value = os.getenv(name)
    list[#list + 1] = value and name .. "=" .. value
  end
  return list
end

function M.open(_, permissions, refuse)
  local granted = {}
  for _, path in ipairs(permissions.exec or {}) do granted[path] = true end
  return {
    exec = function(path, words, options)
      if type(path) ~= "string" or not granted[path] then
        refuse("exec", "run " .. tostring(path))
      end
      local all, seconds = programs.check(path, words, options)
      local code, output = core.plugin.exec(path, all, environment(), seconds)
      return { code = code, output = output }
    end,
  }
end

return M
