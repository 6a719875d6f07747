-- Files for plugins: inside the granted folders, without following links, and never proxylua's own.
-- A grant is the absolute path, or a path that begins with ~/, of a folder or of one file; so is
-- the path in a request.

local config = require "proxylua.settings"
local core = require "proxylua.core"
local paths = require "proxylua.util.path"

local M = {}

local MAX_BYTES = 8 << 20 -- maximum bytes to read

local expand, parent = paths.expand, paths.parent

-- A file of proxylua is refused where it is, and where it would be created: a plugin must not
-- create a key or a journal.
local function hide(list, path)
  local folder = core.system.real_path(parent(path:gsub("/+$", "")) or ".")
  local name = path:match("[^/]+/*$")
  list[#list + 1] = folder and name and folder:gsub("/$", "") .. "/" .. name:gsub("/+$", "")
  list[#list + 1] = core.system.real_path(path)
end

-- The real paths of the settings, the key, the journal, the plugins and their lock file; and the
-- files in which processes publish their state, such as their environment.
local function hidden()
  local places = config.own_files()
  for _, folder in ipairs(config.default_folders()) do places[#places + 1] = folder end
  places[#places + 1] = parent((config.path()))
  local list = { "/proc" }
  for _, path in ipairs(places) do hide(list, path) end
  return list
end

-- The granted folder that contains a path, and the path inside it; a granted file is one name in
-- its folder.
local function place(path, grants)
  for _, grant in ipairs(grants) do
    grant = expand(grant):gsub("(.)/+$", "%1")
    if path == grant then return parent(grant), grant:match("[^/]*$") end
    local prefix = grant == "/" and grant or grant .. "/"
    if path:sub(1, #prefix) == prefix then return grant, path:sub(#prefix + 1) end
  end
end

local function check(path, grants, refuse, permission, what)
  if type(path) ~= "string" or path:find("\0", 1, true) then
    core.error.raise{ kind = "usage", message = "the path must be a text" }
  end
  local folder, rest = place(expand(path), grants or {})
  if not folder then refuse(permission, what .. " " .. path) end
  return folder == "" and "/" or folder, (rest:gsub("^/+", ""))
end

function M.open(_, permissions, refuse)
  local grants = permissions.files or {}
  return {
    read = function(path)
      local folder, rest = check(path, grants.read, refuse, "files.read", "read")
      return core.plugin.read_confined(folder, rest, hidden(), MAX_BYTES)
    end,
    write = function(path, text)
      local folder, rest = check(path, grants.write, refuse, "files.write", "write")
      if type(text) ~= "string" then
        core.error.raise{ kind = "usage", message = "the content must be a text" }
      end
      core.plugin.write_confined(folder, rest, hidden(), text)
    end,
  }
end

return M
