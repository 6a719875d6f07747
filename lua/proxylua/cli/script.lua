-- Scripts: found, read and compiled before anything else happens, so that a mistake in the call is told at once.

local core = require "proxylua.core"
local names = require "proxylua.names"

local M = {}

local MOST_BYTES = 64 << 20

local function compile(text, name, shown)
  text = text:gsub("^\xEF\xBB\xBF", "")
  if text:find("^\27") then names.usage("%s is compiled Lua; proxylua runs its source only", shown) end
  local chunk, why = load(text:gsub("^#[^\n]*", ""), name, "t")
  if not chunk then error(why, 0) end
  return chunk
end

-- Modules that lie beside the script are found; those in the working directory are not.
local function add_folder(path)
  local folder = core.system.kind(path) == "file" and core.system.real_path(path):match("^(.*)/")
  if not folder or folder:find("[;?]") then return end
  package.path = ("%s/?.lua;%s/?/init.lua;%s"):format(folder, folder, package.path)
end

local function read(path)
  local shown = path == "-" and "standard input" or "the script " .. path
  if core.system.kind(path) == "folder" then names.usage("%s is a folder; name a file in it", shown) end
  local text, why = core.system.read_file(path, MOST_BYTES)
  if not text then names.usage("cannot read %s: %s", shown, why) end
  local chunk = compile(text, path == "-" and "=stdin" or "@" .. path, shown)
  if path ~= "-" then add_folder(path) end
  return chunk
end

-- A script that prints into a full disk or a closed pipe is told so.
local function watch_output()
  local write = io.write
  print = core.system.print -- luacheck: globals print
  function io.write(...) -- luacheck: globals io.write
    local file, why, code = write(...)
    if not file and io.output() == io.stdout then core.system.output_failed(code) end
    return file, why, code
  end
end

--- Makes one function of the code given with -e and of the script.
-- @param path of the script, "-" for standard input, nil for none
-- @param codes list of texts given with -e, or nil
-- @param arguments list of the script's arguments
-- @return function to call with the arguments
-- @raise usage; or the text of a syntax error
function M.load(path, codes, arguments)
  local chunks = {}
  for _, code in ipairs(codes or {}) do
    chunks[#chunks + 1] = compile(code, "=(command line)", "the code given with -e")
  end
  if path then chunks[#chunks + 1] = read(path) end
  arg = table.move(arguments, 1, #arguments, 1, { [0] = path or "-e" }) -- luacheck: globals arg
  watch_output()
  if #chunks == 1 then return chunks[1] end
  return function(...)
    for _, chunk in ipairs(chunks) do chunk(...) end
  end
end

return M
