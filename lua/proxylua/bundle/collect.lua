-- The files of a bundle: the script, the modules that it requires if they can be found, and those
-- below given folders.

local core = require "proxylua.core"
local names = require "proxylua.util.names"
local requires = require "proxylua.bundle.requires"
local script = require "proxylua.script"

local M = {}

local forms = { "%s.lua", "%s/init.lua" }

-- The modules of Lua and of proxylua, which every bundle has.
local function is_inside(name)
  return core.system.embedded(name) ~= nil or package.preload[name] ~= nil or name == "_G"
    or (type(_G[name]) == "table" and package.loaded[name] == _G[name])
end

local function add(state, path, name, text)
  local known = state.known[name]
  if known and known.data ~= text then
    names.usage("%s and %s would both be %s in the bundle; leave one out", known.path, path,
      name)
  end
  if known then return end
  script.compile(text, path)
  local file = { name = name, path = path, data = text }
  state.known[name] = file
  table.insert(state.files, file)
end

-- Path and name in the bundle of a module in a folder; nil if it is not there.
local function find_in(folder, module)
  local relative = module:gsub("%.", "/")
  for _, form in ipairs(forms) do
    local path = folder .. "/" .. form:format(relative)
    if core.system.kind(path) == "file" then return path, "modules/" .. form:format(relative) end
  end
end

-- A module of this machine: it goes into the bundle, so that other machines need not have it.
local function find_installed(module)
  local path = package.searchpath(module, package.path)
  if not path then return nil end
  local form = path:find("/init%.lua$") and forms[2] or forms[1]
  return path, "modules/" .. form:format((module:gsub("%.", "/")))
end

local function refuse(place, need)
  local found = package.searchpath(need.name, package.cpath)
  if found then
    names.usage("%s requires %s, which is %s, a module in C: a bundle cannot contain it; --without "
      .. "%s leaves it out, to be loaded "
      .. "on the machine where the bundle runs", place, need.name, found, need.name)
  end
  names.usage("%s requires %s, which was not found; add a folder of modules with --module FOLDER, "
    .. "or leave it out with --without %s, "
    .. "to be loaded when the bundle runs", place, need.name, need.name)
end

local function in_bundle(state, module)
  local relative = "modules/" .. module:gsub("%.", "/")
  return state.known[relative .. ".lua"] or state.known[relative .. "/init.lua"]
end

local function find(state, module)
  local path, name
  if state.folder then path, name = find_in(state.folder, module) end
  if not path then path, name = find_installed(module) end
  return path, name
end

local function follow_need(state, place, need)
  if not need.name then
    return table.insert(state.notes,
      ("%s requires a module whose name is not a constant; --module FOLDER adds a folder of "
        .. "modules"):format(
      place))
  end
  if state.without[need.name] or is_inside(need.name) or in_bundle(state, need.name) then return end
  local path, name = find(state, need.name)
  if path then return add(state, path, name, script.read(path)) end
  if not need.optional then refuse(place, need) end
  table.insert(state.notes, ("%s may require %s, which is not in the bundle"):format(place,
    need.name))
end

-- The list grows during the loop.
local function follow(state)
  local at = 1
  while state.files[at] do
    local file = state.files[at]
    for _, need in ipairs(requires.find(script.source(file.data))) do
      follow_need(state, ("%s:%d"):format(file.path, need.line), need)
    end
    at = at + 1
  end
end

-- Adds the paths of all .lua files below a folder to a list. Skips hidden files, follows links.
-- @param above set of the folders that contain it
local function gather(folder, prefix, list, above)
  local real = core.system.real_path(folder)
  local items, why = core.folder.list(folder)
  if not items or above[real] then
    names.usage("cannot read %s: %s", folder, why or "a link leads back into it")
  end
  above[real] = true
  for _, item in ipairs(items) do
    local path, name = folder .. "/" .. item.name, prefix .. item.name
    if not item.name:find("^%.") then
      local kind = core.system.kind(path)
      if kind == "folder" then gather(path, name .. "/", list, above) end
      if kind == "file" and name:find("%.lua$") then list[#list + 1] = name end
    end
  end
  above[real] = nil
  return list
end

local function add_folder(state, folder)
  if core.system.kind(folder) ~= "folder" then
    names.usage("--module takes a folder, and %s is not one", folder)
  end
  local paths = gather(folder, "", {}, {})
  if #paths == 0 then names.usage("%s has no .lua files", folder) end
  for _, path in ipairs(paths) do
    local whole = folder:gsub("/+$", "") .. "/" .. path
    if core.system.real_path(whole) ~= state.script then
      add(state, whole, "modules/" .. path, script.read(whole))
    end
  end
end

--- Collects the files of a bundle.
-- @param path of the script
-- @param options table: modules (list of folders), without (list of modules to leave out)
-- @return list of { name = in the bundle, path = its source, data = }, the script first
-- @return list of notes for the user
-- @raise usage; or the text of a syntax error
function M.files(path, options)
  local state = { files = {}, known = {}, notes = {}, without = {},
    script = core.system.real_path(path) }
  for _, name in ipairs(options.without) do state.without[name] = true end
  add(state, path, "app/" .. path:match("[^/]+$"), script.read(path))
  state.folder = state.script:match("^(.*)/")
  for _, folder in ipairs(options.modules) do add_folder(state, folder) end
  follow(state)
  return state.files, state.notes
end

return M
