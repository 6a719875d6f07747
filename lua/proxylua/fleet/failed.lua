-- Orders that came back without ever being stock: failed, rejected, or cancelled soon after their
-- purchase. Whether they were paid for decides whether a pool may buy again.

local core = require "proxylua.core"
local pages = require "proxylua.api.pages"
local time = require "proxylua.util.time"

local M = {}

local SOON = 86400 -- seconds after its purchase in which a cancelled order never was stock
local SKEW = 86400 -- seconds by which the clocks of store and server may be apart
local MAX_TRANSACTIONS = 2000

local failed = { failed = true, rejected = true }
local over = { expired = true, cancelled = true, failed = true, rejected = true }

local function status_of(order)
  return order.status ~= nil and tostring(order.status):lower() or nil
end

--- Whether an order is over for good according to its status.
function M.is_over(order)
  return over[status_of(order)] == true
end

--- Whether an order that was bought never was stock.
-- @param order that is over
-- @param placed_at time of its purchase, nil when it was not bought from this store
-- @param now seconds since 1970
function M.never_was_stock(order, placed_at, now)
  local status = status_of(order)
  if failed[status] then return placed_at ~= nil end
  return status == "cancelled" and placed_at ~= nil and now - time.time(placed_at) < SOON
end

local function add(sums, entry, since)
  local order, amount = entry.order_id, core.money.is(entry.amount) and entry.amount
  local kind = tostring(entry.type):lower()
  if not amount or kind ~= "charge" and kind ~= "refund" then return end
  local made = time.read(entry.created_at)
  if order == nil then
    sums.in_doubt = sums.in_doubt or not made or made >= since
  elseif sums.of[order] then
    if amount < 0 then amount = -amount end
    sums.of[order] = sums.of[order] + (kind == "charge" and amount or -amount)
    sums.named[order] = true
  end
end

--- What was paid for orders and not given back, according to the transactions.
-- @param orders table: id -> time of its purchase
-- @return table: id -> money; absent where transactions without an order id, or too many of them,
--   leave it in doubt
-- @raise what px.account.transactions raises
function M.unreturned(orders)
  local sums, since, count = { of = {}, named = {} }, math.huge, 0
  if not next(orders) then return {} end
  for id, placed_at in pairs(orders) do
    sums.of[id] = core.money(0)
    since = math.min(since, time.time(placed_at) - SKEW)
  end
  for entry in pages.account.each_transaction() do
    add(sums, entry, since)
    count = count + 1
    if count == MAX_TRANSACTIONS then
      sums.in_doubt = true
      break
    end
  end
  for id in pairs(orders) do
    if sums.in_doubt and not sums.named[id] then sums.of[id] = nil end
  end
  return sums.of
end

return M
