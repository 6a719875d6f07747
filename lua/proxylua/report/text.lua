-- A report for a terminal: figures, a sparkline of the days, bars for each grouping, the calendar.
-- It fits the given width, and can be limited to ASCII.

local core = require "proxylua.core"
local days = require "proxylua.report.days"
local labels = require "proxylua.report.labels"
local sums = require "proxylua.report.totals"
local summary = require "proxylua.report.summary"

local M = {}

local NARROWEST, GAP, MAX_ROWS, MAX_NAME = 20, 2, 20, 24

local unicode = { ellipsis = "…", full = "█", parts = { "▏", "▎", "▍", "▌", "▋", "▊", "▉" },
  levels = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }, none = " " }
local ascii = { ellipsis = "...", full = "#", parts = {}, levels = { ".", ":", "-", "=", "+", "*",
  "#", "@" },
  none = " " }

--- A bar whose length is a share of a width.
-- @param share from 0 to 1
-- @param width in columns
-- @param signs unicode or ascii
local function bar(share, width, signs)
  local steps = #signs.parts + 1
  local filled = math.floor(math.max(0, math.min(1, share)) * width * steps + 0.5)
  if share > 0 and filled == 0 then filled = 1 end
  return signs.full:rep(filled // steps) .. (signs.parts[filled % steps] or "")
end

-- One character for each value; zero or less is blank, the smallest positive value is the lowest
-- character.
local function sparkline(values, signs)
  local highest, out = 0, {}
  for _, value in ipairs(values) do highest = math.max(highest, value) end
  for at, value in ipairs(values) do
    local level = highest > 0 and math.ceil(value / highest * #signs.levels) or 0
    out[at] = value > 0 and signs.levels[math.max(1, level)] or signs.none
  end
  return table.concat(out)
end

local function put(page, line)
  local text = page.signs == ascii and labels.ascii(line) or line
  page.lines[#page.lines + 1] = (labels.cut(text, page.width, page.signs.ellipsis):gsub(" +$", ""))
end

local function title(page, ...)
  local at = #page.lines
  page.lines[at + 1] = ""
  put(page, (...):format(select(2, ...)))
  if page.color then page.lines[at + 2] = "\27[1m" .. page.lines[at + 2] .. "\27[0m" end
end

-- Breaks a text into lines after a first word; the next lines are indented to it.
local function wrap(page, first, text)
  local line, indent = first, (" "):rep(core.text.width(first))
  for word in text:gmatch("%S+") do
    if core.text.width(line) + 1 + core.text.width(word) > page.width and line ~= indent
      and line ~= first then
      put(page, line)
      line = indent
    end
    line = (line == indent or line == first) and line .. word or line .. " " .. word
  end
  put(page, line)
end

local function pad(text, width, right)
  local blanks = (" "):rep(width - core.text.width(text))
  return right and blanks .. text or text .. blanks
end

local function put_summary(page, report)
  local widest = 0
  for _, figure in ipairs(summary.list(report)) do widest = math.max(widest, #figure.name) end
  for _, figure in ipairs(summary.list(report)) do
    wrap(page, pad(figure.name, widest + GAP), ("%s (%s)"):format(figure.value, figure.basis))
  end
end

local function put_days(page, report)
  local window = { from = days.of(report.since), to = days.of(report["until"]) }
  local periods = sums.periods(report.by.day, window, page.width)
  local values, highest = {}, core.money(0)
  for at, period in ipairs(periods) do
    values[at] = period.charges:tonumber()
    if period.charges > highest then highest = period.charges end
  end
  local each = periods[1].to - periods[1].from + 1
  title(page, "Charges by day")
  put(page, sparkline(values, page.signs))
  wrap(page, "", ("%s to %s, one character is %s, the highest %s"):format(report.since,
    report["until"],
    each == 1 and "a day" or each .. " days", highest))
end

local function widths_of(rows, most)
  local name, value = 0, 0
  for _, row in ipairs(rows) do
    name = math.max(name, core.text.width(row.label))
    value = math.max(value, #row.value)
  end
  return math.min(name, most), value
end

-- Lines of a name, an amount and a bar, over the whole width.
local function put_bars(page, rows, most_name)
  local name, value = widths_of(rows, most_name or math.min(MAX_NAME, page.width // 2))
  local room, highest = page.width - name - value - 2 * GAP, 0
  for _, row in ipairs(rows) do highest = math.max(highest, row.size) end
  for _, row in ipairs(rows) do
    local drawn = room > 0 and highest > 0 and bar(row.size / highest, room, page.signs) or ""
    local label = pad(labels.cut(row.label, name, page.signs.ellipsis), name)
    put(page, table.concat({ label, pad(row.value, value, true), drawn }, (" "):rep(GAP)))
  end
end

local function shown_name(page, name)
  return page.signs == ascii and labels.ascii(name) or labels.clean(name)
end

local function put_grouping(page, report, grouping)
  local rows = {}
  local list = report.by[grouping]
  if grouping ~= "day" then list = summary.top(list, MAX_ROWS) end
  for at, row in ipairs(list) do
    local value = tostring(row.spent)
    if row.refunds > 0 then value = ("%s (%s - %s)"):format(value, row.charges, row.refunds) end
    rows[at] = { label = shown_name(page, row.name), value = value, size = row.spent:tonumber() }
  end
  title(page, "Spent by %s", grouping)
  if #rows == 0 then return put(page, "nothing") end
  return put_bars(page, rows)
end

local function put_calendar(page, report)
  local rows, digits = {}, 1
  for at = 1, math.min(MAX_ROWS, #report.calendar) do
    digits = math.max(digits, #tostring(report.calendar[at].in_days))
  end
  for at = 1, math.min(MAX_ROWS, #report.calendar) do
    local row = report.calendar[at]
    local value = row.unpriced == row.orders and "?" or row.price .. (row.unpriced > 0 and " + ?"
      or "")
    local plural = row.orders == 1 and "" or "s"
    local in_days = pad(tostring(row.in_days), digits, true)
    rows[at] = { label = ("%s  in %s d  %d order%s"):format(row.day, in_days, row.orders, plural),
      value = value,
      size = row.price:tonumber() }
  end
  title(page, "Orders that expire, and the cost of renewing them")
  if #rows == 0 then return put(page, "no active order has a known expiry date") end
  put_bars(page, rows, page.width)
  if #report.calendar > MAX_ROWS then
    local more = #report.calendar - MAX_ROWS
    wrap(page, "", ("and %d later day%s, the last %s"):format(more, more == 1 and "" or "s",
      report.calendar[#report.calendar].day))
  end
  return nil
end

local function put_gaps(page, report)
  if #report.gaps == 0 then return end
  title(page, "Missing data")
  for _, gap in ipairs(report.gaps) do wrap(page, "- ", shown_name(page, gap)) end
end

--- The text of a report.
-- @param report of px.report.build
-- @param options of px.report.text, checked
function M.text(report, options)
  local page = { lines = {}, width = math.max(options.width, NARROWEST), color = options.color,
    signs = options.ascii and ascii or unicode }
  put(page, ("Spending from %s to %s, in UTC days"):format(report.since, report["until"]))
  page.lines[#page.lines + 1] = ""
  put_summary(page, report)
  put_days(page, report)
  for _, grouping in ipairs(options.by or { "type", "country", "pool" }) do
    put_grouping(page, report, grouping)
  end
  put_calendar(page, report)
  put_gaps(page, report)
  return table.concat(page.lines, "\n") .. "\n"
end

return M
