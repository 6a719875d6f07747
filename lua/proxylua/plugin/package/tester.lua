-- `proxylua plugin test`: runs the specs of a plugin. They call it in a separate process, with the
-- same restrictions as later, and its requests go to an emulated API.

local core = require "proxylua.core"
local names = require "proxylua.util.names"

local M = {}

local MAX_BYTES = 1 << 20

-- The specs, and the data of the plugin that they need. A process is started for each example that
-- uses it.
local function environment(spec, start, run)
  local instance
  local function get()
    instance = instance or start(spec)
    return instance
  end
  local env = setmetatable({ px = require "proxylua" }, { __index = _G })
  env.plugin = setmetatable({}, { __index = function(_, name)
    return function(...) return get():call(name, ...) end
  end })
  function env.command(name, options) return get():command(name, options) end
  function env.format(name, proxies) return get():format(name, proxies, 1) end
  function env.rule(name, result, answer) return get():rule(name, result, answer) end
  function env.event(name, data) return get():event(name, data) end
  function env.it(name, example)
    run(name, example)
    if instance then instance:close() end
    instance = nil
  end
  return env
end

-- The paths of the specs in a folder.
local function specs_in(folder)
  local list = {}
  for _, item in ipairs(core.folder.list(folder) or {}) do
    if item.kind == "file" and item.name:find("_spec%.lua$") then
      list[#list + 1] = folder .. "/" .. item.name
    end
  end
  if #list == 0 then
    names.usage("nothing to test: %s has no file whose name ends in _spec.lua", folder)
  end
  return list
end

local function compile(path, env)
  local text, why = core.system.read_file(path, MAX_BYTES)
  if not text then names.usage("cannot read %s: %s", path, why) end
  local chunk, mistake = load(text, "@" .. path, "t", env)
  if not chunk then error(mistake, 0) end
  return chunk
end

--- Runs the specs of a plugin.
-- @param plugin table of proxylua.plugin.package.source
-- @param folder of the plugin
-- @param start function that starts the process of a plugin (proxylua.plugin.host)
-- @param report function(name of the example, error or nil)
-- @return the number of passed examples
-- @return the number of failed ones
-- @raise usage, config
function M.run(plugin, folder, start, report)
  local passed, failed = 0, 0
  local spec = {
    name = plugin.manifest.name, manifest = plugin.manifest,
      permissions = plugin.manifest.permissions, modules = {},
    reach = "loopback",
  }
  for _, file in ipairs(plugin.files) do
    if file.name:find("%.lua$") and file.name ~= "plugin.lua" then
      spec.modules[file.name] = file.data
    end
  end
  local env = environment(spec, start, function(name, example)
    local ok, err = xpcall(example, function(err)
      return core.error.is(err) and err or debug.traceback(err, 2)
    end)
    passed, failed = passed + (ok and 1 or 0), failed + (ok and 0 or 1)
    report(name, not ok and tostring(err) or nil)
  end)
  for _, path in ipairs(specs_in(folder .. "/spec")) do compile(path, env)() end
  return passed, failed
end

return M
