-- Plugins in a bundle. Their files lie in plugins/NAME, bundle.json says what each may do: that was
-- fixed when the bundle was made, and is told by --proxylua-info.

local core = require "proxylua.core"
local names = require "proxylua.util.names"

local M = {}

local function is_place(word)
  return word:find("[/.]") ~= nil or core.system.kind(word) ~= nil
end

-- What was changed since it was installed is refused.
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

--- Takes plugins for a bundle.
-- @param words list: names of installed ones, files, folders or URLs
-- @return table of entries by name: version, description, permissions, commands, on, formats,
--   rules, digest
-- @return list of their files, { name = in the bundle, path = where it is from, data = }
-- @raise usage, config
function M.collect(words)
  local entries, files = {}, {}
  for _, word in ipairs(words) do take(word, entries, files) end
  return entries, files
end

--- What plugins may do, in plain words.
-- @param entries table of M.collect
-- @return list of lines, sorted by the plugins' names
function M.tell(entries)
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

--- What bundle.json says of the plugins of this program's own bundle: it has what it was made with,
-- whatever is installed where it runs.
-- @return table of entries by name; nil where there is no bundle
function M.entries()
  if not core.bundle.here() then return nil end
  return core.json.decode(core.bundle.read("bundle.json")).plugins
end

--- Loads a plugin of this program's own bundle, as proxylua.plugin.package.installed.open does an
-- installed one.
-- @raise usage when there is none of that name
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
