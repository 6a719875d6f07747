--- Reports: what was spent, on what, how fast, and how long the balance lasts.
-- @module px.report

local clock = require "proxylua.util.clock"
local core = require "proxylua.core"
local declare = require("proxylua.util.options").declare
local names = require "proxylua.util.names"

local M = {}

local groupings = {
  read = function(value)
    return type(value) == "table" and require("proxylua.report.csv").groupings(value) or nil
  end,
  expected = "a list of day, type, country and pool", doc = "list",
  meta = "(\"day\"|\"type\"|\"country\"|\"pool\")[]",
}

local build_options = declare("px.report.build", {
  { "since", "any", 'a date such as "2026-11-01", or a duration before today such as "30d"',
    meta = "string|number" },
  { "till", "any", "the last day: a date, or a duration before today", usual = "today",
    meta = "string|number" },
  { "quote", "boolean", "true asks the API for the cost of renewals, instead of using the last "
    .. "price", default = false },
  { "transactions", "any", "instead of the API's: a list, an iterator, or the path of a file of "
    .. "JSON lines or of one JSON array", meta = "table|function|string" },
  { "orders", "any", "instead of the API's, in the same forms", meta = "table|function|string" },
  { "balance", "money", "instead of the API's" },
  { "progress", "function", "called with what is read and the count so far",
    meta = "fun(what: string, count: integer)" },
  { "now", "number", "seconds since 1970", usual = "the time of the API" },
  { "on_problem", "function", "see px.orders.each; what could not be read is among the gaps too",
    meta = "fun(err: error)" },
})

local csv_options = declare("px.report.csv", {
  { "by", groupings, "the groupings", usual = "day, type, country and pool" },
})

local text_options = declare("px.report.text", {
  { "width", "integer", "columns", min = 1, default = 80 },
  { "ascii", "boolean", "true for plain ASCII", default = false },
  { "color", "boolean", "true for colours", default = false },
  { "by", groupings, "the groupings, of day, type, country and pool",
    usual = "type, country and pool" },
})

--- A report. Values that the API does not report are absent.
-- @record report
-- @tfield string generated_at
-- @tfield string since
-- @tfield string until
-- @tfield table totals `charges`, `refunds`, `spent`, `deposits`, and their counts
-- @tfield table<string,report_row[]> by day, type, country and pool
-- @tfield[opt] table burn `per_day`, over how many `days`, `from`, `to`
-- @tfield[opt] money balance
-- @tfield[opt] number lasts_at_burn days
-- @tfield[opt] number lasts_with_renewals days until the first renewal that the balance does not
--   pay for, nil if it pays for those of `horizon` days
-- @tfield integer horizon days
-- @tfield table[] renewals
-- @tfield table[] calendar
-- @tfield[opt] table[] path of the balance
-- @tfield table[] others transactions that are neither charge, refund nor deposit
-- @tfield string[] gaps the missing data in words

--- A row of a report.
-- @record report_row
-- @tfield string name
-- @tfield boolean known
-- @tfield money charges
-- @tfield money refunds
-- @tfield money spent
-- @tfield integer transactions

--- Reads the account's transactions and orders and the journal, and sums up what was spent. Days
-- are UTC days.
-- @function px.report.build
-- @param options
-- @treturn report
-- @raise usage; what px.account.each_transaction and px.orders.each raise
-- @usage local report = px.report.build{ since = "7d" }
-- print(report.totals.spent, report.by.type[1].name, report.burn.days)  --> 4.80  isp  1.0
function M.build(given)
  local options = build_options(given)
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
-- @tparam report report
-- @treturn string
-- @raise usage
-- @usage print(#px.report.html(px.report.build()) > 1000)  --> true
function M.html(report)
  return require("proxylua.report.html").page(check_report("html", report))
end

--- The rows of a report as CSV (RFC 4180), with a header.
-- @function px.report.csv
-- @tparam report report
-- @param options
-- @treturn string
-- @raise usage
-- @usage print(px.report.csv(px.report.build(), { by = { "type" } }))
--   --> type,isp,4.80,0.00,4.80,1
function M.csv(report, options)
  return require("proxylua.report.csv").text(check_report("csv", report), csv_options(options).by)
end

--- A report as text for a terminal, with bars and a sparkline.
-- @function px.report.text
-- @tparam report report
-- @param options
-- @treturn string
-- @raise usage
-- @usage print(px.report.text(px.report.build(), { width = 60 }))
function M.text(report, options)
  return require("proxylua.report.text").text(check_report("text", report), text_options(options))
end

return M
