-- UTC days, as numbers since 1970 and as texts, and the days of a report.

local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local names = require "proxylua.util.names"

local M = { SECONDS = 86400 }

local USUAL = 30 -- days of the default window

--- The day of a time in a record; nil if it is not a time.
-- @param time string or number
function M.of(time)
  if time == nil then return nil end
  local seconds = core.record.date(type(time) == "string" and time or tostring(time))
  return seconds and seconds // M.SECONDS | 0
end

--- "2026-11-25"
function M.text(day)
  local date = os.date("!*t", day * M.SECONDS)
  return ("%04d-%02d-%02d"):format(date.year, date.month, date.day)
end

-- A date, or a number of days ago, rounded up.
local function read(value, what)
  if type(value) == "string" and value:find("^%d%d%d%d%-") then
    local day = value:find("^%d%d%d%d%-%d%d%-%d%d$") and M.of(value)
    return day or names.usage("%s: %s is not a date; expected one such as 2026-11-25", what, value)
  end
  local ok, seconds = pcall(duration.seconds, value, what)
  if not ok then
    names.usage("%s takes a date such as 2026-11-25 or a duration such as 30d, got %s", what,
      tostring(value))
  end
  return nil, math.ceil(seconds / M.SECONDS)
end

-- This many days up to and including today.
local function first_day(today, date, ago)
  return date or today - math.max(ago, 1) + 1
end

local function last_day(today, date, ago)
  return date or today - ago
end

--- The window from one day to another, both included.
-- @param since date of its first day; or duration before today; nil: 30 days
-- @param till date of its last day; or duration before today; nil: today
-- @param now seconds
-- @return table: from and to, days; now, seconds
-- @raise usage
function M.window(since, till, now)
  local today = math.floor(now / M.SECONDS)
  local from, to
  if since ~= nil then from = first_day(today, read(since, "since")) end
  if till ~= nil then to = last_day(today, read(till, "until")) end
  to = to or today
  from = from or to - USUAL + 1
  if from > to then
    names.usage("since %s is after until %s", M.text(from),
      M.text(to))
  end
  return { from = from, to = to, now = now }
end

return M
