-- The permissions of plugins beyond computing: checked, described in words, and compared. The host
-- enforces them by this table.

local core = require "proxylua.core"
local plain = require "proxylua.util.text"
local keys = require("proxylua.util.list").keys

local M = {}

local MAX_ENTRIES = 50 -- entries of a list

--- The events that a plugin can be notified of.
M.events = {
  order_placed = "an order is placed", order_extended = "an order is extended",
  request_charged = "a charge by path is made, outside the known endpoints",
  charge_refused = "a charge is refused", check_failed = "a proxy fails a check",
  balance_low = "the balance is low",
}

local function amount(value)
  local ok, money = pcall(core.money.new, value)
  if not ok or money < 0 then return nil, "an amount such as 25 or \"9.30\"" end
  return tostring(money)
end

local PATH =
  "an absolute path, or one that begins with ~/, without . and .. in it, and not the whole disk"

local function path(value)
  if type(value) ~= "string" or #value > 1000 or not plain.is_line(value) then return nil, PATH end
  if not value:find("^~?/[^/]") or (value .. "/"):find("/%.%.?/") then return nil, PATH end
  return (value:gsub("/+", "/"):gsub("/$", ""))
end

local function program(value)
  if not path(value) or not value:find("^/") then return nil, "the absolute path of a program" end
  return value
end

local function host(value)
  local name, port = tostring(value):match("^([%l%d][%l%d.-]*)(.*)$")
  if type(value) ~= "string" or not name or #name > 253
    or not (port == "" or port:find("^:[1-9]%d?%d?%d?%d?$")) then
    return nil, "the name of one host, such as hooks.slack.com or hooks.slack.com:8443"
  end
  return value
end

local function variable(value)
  if type(value) ~= "string" or not value:find("^[%a_][%w_]*$") or #value > 100 then
    return nil, "the name of an environment variable"
  elseif value:find("^PROXYLUA_") then
    return nil, "a variable that is not one of proxylua's own"
  end
  return value
end

local function yes(value)
  if value ~= true then return nil, "true, or left out" end
  return true
end

-- For each permission the check of its value, of the entries of its list, or of its fields.
local schema = {
  read = { check = yes },
  spend = { fields = { per_run = { check = amount, required = true },
    per_day = { check = amount, required = true } } },
  files = { fields = { read = { list = path }, write = { list = path } } },
  net = { list = host }, env = { list = variable }, exec = { list = program },
}

-- `refuse(field, what)` raises; `names(where, given, known)` refuses unknown names.
local check_fields

local function check_list(where, value, check, refuse)
  local list, seen = {}, {}
  if type(value) ~= "table" or #value == 0 or #value > MAX_ENTRIES then
    refuse(where, ("must be a list of 1 to %d texts"):format(MAX_ENTRIES))
  end
  for key in pairs(value) do
    if math.type(key) ~= "integer" or key < 1 or key > #value then
      refuse(where, "must be a list without names")
    end
  end
  for at, entry in ipairs(value) do
    local checked, expected = check(entry)
    if not checked then refuse(("%s[%d]"):format(where, at), "must be " .. expected) end
    if not seen[checked] then list[#list + 1] = checked end
    seen[checked] = true
  end
  table.sort(list)
  return list
end

local function check_one(where, value, row, refuse, unknown)
  if row.fields then return check_fields(where, value, row.fields, refuse, unknown) end
  if row.list then return check_list(where, value, row.list, refuse) end
  local checked, expected = row.check(value)
  if checked == nil then refuse(where, "must be " .. expected) end
  return checked
end

function check_fields(where, given, rows, refuse, unknown)
  if type(given) ~= "table" then refuse(where, "must be a table") end
  unknown(where, given, rows)
  local checked = {}
  for name, row in pairs(rows) do
    if given[name] ~= nil then
      checked[name] = check_one(where .. "." .. name, given[name], row, refuse, unknown)
    elseif row.required then
      refuse(where .. "." .. name, "is missing")
    end
  end
  return checked
end

--- Checks the permissions of a manifest.
-- @param given value
-- @param refuse function(field, what is wrong), which raises
-- @param unknown function(field, given, known), which raises when a name is not known
-- @return a clean copy: amounts as texts, lists sorted
function M.check(given, refuse, unknown)
  return check_fields("permissions", given, schema, refuse, unknown)
end

-- The events of a manifest by name, or of the list of plugins, as a list.
local function sorted_events(on)
  local list = on and #on > 0 and table.move(on, 1, #on, 1, {}) or keys(on)
  table.sort(list)
  return list
end

-- All permissions, one a row: its name and its description. `amount`: a higher one permits more.
local function grants(plugin)
  local rows, permissions = {}, plugin.permissions
  local function add(id, text, value) rows[#rows + 1] = { id = id, text = text, amount = value } end
  local function add_all(id, list, format)
    for _, entry in ipairs(list or {}) do add(id .. "=" .. entry, format:format(entry)) end
  end
  if permissions.read then
    add("read", "read your account, orders, proxies with their passwords, and transactions")
  end
  local spend, files = permissions.spend, permissions.files or {}
  if spend then
    add("spend.per_run", ("spend up to %s per run, within your own limits"):format(
      spend.per_run), spend.per_run)
    add("spend.per_day", ("spend up to %s per day, within your own limits"):format(
      spend.per_day), spend.per_day)
  end
  add_all("files.read", files.read, "read files in %s")
  add_all("files.write", files.write, "write and replace files in %s")
  add_all("net", permissions.net, "send data to and receive data from %s")
  add_all("env", permissions.env, "read the environment variable %s")
  add_all("exec", permissions.exec,
    "run the program %s with your rights, which allows almost everything")
  add_all("format", keys(plugin.formats),
    "write exports in the format %s, and see the passwords in them")
  add_all("rule", keys(plugin.rules),
    "apply the rule %s to every check, and see the fetched pages")
  for _, event in ipairs(sorted_events(plugin.on)) do
    add("on=" .. event, ("be notified, with all details, whenever %s"):format(
      M.events[event]))
  end
  return rows
end

--- Describes the permissions of a plugin in words.
-- @param plugin table: permissions, formats, rules and on, as a manifest and the list of plugins
--   have them
-- @return list of texts that continue "It may"; empty: it can only compute
function M.words(plugin)
  local list = {}
  for at, row in ipairs(grants(plugin)) do list[at] = row.text end
  return list
end

--- The permissions of a plugin that it did not have before.
-- @param old table, as M.words takes it
-- @param new table
-- @return list of texts like those of M.words; empty if nothing is added
function M.growth(old, new)
  local had, list = {}, {}
  for _, row in ipairs(grants(old)) do had[row.id] = row end
  for _, row in ipairs(grants(new)) do
    local before = had[row.id]
    if not before or (row.amount and core.money.new(row.amount)
      > core.money.new(before.amount)) then
      list[#list + 1] = row.text
    end
  end
  return list
end

return M
