--- The environment and other programs, with the rights of the user. In plugins the same functions
-- reach what the plugin was granted.
-- @module px.programs

local core = require "proxylua.core"
local names = require "proxylua.util.names"
local options = require "proxylua.util.options"

local M = {}

local MAX_WORDS <const> = 200

local rows = {
  { "timeout", "duration", "after which the program is ended", above = 0, max = 3600,
    default = "60s" },
}
options.declare("px.exec", rows)

--- Checks the arguments and options of px.exec.
-- @return list of the program and its arguments, and the time that it has, in seconds
-- @raise usage
function M.check(path, words, given)
  if words == nil then words = {} end
  if type(words) ~= "table" then
    names.usage("px.exec takes the arguments as a list, got a %s", type(words))
  end
  if #words > MAX_WORDS then names.usage("px.exec takes at most %d arguments", MAX_WORDS) end
  local all = { path }
  for at, word in ipairs(words) do
    if type(word) ~= "string" and type(word) ~= "number" then
      names.usage("px.exec: argument %d must be a string, got a %s", at, type(word))
    end
    all[at + 1] = tostring(word)
  end
  return all, options.read("px.exec", rows, given).timeout
end

-- The first program of this name in the folders of PATH.
local function search(name)
  if name:find("/", 1, true) then return name end
  for folder in (os.getenv("PATH") or "/usr/bin:/bin"):gmatch("[^:]+") do
    local status = core.system.status(folder .. "/" .. name)
    if status and status.mode & 73 ~= 0 then return folder .. "/" .. name end -- 0111
  end
  core.error.raise{ kind = "not_found", message = ("px.exec: there is no program %s"):format(name) }
end

--- A variable of the environment. Those with the API key are not there.
-- @function px.env
-- @tparam string name
-- @treturn string|nil nil if it is not set
-- @raise usage; in a plugin forbidden, for what it was not granted
-- @usage print(px.env("HOME") ~= nil, px.env("NOT_SET"))  --> true  nil
function M.env(name)
  if type(name) ~= "string" then names.usage("px.env takes a name, got a %s", type(name)) end
  return os.getenv(name)
end

--- What a program printed.
-- @record exec_result
-- @tfield integer code the exit code, or 128 and the number of the signal that ended it
-- @tfield string output what it wrote to standard output, up to 1 MiB

--- Runs a program without a shell, and waits while other tasks run.
-- @function px.exec
-- @tparam string path of the program, or its name in the folders of PATH
-- @tparam[opt] string[] words its arguments
-- @param options
-- @treturn exec_result
-- @raise not_found, without such a program; timeout; protocol, for more than 1 MiB; usage. In a
--   plugin also forbidden, for what it was not granted
-- @usage print(px.exec("echo", { "a b", "$HOME" }).output)  --> a b $HOME
-- print(px.exec("/bin/false").code)  --> 1
function M.exec(path, words, given)
  if type(path) ~= "string" or path == "" or path:find("\0", 1, true) then
    names.usage("px.exec takes the path of a program, got a %s", type(path))
  end
  local all, seconds = M.check(path, words, given)
  local code, output = core.plugin.exec(search(path), all, nil, seconds)
  return { code = code, output = output }
end

return M
