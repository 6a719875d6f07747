-- Makes a report from its data: sums, burn rate, forecast, and gaps.

local amount_of = require "proxylua.report.amount"
local days = require "proxylua.report.days"
local endpoints = require "proxylua.api.endpoints"
local errors = require "proxylua.util.errors"
local forecast = require "proxylua.report.forecast"
local gaps = require "proxylua.report.gaps"
local sums = require "proxylua.report.totals"

local M = {}

-- A name as a text; nil if it is not one.
local function name_of(value)
  local text = (type(value) == "string" or type(value) == "number") and tostring(value)
  return text ~= "" and text or nil
end

-- A function of an order id: type, country and pool. Equal places are the same table.
local function placing(facts)
  local of_order, places, nowhere = {}, {}, {}
  local function place(kind, country, pool)
    kind, country = name_of(kind), name_of(country)
    local key = ("%s\0%s\0%s"):format(kind or "", country or "", pool or "")
    places[key] = places[key] or { type = kind, country = country, pool = pool }
    return places[key]
  end
  for id, record in pairs(facts.ownership.orders) do
    of_order[id] = place(record.type, record.country, record.pool or "no pool")
  end
  for _, order in ipairs(facts.orders) do
    local record = facts.ownership.orders[order.id] or {}
    if order.id ~= nil then
      of_order[order.id] = place(order.type or record.type, order.country or record.country,
        record.pool or "no pool")
    end
  end
  return function(id) return of_order[id] or nowhere end
end

-- Counts all transactions. Returns the sums, and the orders of the journal that transactions name;
-- nil in their place if no transaction names an order.
local function sum_up(facts, window)
  local all, named = sums.new(window, placing(facts), facts.are_unique), nil
  for transaction in facts.transactions do
    all:add(transaction)
    local id = transaction.order_id
    if id ~= nil then named = named or {} end
    if id ~= nil and facts.ownership.orders[id] then named[id] = true end
  end
  return all, named
end

-- The API's present price of an order; nil if it has none.
local function quote(order, period, quotes)
  local key = ("%s\0%s\0%s\0%s"):format(order.type, order.quantity, order.country, period)
  if quotes[key] == nil then
    local answer, err = errors.try(endpoints.orders.calc,
      { type = order.type, quantity = order.quantity,
      country = order.country, period = period })
    if err and err.kind ~= "invalid" and err.kind ~= "not_found" then error(err, 0) end
    quotes[key] = answer and answer.price or false
  end
  return quotes[key] or nil
end

-- The requested quote; else the last price; else a quote.
local function pricing(ownership, prefer_quote)
  local quotes = {}
  return function(order)
    local record, period, paid = ownership[order.id] or {}, order.period, amount_of(order.price)
    period = math.type(period) == "integer" and period > 0 and period or nil
    local extension = record.extension
    if extension and not prefer_quote then return extension.price, extension.period, "extension" end
    if paid and not prefer_quote then return paid, period, "order" end
    local price = order.type and order.quantity and quote(order, period, quotes)
    if price then return price, period, "quote" end
    return paid, period, paid and "order" or nil
  end
end

-- Days are numbers; a report has them as dates and as days from now.
local function dated(list, today)
  local dates = {}
  for _, row in ipairs(list) do
    dates[row.day] = dates[row.day] or days.text(row.day)
    row.in_days, row.day = row.day - today, dates[row.day]
  end
  return list
end

local function look_ahead(report, facts, window, prefer_quote)
  local today = math.floor(window.now / days.SECONDS)
  local renewals, no_expiry, late = forecast.renewals(facts.orders, window.now,
    pricing(facts.ownership.orders, prefer_quote))
  for _, renewal in ipairs(renewals) do
    renewal.pool = (facts.ownership.orders[renewal.order_id] or {}).pool
  end
  report.calendar = dated(forecast.calendar(renewals), today)
  if facts.balance then
    local path, lasts = forecast.path(facts.balance, renewals, today)
    report.path, report.lasts_with_renewals = dated(path, today), lasts
  end
  report.renewals, report.horizon = dated(renewals, today), forecast.HORIZON
  return no_expiry, late
end

local function add_burn_rate(report, first, window)
  report.burn = forecast.burn(report.totals.spent, window, first)
  report.lasts_at_burn = forecast.lasts_at(report.balance, report.burn)
  if report.burn then
    report.burn.from, report.burn.to = days.text(report.burn.from), days.text(report.burn.to)
  end
end

--- Makes a report, see px.report.build.
-- @param facts of collect.gather
-- @param window of days.window
-- @param prefer_quote whether to ask the API for the cost of renewals, instead of using the last
--   price
function M.report(facts, window, prefer_quote)
  local all, named = sum_up(facts, window)
  local report = { since = days.text(window.from), ["until"] = days.text(window.to),
    totals = all:totals(), by = {},
    balance = facts.balance, others = all:strangers(),
    generated_at = os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(window.now)) }
  for _, grouping in ipairs(sums.GROUPINGS) do report.by[grouping] = all:rows(grouping) end
  add_burn_rate(report, all.first, window)
  local no_expiry, late = look_ahead(report, facts, window, prefer_quote)
  report.gaps = gaps.list(report, facts, all, window, named, no_expiry, late)
  return report
end

return M
