-- The forecast: which orders expire when, what renewing them costs, and how long the balance lasts.
-- A figure whose data is missing is left out.

local core = require "proxylua.core"
local days = require "proxylua.report.days"

local M = { HORIZON = 365 } -- days of the forecast

local HOUR, DAY = 3600, 24

--- The spending per day, from the beginning of the window, or of the first transaction if that is
-- later, until now or the window's end.
-- @param spent money
-- @param window of days.window
-- @param first day of the first transaction of all, nil if there is none
-- @return table: per_day (money), days (a number of at least 1), from and to (days); nil if there
--   is no data
function M.burn(spent, window, first)
  local from, to = first and math.max(first, window.from),
    math.min(window.to, math.floor(window.now / days.SECONDS))
  if not from or from > to then return nil end
  local ends = math.min(window.now, (to + 1) * days.SECONDS)
  local hours = math.max(DAY, math.floor((ends - from * days.SECONDS) / HOUR))
  return { per_day = spent / (hours / DAY), days = hours / DAY, from = from, to = to }
end

--- For how many days a balance lasts at a rate; nil if the rate is unknown or zero.
function M.lasts_at(balance, burn)
  if not balance or not burn or burn.per_day <= 0 then return nil end
  return math.max(0, balance / burn.per_day)
end

local function is_active(order)
  return order.status == nil or tostring(order.status):lower() == "active"
end

-- The earliest first, and those of a day by their orders.
local function sort(list)
  local ids = {}
  for _, renewal in ipairs(list) do ids[renewal] = tostring(renewal.order_id) end
  table.sort(list, function(a, b)
    if a.day ~= b.day then return a.day < b.day end
    return ids[a] < ids[b]
  end)
end

--- The renewals to come: for each active order its expiry date and the price of its renewal.
-- @param orders list
-- @param now seconds
-- @param price_of function of an order: price (money), period (days), and their source; nil if
--   there is no price
-- @return list of tables: order_id, day, type, country, pool, quantity, and period, price and
--   priced_by if known; the earliest first
-- @return list of active orders without an expiry date
-- @return list of active orders whose expiry date has passed
function M.renewals(orders, now, price_of)
  local list, no_expiry, late = core.json.array(), {}, {}
  for _, order in ipairs(orders) do
    local ends = is_active(order) and core.record.date(tostring(order.expires_at))
    if ends and ends >= now then
      local price, period, priced_by = price_of(order)
      list[#list + 1] = { order_id = order.id, day = math.floor(ends / days.SECONDS),
        type = order.type,
        country = order.country, quantity = order.quantity, period = period, price = price,
          priced_by = priced_by }
    elseif is_active(order) then
      table.insert(ends and late or no_expiry, order)
    end
  end
  sort(list)
  return list, no_expiry, late
end

--- The calendar of expiries: a row for each day on which orders expire.
-- @param renewals list of M.renewals
-- @return list of tables: day, orders (count), ids, price (the sum of the known prices), unpriced
--   (the number of renewals without a price)
function M.calendar(renewals)
  local list, row = core.json.array(), nil
  for _, renewal in ipairs(renewals) do
    if not row or row.day ~= renewal.day then
      row = { day = renewal.day, orders = 0, unpriced = 0, price = core.money(0),
        ids = core.json.array() }
      list[#list + 1] = row
    end
    row.orders, row.ids[#row.ids + 1] = row.orders + 1, renewal.order_id
    if renewal.price then row.price = row.price + renewal.price else row.unpriced = row.unpriced
      + 1 end
  end
  return list
end

-- What is due: day -> period (0: once) -> money. Renewals of the same rhythm are one.
local function add_due(due, day, period, price)
  due[day] = due[day] or {}
  due[day][period] = (due[day][period] or core.money(0)) + price
end

local function sum_and_repeat(due, day, last)
  local sum = core.money(0)
  for period, price in pairs(due[day]) do
    sum = sum + price
    if period > 0 and day + period <= last then add_due(due, day + period, period, price) end
  end
  due[day] = nil
  return sum
end

--- The balance if every order is renewed each time it expires, for the same period, and nothing
-- else is bought or paid in.
-- @param balance money
-- @param renewals list of M.renewals
-- @param today day
-- @return list of tables: day, due and balance (money, after it), of each day with renewals, up to
--   the first that cannot be paid, whose balance is below zero
-- @return days until then; nil if the balance lasts for the whole forecast
function M.path(balance, renewals, today)
  local due, list, last = {}, core.json.array(), today + M.HORIZON
  for _, renewal in ipairs(renewals) do
    if renewal.price and renewal.day <= last then
      add_due(due, renewal.day, renewal.period or 0, renewal.price)
    end
  end
  for day = today, last do
    if due[day] then
      local sum = sum_and_repeat(due, day, last)
      balance = balance - sum
      list[#list + 1] = { day = day, due = sum, balance = balance }
      if balance < 0 then return list, day - today end
    end
  end
  return list, nil
end

return M
