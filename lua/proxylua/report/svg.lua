-- Charts as SVG, each with a title and a description for screen readers. All are as wide as a phone
-- and grow with the page; texts are cut to their room, so that nothing lies outside.

local core = require "proxylua.core"
local days = require "proxylua.report.days"
local labels = require "proxylua.report.labels"
local xml = require "proxylua.util.xml"

local M = {}

local WIDTH, TEXT = 360,
  13         -- units: width of a chart, as on a phone, and size of its letters
-- Maximum widths at that size in the named fonts: of ASCII letters, of wide ASCII letters, and of
-- all others.
local LETTER, CAPITAL, FOREIGN = 0.62, 1.02, 1.3

--- A text from outside, escaped for a page.
function M.escape(value)
  return xml.escape(labels.clean(value))
end

local function number(value)
  return (("%.2f"):format(value):gsub("%.?0+$", ""))
end

-- The maximum width of a text, in units.
local function room_of(text)
  local _, capitals = text:gsub("[A-Zmw@%%&+<=>~]", "")
  local _, foreign = text:gsub("[\xC2-\xF4]", "")
  local plain = utf8.len(text) - capitals - foreign
  return (plain * LETTER + capitals * CAPITAL + foreign * FOREIGN) * TEXT
end

-- A text that begins at x, or ends there, and stays within its room. The widths of letters beyond
-- ASCII are unknown: they are put into a window.
local function text(x, y, value, room, at_end)
  local shown = labels.clean(value)
  local whole = shown
  while room_of(shown) > room and shown ~= "" do
    shown = shown:sub(1, (utf8.offset(shown, -1) or 1) - 1)
  end
  if shown ~= whole then shown = shown:sub(1, (utf8.offset(shown, -1) or 1) - 1) .. "…" end
  if at_end then
    return ('<text x="%s" y="%s" text-anchor="end">%s</text>'):format(number(x), number(y),
      M.escape(shown))
  end
  if not shown:find("[\x80-\xFF]") then
    return ('<text x="%s" y="%s">%s</text>'):format(number(x), number(y), M.escape(shown))
  end
  return ('<svg class="window" x="%s" y="%s" width="%s" height="%s"><text x="0" '
    .. 'y="%s">%s</text></svg>'):format(
    number(x), number(y - TEXT - 1), number(room), number(TEXT + 6), number(TEXT + 1),
      M.escape(shown))
end

local function rectangle(class, x, y, width, height)
  return ('<rect class="%s" x="%s" y="%s" width="%s" height="%s"/>'):format(class, number(x),
    number(y), number(width),
    number(height))
end

local function line(class, x1, y1, x2, y2)
  return ('<line class="%s" x1="%s" y1="%s" x2="%s" y2="%s"/>'):format(class, number(x1),
    number(y1), number(x2),
    number(y2))
end

local function frame(id, title, description, height, parts)
  local named = ('<title id="%s-title">%s</title><desc id="%s-text">%s</desc>'):format(id,
    M.escape(title), id,
    M.escape(description))
  return (
    '<svg viewBox="0 0 %d %s" role="img" aria-labelledby="%s-title %s-text">%s%s</svg>'):format(
      WIDTH,
    number(height), id, id, named, table.concat(parts))
end

-- The part of `height` for an amount, if `most` is all of it.
local function share(amount, most, height)
  if most <= 0 or amount <= 0 then return 0 end
  return amount / most * height
end

local function most_of(rows, field)
  local most = core.money(0)
  for _, row in ipairs(rows) do
    if row[field] > most then most = row[field] end
  end
  return most
end

local TOP, CHART, FOOT = 20, 150, 22 -- units: above, of and below what is drawn
local LEFT = 48 -- units: room for the amounts of an axis
local LINES = 4 -- of an axis, at most

-- "30", "1.5k", "2M"
local function short(amount)
  local units, at = { "", "k", "M", "G", "T", "P", "E" }, 1
  while amount >= 1000 and units[at + 1] do amount, at = amount / 1000, at + 1 end
  return ("%.10g%s"):format(amount, units[at])
end

-- Lines across a chart at round amounts: 1, 2 or 5 of some power of ten apart.
-- @param most the highest amount, money
-- @param y_of function of an amount
local function grid(most, y_of)
  local parts, high = {}, most:tonumber()
  if high <= 0 then return "" end
  local power = 10 ^ math.max(-2, math.floor(math.log(high / LINES, 10)))
  local step = power
  for _, factor in ipairs{ 1, 2, 5, 10 } do
    step = factor * power
    if high / step <= LINES then break end
  end
  for at = 0, math.floor(high / step) do
    local y = y_of(at * step)
    parts[#parts + 1] = line("grid", LEFT, y, WIDTH, y)
      .. text(LEFT - 6, y + 4, short(at * step), LEFT - 6, true)
  end
  return table.concat(parts)
end

-- Charges are above the line, refunds below it, on the same scale.
local function column(period, x, width, zero, scale)
  local up, down = share(period.charges, scale.all, CHART), share(period.refunds, scale.all, CHART)
  local parts = {}
  if up > 0 then parts[#parts + 1] = rectangle("charge", x, zero - up, width, up) end
  if down > 0 then parts[#parts + 1] = rectangle("refund", x, zero, width, down) end
  return table.concat(parts)
end

--- Charges and refunds of periods, as columns.
-- @param periods list of sums.periods
function M.columns(id, title, description, periods)
  local charges, refunds = most_of(periods, "charges"), most_of(periods, "refunds")
  local scale, step = { all = charges + refunds }, (WIDTH - LEFT) / #periods
  local zero = TOP + (scale.all > 0 and share(charges, scale.all, CHART) or CHART)
  local parts = { grid(charges, function(amount)
    return zero - share(core.money(("%.8f"):format(amount)), scale.all, CHART)
  end) }
  for at, period in ipairs(periods) do
    local gap = math.min(2, step * 0.2)
    parts[#parts + 1] = column(period, LEFT + (at - 1) * step + gap / 2, step - gap, zero, scale)
  end
  local half = WIDTH / 2 - 4
  table.move({
    line("axis", LEFT, zero, WIDTH, zero), text(LEFT, TOP - 6, "highest " .. charges, half - LEFT),
    text(LEFT, TOP + CHART + FOOT - 6, days.text(periods[1].from), half - LEFT),
    text(WIDTH, TOP + CHART + FOOT - 6, days.text(periods[#periods].to), half, true),
  }, 1, 4, #parts + 1, parts)
  if refunds > 0 then
    parts[#parts + 1] = text(WIDTH, TOP - 6, "refunds to " .. refunds, half, true)
  end
  return frame(id, title, description, TOP + CHART + FOOT, parts)
end

local ROW, BAR = 38, 12

--- Rows as bars: charges, and refunds inside them.
-- @param rows of a grouping, at least one
function M.bars(id, title, description, rows)
  local most, parts = most_of(rows, "charges"), {}
  local refunds = most_of(rows, "refunds")
  if refunds > most then most = refunds end
  for at, row in ipairs(rows) do
    local y, amount = (at - 1) * ROW, tostring(row.spent)
    local amount_room = math.min(WIDTH / 2, room_of(amount))
    parts[#parts + 1] = text(0, y + 15, row.name, WIDTH - amount_room - 12)
      .. text(WIDTH, y + 15, amount, amount_room, true)
      .. rectangle("charge", 0, y + 21, share(row.charges, most, WIDTH), BAR)
    if row.refunds > 0 then
      parts[#parts] = parts[#parts] .. rectangle("refund", 0, y + 21 + BAR / 2,
        share(row.refunds, most, WIDTH),
        BAR / 2)
    end
  end
  return frame(id, title, description, #rows * ROW, parts)
end

-- The line of the balance: level, and down at each renewal; below zero it ends at the floor.
local function steps_of(balance, path, x_of, y_of)
  local points, last = { ("M0 %s"):format(number(y_of(balance))) }, y_of(balance)
  for _, step in ipairs(path) do
    points[#points + 1] = ("H%sV%s"):format(number(x_of(step)), number(y_of(step.balance)))
    last = y_of(step.balance)
  end
  return table.concat(points), last
end

--- The balance after renewals, over a number of days.
-- @param balance money
-- @param path of a report, limited to these days
-- @param span days
-- @param today date
function M.steps(id, title, description, balance, path, span, today)
  local function x_of(step) return math.min(step.in_days, span) / span * WIDTH end
  local function y_of(amount) return TOP + CHART - share(amount, balance, CHART) end
  local points, last = steps_of(balance, path, x_of, y_of)
  local ends = path[#path] and path[#path].balance < 0 and x_of(path[#path])
  if not ends then points = points .. ("H%d"):format(WIDTH) end
  local half, floor = WIDTH / 2 - 4, TOP + CHART
  return frame(id, title, description, floor + FOOT, {
    ('<path class="balance" d="%s"/>'):format(points), line("axis", 0, floor, WIDTH, floor),
    ends and ('<circle class="end" cx="%s" cy="%s" r="4"/>'):format(
      number(math.max(4, math.min(WIDTH - 4, ends))),
      number(last))
      or "",
    text(0, TOP - 6, "now " .. balance, half), text(0, floor + FOOT - 6, today, half),
    text(WIDTH, floor + FOOT - 6, days.text(days.of(today) + span), half, true),
    ends and text(WIDTH, TOP - 6, "ends " .. path[#path].day, half, true) or "",
  })
end

return M
