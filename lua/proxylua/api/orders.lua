--- What orders need beyond their endpoints: reading the whole order from a server that returns only
-- its id, and waiting until its proxies exist.
-- @module px.orders

local core = require "proxylua.core"
local endpoints = require("proxylua.api.endpoints").orders
local errors = require "proxylua.util.errors"
local declare = require("proxylua.util.options").declare

local M = {}

local get, create, extend, proxies_of = endpoints.get, endpoints.create, endpoints.extend,
  endpoints.proxies

local function is_whole(order)
  return order.type ~= nil and order.status ~= nil and order.price ~= nil
end

local function fill(order, from)
  for name, value in pairs(from or {}) do
    if order[name] == nil then order[name] = value end
  end
end

-- The requested values, in the types that records have.
local function as_asked(params, quote)
  return {
    type = params.type, country = params.country, price = quote,
    quantity = math.tointeger(tonumber(params.quantity)),
      period = math.tointeger(tonumber(params.period)),
  }
end

-- The order is placed: its id must be returned even if the order cannot be read.
local function look_up(id)
  local ok, order = pcall(get, id)
  if ok then return order end
  if not core.error.is(order) then error(order, 0) end
  return nil
end

--- Buys proxies. Charges the balance, within the spending limits of the run.
-- @function px.orders.create
-- @param params
-- @treturn order complete even if the server returns only its id; in a dry run a record with
--   `dry_run=true` and without an id
-- @raise spend_refused, funds, key_reused, outcome_unknown and the errors of every call
-- @usage local bought = px.orders.create{ type = "isp", quantity = 10, country = "US", period = 30,
--   key = "restock-2026-W48", max_price = 40 }
-- print(bought.quantity, bought.price <= 40)  --> 10  true
function M.create(params, ...)
  local order, quote = create(params, ...)
  if order.id and not is_whole(order) then fill(order, look_up(order.id)) end
  fill(order, as_asked(params, quote))
  return order
end

--- Extends an active order. Charges the balance, within the spending limits of the run.
-- @function px.orders.extend
-- @tparam string id of the order
-- @param params
-- @treturn order as the server returns it
-- @raise what px.orders.create raises
-- @usage local longer = px.orders.extend(order.id,
--   { period = 30, key = "renew-" .. order.id .. "-2026-12" })
-- print(longer.expires_at > order.expires_at)  --> true
function M.extend(id, ...)
  local order = extend(id, ...) -- not the record of the quote
  if not order.dry_run and order.id == nil then order.id = id end
  return order
end

-- seconds: a new order is ready soon or takes a while
local FIRST_INTERVAL, MAX_INTERVAL, GROWTH = 2, 30, 1.5

local wait_options = declare("px.orders.wait", {
  { "timeout", "duration", "longest wait", above = 0, max = 1e9, default = "5m" },
  { "interval", "duration", "between two looks", above = 0, max = 1e9,
    usual = "2s, growing to 30s" },
})

local function fail(kind, ...)
  core.error.raise{ kind = kind, endpoint = "orders.proxies",
    message = (...):format(select(2, ...)) }
end

-- A server may not know the proxies of a new order at first.
local function look(id)
  local proxies, err = errors.try(proxies_of, id)
  if proxies then return proxies end
  if err.kind ~= "not_found" then error(err, 0) end
  return {}
end

-- As many as were ordered (residential ones are ordered by the GB); or, if there are fewer, as many
-- as at the previous lookup.
local function are_there(order, count, before)
  if count == 0 then return false end
  if order.type == "residential" or not order.quantity then return true end
  return count >= order.quantity or count == before
end

local over = { cancelled = true, expired = true, failed = true, rejected = true }

local function check_status(order)
  if over[tostring(order.status):lower()] then
    fail("not_found", "order %s is %s: it has no proxies to wait for", order.id, order.status)
  end
end

--- Waits until the proxies of an order exist. Looks them up at growing intervals, which leaves the
-- rate limit to other calls.
-- @function px.orders.wait
-- @tparam string id of the order
-- @param options
-- @treturn proxy[]
-- @raise timeout; not_found when the order is cancelled, failed or expired; what px.orders.get and
--   px.orders.proxies raise
-- @usage for _, proxy in ipairs(px.orders.wait(order.id)) do print(proxy.url) end
function M.wait(id, given)
  local wanted = wait_options(given)
  local timeout = wanted.timeout
  local interval, ends = wanted.interval or FIRST_INTERVAL, core.task.clock() + timeout
  local before
  while true do
    local order = get(id)
    check_status(order)
    local proxies = look(id)
    if are_there(order, #proxies, before) then return proxies end
    before = #proxies
    local left = ends - core.task.clock()
    if left <= 0 then
      fail("timeout", "order %s: %d of %s proxies exist after %g s", id, before, order.quantity
        or "its", timeout)
    end
    core.task.sleep(math.min(interval, left))
    if not wanted.interval then interval = math.min(interval * GROWTH, MAX_INTERVAL) end
  end
end

return M
