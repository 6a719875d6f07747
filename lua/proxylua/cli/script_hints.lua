-- Mistakes in calling a script, found before it runs.

local core = require "proxylua.core"
local names = require "proxylua.util.names"
local options = require "proxylua.cli.args.options"
local plan_file = require "proxylua.fleet.plan_file"
local script = require "proxylua.script"

local M = {}

-- With these a user relies on it that nothing is paid.
local protective = { ["--dry-run"] = true, ["--sandbox"] = true }

local function mentions(text, option)
  return text:find(option:gsub("^%-+", ""), 1, true) ~= nil
end

-- proxylua's options behind the name of a script that does not know them.
local function check_options(path, text, arguments, quiet)
  for _, word in ipairs(arguments) do
    local option = word:match("^%-%-[%l-]+")
    if option and options.has(option:sub(3)) and not mentions(text, option) then
      local better = ("write proxylua %s … %s"):format(option, path)
      if protective[option] then
        names.usage("%s stands after the script, which does not use it; %s (or proxylua -- %s … to "
          .. "hand it to the script)", option, better, path)
      elseif not quiet then
        io.stderr:write(("proxylua: %s goes to the script; as an option of proxylua, %s\n"):format(
          option, better))
      end
    end
  end
end

-- "fleet" or "config" for a file of data; nil for others.
local function kind_of(text)
  if text:find("require", 1, true) or not text:find("return%s*{") then return nil end
  local ok, data = pcall(core.data.load, text, "=data")
  if not ok or type(data) ~= "table" then return nil end
  local first = data[1]
  if type(first) == "table" and first.name ~= nil and first.quantity ~= nil then return "fleet" end
  return (data.spend or data.api_key_file or data.profiles or data.api_key_command) and "config"
end

local function check_kind(path, text)
  if plan_file.is_plan(text) then
    names.usage("%s is not a script; a saved plan is applied with proxylua fleet apply %s", path,
      path)
  end
  local kind = kind_of(text)
  if kind == "fleet" then
    names.usage("%s is a list of pools, not a script; use proxylua fleet plan %s", path, path)
  elseif kind == "config" then
    names.usage("%s is a configuration, not a script; use it with PROXYLUA_CONFIG=%s", path, path)
  end
end

--- Checks the call of a script in a file.
-- @param path of the script
-- @param arguments list
-- @param quiet whether hints are left out
-- @raise usage
function M.check(path, arguments, quiet)
  if core.system.kind(path) ~= "file" then return end
  local text = script.source(script.read(path))
  check_kind(path, text)
  check_options(path, text, arguments, quiet)
end

return M
