-- A report as one self-contained page: charts with their numbers as tables beside them, for phone,
-- screen and paper, in light and dark. It has no scripts, and all names from outside are escaped.

local core = require "proxylua.core"
local days = require "proxylua.report.days"
local style = require "proxylua.report.style"
local summary = require "proxylua.report.summary"
local sums = require "proxylua.report.totals"
local svg = require "proxylua.report.svg"

local M = {}

local MAX_COLUMNS = 92 -- of the chart of days
local MAX_PERIODS, MAX_ROWS, MAX_DAYS = 31, 12, 31 -- rows of tables
local SPAN = 90 -- days of the balance's chart

local escape = svg.escape

-- A text from outside; its dates are not broken.
local function dated(value)
  return (escape(value):gsub("%d%d%d%d%-%d%d%-%d%d", '<span class="date">%0</span>'))
end

-- Numbers are not broken, except those that would leave no room for others on a phone.
local MAX_LENGTH = 11

local function number_cell(text)
  return ('<td class="number%s">%s</td>'):format(#text > MAX_LENGTH and " long" or "", text)
end

-- Columns are pairs of a heading and a function of a row; numbers are aligned right.
local function table_of(caption, columns, rows)
  local lines = { "<table><caption>" .. escape(caption) .. "</caption><thead><tr>" }
  for at, column in ipairs(columns) do
    lines[#lines + 1] = ('<th scope="col"%s>%s</th>'):format(at > 1 and ' class="number"' or "",
      escape(column[1]))
  end
  lines[#lines + 1] = "</tr></thead><tbody>"
  for _, row in ipairs(rows) do
    local cells = {}
    for at, column in ipairs(columns) do
      local text = column[2](row)
      cells[at] = at == 1 and ('<th scope="row"><bdi>%s</bdi></th>'):format(dated(text))
        or number_cell(escape(text))
    end
    lines[#lines + 1] = "<tr>" .. table.concat(cells) .. "</tr>\n"
  end
  lines[#lines + 1] = "</tbody></table>"
  return table.concat(lines)
end

local function section(id, heading, chart, numbers)
  return ('<section id="%s" aria-labelledby="%s-heading"><h2 id="%s-heading">%s</h2>'
    .. '<div class="beside"><figure>%s</figure><div class="numbers">%s</div></div>'
    .. '</section>\n'):format(id, id, id,
      escape(heading), chart, numbers)
end

local function nothing(id, heading, text)
  return ('<section id="%s"><h2>%s</h2><p>%s</p></section>\n'):format(id, escape(heading),
    escape(text))
end

local function field(name)
  return function(row) return row[name] end
end

local money_columns = { { "charges", field "charges" }, { "refunds", field "refunds" },
  { "spent", field "spent" } }

local function columns_of(heading, label)
  return { { heading, label }, table.unpack(money_columns) }
end

-- The cards have the figures alone, so that a phone shows the first chart beside them.
local function cards(figures)
  local parts = { '<dl class="figures">' }
  for _, figure in ipairs(figures) do
    parts[#parts + 1] = ('<div><dt>%s</dt><dd>%s</dd></div>\n'):format(escape(figure.name),
      escape(figure.value))
  end
  return table.concat(parts) .. "</dl>\n"
end

local function basis(figures)
  local parts = { '<section id="basis"><h2>What the figures are made of</h2><dl>' }
  for _, figure in ipairs(figures) do
    parts[#parts + 1] = ("<dt>%s</dt><dd>%s</dd>\n"):format(escape(figure.name),
      dated(figure.basis))
  end
  return table.concat(parts) .. "</dl></section>\n"
end

local function period_label(period)
  if period.from == period.to then return days.text(period.from) end
  return days.text(period.from) .. " to " .. days.text(period.to)
end

local function by_day(report)
  local window = { from = days.of(report.since), to = days.of(report["until"]) }
  local periods, used = sums.periods(report.by.day, window, MAX_PERIODS), {}
  for _, period in ipairs(periods) do
    if period.charges > 0 or period.refunds > 0 then used[#used + 1] = period end
  end
  if #used == 0 then
    return nothing("day", "By day", "There were no charges or refunds in this time.")
  end
  local columns = sums.periods(report.by.day, window, MAX_COLUMNS)
  local length = columns[1].to - columns[1].from + 1
  local each = length == 1 and "a day" or ("%d days"):format(length)
  local chart = svg.columns("chart-day", "Charges and refunds by day",
    ("%d columns, one for %s. Charges are above the line, refunds below it. The numbers are in "
    .. "the table."):format(
      #columns, each), columns)
  local heading = periods[1].to == periods[1].from and "day" or "days"
  return section("day", "By day", chart,
    table_of("Days without charges or refunds are left out", columns_of(heading, period_label),
    used))
end

local function by_name(report, grouping)
  local heading, rows = "By " .. grouping, summary.top(report.by[grouping], MAX_ROWS)
  if #rows == 0 then
    return nothing(grouping, heading, "There were no charges or refunds in this time.")
  end
  local chart = svg.bars("chart-" .. grouping, "Spent by " .. grouping,
    ("%d bars, one for each %s: charges, and refunds inside them. The numbers are "
    .. "in the table."):format(
      #rows, grouping), rows)
  return section(grouping, heading, chart,
    table_of("Highest first", columns_of(grouping, field "name"), rows))
end

local function price_of(row)
  if row.unpriced == row.orders then return "unknown" end
  return row.price .. (row.unpriced > 0 and " + ?" or "")
end

local function calendar_table(report)
  local rows = table.move(report.calendar, 1, math.min(#report.calendar, MAX_DAYS), 1, {})
  local caption = "Orders that expire, and the cost of renewing them"
  if #rows < #report.calendar then
    caption = ("%s: the first %d days of %d"):format(caption, #rows, #report.calendar)
  end
  return table_of(caption, { { "day", field "day" }, { "in days", field "in_days" },
    { "orders", field "orders" },
    { "price", price_of } }, rows)
end

local function renewals(report)
  if #report.calendar == 0 then
    return nothing("renewals", "Renewals", "No active order has a known expiry date.")
  end
  if not report.balance or report.balance <= 0 then
    return (
      '<section id="renewals"><h2>Renewals</h2><div class="numbers">%s</div></section>\n'):format(
      calendar_table(report))
  end
  local path = {}
  for _, step in ipairs(report.path) do
    if step.in_days <= SPAN then path[#path + 1] = step end
  end
  local chart = svg.steps("chart-renewals", "The balance after renewals",
    ("The balance over %d days if every order is renewed when it expires and nothing else is "
    .. "bought."):format(SPAN),
    report.balance,
    path, SPAN, days.text(days.of(report.generated_at)))
  return section("renewals", "Renewals", chart, calendar_table(report))
end

local function gaps(report)
  if #report.gaps == 0 then return "" end
  local items = {}
  for at, gap in ipairs(report.gaps) do items[at] = "<li>" .. escape(gap) .. "</li>" end
  return ('<section id="gaps"><h2>Missing data</h2><ul>%s</ul></section>\n'):format(
    table.concat(items))
end

local head = [[
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
<title>%s</title>
<style>%s</style></head>
<body><main>
<h1>%s</h1>
<p><span class="date">%s</span> to <span class="date">%s</span>, in UTC days. As of <span class="date">%s</span>.</p>
<p class="legend"><span class="key charge"></span>charged <span class="key refund"></span>refunded;
amounts in the currency of the account</p>
]]

--- The page.
-- @param report of px.report.build
-- @return string
function M.page(report)
  local title = ("Proxy spending, %s to %s"):format(report.since, report["until"])
  local figures = summary.list(report)
  local parts = { head:format(escape(title), style, "Proxy spending", escape(report.since),
    escape(report["until"]), escape(report.generated_at)), cards(figures), by_day(report) }
  for _, grouping in ipairs{ "type", "country", "pool" } do
    parts[#parts + 1] = by_name(report, grouping)
  end
  parts[#parts + 1] = renewals(report)
  parts[#parts + 1] = basis(figures)
  parts[#parts + 1] = gaps(report)
  parts[#parts + 1] = ("<footer>Written by proxylua %s.</footer>\n</main></body></html>\n"):format(
    escape(core.version))
  return table.concat(parts)
end

return M
