-- Files for plugins: beneath the folders that were granted, links not followed, and never
-- proxylua's own. A grant is an absolute path, or one that begins with ~/, of a folder or of one
-- file; so is what is asked for.

local config = require "proxylua.settings"
local core = require "proxylua.core"

local M = {}

local MOST = 8 << 20 -- bytes that are read

local function expand(path)
  local rest = path:match("^~/(.*)$")
  return rest and (os.getenv("HOME") or "") .. "/" .. rest or path
end

local function parent(path)
  return path and path:match("^(.*)/[^/]*$")
end

-- A file is hidden where it is, and where it will be when it is made: a key or a journal is nobody
-- else's to begin.
local function hide(list, path)
  local folder = core.system.real_path(parent(path:gsub("/+$", "")) or ".")
  local name = path:match("[^/]+/*$")
  list[#list + 1] = folder and name and folder:gsub("/$", "") .. "/" .. name:gsub("/+$", "")
  list[#list + 1] = core.system.real_path(path)
end

-- The real paths of the settings, the key, the journal, the plugins and their lock file; and what
-- processes tell of themselves, the environment for one.
local function hidden()
  local places = config.own_files()
  for _, folder in ipairs(config.default_folders()) do places[#places + 1] = folder end
  places[#places + 1] = parent((config.path()))
  local list = { "/proc" }
  for _, path in ipairs(places) do hide(list, path) end
  return list
end

-- The granted folder that a path is in, and its way from there; a granted file is one name in its
-- folder.
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
    core.error.raise{ kind = "usage", message = "a path is a text" }
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
      return core.plugin.read_beneath(folder, rest, hidden(), MOST)
    end,
    write = function(path, text)
      local folder, rest = check(path, grants.write, refuse, "files.write", "write")
      if type(text) ~= "string" then
        core.error.raise{ kind = "usage", message = "what is written is a text" }
      end
      core.plugin.write_beneath(folder, rest, hidden(), text)
    end,
  }
end

return M
