-- The file that `proxylua config set` and `proxylua auth login` write, beside the config file. It
-- is read as the config file is, which takes precedence over it.

local config = require "proxylua.settings"
local core = require "proxylua.core"
local keys = require("proxylua.util.list").keys

local M = {}

local HEAD = "-- Written by proxylua config set. The config file takes precedence over this one.\n"
local MODE <const> = 384 -- 0600

local function source(value, indent)
  if type(value) ~= "table" then return ("%q"):format(value) end
  local lines, inner = { "{" }, indent .. "  "
  for _, name in ipairs(keys(value)) do
    lines[#lines + 1] = ("%s[%q] = %s,"):format(inner, name, source(value[name], inner))
  end
  lines[#lines + 1] = indent .. "}"
  return table.concat(lines, "\n")
end

local function folder_of(path)
  return path:match("^(.*)/[^/]*$") or "."
end

--- The folder of the config file, created if it is missing.
-- @raise config, store
function M.folder()
  local path = config.path()
  if not path then
    core.error.raise{ kind = "config",
      message = "cannot find a folder for the configuration: set HOME or XDG_CONFIG_HOME" }
  end
  core.system.make_folder(folder_of(path))
  return folder_of(path)
end

--- Saves a setting.
-- @param profile name, nil for none
-- @param name such as "spend.per_run"
-- @param value text or boolean, valid for that setting; nil removes it
-- @return path of the file
-- @raise config, store
function M.set(profile, name, value)
  M.folder()
  local path = config.set_path()
  local data = config.load(path) or {}
  local values = data
  if profile then
    data.profiles = data.profiles or {}
    data.profiles[profile] = data.profiles[profile] or {}
    values = data.profiles[profile]
  end
  config.put(values, name, value)
  if profile and not next(values) then data.profiles[profile] = nil end
  config.check(path, data)
  core.system.write_file(path, HEAD .. "return " .. source(data, "") .. "\n", MODE)
  return path
end

return M
