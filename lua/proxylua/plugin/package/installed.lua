-- The installed plugins. Each is in `NAME/DIGEST` below one folder; `lock.json` beside them has the
-- current digest of each, its permissions, and the SHA-256 of every file. Writing that list as a
-- whole is the single step that installs, changes or removes a plugin; leftovers of a crash are
-- never read, and removed by the next installation. A linked plugin has no folder here: its entry
-- names the folder in which its author works on it.

local core = require "proxylua.core"
local hooks = require "proxylua.util.hooks"
local manifests = require "proxylua.plugin.package.manifest"
local names = require "proxylua.util.names"
local sources = require "proxylua.plugin.package.source"
local keys = require("proxylua.util.list").keys
local paths = require "proxylua.util.path"

local M = {}

local MAX_LIST, MAX_FILE = 4 << 20, 4 << 20 -- bytes
local MODE = 384                              -- 0600

local function refuse(format, ...)
  core.error.raise{ kind = "config", message = format:format(...) }
end

local function find_folder()
  local folder = paths.user_folder("XDG_DATA_HOME", ".local/share")
  return folder and folder .. "/plugins"
end

--- The folder of all plugins. No plugin may be given access to it.
-- @raise config
function M.folder()
  return find_folder()
    or refuse("no folder for plugins: neither XDG_DATA_HOME nor HOME is set")
end

local function list_path()
  return M.folder() .. "/lock.json"
end

local entry_fields = {
  version = "string", description = "string", from = "string", digest = "string",
    permissions = "table",
  commands = "table", on = "table", formats = "table", rules = "table", files = "table",
}

-- Names and digests are used as names of folders.
local function check_entry(damaged, name, entry)
  if not manifests.is_name(name) then damaged("%s is not a valid name of a plugin",
    tostring(name)) end
  for field, kind in pairs(entry_fields) do
    if type(entry) ~= "table" or type(entry[field]) ~= kind then
      damaged("%s of %s is missing", field, name)
    end
  end
  if not entry.digest:find("^%x+$") then damaged("digest of %s is not valid", name) end
  if entry.link ~= nil and not tostring(entry.link):find("^/") then
    damaged("link of %s is not a path", name)
  end
end

local function check_list(path, list)
  local function damaged(format, ...)
    refuse("the list of plugins %s is damaged: " .. format, path, ...)
  end
  if type(list) ~= "table" or type(list.plugins) ~= "table" then damaged("it has no field "
    .. "plugins") end
  for name, entry in pairs(list.plugins) do check_entry(damaged, name, entry) end
  return list.plugins
end

local function read_list()
  local path = find_folder() and list_path()
  if not path or not core.system.kind(path) then return {} end
  local text = core.system.read_trusted(path, MAX_LIST, "cannot read the list of plugins")
  local ok, list = pcall(core.json.decode, text)
  if not ok then refuse("the list of plugins %s is damaged: %s", path, list.message) end
  return check_list(path, list)
end

local function write_list(plugins)
  core.system.write_file(list_path(), core.json.encode({ plugins = plugins }, { indent = 2 })
    .. "\n", MODE)
end

--- The list's entries of all plugins, by name; in a bundle, only of those that it contains. Their
-- files are not read.
-- @return table of entries: version, description, from, digest, permissions, commands and on (lists
--   of names), formats and rules (tables: name -> summary, of a format its extension too), files
-- @raise config
function M.entries()
  return hooks.call("bundled_plugins") or read_list()
end

--- The names of all plugins, sorted.
-- @raise config
function M.names()
  local list = {}
  for name in pairs(read_list()) do list[#list + 1] = name end
  table.sort(list)
  return list
end

--- The list's entry of one plugin.
-- @raise usage when it is not installed; config
function M.entry(name)
  local entries = read_list()
  if entries[name] then return entries[name] end
  names.usage("the plugin %s is not installed%s; proxylua plugin list shows the installed "
    .. "ones", name, names.hint(name, entries))
end

local function place_of(name, entry)
  return ("%s/%s/%s"):format(M.folder(), name, entry.digest:sub(1, 16))
end

-- Everything in a folder, by its path in it: the path on disk, false for anything but a file.
local function gather(folder, prefix, found)
  for _, item in ipairs(core.folder.list(folder) or {}) do
    local path, name = folder .. "/" .. item.name, prefix .. item.name
    if item.kind == "folder" then
      gather(path, name .. "/", found)
    else
      found[name] = item.kind == "file" and path
    end
  end
  return found
end

-- Returns the files' texts and the list of differences from the installation.
local function read_files(folder, entry)
  local found, texts, problems = gather(folder, "", {}), {}, {}
  for name, digest in pairs(entry.files) do
    local text = found[name] and core.system.read_file(found[name], MAX_FILE)
    if found[name] == nil then
      problems[#problems + 1] = name .. " is missing"
    elseif not text or core.digest.sha256(text) ~= digest then
      problems[#problems + 1] = name .. " was changed"
    end
    texts[name] = text
  end
  for name in pairs(found) do
    if entry.files[name] == nil then problems[#problems + 1] = name .. " was added" end
  end
  table.sort(problems)
  return texts, problems
end

-- The present files of a linked plugin, which others must not be able to change.
local function read_linked(entry)
  local texts = {}
  for _, file in ipairs(sources.of_folder(entry.link).files) do
    texts[file.name] = core.system.read_trusted(entry.link .. "/" .. file.name, MAX_FILE,
      "cannot use the linked plugin")
  end
  return entry, entry.link, texts
end

-- Another process may replace the plugin while it is read: then the list has changed, and the new
-- plugin is used.
local function read_plugin(name)
  while true do
    local entry = M.entry(name)
    if entry.link then return read_linked(entry) end
    local folder = place_of(name, entry)
    local texts, problems = read_files(folder, entry)
    if #problems == 0 then return entry, folder, texts end
    if M.entry(name).digest == entry.digest then return entry, folder, nil, problems end
  end
end

local function same(a, b)
  return core.json.encode(a) == core.json.encode(b)
end

-- Commands, events and formats are offered by the list's data: it must agree with the confirmed
-- manifest.
local function differing_field(entry, manifest)
  local described = M.describe{ manifest = manifest, files = {} }
  for _, field in ipairs{ "version", "description", "commands", "on", "formats", "rules" } do
    if not same(described[field], entry[field]) then return field end
  end
end

local function modules_of(texts)
  local modules = {}
  for path, text in pairs(texts) do
    if path:find("%.lua$") and path ~= "plugin.lua" then modules[path] = text end
  end
  return modules
end

--- Loads a plugin whose files have not changed; in a bundle, one that it contains.
-- @param name string
-- @return table: name, version, folder, modules (texts by path, main.lua among them), manifest,
--   permissions (as granted)
-- @raise usage when it is not installed; config with the difference
function M.open(name)
  if hooks.call("bundled_plugins") then return hooks.call("bundled_plugin", name) end
  local entry, folder, texts, problems = read_plugin(name)
  if problems then
    refuse("the plugin %s has changed since its installation: %s; run proxylua plugin update %s, "
      .. "or remove it",
      name,
      table.concat(problems, ", "), name)
  end
  local manifest = manifests.read(texts["plugin.lua"] or "")
  local remedy = entry.link and "link " .. entry.link or "update " .. name
  if manifest.name ~= name or not same(manifest.permissions, entry.permissions) then
    refuse("the plugin %s asks for permissions other than the granted ones; run proxylua plugin %s",
      name, remedy)
  end
  local field = differing_field(entry, manifest)
  if field then
    refuse("the list of plugins and plugin.lua differ in %s of %s; run proxylua plugin %s", field,
      name, remedy)
  end
  manifests.check_runtime(manifest)
  return {
    name = name, version = entry.version, folder = folder, modules = modules_of(texts),
      manifest = manifest,
    permissions = entry.permissions,
  }
end

-- A link is removed, not its target; if that fails, it is not followed either.
local function remove_tree(path)
  if os.remove(path) then return end
  for _, item in ipairs(core.folder.list(path) or {}) do
    local inside = path .. "/" .. item.name
    if item.kind == "folder" then remove_tree(inside) else os.remove(inside) end
  end
  os.remove(path)
end

-- Runs one change at a time, of all processes.
local function alone(change)
  core.system.make_folder(M.folder())
  local lock <close> = core.system.lock(M.folder() .. "/.lock", true) -- luacheck: ignore lock
  return change()
end

local function write_files(folder, files)
  local folders = { [folder] = true }
  core.system.make_folder(folder)
  for _, file in ipairs(files) do
    local path = folder .. "/" .. file.name
    local parent = path:match("^(.*)/")
    if not folders[parent] then core.system.make_folder(parent) end
    folders[parent] = true
    core.system.write_file(path, file.data, MODE)
  end
  for path in pairs(folders) do core.folder.sync(path) end
end

-- Moves the files to their place. A folder that exists there is a leftover of a crash: the list
-- does not refer to it.
local function place(base, target, files)
  local stage = base .. "/stage"
  remove_tree(stage)
  local ok, err = pcall(write_files, stage, files)
  if ok then
    remove_tree(target)
    ok, err = os.rename(stage, target)
    if not ok then err = core.error.new{ kind = "store", message = "cannot install: " .. err } end
  end
  if ok then return core.folder.sync(base) end
  remove_tree(stage)
  error(err, 0)
end

-- "name digest" of all files, and the digest of that.
local function digests_of(files)
  local digests, lines = {}, {}
  for at, file in ipairs(files) do
    digests[file.name] = core.digest.sha256(file.data)
    lines[at] = ("%s\0%s\n"):format(file.name, digests[file.name])
  end
  table.sort(lines)
  return digests, core.digest.sha256(table.concat(lines))
end

local function descriptions_of(rows)
  local list = {}
  for name, row in pairs(rows) do
    list[name] = { summary = row.summary, extension = row.extension }
  end
  return list
end

--- The list's entry of a plugin.
-- @param plugin table of proxylua.plugin.package.source
function M.describe(plugin)
  local manifest = plugin.manifest
  local digests, digest = digests_of(plugin.files)
  return {
    version = manifest.version, description = manifest.description, from = plugin.from,
      digest = digest,
    files = digests, permissions = manifest.permissions,
    commands = core.json.array(keys(manifest.commands)),
    on = core.json.array(keys(manifest.on)), formats = descriptions_of(manifest.formats),
    rules = descriptions_of(manifest.rules),
  }
end

-- A change by another process since the question is not undone.
local function check_before(name, before, now)
  if (before and before.digest) == (now and now.digest) then return end
  refuse("the plugin %s was %s by another process meanwhile; nothing was done", name,
    not now and "removed" or before and "replaced" or "installed")
end

--- Refuses a plugin whose formats or rules another plugin has already.
-- @param name of the plugin
-- @param entry of the list, or manifest
-- @param plugins entries by name; nil: those that are installed
-- @raise config
function M.check_alone(name, entry, plugins)
  plugins = plugins or read_list()
  for other, its in pairs(plugins) do
    for format in pairs(other ~= name and entry.formats or {}) do
      if its.formats[format] then
        refuse("the format %s belongs to the plugin %s already", format, other)
      end
    end
    for rule in pairs(other ~= name and entry.rules or {}) do
      if its.rules[rule] then refuse("the rule %s belongs to the plugin %s already", rule,
        other) end
    end
  end
end

local function clear(base, kept)
  for _, item in ipairs(core.folder.list(base) or {}) do
    if item.name ~= kept then remove_tree(base .. "/" .. item.name) end
  end
end

--- Installs a plugin, or replaces an installed one: completely, or not at all.
-- @param plugin table of proxylua.plugin.package.source, whose permissions the user has granted
-- @param before the list's entry at the time of the question, nil: it was not installed
-- @raise config, store
function M.install(plugin, before)
  local name, entry = plugin.manifest.name, M.describe(plugin)
  alone(function()
    local plugins = read_list()
    check_before(name, before, plugins[name])
    M.check_alone(name, entry, plugins)
    local target = place_of(name, entry)
    local base = target:match("^(.*)/")
    -- Files that were changed are replaced in place: the list does not refer to intact ones anyway.
    local is_there = before and before.digest == entry.digest and M.verify(name) == nil
    if not is_there then place(base, target, plugin.files) end
    plugins[name] = entry
    write_list(plugins)
    clear(base, target:match("[^/]+$"))
  end)
end

--- Installs a plugin as a link to its folder, whose files are read anew by each run.
-- @param plugin table of proxylua.plugin.package.source.of_folder, whose permissions the user has
--   granted
-- @param before the list's entry at the time of the question, nil: it was not installed
-- @raise config, store
function M.link(plugin, before)
  local name, entry = plugin.manifest.name, M.describe(plugin)
  entry.link = plugin.from
  alone(function()
    local plugins = read_list()
    check_before(name, before, plugins[name])
    M.check_alone(name, entry, plugins)
    plugins[name] = entry
    write_list(plugins)
    remove_tree(M.folder() .. "/" .. name)
  end)
end

--- Removes a plugin.
-- @raise usage when it is not installed; config, store
function M.remove(name)
  M.entry(name)
  alone(function()
    local plugins = read_list()
    plugins[name] = nil
    write_list(plugins)
    remove_tree(M.folder() .. "/" .. name)
  end)
end

--- Verifies the files of a plugin.
-- @return nil when they are unchanged, else the differences
function M.verify(name)
  local ok, err = pcall(M.open, name)
  if ok then return nil end
  return core.error.is(err) and err.message or tostring(err)
end

return M
