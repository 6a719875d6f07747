-- What `proxylua doctor` looks at, in an order in which each check stands on those before it. A
-- check tells what it finds and never raises: what it diagnoses must not end it.

local config = require "proxylua.settings"
local core = require "proxylua.core"
local prepare = require "proxylua.cli.context"

local M = {}

-- seconds: charges are told apart by time; more than that a clock that is set never has
local MOST_SKEW, SKEW = 60, 5
local MOST_WAIT = 5           -- seconds for a turn under the limits
local HEADER = 100            -- bytes of an SQLite file, which tell of what it is

-- --- findings ---

-- A report gathers findings: state (ok, warn or fail), check, text, advice; and the settings as far
-- as they could be read, whether the base URL is the one that is meant, and what else later checks
-- stand on.
local function tell(report, state, check, text, advice, code)
  local finding = { state = state, check = check, text = text, advice = advice }
  if state == "fail" and not report.code then report.code = code or 2 end
  report.tell(finding)
end

-- The error's text, without its kind, which stands in the exit code.
local function tell_error(report, check, err, advice)
  if core.error.is(err) and err.kind == "cancelled" then error(err, 0) end
  if not core.error.is(err) then return tell(report, "fail", check, tostring(err), advice, 1) end
  local code = err.kind == "usage" and 2 or core.system.exit_code(err)
  return tell(report, "fail", check, err.message, advice, code)
end

local function mode_of(status)
  return ("%03o"):format(status.mode)
end

-- --- configuration ---

local function shown(name, value)
  if name == "api_key_command" then return "set" end -- it may hold what it should not
  return (tostring(value):gsub("://[^@/]*@", "://"))
end

local function value_of(settings, name)
  local group, member = name:match("^(%w+)%.([%w_]+)$")
  if not group then return settings[name] end
  return settings[group] and settings[group][member]
end

-- Answers the settings, where each came from, and the errors of those for which the default has to
-- do.
local function read_settings(report)
  local bad = {}
  local options = { on_bad = function(name, err) bad[name] = err end }
  local ok, settings, sources = pcall(prepare.settings, report.flags, options)
  if not ok and settings.kind == "config" then
    tell_error(report, "config", settings, "correct it; what follows goes without the config file")
    bad, options.without_file = {}, true
    ok, settings, sources = pcall(prepare.settings, report.flags, options)
  end
  if ok then return settings, sources, bad end
  tell_error(report, "config", settings, "see proxylua help config")
  return nil
end

local function tell_file(report)
  if report.code then return end
  local path = config.path()
  local there = path and core.system.kind(path) == "file"
  tell(report, "ok", "config", there and path or ("no file%s; defaults hold"):format(path and " at "
    .. path or ""))
end

local function tell_setting(report, name, value, source, err)
  if err then
    return tell_error(report, "config." .. name, err,
      "correct it or leave it out; what follows goes without it")
  end
  if value == nil then return nil end
  return tell(report, "ok", "config." .. name, ("%s (%s)"):format(shown(name, value),
    source or "default"))
end

local function check_config(report)
  local settings, sources, bad = read_settings(report)
  if not settings then return end
  tell_file(report)
  for _, row in ipairs(config.rows) do
    tell_setting(report, row[1], value_of(settings, row[1]), sources[row[1]], bad[row[1]])
  end
  if not value_of(settings, "spend.per_run") and not value_of(settings, "spend.per_day") then
    tell(report, "ok", "config.spend", "nothing may be spent",
      "allow it with --spend AMOUNT, or spend in the config")
  end
  local ok, err = pcall(core.door.configure, settings)
  if not ok then return tell_error(report, "config", err) end
  report.settings, report.has_api = settings, not bad.base_url
end

-- --- the key ---

local places = {
  sandbox = "the sandbox's, which is no secret", environment = "from PROXYLUA_API_KEY",
  command = "from api_key_command",
}

local function check_key(report)
  if not report.settings then return end
  local ok, source = pcall(core.doctor.key)
  if not ok then return tell_error(report, "key", source) end
  report.has_key = true
  tell(report, "ok", "key", places[source] or "from the file " .. report.settings.api_key_file)
end

-- --- permissions and the store ---

local function check_private(report, check, path)
  local status = core.system.status(path)
  if not status then return end
  if not status.own then
    tell(report, "warn", check, path .. " belongs to somebody else",
      "chown it, or name another place")
  elseif status.mode & 63 ~= 0 then
    tell(report, "warn", check, ("%s is open to others (mode %s)"):format(path, mode_of(status)),
      "chmod go= " .. path)
  end
end

local function folder_of(path)
  return path:match("^(.*)/[^/]+$") or "."
end

-- The folder of a store; of the usual one, whose folders are made when they are missing, the
-- nearest that is there.
local function store_folder(report, path)
  local folder = folder_of(path)
  if report.settings.store then return folder end
  while folder ~= "." and folder ~= "" and core.system.kind(folder) ~= "folder" do
    folder = folder_of(folder)
  end
  return folder == "" and "/" or folder
end

local function check_new_store(report, path)
  local folder = store_folder(report, path)
  local status = core.system.status(folder)
  report.has_store = status and status.writable
  if report.has_store then
    return tell(report, "ok", "store", path .. " is not there yet; the first request makes it")
  end
  return tell(report, "fail", "store",
    ("%s is not there, and nothing can be written in %s"):format(path, folder),
    "name another place with --store, PROXYLUA_STORE or store in the config", 4)
end

-- The version that the file's header tells, nil when it does not.
local function version_of(path)
  local file = io.open(path, "rb")
  local header = file and file:read(HEADER)
  if file then file:close() end
  local version = header and #header == HEADER and header:find("^SQLite format 3\0")
    and (">I4"):unpack(header, 61)
  return version and version > 0 and version or nil
end

local function open_store(report, location, text)
  local ok, err = pcall(core.doctor.store, location)
  if not ok then
    return tell_error(report, "store", err,
      "the journal of charges is in it: keep what is there, and see what it says")
  end
  report.has_store = true
  return tell(report, "ok", "store", text)
end

local function check_file_store(report, path)
  local kind = core.system.kind(path)
  if not kind then return check_new_store(report, path) end
  if kind ~= "folder" then check_private(report, "store", path) end
  local version, status = version_of(path), core.system.status(path)
  if not (status.writable and core.system.status(store_folder(report, path)).writable) then
    return tell(report, "fail", "store", path .. " or its folder cannot be written",
      "chown or chmod both, or use --store", 4)
  end
  return open_store(report, path, ("%s (SQLite%s)"):format(path, version and ", version " .. version
    or ""))
end

local function check_store(report)
  local location = report.settings and report.settings.store
  if not report.settings then return end
  if location == ":memory:" then
    report.has_store = true
    return tell(report, "ok", "store", "in memory, gone with the run")
  end
  if location and location:find("^postgres") then
    return open_store(report, location, shown("store", location) .. " (PostgreSQL)")
  end
  return check_file_store(report, location or config.state_folder() .. "/state.db")
end

-- --- the API ---

local function tell_clock(report, ahead)
  local text = ("%.0f s %s the server's"):format(math.abs(ahead), ahead < 0 and "ahead of"
    or "behind")
  if math.abs(ahead) > MOST_SKEW then
    return tell(report, "fail", "clock", text, "set it: what became of a charge is told by time", 2)
  elseif math.abs(ahead) > SKEW then
    return tell(report, "warn", "clock", text, "set it, with NTP for instance")
  end
  return tell(report, "ok", "clock", "as the server's")
end

local function tell_of_network(report, err)
  local advice = err.kind == "network" and "check the connection, and base_url" or nil
  return tell_error(report, "network", err, advice)
end

local months = { Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9,
  Oct = 10, Nov = 11,
  Dec = 12 }

-- Seconds of "Mon, 23 Nov 2026 20:15:00 GMT"; nil for anything else.
local function http_date(text)
  local day, month, year,
    time = (text or ""):match("^%a+, (%d%d) (%a+) (%d%d%d%d) (%d%d:%d%d:%d%d) GMT$")
  return months[month] and core.record.date(("%s-%02d-%sT%sZ"):format(year, months[month], day,
    time))
end

-- Without a key, whether anything answers there.
local function ask_without_key(report)
  local url = (report.settings.base_url or ""):gsub("/+$", "") .. "/account"
  local ok, answer = pcall(core.http.get, url, { timeout = math.min(report.settings.timeout, 30),
    redirects = 0 })
  if not ok then return tell_of_network(report, answer) end
  local date = http_date(answer.headers.date)
  tell(report, "ok", "network", ("%s answers (status %d, without a key)"):format(url,
    answer.status))
  if date then tell_clock(report, date + 0.5 - core.task.now()) end
  return nil
end

local function ask_for_account(report)
  local ok, account = pcall(core.door.call, "account.get", { timeout = report.settings.timeout,
    max_wait = MOST_WAIT })
  if not ok and account.kind == "rate_limited" and not account.status then
    return tell(report, "warn", "network", "not asked: " .. account.message, "see the limits below")
  elseif not ok and not account.status then
    return tell_of_network(report, account)
  end
  tell(report, "ok", "network", "the API answers")
  if ok then
    tell(report, "ok", "account", ("balance %s"):format(account.balance or "not told"))
  else
    tell_error(report, "account", account, account.kind == "auth"
      and "is it the key of this base_url?" or nil)
  end
  if core.doctor.clock() then tell_clock(report, core.doctor.clock()) end
  return nil
end

local function check_network(report)
  if not report.has_api then return nil end
  return (report.has_key and report.has_store and ask_for_account or ask_without_key)(report)
end

local function seconds(value)
  return ("%.0f s"):format(value)
end

local function tell_scope(report, name, scope)
  local check = "limit " .. name
  if scope.paused > 0 then
    return tell(report, "warn", check, "the server asked for a pause of " .. seconds(scope.paused),
      "wait; does something else use this key?")
  elseif scope.paced > 0 then
    return tell(report, "warn", check,
      ("after a pause, requests go out slowly for %s"):format(seconds(scope.paced)),
      "nothing to do; does something else use this key?")
  end
  return tell(report, "ok", check, ("%d of %d requests in %s are free"):format(scope.free,
    scope.requests,
    seconds(scope.seconds)))
end

local function check_limits(report)
  if not (report.has_api and report.has_key and report.has_store) then return end
  local ok, limits = pcall(core.door.limits)
  if not ok then return tell_error(report, "limits", limits) end
  if limits.off then return tell(report, "ok", "limits", "off") end
  for _, name in ipairs{ "general", "orders" } do tell_scope(report, name, limits[name]) end
  return nil
end

-- --- the journal ---

local function tell_entry(report, entry)
  local text = ("%s of %s, at most %s (key %s)"):format(entry.endpoint, entry.created_at,
    entry.quote, entry.key)
  if entry.running then
    return tell(report, "ok", "journal", ("process %d is at work on %s"):format(entry.pid, text))
  end
  return tell(report, "warn", "journal", "nobody knows what came of " .. text,
    ("proxylua journal show %s, then proxylua journal settle"):format(entry.key))
end

local function tell_entries(report)
  local count = 0
  for entry in require("proxylua").journal.each{ state = "open" } do
    count = count + 1
    tell_entry(report, entry)
  end
  if count == 0 then tell(report, "ok", "journal", "no open entries") end
end

local function check_journal(report)
  if not (report.has_api and report.has_key and report.has_store) then return end
  local ok, err = pcall(tell_entries, report)
  if not ok then tell_error(report, "journal", err) end
end

-- --- plugins ---

local function check_plugins(report)
  local installed = require "proxylua.plugin.package.installed"
  local ok, entries = pcall(installed.entries)
  if not ok then return tell_error(report, "plugins", entries) end
  if not next(entries) then return tell(report, "ok", "plugins", "none is installed") end
  for _, name in ipairs(installed.names()) do
    local problem, check = installed.verify(name), "plugin " .. name
    if problem then
      tell(report, "fail", check, problem)
    else
      tell(report, "ok", check, entries[name].version .. ", as it was installed")
    end
  end
  return nil
end

local checks = { check_config, check_key, check_store, check_network, check_limits, check_journal,
  check_plugins }

--- Looks at everything.
-- @param flags table of the command line's options
-- @param tell function that takes each finding as it is made: a table with state (ok, warn or
--   fail), check, text and advice
-- @return the exit code of the first failure, 0 when there is none
function M.run(flags, tell_finding)
  local report = { flags = flags, tell = tell_finding }
  for _, check in ipairs(checks) do
    local ok, err = pcall(check, report)
    if not ok then tell_error(report, "doctor", err) end
  end
  return report.code or 0
end

return M
