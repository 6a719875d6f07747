--- Reports: what was spent, on what, how fast, and how long the balance lasts.
-- @module px.report

local core = require "proxylua.core"
local names = require "proxylua.names"

local M = {}

local known = { since = true, till = true, transactions = true, orders = true, balance = true, quote = true, progress = true,
  now = true }

local function check(options)
  if type(options) ~= "table" then
    names.usage("px.report.build takes its options as a table, got a %s", type(options))
  end
  names.check("px.report.build", options, known)
  if options.now ~= nil and type(options.now) ~= "number" then
    names.usage("px.report.build: now is a number of seconds since 1970, got a %s", type(options.now))
  end
  if options.progress ~= nil and type(options.progress) ~= "function" then
    names.usage("px.report.build: progress is a function, got a %s", type(options.progress))
  end
  return options
end

-- --- whose transaction it is ---

-- A function of an order id: type, country and pool. The same place is the same table.
local function placing(facts)
  local of_order, places, nowhere = {}, {}, {}
  local function place(kind, country, pool)
    local key = ("%s\0%s\0%s"):format(kind or "", country or "", pool or "")
    places[key] = places[key] or { type = kind, country = country, pool = pool }
    return places[key]
  end
  for id, tie in pairs(facts.ties.orders) do of_order[id] = place(tie.type, tie.country, tie.pool or "no pool") end
  for _, order in ipairs(facts.orders) do
    local tie = facts.ties.orders[order.id] or {}
    if order.id ~= nil then
      of_order[order.id] = place(order.type or tie.type, order.country or tie.country, tie.pool or "no pool")
    end
  end
  return function(id) return of_order[id] or nowhere end
end

-- Counts all transactions in; answers the sums, and the orders that transactions name.
local function sum_up(facts, window)
  local sums, told = require("proxylua.report.sums").new(window, placing(facts)), {}
  for transaction in facts.transactions do
    sums:add(transaction)
    if transaction.order_id ~= nil then told[transaction.order_id] = true end
  end
  return sums, next(told) and told
end

-- --- what a renewal costs ---

-- What the API asks for an order again; nil where it has no price for it.
local function quote(order, period, quotes)
  local key = ("%s\0%s\0%s\0%s"):format(order.type, order.quantity, order.country, period)
  if quotes[key] == nil then
    local errors, orders = require "proxylua.errors", require("proxylua.endpoints").orders
    local answer, err = errors.try(orders.calc, { type = order.type, quantity = order.quantity, country = order.country,
      period = period })
    if err and err.kind ~= "invalid" and err.kind ~= "not_found" then error(err, 0) end
    quotes[key] = answer and answer.price or false
  end
  return quotes[key] or nil
end

-- A quote where it was asked for; what was paid last; a quote where neither is told.
local function pricing(ties, prefer_quote)
  local quotes = {}
  return function(order)
    local tie, period = ties[order.id] or {}, order.period
    period = math.type(period) == "integer" and period > 0 and period or nil
    local extension = tie.extension
    if extension and not prefer_quote then return extension.price, extension.period, "extension" end
    if order.price and not prefer_quote then return order.price, period, "order" end
    local price = order.type and order.quantity and quote(order, period, quotes)
    if price then return price, period, "quote" end
    return order.price, period, order.price and "order" or nil
  end
end

-- --- the report ---

-- Days of others are numbers; a report tells them as dates, and in how many days they are.
local function dated(list, today)
  local days = require "proxylua.report.days"
  for _, row in ipairs(list) do row.in_days, row.day = row.day - today, days.text(row.day) end
  return list
end

local function look_ahead(report, facts, window, options)
  local days, forecast = require "proxylua.report.days", require "proxylua.report.forecast"
  local today = math.floor(window.now / days.SECONDS)
  local renewals, endless, late = forecast.renewals(facts.orders, window.now, pricing(facts.ties.orders, options.quote))
  for _, renewal in ipairs(renewals) do renewal.pool = (facts.ties.orders[renewal.order_id] or {}).pool end
  report.calendar = dated(forecast.calendar(renewals), today)
  if facts.balance then
    local path, lasts = forecast.path(facts.balance, renewals, today)
    report.path, report.lasts_with_renewals = dated(path, today), lasts
  end
  report.renewals, report.horizon = dated(renewals, today), forecast.HORIZON
  return endless, late
end

local function tell_burn(report, sums, window)
  local days, forecast = require "proxylua.report.days", require "proxylua.report.forecast"
  report.burn = forecast.burn(report.totals.spent, window, sums.first)
  report.lasts_at_burn = forecast.lasts_at(report.balance, report.burn)
  if report.burn then report.burn.from, report.burn.to = days.text(report.burn.from), days.text(report.burn.to) end
end

--- Reads the account's transactions and orders and the journal, and sums up what was spent. Days are UTC days.
--
-- A report is a table: `since` and `until` (dates); `totals` (`charges`, `refunds`, `spent`, `deposits`, and how many there were);
-- `by`, the tables `day`, `type`, `country` and `pool`, lists of rows with `name`, `known`, `charges`, `refunds`, `spent` and
-- `transactions`; `burn` (`per_day`, over how many `days`, `from`, `to`); `balance`; `lasts_at_burn`, days; `lasts_with_renewals`, days
-- until the first renewal that the balance does not pay for, nil when it pays for those of `horizon` days; `renewals`, `calendar` and
-- `path` of the balance; `others`, transactions that are neither charge, refund nor deposit; `gaps`, what is not known, in words. What
-- nobody tells is absent.
-- @function px.report.build
-- @param options table, may be left out: `since`, a date such as "2026-11-01" or a duration such as "30d", which is so many days up
--   to today (30 days); `till`, the last day: a date, or how long ago (today); `quote=true` asks the API what renewals cost, instead
--   of taking what was paid last; `transactions` and `orders`, instead of the API's: a list, an iterator, or the path of a file of
--   JSON lines; `balance`, money; `progress`, a function called with what is read and how many there are so far; `now`, seconds
-- @return report
-- @raise usage; what px.account.each_transaction and px.orders.each raise
-- @usage local report = px.report.build{ since = "7d" }
-- print(report.totals.spent, report.by.type[1].name, report.burn.days)  --> 2.40  isp  1.0
function M.build(options)
  options = check(options or {})
  local window = require("proxylua.report.days").window(options.since, options.till, options.now or core.task.now())
  local facts = require("proxylua.report.collect").gather(options)
  local sums, told = sum_up(facts, window)
  local days = require "proxylua.report.days"
  local report = { since = days.text(window.from), ["until"] = days.text(window.to), totals = sums:totals(), by = {},
    balance = facts.balance, others = sums:strangers(), generated_at = os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(window.now)) }
  for _, grouping in ipairs(require("proxylua.report.sums").GROUPINGS) do report.by[grouping] = sums:rows(grouping) end
  tell_burn(report, sums, window)
  local endless, late = look_ahead(report, facts, window, options)
  report.gaps = require("proxylua.report.gaps").list(report, facts, sums, window, told, endless, late)
  return report
end

--- A report as a page of its own: HTML with SVG charts and the same numbers as tables beside them. It needs nothing from anywhere,
-- runs no script, and is for phones, wide screens and paper.
-- @function px.report.html
-- @param report of px.report.build
-- @return string
-- @usage print(#px.report.html(px.report.build()) > 1000)  --> true
function M.html(report)
  return require("proxylua.report.html").page(report)
end

--- The rows of a report as CSV (RFC 4180), with a header.
-- @function px.report.csv
-- @param report of px.report.build
-- @param groupings list of "day", "type", "country" and "pool"; left out: all four
-- @return string
-- @raise usage
-- @usage print(px.report.csv(px.report.build(), { "type" }))  --> type,isp,2.40,0.00,2.40,1
function M.csv(report, groupings)
  return require("proxylua.report.csv").text(report, groupings)
end

--- A report for people at a terminal, with bars and a sparkline.
-- @function px.report.text
-- @param report of px.report.build
-- @param options table, may be left out: `width` in columns (80), `ascii=true` for plain ASCII, `color=true`, `by`, a list of
--   groupings
-- @return string
-- @raise usage
-- @usage print(px.report.text(px.report.build(), { width = 60 }))
function M.text(report, options)
  return require("proxylua.report.terminal").text(report, options)
end

return M
