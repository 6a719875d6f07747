-- The checks of `proxylua doctor`. Each one depends on those before it. A check reports its
-- findings and never raises, so that a problem does not hide the others.

local config = require "proxylua.settings"
local core = require "proxylua.core"
local prepare = require "proxylua.cli.context"

local M = {}

-- seconds: reconciliation compares times of the API with the clock
local MAX_SKEW, SKEW = 60, 5
local MAX_WAIT = 5            -- seconds to wait for a rate-limit slot
local HEADER = 100            -- bytes at the start of an SQLite file, with its version

-- A report collects findings (state: ok, warn or fail; check; text; advice) and what later checks
-- need: the settings as far as they could be read, has_api, has_key and has_store.
local function add(report, state, check, text, advice, code)
  local finding = { state = state, check = check, text = text, advice = advice }
  if state == "fail" and not report.code then report.code = code or 2 end
  report.on_finding(finding)
end

-- Adds a finding for an error. Its kind decides the exit code.
local function add_error(report, check, err, advice)
  if core.error.is(err) and err.kind == "cancelled" then error(err, 0) end
  if not core.error.is(err) then return add(report, "fail", check, tostring(err), advice, 1) end
  local code = err.kind == "usage" and 2 or core.system.exit_code(err)
  return add(report, "fail", check, err.message, advice, code)
end

local function mode_of(status)
  return ("%03o"):format(status.mode)
end

local function shown(name, value)
  if name == "api_key_command" then return "set" end -- the command may contain secrets
  if math.type(value) then return ("%gs"):format(value) end
  return (tostring(value):gsub("://[^@/]*@", "://"))
end

local function value_of(settings, name)
  local group, member = name:match("^(%w+)%.([%w_]+)$")
  if not group then return settings[name] end
  return settings[group] and settings[group][member]
end

-- Returns the settings, their sources, and the errors of those that have their default instead.
local function read_settings(report)
  local bad = {}
  local options = { on_bad = function(name, err) bad[name] = err end }
  local ok, settings, sources = pcall(prepare.settings, report.flags, options)
  if not ok and settings.kind == "config" then
    add_error(report, "config", settings, "correct the file; the checks below do not use it")
    bad, options.without_file = {}, true
    ok, settings, sources = pcall(prepare.settings, report.flags, options)
  end
  if ok then return settings, sources, bad end
  add_error(report, "config", settings, "see proxylua help config")
  return nil
end

local function add_file(report)
  if report.code then return end
  local path = config.path()
  local found = {}
  for _, file in ipairs{ path, config.set_path() } do
    if core.system.kind(file) == "file" then found[#found + 1] = file end
  end
  add(report, "ok", "config", #found > 0 and table.concat(found, ", ")
    or ("%s does not exist; the defaults are used"):format(path or "config.lua"))
end

local function add_setting(report, name, value, source, err)
  if err then
    return add_error(report, "config." .. name, err,
      "correct or remove it; the checks below use the default")
  end
  if value == nil then return nil end
  return add(report, "ok", "config." .. name, ("%s (%s)"):format(shown(name, value),
    source or "default"))
end

local function check_config(report)
  local settings, sources, bad = read_settings(report)
  if not settings then return end
  add_file(report)
  for _, row in ipairs(config.rows) do
    add_setting(report, row[1], value_of(settings, row[1]), sources[row[1]], bad[row[1]])
  end
  if not value_of(settings, "spend.per_run") and not value_of(settings, "spend.per_day") then
    add(report, "ok", "config.spend", "purchases are refused, or confirmed on a terminal",
      "to allow them, use --spend AMOUNT, or set spend in the configuration")
  end
  local ok, err = pcall(core.api.configure, settings)
  if not ok then return add_error(report, "config", err) end
  report.settings, report.has_api = settings, not bad.base_url
end

local places = {
  sandbox = "the key of the sandbox", environment = "from PROXYLUA_API_KEY",
  command = "from api_key_command",
}

local function check_key(report)
  if not report.settings then return end
  local ok, source = pcall(core.doctor.key)
  if not ok then return add_error(report, "key", source) end
  report.has_key = true
  add(report, "ok", "key", places[source] or "from the file " .. report.settings.api_key_file)
end

local function check_private(report, check, path)
  local status = core.system.status(path)
  if not status then return end
  if not status.own then
    add(report, "warn", check, path .. " belongs to another user",
      "run chown, or use another path")
  elseif status.mode & 63 ~= 0 then
    local text = ("%s is open to other users (mode %s)"):format(path, mode_of(status))
    add(report, "warn", check, text,
      "run chmod go= " .. path)
  end
end

local function folder_of(path)
  return path:match("^(.*)/[^/]+$") or "."
end

-- The folder of a store. The default store's folders are created when they are missing: for it, the
-- nearest folder that exists.
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
    return add(report, "ok", "store", path .. " does not exist yet; the first request creates it")
  end
  return add(report, "fail", "store",
    ("%s does not exist, and %s cannot be written"):format(path, folder),
    "use another path: --store, PROXYLUA_STORE, or store in the configuration", 4)
end

-- The version in the header of an SQLite file, nil when there is none.
local function version_of(path)
  local file = io.open(path, "rb")
  local header = file and file:read(HEADER)
  if file then file:close() end
  local version = header and #header == HEADER and header:find("^SQLite format 3\0")
    and (">I4"):unpack(header, 61)
  return version and version > 0 and version or nil
end

local function open_store(report, location, text)
  local ok, result = pcall(core.doctor.store, location)
  if not ok then
    return add_error(report, "store", result,
      "keep the file, it contains the journal of purchases; see proxylua help journal")
  end
  report.has_store = true
  add(report, "ok", "store", text)
  if not result then return nil end
  return add(report, "ok", "store pooler", "a connection pooler such as PgBouncer is in between",
    "session mode and transaction mode work; statement mode does not")
end

local function check_file_store(report, path)
  local kind = core.system.kind(path)
  if not kind then return check_new_store(report, path) end
  if kind ~= "folder" then check_private(report, "store", path) end
  local version, status = version_of(path), core.system.status(path)
  if not (status.writable and core.system.status(store_folder(report, path)).writable) then
    return add(report, "fail", "store", path .. " or its folder cannot be written",
      "run chown or chmod on both, or use --store", 4)
  end
  return open_store(report, path, ("%s (SQLite%s)"):format(path, version and ", version " .. version
    or ""))
end

local function check_store(report)
  local location = report.settings and report.settings.store
  if not report.settings then return end
  if location == ":memory:" then
    report.has_store = true
    return add(report, "ok", "store", "in memory; it is lost when the run ends")
  end
  if location and location:find("^postgres") then
    return open_store(report, location, shown("store", location) .. " (PostgreSQL)")
  end
  return check_file_store(report, location or config.state_folder() .. "/state.db")
end

local function add_clock(report, ahead)
  local text = ("%.0f s %s the clock of the API"):format(math.abs(ahead),
    ahead < 0 and "ahead of" or "behind")
  if math.abs(ahead) > MAX_SKEW then
    return add(report, "fail", "clock", text,
      "set the clock: the times of purchases are compared with it", 2)
  elseif math.abs(ahead) > SKEW then
    return add(report, "warn", "clock", text, "set the clock, for example with NTP")
  end
  return add(report, "ok", "clock", "agrees with the clock of the API")
end

local function add_network_error(report, err)
  local advice = err.kind == "network" and "check the connection and base_url" or nil
  return add_error(report, "network", err, advice)
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

-- Without a key: whether a server responds.
local function check_without_key(report)
  local url = (report.settings.base_url or ""):gsub("/+$", "") .. "/account"
  local ok, response = pcall(core.http.get, url, { timeout = math.min(report.settings.timeout, 30),
    redirects = 0 })
  if not ok then return add_network_error(report, response) end
  local date = http_date(response.headers.date)
  add(report, "ok", "network", ("%s responds (status %d, without a key)"):format(url,
    response.status))
  if date then add_clock(report, date + 0.5 - core.task.now()) end
  return nil
end

local function check_account(report)
  local ok, account = pcall(core.api.call, "account.get", { timeout = report.settings.timeout,
    max_wait = MAX_WAIT })
  if not ok and account.kind == "rate_limited" and not account.status then
    return add(report, "warn", "network", "not tried: " .. account.message,
      "see the rate limits below")
  elseif not ok and not account.status then
    return add_network_error(report, account)
  end
  add(report, "ok", "network", "the API responds")
  if ok then
    add(report, "ok", "account", ("balance %s"):format(account.balance or "unknown"))
  else
    add_error(report, "account", account, account.kind == "auth"
      and "check that the key belongs to this base_url" or nil)
  end
  if core.doctor.clock() then add_clock(report, core.doctor.clock()) end
  return nil
end

local function check_network(report)
  if not report.has_api then return nil end
  return (report.has_key and report.has_store and check_account or check_without_key)(report)
end

local function seconds(value)
  return ("%.0f s"):format(value)
end

local function add_scope(report, name, scope)
  local check = "limit " .. name
  if scope.paused > 0 then
    return add(report, "warn", check, "the API imposes a pause of " .. seconds(scope.paused),
      "wait, and check whether another program uses this key")
  elseif scope.paced > 0 then
    return add(report, "warn", check,
      ("after a pause, requests are sent slowly for %s"):format(seconds(scope.paced)),
      "check whether another program uses this key")
  end
  return add(report, "ok", check, ("%d of %d requests in %s are available"):format(scope.free,
    scope.requests,
    seconds(scope.seconds)))
end

local function check_limits(report)
  if not (report.has_api and report.has_key and report.has_store) then return end
  local ok, limits = pcall(core.api.limits)
  if not ok then return add_error(report, "limits", limits) end
  if limits.off then return add(report, "ok", "limits", "off") end
  for _, name in ipairs{ "general", "orders" } do add_scope(report, name, limits[name]) end
  return nil
end

local function add_entry(report, entry)
  local text = ("%s of %s, at most %s (key %s)"):format(entry.endpoint, entry.created_at,
    entry.quote, entry.key)
  if entry.running then
    return add(report, "ok", "journal", ("process %d works on %s"):format(entry.pid, text))
  end
  return add(report, "warn", "journal", "the outcome is unknown: " .. text,
    ("run proxylua journal settle %s; see proxylua help journal"):format(entry.key))
end

local function add_entries(report)
  local count = 0
  for entry in require("proxylua").journal.each{ state = "open" } do
    count = count + 1
    add_entry(report, entry)
  end
  if count == 0 then add(report, "ok", "journal", "no open entries") end
end

local function check_journal(report)
  if not (report.has_api and report.has_key and report.has_store) then return end
  local ok, err = pcall(add_entries, report)
  if not ok then add_error(report, "journal", err) end
end

local function check_plugins(report)
  local installed = require "proxylua.plugin.package.installed"
  local ok, entries = pcall(installed.entries)
  if not ok then return add_error(report, "plugins", entries) end
  if not next(entries) then return add(report, "ok", "plugins", "no plugins are installed") end
  for _, name in ipairs(installed.names()) do
    local problem, check = installed.verify(name), "plugin " .. name
    if problem then
      add(report, "fail", check, problem)
    else
      add(report, "ok", check, entries[name].version .. ", unchanged since its installation")
    end
  end
  return nil
end

local checks = { check_config, check_key, check_store, check_network, check_limits, check_journal,
  check_plugins }

--- Runs all checks.
-- @param flags table of the command line's options
-- @param report_finding function that is called with each finding: a table with state (ok, warn or
--   fail), check, text and advice
-- @return integer, the exit code of the first failure; 0 when there is none
function M.run(flags, report_finding)
  local report = { flags = flags, on_finding = report_finding }
  for _, check in ipairs(checks) do
    local ok, err = pcall(check, report)
    if not ok then add_error(report, "doctor", err) end
  end
  return report.code or 0
end

return M
