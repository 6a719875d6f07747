-- Scripts are found, read and compiled before anything else happens, so that a mistake in the
-- command line is reported at once.

local core = require "proxylua.core"
local names = require "proxylua.util.names"

local M = {}

local MAX_BYTES = 64 << 20

--- The text of a script without a byte order mark and a #! line.
function M.source(text)
  return (text:gsub("^\xEF\xBB\xBF", ""):gsub("^#[^\n]*", ""))
end

local function compile(text, name, shown)
  text = M.source(text)
  if text:find("^\27") then
    names.usage("%s is compiled Lua; proxylua runs only source code", shown)
  end
  if text:find("^\127ELF") then names.usage("%s is a binary program, not a Lua script", shown) end
  local chunk, why = load(text, name, "t")
  if not chunk then error(why, 0) end
  return chunk
end

--- Finds modules beside the script, not those in the working directory.
function M.add_folder(path)
  local folder = core.system.kind(path) == "file" and core.system.real_path(path):match("^(.*)/")
  if not folder or folder:find("[;?]") then return end
  package.path = ("%s/?.lua;%s/?/init.lua;%s"):format(folder, folder, package.path)
end

local function name_of(path)
  return path == "-" and "standard input" or "the script " .. path
end

--- The text of a script.
-- @raise usage
function M.read(path)
  local shown = name_of(path)
  if core.system.kind(path) == "folder" then
    names.usage("%s is a folder, not a script", shown)
  end
  local text, why = core.system.read_file(path, MAX_BYTES)
  if not text then names.usage("cannot read %s: %s", shown, why) end
  return text
end

--- The function of a text that was read from a path.
-- @raise usage; or the text of a syntax error
function M.compile(text, path)
  return compile(text, path == "-" and "=stdin" or "@" .. path, name_of(path))
end

local function load_script(path)
  local chunk = M.compile(M.read(path), path)
  if path ~= "-" then M.add_folder(path) end
  return chunk
end

--- Sets up the process to run a script.
-- @param name that the script finds in arg[0]
-- @param arguments list of the script's arguments
-- @param before list of the program's name and the words between it and the script, for arg[-1]
-- and so on
function M.prepare(name, arguments, before)
  local arg = table.move(arguments, 1, #arguments, 1, { [0] = name })
  for at, word in ipairs(before) do arg[at - #before - 1] = word end
  _G.arg = arg -- luacheck: globals arg
end

--- Makes one function of the code given with -e and of the script.
-- @param path of the script, "-" for standard input, nil for none
-- @param codes list of texts given with -e, or nil
-- @param arguments list of the script's arguments
-- @param before as M.prepare has it
-- @return function to call with the arguments
-- @raise usage; or the text of a syntax error
function M.load(path, codes, arguments, before)
  local chunks = {}
  for _, code in ipairs(codes or {}) do
    chunks[#chunks + 1] = compile(code, "=(command line)", "the code given with -e")
  end
  if path then chunks[#chunks + 1] = load_script(path) end
  M.prepare(path or "-e", arguments, before)
  if #chunks == 1 then return chunks[1] end
  return function(...)
    for _, chunk in ipairs(chunks) do chunk(...) end
  end
end

return M
