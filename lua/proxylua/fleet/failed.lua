-- Orders that never delivered proxies: failed, rejected, or cancelled soon after their purchase. A
-- pool may buy again only if they were not charged or were refunded.

local core = require "proxylua.core"
local pages = require "proxylua.api.pages"
local time = require "proxylua.util.time"

local M = {}

local SOON = 86400 -- an order cancelled within these seconds counts as never delivered
local SKEW = 86400 -- seconds by which the clocks of store and server may be apart
local MAX_TRANSACTIONS = 2000

local failed = { failed = true, rejected = true }
local over = { expired = true, cancelled = true, failed = true, rejected = true }

local function status_of(order)
  return order.status ~= nil and tostring(order.status):lower() or nil
end

--- Whether an order has ended for good according to its status.
function M.is_over(order)
  return over[status_of(order)] == true
end

--- Whether a bought order never delivered proxies.
-- @param order that has ended
-- @param placed_at time of its purchase, nil if this store did not record the purchase
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

--- What was paid for orders and not refunded, according to the transactions.
-- @param orders table: id -> time of its purchase
-- @return table: id -> money; absent if transactions without an order id, or too many transactions,
--   leave it uncertain
-- @raise the errors of px.account.transactions
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
