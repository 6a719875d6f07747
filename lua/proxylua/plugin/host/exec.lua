-- Programs for plugins: those that were granted by their paths, with a list of arguments and
-- without a shell, in a minimal environment. A program runs with the user's rights: granting it
-- means trusting it with arguments of the plugin.

local core = require "proxylua.core"
local duration = require "proxylua.util.duration"

local M = {}

local SECONDS, MAX_SECONDS = 60, 3600
local MAX_WORDS = 200
local handed_on = { "PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR" }

local function usage(...)
  core.error.raise{ kind = "usage", message = (...):format(select(2, ...)) }
end

local function environment()
  local list = {}
  for _, name in ipairs(handed_on) do
    local value = os.getenv(name)
    list[#list + 1] = value and name .. "=" .. value
  end
  return list
end

local function seconds_of(options)
  options = options or {}
  if type(options) ~= "table" then
    usage("px.exec takes its options as a table, got a %s", type(options))
  end
  for name in pairs(options) do
    if name ~= "timeout" then usage("px.exec has no option %s", tostring(name)) end
  end
  local seconds = duration.seconds(options.timeout or SECONDS, "px.exec: timeout")
  if not (seconds > 0 and seconds <= MAX_SECONDS) then
    usage("px.exec: timeout must be above 0 and at most %d seconds", MAX_SECONDS)
  end
  return seconds
end

function M.open(_, permissions, refuse)
  local granted = {}
  for _, path in ipairs(permissions.exec or {}) do granted[path] = true end
  return {
    exec = function(path, words, options)
      if type(path) ~= "string" or not granted[path] then
        refuse("exec", "run " .. tostring(path))
      end
      words = words or {}
      if type(words) ~= "table" then
        usage("px.exec takes the arguments as a list, got a %s", type(words))
      end
      if #words > MAX_WORDS then usage("px.exec takes at most %d arguments", MAX_WORDS) end
      local all, seconds = { path, table.unpack(words) }, seconds_of(options)
      local code, output = core.plugin.exec(path, all, environment(), seconds)
      return { code = code, output = output }
    end,
  }
end

return M
