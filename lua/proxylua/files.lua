--- Files as scripts read and write them, with the rights of the user. In plugins the same functions
-- reach what the plugin was granted.
-- @module px.files

local core = require "proxylua.core"
local names = require "proxylua.util.names"
local paths = require "proxylua.util.path"

local M = {}

local CHUNK = 1 << 20 -- bytes

local function check(caller, path)
  if type(path) ~= "string" or path == "" or path:find("\0", 1, true) then
    names.usage("%s: the path must be a text, got %s", caller,
      type(path) == "string" and "an empty one or one with a NUL" or "a " .. type(path))
  end
  path = paths.expand(path)
  return path == "-" and "./-" or path -- not standard input
end

local function is_absent(path)
  local file <close>, _, absent = core.file.source(path)
  return not file and absent
end

local function refuse(kind, format, ...)
  core.error.raise{ kind = kind, message = format:format(...) }
end

--- The content of a file.
-- @function px.files.read
-- @tparam string path ~/ at its beginning is your home
-- @treturn string
-- @raise not_found, when it does not exist; store, when it cannot be read; usage. In a plugin also
--   forbidden, for what it was not granted, and store for more than 8 MiB
-- @usage local path = os.tmpname()
-- px.files.write(path, "one\n")
-- print(#px.files.read(path))  --> 4
function M.read(path)
  local place = check("px.files.read", path)
  local file <close>, why, absent = core.file.source(place)
  if absent then refuse("not_found", "%s does not exist", path) end
  if not file then refuse("store", "cannot read %s: %s", path, why) end
  local pieces = {}
  while true do
    local piece, problem = file:read(CHUNK)
    if problem then refuse("store", "cannot read %s: %s", path, problem) end
    if not piece then return table.concat(pieces) end
    pieces[#pieces + 1] = piece
  end
end

--- Writes a file, whole or not at all. A new file can only be read by its owner; one that is there
-- is replaced and keeps its mode.
-- @function px.files.write
-- @tparam string path ~/ at its beginning is your home
-- @tparam string text
-- @raise not_found, when its folder does not exist; store, when it cannot be written; usage, also
--   for a path that is not a regular file. In a plugin also forbidden, for what it was not granted
-- @usage local path = os.tmpname()
-- px.files.write(path, px.csv.write{ { "us", 3 } })
-- print(px.files.read(path))  --> us,3
function M.write(path, text)
  local place = check("px.files.write", path)
  if type(text) ~= "string" then
    names.usage("px.files.write: the content must be a text, got a %s", type(text))
  end
  if is_absent((paths.parent(place) or ".") .. "/") then
    refuse("not_found", "the folder of %s does not exist", path)
  end
  local file <close> = core.file.create(place, true)
  file:write(text)
  file:commit()
end

return M
