--- Alerts: problems of an account, each reported once. A reported problem is a note in the store,
-- named after the watch. The note is removed when the problem is gone, so that the problem is
-- reported again when it comes back.
-- @module px.alerts

local check = require "proxylua.check"
local clock = require "proxylua.util.clock"
local core = require "proxylua.core"
local declare = require("proxylua.util.options").declare
local duration = require "proxylua.util.duration"
local endpoints = require "proxylua.api.endpoints"
local errors = require "proxylua.util.errors"
local hooks = require "proxylua.util.hooks"
local names = require "proxylua.util.names"
local notes = require "proxylua.api.notes"
local notify = require "proxylua.notify"
local pages = require "proxylua.api.pages"
local time = require "proxylua.util.time"

local M = {}

local KIND, OF_API = "alert", { api = true }
local LEASE = 600 -- seconds after which a process that claimed a report is considered dead
local MAX_MESSAGE = 1800 -- bytes that every receiver accepts
local AT_ONCE, CHECK_TIMEOUT = 64, 15

-- Notes and messages must be UTF-8; texts of the API may not be.
local function readable(text)
  text = text:gsub("%c", "?")
  return utf8.len(text) and text or (text:gsub("[\x80-\xFF]", "?"))
end

-- The conditions: each adds the problems that it finds to a watch.
local watched = {}

function watched.balance(least, watch)
  local balance = watch.account.balance
  if not balance then
    core.error.raise{ kind = "protocol", endpoint = "account.get",
      message = "the API did not report the balance" }
  end
  if balance < least then
    watch:add("", ("the balance is %s, below %s"):format(tostring(balance), tostring(least)))
  end
end

local function described(order)
  local parts = {}
  for _, name in ipairs{ "quantity", "type", "country" } do
    if order[name] then parts[#parts + 1] = tostring(order[name]) end
  end
  return ("order %s (%s)"):format(order.id, table.concat(parts, " "))
end

function watched.within(seconds, watch)
  for _, order in ipairs(watch:orders()) do
    local ends = time.read(order.expires_at)
    local left = ends and ends - clock()
    if not left then
      table.insert(watch.alerts.endless, readable(tostring(order.id)))
    elseif left < seconds then
      local when = left > 0 and "expires in " .. duration.text(left) or "has expired"
      watch:add(order.id, ("%s %s, at %s"):format(described(order), when, order.expires_at))
    end
  end
end

-- "refused 2, status 403 1"
local function summary(counts)
  local list = {}
  for why, count in pairs(counts) do list[#list + 1] = ("%s %d"):format(why, count) end
  table.sort(list)
  return table.concat(list, ", ")
end

-- A server may not know the proxies of a new order yet.
local function proxies_of(order)
  local proxies, err = errors.try(endpoints.orders.proxies, order.id)
  if not proxies and err.kind ~= "not_found" then error(err, 0) end
  return proxies or {}
end

-- The usable proxies, and the number of the others.
local function usable(proxies)
  local list = {}
  for _, proxy in ipairs(proxies) do
    if not proxy.unreadable then list[#list + 1] = proxy end
  end
  return list, #proxies - #list
end

function watched.failing(percent, watch)
  for _, order in ipairs(watch:orders()) do
    local proxies = proxies_of(order)
    local list, unreadable = usable(proxies)
    local found = check.run(list, {
      url = watch.check_url, timeout = CHECK_TIMEOUT, concurrency = AT_ONCE, history = false,
        events = false,
    })
    local failed = #proxies - found.works
    if unreadable > 0 then found.reasons.unreadable = unreadable end
    if failed > #proxies * percent / 100 then
      watch:add(order.id, ("%d of %d proxies of %s do not work: %s"):format(failed, #proxies,
        described(order),
        summary(found.reasons)))
    end
  end
end

local Watch = {}
Watch.__index = Watch

-- One pass through the list serves all watches.
function Watch:orders()
  if not self.active then
    self.active = {}
    local orders = pages.orders.each{ status = "active", on_problem = self.on_problem }
    for order in orders do self.active[#self.active + 1] = order end
    table.sort(self.active, time.ends_before)
  end
  return self.active
end

function Watch:add(id, text)
  local alert = { kind = self.kind, text = readable(text) }
  table.insert(self.alerts, alert)
  self.notes[alert] = self.prefix .. readable(tostring(id))
end

-- The watch that these belong to: other accounts and other watches may share the store.
local function open_watch(params)
  local account = endpoints.account.get()
  local whose = readable(tostring(account.id or account.email or ""))
  return setmetatable({
    account = account, alerts = core.json.array{ endless = core.json.array{} }, notes = {},
      prefixes = {},
    check_url = params.check_url, on_problem = params.on_problem,
    name = ("%s\t%s\t"):format(params.name, whose),
  }, Watch)
end

local function look_for(watch, kind, threshold)
  local shown = type(threshold) == "number" and ("%.14g"):format(threshold) or tostring(threshold)
  watch.kind, watch.prefix = kind, ("%s%s %s\t"):format(watch.name, kind, shown)
  watch.prefixes[#watch.prefixes + 1] = watch.prefix
  watched[kind](threshold, watch)
end

local function forget(list)
  local gone = {}
  for _, note in ipairs(list) do gone[note] = false end
  if next(gone) then notes.put(KIND, gone, OF_API) end
end

local function starts_with_one_of(text, prefixes)
  for _, prefix in ipairs(prefixes) do
    if text:sub(1, #prefix) == prefix then return true end
  end
  return false
end

-- Removes the notes of problems that are gone, except those of other watches.
local function forget_what_passed(watch)
  local holds, passed = {}, {}
  for _, note in pairs(watch.notes) do holds[note] = true end
  for note in notes.each(KIND, OF_API) do
    if not holds[note] and starts_with_one_of(note, watch.prefixes) then
      passed[#passed + 1] = note
    end
  end
  forget(passed)
end

-- Whether this process is to report a problem. A claim of a process that died expires.
local function claim(note)
  local text = ("telling %d"):format(time.time() // 1)
  if notes.put_new(KIND, note, text, OF_API) then return true end
  local since = (notes.get(KIND, { note }, OF_API)[note] or ""):match("^telling (%d+)$")
  if not since or time.time() - tonumber(since) < LEASE then return false end
  forget{ note }
  return notes.put_new(KIND, note, text, OF_API)
end

local function message(text, params)
  return { url = params.url, kind = params.kind, chat = params.chat, text = text }
end

local function send(list, params)
  local texts = {}
  for at, alert in ipairs(list) do texts[at] = "1001Proxy: " .. alert.text end
  notify.notify(message(table.concat(texts, "\n"), params))
end

-- Returns the problems that this process is to report.
local function claim_new(watch)
  local list = {}
  for _, alert in ipairs(watch.alerts) do
    alert.is_new = claim(watch.notes[alert])
    if alert.is_new and alert.kind == "balance" then
      hooks.call("emit", "balance_low", { text = alert.text })
    end
    if alert.is_new then list[#list + 1] = alert end
  end
  return list
end

-- Divides alerts into lists, one for each message.
local function messages(list)
  local parts, size = {}, MAX_MESSAGE
  for _, alert in ipairs(list) do
    local line = #alert.text + #"1001Proxy: \n"
    if size + line > MAX_MESSAGE then parts[#parts + 1], size = {}, 0 end
    table.insert(parts[#parts], alert)
    size = size + line
  end
  return parts
end

-- A message that could not be sent is left for the next run.
local function report_new(watch, params)
  local new, sent = claim_new(watch), {}
  local ok, err = pcall(function()
    if params.tell then params.tell(watch.alerts) end
    for _, list in ipairs(params.url and messages(new) or { new }) do
      if params.url then send(list, params) end
      local told = {}
      for _, alert in ipairs(list) do told[watch.notes[alert]], sent[alert] = "told", true end
      notes.put(KIND, told, OF_API)
    end
  end)
  if ok then return end
  local untold = {}
  for _, alert in ipairs(new) do
    untold[#untold + 1] = not sent[alert] and watch.notes[alert] or nil
  end
  forget(untold)
  error(err, 0)
end

local alert_options = declare("px.alerts", {
  { "balance", "money", "watch: the lowest balance that is not reported" },
  { "within", "duration", "watch: orders that expire within this" },
  { "failing", "percent", "watch: the highest percentage of an order's proxies that may fail",
    below = 100 },
  { "check_url", "string", "page to fetch through the proxies, for `failing`",
    usual = "the setting check_url" },
  { "url", "string", "receiver of the messages, as for px.notify" },
  { "kind", "string", "kind of the receiver, as for px.notify" },
  { "chat", "any", "chat of the receiver, as for px.notify", meta = "string|integer" },
  { "tell", "function", "called with the returned list, before its new problems count as reported",
    meta = "fun(alerts: alert[])" },
  { "name", "string", "name of the watch, if several have the same thresholds",
    pattern = "^[%w_.-]+$", default = "alerts",
    expected = "a name of letters, digits, -, _ and ." },
  { "on_problem", "function", "see px.orders.each", meta = "fun(err: error)" },
})

local function read_options(given)
  local wanted = alert_options(given)
  if wanted.balance == nil and wanted.within == nil and wanted.failing == nil then
    names.usage("px.alerts: nothing to watch: set balance, within or failing")
  end
  return wanted
end

--- A problem of px.alerts.
-- @record alert
-- @tfield "balance"|"within"|"failing" kind
-- @tfield string text what the problem is
-- @tfield boolean is_new whether it was reported now

--- Checks the account, and reports each problem once: to `url` by px.notify, if there is one. A
-- problem is reported again only after it was gone and has come back. When several processes check
-- at the same time, one of them reports.
-- @function px.alerts
-- @param params
-- @treturn alert[] the problems; with `within`, its field `endless` lists the ids of active orders
--   without an expiry date
-- @raise what px.notify or `tell` raises; the problem is then reported by the next call; what every
--   call raises
-- @usage for _, alert in ipairs(px.alerts{ balance = 1000000, within = "3d" }) do
--   print(alert.kind, alert.is_new)
-- end
--   --> balance  true
-- print(px.alerts{ balance = 1000000 }[1].is_new)  --> false
function M.look(given)
  local params = read_options(given)
  -- A wrong URL is reported now, not months later with the first message.
  if params.url then notify.prepare(message("no problems found", params)) end
  local watch = open_watch(params)
  for _, kind in ipairs{ "balance", "within", "failing" } do
    if params[kind] then look_for(watch, kind, params[kind]) end
  end
  forget_what_passed(watch)
  report_new(watch, params)
  return watch.alerts
end

return M
