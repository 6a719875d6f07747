--- The state of an account and its proxies, on one screen.
-- @module px.status

local amount_of = require "proxylua.report.amount"
local clock = require "proxylua.util.clock"
local core = require "proxylua.core"
local declare = require("proxylua.util.options").declare
local days = require "proxylua.report.days"
local endpoints = require "proxylua.api.endpoints"
local forecast = require "proxylua.report.forecast"
local history = require "proxylua.check.history"
local journal = require "proxylua.api.journal"
local ownership = require "proxylua.report.ownership"
local pools_file = require "proxylua.fleet.pools_file"
local time = require "proxylua.util.time"
local walk = require "proxylua.api.walk"

local M = {}

local LIST_AGE = 300 -- seconds after which the orders are listed again
local RECENT = 7 -- days: older checks say nothing of today
local SOON = 7 -- days

-- --- the orders ---

local Watcher = {}
Watcher.__index = Watcher

-- Lists the active orders. Each call of the returned function makes one request at most; the last
-- one returns the list.
local function listing(on_problem)
  return coroutine.wrap(function()
    local list, is_first = {}, true
    local called = { caller = "orders.each", endpoint = "orders.list", what = "orders" }
    local function page(params)
      if not is_first then coroutine.yield() end
      is_first = false
      return endpoints.orders.list(params)
    end
    for order in walk.open(page, called, { status = "active", on_problem = on_problem }) do
      list[#list + 1] = order
    end
    return list
  end)
end

local function read_orders(watcher, balance)
  local is_new = not watcher.list or watcher.balance ~= balance
    or core.task.clock() - watcher.listed_at > LIST_AGE
  if is_new and not watcher.listing then
    watcher.listing, watcher.balance = listing(watcher.on_problem), balance
  end
  while watcher.listing do
    local ok, list = pcall(watcher.listing)
    if not ok or list then watcher.listing = nil end
    if not ok then error(list, 0) end
    if list then
      watcher.list, watcher.listed_at, watcher.known = list, core.task.clock(), ownership.read()
    end
    if watcher.list then return end -- the list of before will do until the next look
  end
end

-- --- the parts of a status ---

local function counted(renewals, no_expiry, late, now)
  local today = math.floor(now / days.SECONDS)
  local count = { active = #renewals + #no_expiry + #late, day = 0, week = 0,
    no_expiry = #no_expiry, late = #late }
  for _, renewal in ipairs(renewals) do
    if renewal.day - today <= 1 then count.day = count.day + 1 end
    if renewal.day - today <= SOON then count.week = count.week + 1 end
  end
  return count
end

local function prices(known)
  return function(order)
    local extension = (known.orders[order.id] or {}).extension
    if extension then return extension.price, extension.period, "extension" end
    return amount_of(order.price), math.tointeger(order.period), "order"
  end
end

-- The orders that end first.
local function next_to_end(list, known)
  local orders = core.json.array{}
  for at, order in ipairs(list) do
    orders[at] = { id = order.id, type = order.type, country = order.country,
      quantity = order.quantity, expires_at = order.expires_at,
      pool = (known.orders[order.id] or {}).pool }
  end
  table.sort(orders, time.ends_before)
  return orders
end

local function pool_states(wanted, list, known)
  local pools, by_name = core.json.array{}, {}
  local function pool(name)
    if not by_name[name] then
      by_name[name] = { name = name, orders = 0, have = 0 }
      pools[#pools + 1] = by_name[name]
    end
    return by_name[name]
  end
  for _, row in ipairs(wanted or {}) do pool(row.name).wanted = row.quantity end
  for _, order in ipairs(list) do
    local name = (known.orders[order.id] or {}).pool
    if name then
      local state = pool(name)
      state.orders, state.have = state.orders + 1, state.have + (tonumber(order.quantity) or 0)
    end
  end
  for _, state in ipairs(pools) do
    state.have = math.tointeger(state.have) or state.have
    state.missing = state.wanted and math.max(0, state.wanted - state.have)
  end
  table.sort(pools, function(a, b) return a.name < b.name end)
  return pools
end

local function limit_states()
  local list = core.json.array{}
  for name, scope in pairs(core.api.limits()) do
    if type(scope) == "table" then
      list[#list + 1] = { scope = name, requests = scope.requests, seconds = scope.seconds,
        free = scope.free, waiting = scope.waiting, paused = scope.paused, paced = scope.paced }
    end
  end
  table.sort(list, function(a, b) return a.scope < b.scope end)
  return list
end

local function open_charges()
  local list = core.json.array{}
  for entry in journal.each{ state = "open" } do
    list[#list + 1] = { key = entry.key, endpoint = entry.endpoint, state = entry.state,
      quote = entry.quote, created_at = entry.created_at, running = entry.running or false }
  end
  return list
end

-- What the journal's charges of today cost, as far as their prices are known.
local function spent_today(known, now)
  local today, sum = math.floor(now / days.SECONDS), core.money(0)
  for _, record in pairs(known.orders) do
    for _, charge in ipairs(record.charges) do
      if charge.day == today and charge.price then sum = sum + charge.price end
    end
  end
  return sum
end

local function checks(now)
  local state = { checked = 0, failing = 0, reasons = {}, proxies = core.json.array{} }
  for proxy in history.each() do
    local at = time.read(proxy.last_at)
    if at and now - at <= RECENT * days.SECONDS then
      state.checked = state.checked + 1
      state.last_at = math.max(state.last_at or 0, at)
      if proxy.last ~= "works" then
        state.failing = state.failing + 1
        state.reasons[proxy.last] = (state.reasons[proxy.last] or 0) + 1
        table.insert(state.proxies, { host = proxy.host, port = proxy.port,
          username = proxy.username, reason = proxy.last, at = proxy.last_at })
      end
    end
  end
  state.last_at = state.last_at and time.date(state.last_at)
  return state
end

--- Looks once: at the account, and at most one page of its orders, except for the first time.
-- @return status, as px.status returns it
-- @raise the errors of the API calls, and of the store
function Watcher:look()
  local account = endpoints.account.get()
  local balance = amount_of(account.balance)
  read_orders(self, balance and tostring(balance))
  local now, known = clock(), self.known
  local renewals, no_expiry, late = forecast.renewals(self.list, now, prices(known))
  local status = {
    at = time.date(math.floor(now)), email = account.email, balance = balance,
    spent_today = spent_today(known, now), limits = limit_states(),
    orders = counted(renewals, no_expiry, late, now), next = next_to_end(self.list, known),
    pools = pool_states(self.pools, self.list, known), charges = open_charges(),
    checks = checks(now), horizon = forecast.HORIZON,
  }
  if balance then
    local _, lasts = forecast.path(balance, renewals, math.floor(now / days.SECONDS))
    status.lasts = lasts
  end
  return status
end

local status_options = declare("px.status", {
  { "pools", "any", "the path of a pools file or a list of pools, to compare what there is with "
    .. "what is wanted", meta = "string|table[]" },
  { "on_problem", "function", "see px.orders.each", meta = "fun(err: error)" },
})

--- Opens a watcher, which keeps the list of orders from one look to the next.
-- @param options of px.status
-- @return watcher with the method `look`
function M.open(options)
  options = status_options(options)
  local pools = options.pools
  if type(pools) == "string" then
    pools = pools_file.parse(pools_file.text(pools), pools)
  elseif pools ~= nil then
    pools = pools_file.check(pools, "px.status")
  end
  return setmetatable({ pools = pools, on_problem = options.on_problem }, Watcher)
end

--- The state of the account.
-- @record status
-- @tfield string at
-- @tfield[opt] string email
-- @tfield[opt] money balance
-- @tfield money spent_today
-- @tfield[opt] number lasts days until the balance is used up if every order is renewed when it
--   expires; absent if it lasts for `horizon` days
-- @tfield integer horizon days
-- @tfield table[] limits `scope`, `requests` in `seconds`, `free`, `waiting`, `paused` and `paced`
--   in seconds
-- @tfield table orders counts: `active`, `day`, `week`, how many end by tomorrow and within 7 days;
--   `no_expiry`, `late`
-- @tfield table[] next the active orders, the first to expire first
-- @tfield table[] pools `name`, `orders`, `have`, `wanted`, `missing`
-- @tfield table[] charges open entries of the journal
-- @tfield table checks of 7 days: `checked`, `failing`, `reasons`, `proxies`, `last_at`

--- The state of the account: balance, limits, orders, pools, charges and checks. It needs the
-- account and the list of active orders, and changes nothing: a charge with an unknown outcome is
-- listed, not settled.
-- @function px.status
-- @param options
-- @treturn status
-- @raise config for invalid pools; what px.orders.each raises; store
-- @usage local status = px.status()
-- print(status.email, status.orders.active, #status.charges)  --> you@sandbox.example  1  0
function M.status(options)
  return M.open(options):look()
end

return M
