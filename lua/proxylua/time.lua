--- Times as seconds since 1970 UTC.
-- @module px.time

local core = require "proxylua.core"
local names = require "proxylua.names"

local M = {}

-- Numbers above this are milliseconds: as seconds they would be in the year 5138, as milliseconds in 1973.
local MOST_SECONDS = 1e11

-- Days from 1970-01-01 in the proleptic Gregorian calendar; years that begin in March put the leap day last.
local function days(year, month, day)
  if month <= 2 then year, month = year - 1, month + 12 end
  return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 1 - 719468
end

local function days_of(year, month)
  local after_year, after_month = year, month + 1
  if month == 12 then after_year, after_month = year + 1, 1 end
  return days(after_year, after_month, 1) - days(year, month, 1)
end

local function integers(...)
  local values = { ... }
  for index, value in ipairs(values) do values[index] = math.tointeger(tonumber(value)) end
  return table.unpack(values)
end

-- Seconds east of UTC, nil when it cannot be read.
local function offset_of(text)
  if text == "" or text == "Z" or text == "z" then return 0 end
  local sign, hours, minutes = text:match("^([+-])(%d%d):?(%d%d)$")
  if not sign then
    sign, hours = text:match("^([+-])(%d%d)$")
    minutes = "0"
  end
  if not sign then return nil end
  hours, minutes = integers(hours, minutes)
  if hours > 23 or minutes > 59 then return nil end
  return (sign == "-" and -1 or 1) * (hours * 3600 + minutes * 60)
end

local function time_of_day(text)
  local hour, minute, second, fraction, rest = text:match("^[Tt ](%d%d):(%d%d):(%d%d)(%.?%d*)(.*)$")
  if not hour or fraction == "." then return nil end
  hour, minute, second = integers(hour, minute, second)
  local offset = offset_of(rest)
  if hour > 23 or minute > 59 or second > 60 or not offset then return nil end
  return hour * 3600 + minute * 60 + second - offset + (fraction == "" and 0 or tonumber(fraction))
end

local function parse(text)
  local year, month, day, rest = text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$")
  if not year then return nil end
  year, month, day = integers(year, month, day)
  if month < 1 or month > 12 or day < 1 or day > days_of(year, month) then return nil end
  local seconds = rest == "" and 0 or time_of_day(rest)
  return seconds and days(year, month, day) * 86400 + seconds
end

local function from_number(value)
  if value ~= value or value == math.huge or value == -math.huge then return nil end
  return math.abs(value) < MOST_SECONDS and value or value / 1000
end

local function shown(value)
  if type(value) == "string" then return ('"%s"'):format(value:sub(1, 60)) end
  return (value == nil or type(value) == "number") and tostring(value) or "a " .. type(value)
end

--- Seconds since 1970 UTC of a time as the API tells it, so that times can be compared and subtracted.
-- @param value string: a time such as "2026-11-23T20:15:00Z", with a fraction or an offset if need be (ISO 8601, RFC 3339; UTC
--   when it has no offset), or a date alone; or seconds or milliseconds since 1970, as a number or as text. Left out: now
-- @return number, an integer where the time has no fraction
-- @raise usage
-- @usage local days_left = (px.time(order.expires_at) - px.time()) / 86400
function M.time(...)
  if select("#", ...) == 0 then return core.task.now() end
  local value = ...
  local seconds
  if type(value) == "number" then
    seconds = from_number(value)
  elseif type(value) == "string" then
    local text = value:match("^%s*(.-)%s*$")
    seconds = parse(text) or (text:find("^%-?%d+%.?%d*$") and from_number(tonumber(text)))
  end
  if not seconds then
    names.usage("px.time: %s is no time; expected one such as 2026-11-23T20:15:00Z, or seconds since 1970",
      shown(value))
  end
  return seconds
end

return M
