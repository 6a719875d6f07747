-- The running plugins: each is started at its first use, and again when its process has ended.

local core = require "proxylua.core"
local host = require "proxylua.plugin.host"

local M = {}

local instances, starting = {}, {}

local function open(name)
  return require("proxylua.plugin.package.installed").open(name)
end

-- In a separate task, which all callers join that need the plugin meanwhile.
local function start(name, spec)
  local ok, instance = pcall(function()
    spec = spec or open(name)
    return host.start{
      name = spec.name, modules = spec.modules, manifest = spec.manifest,
        permissions = spec.permissions,
    }
  end)
  starting[name] = nil
  if not ok then error(instance, 0) end
  instances[name] = instance
  return instance
end

--- The running instance of a plugin (proxylua.plugin.host).
-- @param name string
-- @param spec from proxylua.plugin.package.installed.open, nil: it is opened when needed
-- @raise what opening and starting it raise
function M.get(name, spec)
  local instance = instances[name]
  if instance and not instance:ended() then return instance end
  starting[name] = starting[name] or core.task.spawn(start, name, spec)
  return starting[name]:join()
end

--- The functions of a plugin's main module; the plugin starts at the first call.
-- @param name string
-- @return table of functions by their names
-- @raise usage when it is not installed; config when its files have changed
function M.functions(name)
  local spec
  if not instances[name] then spec = open(name) end
  return setmetatable({}, {
    __index = function(functions, fn)
      functions[fn] = function(...)
        local instance = M.get(name, spec)
        spec = nil
        return instance:call(fn, ...)
      end
      return functions[fn]
    end,
  })
end

return M
