-- The settings. An option takes precedence over the environment, the environment over the config
-- file, the file over the default. Each value is returned with its source. The file is run as data,
-- and never searched for in the working directory.

local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local names = require "proxylua.util.names"
local paths = require "proxylua.util.path"

local M = {}

local MAX_BYTES = 1 << 20

local function refuse(format, ...)
  core.error.raise{ kind = "config", message = format:format(...) }
end

-- The types of values: (value, whether it is from the file) -> value; or nil and what is expected;
-- or nil, nil and the error.

local types = {}

function types.text(value)
  if type(value) ~= "string" or value == "" or value:find("%c") then return nil, "a text" end
  return value
end

function types.boolean(value)
  if type(value) ~= "boolean" then return nil, "true or false" end
  return value
end

-- A path in the file must not depend on the working directory, which differs between runs.
function types.path(value, in_file)
  if not types.text(value) then return nil, "a path" end
  local rest = value:match("^~/(.*)$")
  if rest and os.getenv("HOME") then return os.getenv("HOME") .. "/" .. rest end
  if in_file and not value:find("^/") then
    return nil, "an absolute path, or one that begins with ~/"
  end
  return value
end

function types.store(value, in_file)
  if type(value) == "string" and (value == ":memory:" or value:find("^postgres%w*://")) then
    return value
  end
  return types.path(value, in_file)
end

-- With a unit everywhere, as on the command line: 5 could be minutes for a reader.
function types.duration(value, in_file)
  local seconds = duration.read(value)
  if seconds and seconds >= 0.001 and seconds <= 1e6 then return seconds end
  if seconds then return nil, "a duration from 1ms to 1000000s" end
  return nil, duration.expected(value, in_file and '"')
end

function types.amount(value)
  local ok, amount = pcall(core.money.new, value)
  if not ok or amount < 0 then return nil, "an amount such as 25 or \"9.30\"" end
  return amount
end

-- A text that the core can parse.
local function core_text(setting)
  return function(value)
    if not types.text(value) then return nil, "a text" end
    local ok, err = pcall(core.api.check, setting, value)
    if ok then return value end
    return nil, nil, err.message
  end
end

types.base_url, types.limits = core_text "base_url", core_text "limits"

--- The settings: name, type, option and environment variable, and purpose. `default` is shown to
-- the user; src/engine/parts.h has the same.
M.rows = {
  { "base_url", "base_url", env = "PROXYLUA_BASE_URL", flag = "base-url",
    default = "https://api.1001proxy.io/api/v1",
    summary = "address of the API: https, or this machine" },
  { "api_key_file", "path",
    summary = "file that contains the API key; only you may be able to read it" },
  { "api_key_command", "text", summary = "command that prints the API key" },
  { "store", "store", env = "PROXYLUA_STORE", flag = "store",
    summary = "file or postgres:// URL of the rate limits and the journal "
      .. "($XDG_STATE_HOME/proxylua/state.db)" },
  { "spend.per_run", "amount", env = "PROXYLUA_SPEND", flag = "spend",
    summary = "what one run may spend" },
  { "spend.per_day", "amount", summary = "what all runs of a day (UTC) may spend" },
  { "spend.per_order", "amount", summary = "what one order may cost" },
  { "spend.ignore_elsewhere", "boolean",
    summary = "leave charges that the journal does not have out of spend.per_day" },
  { "limits", "limits", env = "PROXYLUA_LIMITS", flag = "limits",
    default = "general=60/60,orders=10/60",
    summary = "requests/seconds of each rate limit, or off" },
  { "timeout", "duration", env = "PROXYLUA_TIMEOUT", flag = "timeout", default = "30s",
    summary = "time for one HTTP request" },
  { "settle", "duration", env = "PROXYLUA_SETTLE", default = "60s",
    summary = "time to keep looking for an order whose response was lost" },
  { "max_wait", "duration", default = "2m", summary = "longest pause that the API may impose" },
  { "trace", "path", flag = "trace", summary = "file that receives a line for each HTTP request" },
  { "ca_file", "path", env = "SSL_CERT_FILE",
    summary = "file of the CA certificates for https, targets and proxies" },
  { "check_url", "text", env = "PROXYLUA_CHECK_URL",
    summary = "page that checks fetch (https://1.1.1.1/cdn-cgi/trace)" },
  { "check_expect", "text",
    summary = "what that page must have: a text, /pattern/ or a status (a trace page)" },
  { "uncaged_plugins", "boolean", default = false,
    summary = "run plugins with permissions where the kernel has no seccomp" },
  { "color", "boolean", summary = "colours on a terminal" },
}

--- The default of a setting, as text.
function M.default_of(name)
  for _, row in ipairs(M.rows) do
    if row[1] == name then return row.default end
  end
end

local SPEND = { per_run = true, per_day = true, per_order = true, ignore_elsewhere = true }

local keys = { profiles = true, spend = true }
for _, row in ipairs(M.rows) do
  if not row[1]:find("%.") then keys[row[1]] = true end
end

-- The path of the config file if PROXYLUA_CONFIG is not set: with this environment, and by default.
local function default_paths()
  local list, base, home = {}, os.getenv("XDG_CONFIG_HOME"), os.getenv("HOME")
  if base and base:find("^/") then list[1] = base .. "/proxylua/config.lua" end
  if home and home:find("^/") then list[#list + 1] = home .. "/.config/proxylua/config.lua" end
  return list
end

--- The path of the config file, or nil; and whether PROXYLUA_CONFIG names it.
function M.path()
  local named = os.getenv("PROXYLUA_CONFIG")
  if named and named ~= "" then return named, true end
  return default_paths()[1]
end

--- The file beside the config file in which `proxylua config set` keeps settings; the config file
-- takes precedence over it. Nil when there can be none.
function M.set_path()
  local path = M.path()
  return path and (path:gsub("%.lua$", "") .. ".set.lua")
end

--- The default folders of the config, the store and the plugins, and those that the environment
-- names.
-- @return list of paths
function M.default_folders()
  local list, home = {}, os.getenv("HOME")
  for name, usual in pairs{ XDG_CONFIG_HOME = "/.config", XDG_STATE_HOME = "/.local/state",
    XDG_DATA_HOME = "/.local/share" } do
    local base = os.getenv(name)
    if base and base:find("^/") then list[#list + 1] = base .. "/proxylua" end
    if home and home:find("^/") then list[#list + 1] = home .. usual .. "/proxylua" end
  end
  return list
end

--- The folder of the store (unless a setting names another) and of locks.
-- @raise config
function M.state_folder()
  return paths.user_folder("XDG_STATE_HOME", ".local/state")
    or refuse("cannot find a folder for the store: set HOME or XDG_STATE_HOME")
end

-- Names under which people put the key itself into the file.
local key_names = { api_key = true, apikey = true, key = true, token = true }

local function check_keys(path, where, given, known)
  for name in pairs(given) do
    if known[name] == nil then
      if key_names[name] then
        refuse("%s: %s%s: the configuration does not hold the key itself. Remove the line and run "
          .. "proxylua auth login, or set api_key_file", path, where, name)
      end
      refuse("%s: unknown setting %s%s%s", path, where, tostring(name),
        names.hint(name, known, "%s", "; proxylua help config lists them"))
    end
  end
end

local function check_table(path, name, value)
  if value ~= nil and type(value) ~= "table" then
    refuse("%s: %s must be a table, got a %s", path, name, type(value))
  end
  return value or {}
end

local function check_section(path, where, section)
  check_keys(path, where, section, keys)
  check_keys(path, where .. "spend.", check_table(path, where .. "spend", section.spend), SPEND)
end

local function check_file(path, data)
  check_section(path, "", data)
  for name, profile in pairs(check_table(path, "profiles", data.profiles)) do
    local where = ("profiles.%s"):format(name)
    check_section(path, where .. ".", check_table(path, where, profile))
    if profile.profiles ~= nil then
      refuse("%s: %s cannot contain profiles", path, where)
    end
  end
end

-- Returns the table of the file, nil when there is none.
local function read_file(path, named)
  if not path or (not named and not core.system.kind(path)) then return nil end
  local text = core.system.read_trusted(path, MAX_BYTES, "cannot read the config file")
  local data = core.data.load(text, "@" .. path)
  check_file(path, data)
  return data
end

-- The config file and the file of `proxylua config set`, as far as they exist: a list of tables
-- with path and data, the first of which takes precedence.
local function read_files()
  local path, named = M.path()
  local list, set_path = {}, M.set_path()
  local data = read_file(path, named)
  if data then list[1] = { path = path, data = data } end
  local set = read_file(set_path)
  if set then list[#list + 1] = { path = set_path, data = set } end
  return list
end

local function profile_names(files)
  local known = {}
  for _, file in ipairs(files) do
    for name in pairs(file.data.profiles or {}) do known[name] = true end
  end
  return known
end

local function refuse_profile(files, name)
  local path = M.path()
  if #files == 0 then
    refuse("profile %s not found: there is no config file%s", name, path and " at " .. path or "")
  end
  refuse("%s has no profile %s%s", path, name, names.hint(name, profile_names(files)))
end

-- The sections in which a setting is looked for, the first one first.
local function sections_of(files, profile, may_be_new)
  local sections = {}
  for _, file in ipairs(profile and files or {}) do
    local values = (file.data.profiles or {})[profile]
    if values then
      sections[#sections + 1] = { values = values,
        from = ("%s: profiles.%s."):format(file.path, profile) }
    end
  end
  if profile and #sections == 0 and not may_be_new then refuse_profile(files, profile) end
  for _, file in ipairs(files) do
    sections[#sections + 1] = { values = file.data, from = file.path .. ": " }
  end
  return sections
end

--- The names of the profiles in the config files, sorted.
-- @raise config
function M.profiles()
  local list = {}
  for name in pairs(profile_names(read_files())) do list[#list + 1] = name end
  table.sort(list)
  return list
end

--- The settings of a file, checked; nil when there is no file.
-- @raise config
function M.load(path) return read_file(path) end

--- Checks a table of settings as that of a config file.
-- @param path for messages
-- @raise config
function M.check(path, data) check_file(path, data) end

--- Checks the text of a value as the environment and the command line give it.
-- @param row of M.rows
-- @return the value; or nil and what is wrong
function M.check_text(row, text)
  if row[2] == "boolean" then
    text = text == "true" or (text ~= "false" and text)
  end
  local value, expected, wrong = types[row[2]](text, row[2] == "path" or row[2] == "store")
  if value ~= nil then return value end
  return nil, wrong or ("must be %s, got %s"):format(expected, tostring(text))
end

local run_flags, run_settings = {}, nil -- options of this run, and what was read with them

--- An option of this run's command line, such as "quiet"; nil where it is not given.
function M.flag(name) return run_flags[name] end

-- The files of SQLite, and the lock file of charges.
local store_endings = { "", "-wal", "-shm", "-journal", "-lock" }

local function add_sections(sections, data)
  if not data then return end
  sections[#sections + 1] = data
  for _, profile in pairs(data.profiles or {}) do sections[#sections + 1] = profile end
end

--- The files of proxylua itself: the config file in use, the one in the default place, and the key
-- files, stores and traces that any part of them names.
-- @return list of paths; some may not exist
-- @raise config
function M.own_files()
  local path = M.path()
  local list, sections = { path, M.set_path() }, { { store = os.getenv("PROXYLUA_STORE") },
    { store = run_flags.store, trace = run_flags.trace } }
  for _, file in ipairs(read_files()) do add_sections(sections, file.data) end
  for _, default in ipairs(default_paths()) do
    list[#list + 1] = default
    local ok, data = pcall(read_file, default)
    if ok and default ~= path then add_sections(sections, data) end
  end
  for _, section in ipairs(sections) do
    list[#list + 1] = types.path(section.api_key_file)
    list[#list + 1] = types.path(section.trace)
    local store = types.path(section.store)
    for _, ending in ipairs(store and store_endings or {}) do list[#list + 1] = store .. ending end
  end
  return list
end

local function field(section, name)
  local group, member = name:match("^(%w+)%.([%w_]+)$")
  if not group then return section[name] end
  return section[group] and section[group][member]
end

--- Puts a value into a table of settings; nil removes it, and a group that it leaves empty.
-- @param settings table, changed in place
-- @param name such as "timeout" or "spend.per_run"
function M.put(settings, name, value)
  local group, member = name:match("^(%w+)%.([%w_]+)$")
  if not group then
    settings[name] = value
    return
  end
  settings[group] = settings[group] or {}
  settings[group][member] = value
  if not next(settings[group]) then settings[group] = nil end
end

-- The first place that has a value: returns the value, its source, and whether that is the file.
local function find(row, flags, sections)
  local name = row[1]
  local given = row.flag and flags[row.flag:gsub("-", "_")]
  if given ~= nil then return given, "--" .. row.flag, false end
  local variable = row.env and os.getenv(row.env)
  if variable and variable ~= "" then return variable, row.env, false end
  for _, section in ipairs(sections) do
    local value = field(section.values, name)
    if value ~= nil then return value, section.from .. name, true end
  end
  return row.default, "default", false
end

-- The value of a row, nil if no place has one, and its source.
local function value_of(row, flags, sections)
  local value, from, in_file = find(row, flags, sections)
  if value == nil then return nil end
  local checked, expected, wrong = types[row[2]](value, in_file)
  if checked ~= nil then return checked, from end
  if wrong then refuse("%s: %s", from, wrong) end
  refuse("%s must be %s, got %s", from, expected, tostring(value))
end

--- Collects the settings.
-- @param flags table of the command line's options
-- @param options table, may be left out: `without_file` ignores the config file; `new_profile`
--   accepts a profile that no file has; `on_bad`, a
--   function that is called with the name of each invalid setting and the error; the default is
--   used instead
-- @return table of settings
-- @return table: the source of each
-- @raise config
function M.read(flags, options)
  run_flags = flags
  options = options or {}
  local sections = options.without_file and {}
    or sections_of(read_files(), flags.profile, options.new_profile)
  local settings, sources = {}, {}
  for _, row in ipairs(M.rows) do
    local ok, value, from = pcall(value_of, row, flags, sections)
    if not ok and not options.on_bad then error(value, 0) end
    if not ok then
      options.on_bad(row[1], value)
      value, from = row.default ~= nil and types[row[2]](row.default) or nil, "default"
    end
    if value ~= nil then
      M.put(settings, row[1], value)
      sources[row[1]] = from
    end
  end
  local limits = settings.spend
  if limits and not (limits.per_run or limits.per_day or limits.per_order) then
    settings.spend = nil
  end
  run_settings = settings
  return settings, sources
end

--- One setting of this run, as it was last read.
-- @param name such as "settle"
-- @raise config
function M.get(name)
  return (field(run_settings or M.read(run_flags), name))
end

return M
