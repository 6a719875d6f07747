-- Plugins in a bundle. Their files are in plugins/NAME; bundle.json has their permissions, which
-- were fixed when the bundle was made. --proxylua-info shows them.

local core = require "proxylua.core"
local names = require "proxylua.util.names"

local M = {}

local function is_place(word)
  return word:find("[/.]") ~= nil or core.system.kind(word) ~= nil
end

-- A plugin that has changed since its installation is refused.
local function find(word)
  local source = require "proxylua.plugin.package.source"
  if is_place(word) then return source.open(word) end
  return source.of_folder(require("proxylua.plugin.package.installed").open(word).folder)
end

local function take(word, entries, files)
  local plugin = find(word)
  local name = plugin.manifest.name
  if entries[name] then names.usage("the plugin %s is given twice", name) end
  require("proxylua.plugin.package.manifest").check_runtime(plugin.manifest)
  local installed = require "proxylua.plugin.package.installed"
  installed.check_alone(name, plugin.manifest, entries)
  entries[name] = installed.describe(plugin)
  entries[name].from, entries[name].files = nil, nil
  for _, file in ipairs(plugin.files) do
    files[#files + 1] = { name = ("plugins/%s/%s"):format(name, file.name), path = file.path,
      data = file.data }
  end
end

--- Adds plugins to a bundle.
-- @param words list: names of installed ones, files, folders or URLs
-- @return table of entries by name: version, description, permissions, commands, on, formats,
--   rules, digest
-- @return list of their files, { name = in the bundle, path = its source, data = }
-- @raise usage, config
function M.collect(words)
  local entries, files = {}, {}
  for _, word in ipairs(words) do take(word, entries, files) end
  return entries, files
end

--- The permissions of plugins in words.
-- @param entries table of M.collect
-- @return list of lines, sorted by the plugins' names
function M.describe(entries)
  local lines = {}
  for name, entry in pairs(entries) do
    local may = require("proxylua.plugin.package.permissions").words(entry)
    lines[#lines + 1] = ("plugin %s %s may %s"):format(name, entry.version,
      #may == 0 and "only compute"
      or table.concat(may, "; "))
  end
  table.sort(lines)
  return lines
end

local function read_modules(name)
  local modules, prefix = {}, ("plugins/%s/"):format(name)
  for _, file in ipairs(core.bundle.files()) do
    if file.name:sub(1, #prefix) == prefix and file.name:find("%.lua$") then
      modules[file.name:sub(#prefix + 1)] = core.bundle.read(file.name)
    end
  end
  return modules
end

--- The plugins of this program's own bundle, from its bundle.json, regardless of those installed on
-- this machine.
-- @return table of entries by name; nil without a bundle
function M.entries()
  if not core.bundle.here() then return nil end
  return core.json.decode(core.bundle.read("bundle.json")).plugins
end

--- Loads a plugin of this program's own bundle, like proxylua.plugin.package.installed.open for an
-- installed one.
-- @raise usage when it does not exist
function M.open(name)
  local entry = M.entries()[name]
  if not entry then names.usage("this program was bundled without the plugin %s", name) end
  local modules = read_modules(name)
  local manifest = require("proxylua.plugin.package.manifest").read(modules["plugin.lua"])
  modules["plugin.lua"] = nil
  return {
    name = name, version = entry.version, modules = modules, manifest = manifest,
      permissions = entry.permissions,
  }
end

return M
