--- Times as seconds since 1970 UTC.
-- @module px.time

local core = require "proxylua.core"
local names = require "proxylua.util.names"

local M = {}

-- Numbers above this are milliseconds: as seconds they would be in the year 5138, as milliseconds
-- in 1973.
local MAX_SECONDS = 1e11

-- The years of four digits, from 0001-01-01 on; later times are rounded to the year 10000.
local FIRST, AFTER_LAST = -62135596800, 253402300799.9995

local function from_number(value)
  if value ~= value or value == math.huge or value == -math.huge then return nil end
  return math.abs(value) < MAX_SECONDS and value or value / 1000
end

local function shown(value)
  if type(value) == "string" then return ('"%s"'):format(value:sub(1, 60)) end
  return (value == nil or type(value) == "number") and tostring(value) or "a " .. type(value)
end

local function refuse(caller, value)
  names.usage(
    "%s: %s is not a time; expected one such as 2026-11-23T20:15:00Z, or seconds since 1970",
    caller, shown(value))
end

--- Seconds since 1970 UTC of a time in any common form.
-- @param value anything
-- @return number; nil if it is not a time
function M.read(value)
  if type(value) == "number" then return from_number(value) end
  return type(value) == "string" and core.record.date(value) or nil
end

--- Whether an order ends before another, for table.sort. Orders without a readable end come last,
-- and those of the same end in the order of their ids.
function M.ends_before(a, b)
  local first, second = M.read(a.expires_at) or math.huge, M.read(b.expires_at) or math.huge
  if first ~= second then return first < second end
  return tostring(a.id) < tostring(b.id)
end

--- Seconds since 1970 UTC of a time as the API writes it, so that times can be compared and
-- subtracted.
-- @function px.time
-- @tparam[opt] string|number value a time such as "2026-11-23T20:15:00Z", with a fraction or an
--   offset if need be (ISO 8601, RFC 3339; UTC when it has no offset), or a date alone; a time such
--   as "Mon, 23 Nov 2026 20:15:00 GMT" (RFC 2822); or seconds or milliseconds since 1970, as a
--   number or as text; at most 64 bytes. Left out: now
-- @treturn number an integer if the time has no fraction
-- @raise usage
-- @usage local days_left = (px.time(order.expires_at) - px.time()) / 86400
-- print(days_left > 29, px.time("2026-11-23T20:15:00Z"))  --> true  1795464900
function M.time(...)
  local count = select("#", ...)
  if count == 0 then return core.task.now() end
  if count > 1 then names.usage("px.time takes at most 1 argument, got %d", count) end
  local value = ...
  return M.read(value) or refuse("px.time", value)
end

-- As the API writes times; milliseconds only where there are some.
local function text_of(seconds)
  local milliseconds = math.floor(seconds * 1000 + 0.5)
  local at, rest = os.date("!*t", milliseconds // 1000), milliseconds % 1000
  return ("%04d-%02d-%02dT%02d:%02d:%02d%sZ"):format(at.year, at.month, at.day, at.hour, at.min,
    at.sec, rest > 0 and (".%03d"):format(rest) or "")
end

--- The text of a time, as the API writes it. px.time reads such texts.
-- @function px.date
-- @tparam number value seconds or milliseconds since 1970 UTC, in the years 1 to 9999
-- @treturn string in UTC, with milliseconds if it has a fraction
-- @raise usage
-- @usage print(px.date(1795464900))  --> 2026-11-23T20:15:00Z
-- print(px.date(px.time("2026-11-23") + px.duration("3d")))  --> 2026-11-26T00:00:00Z
function M.date(value)
  local seconds = type(value) == "number" and from_number(value)
  if not seconds or seconds < FIRST or seconds >= AFTER_LAST then
    names.usage("px.date: %s is not a time in seconds since 1970%s", shown(value),
      type(value) == "string" and "; px.time reads texts" or "")
  end
  return text_of(seconds)
end

return M
