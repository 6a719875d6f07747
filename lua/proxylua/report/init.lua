--- Reports: what was spent, on what, how fast, and how long the balance lasts.
-- @module px.report

local clock = require "proxylua.util.clock"
local core = require "proxylua.core"
local names = require "proxylua.util.names"

local M = {}

local known = { since = true, till = true, transactions = true, orders = true, balance = true,
  quote = true,
  progress = true, now = true, on_problem = true }

local function check(options)
  if type(options) ~= "table" then
    names.usage("px.report.build takes its options as a table, got a %s", type(options))
  end
  names.check("px.report.build", options, known)
  if options.now ~= nil and type(options.now) ~= "number" then
    names.usage("px.report.build: now must be a number of seconds since 1970, got a %s",
      type(options.now))
  end
  if options.progress ~= nil and type(options.progress) ~= "function" then
    names.usage("px.report.build: progress must be a function, got a %s", type(options.progress))
  end
  if options.on_problem ~= nil and type(options.on_problem) ~= "function" then
    names.usage("px.report.build: on_problem must be a function, got a %s",
      type(options.on_problem))
  end
  return options
end

--- Reads the account's transactions and orders and the journal, and sums up what was spent. Days
-- are UTC days.
--
-- A report is a table: `since` and `until` (dates); `totals` (`charges`, `refunds`, `spent`,
-- `deposits`, and their counts); `by`, the tables `day`, `type`, `country` and `pool`, lists of
-- rows with `name`, `known`, `charges`, `refunds`, `spent` and `transactions`; `burn` (`per_day`,
-- over how many `days`, `from`, `to`); `balance`; `lasts_at_burn`, days; `lasts_with_renewals`,
-- days until the first renewal that the balance does not pay for, nil if it pays for those of
-- `horizon` days; `renewals`, `calendar` and `path` of the balance; `others`, transactions that are
-- neither charge, refund nor deposit; `gaps`, the missing data in words. Values that the API does
-- not report are absent.
-- @function px.report.build
-- @param options table, may be left out: `since`, a date such as "2026-11-01" or a duration before
--   today such as "30d" (30 days); `till`, the last day: a date, or a duration before today
--   (today); `quote=true` asks the API for the cost of renewals, instead of using the last price;
--   `transactions` and `orders`, instead of the API's: a list, an iterator, or the path of a file
--   of JSON lines, or of one JSON array; `balance`, money; `progress`, a function called with what
--   is read and the count so far; `now`, seconds; `on_problem`, see px.orders.each: what could not
--   be read is among the gaps too
-- @return report
-- @raise usage; what px.account.each_transaction and px.orders.each raise
-- @usage local report = px.report.build{ since = "7d" }
-- print(report.totals.spent, report.by.type[1].name, report.burn.days)  --> 4.80  isp  1.0
function M.build(options)
  options = check(options or {})
  local days = require "proxylua.report.days"
  local function window(now) return days.window(options.since, options.till, options.now or now) end
  window(core.task.now()) -- refuses an invalid window before any request
  local facts = require("proxylua.report.collect").gather(options)
  return require("proxylua.report.make").report(facts, window(clock()), options.quote)
end

local function check_report(caller, report)
  if type(report) == "table" and type(report.totals) == "table" and type(report.by) == "table" then
    return report
  end
  names.usage("px.report.%s takes a report of px.report.build, got %s", caller,
    type(report) == "table" and "another table" or "a " .. type(report))
end

--- A report as a self-contained page: HTML with SVG charts and the same numbers as tables beside
-- them, without scripts, for phones, wide screens and paper.
-- @function px.report.html
-- @param report of px.report.build
-- @return string
-- @raise usage
-- @usage print(#px.report.html(px.report.build()) > 1000)  --> true
function M.html(report)
  return require("proxylua.report.html").page(check_report("html", report))
end

--- The rows of a report as CSV (RFC 4180), with a header.
-- @function px.report.csv
-- @param report of px.report.build
-- @param groupings list of "day", "type", "country" and "pool"; left out: all four
-- @return string
-- @raise usage
-- @usage print(px.report.csv(px.report.build(), { "type" }))  --> type,isp,4.80,0.00,4.80,1
function M.csv(report, groupings)
  return require("proxylua.report.csv").text(check_report("csv", report), groupings)
end

--- A report as text for a terminal, with bars and a sparkline.
-- @function px.report.text
-- @param report of px.report.build
-- @param options table, may be left out: `width` in columns (80), `ascii=true` for plain ASCII,
--   `color=true`, `by`, a list of groupings
-- @return string
-- @raise usage
-- @usage print(px.report.text(px.report.build(), { width = 60 }))
function M.text(report, options)
  local terminal = require "proxylua.report.text"
  options = terminal.check(options)
  return terminal.text(check_report("text", report), options)
end

return M
