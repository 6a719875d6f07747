--- Durations: numbers of seconds, or texts in which every number has a unit ("90s", "1d12h").
-- @module proxylua.util.duration

local core = require "proxylua.core"
local names = require "proxylua.util.names"

local M = {}

local seconds_of = { s = 1, m = 60, h = 3600, d = 86400 }

--- The seconds of a text, nil for one that is not a duration with units.
-- @param text anything
function M.read(text)
  return type(text) == "string" and core.record.duration(text) or nil
end

--- What to write in place of a value that is not a duration, for "%s must be %s, got %s".
-- @param value that was given
-- @param quote what stands around a text there ('"' in Lua), may be left out
-- @return string
function M.expected(value, quote)
  local number = tostring(value):match("^%d+%.?%d*$")
  local text = number
    and ("a duration with a unit, such as '%ss' (seconds) or '%sd' (days)"):format(number, number)
    or "a duration such as '90s', '12h' or '3d'"
  return (text:gsub("'", quote or ""))
end

--- The seconds of a duration.
-- @param value number of seconds, or text with units
-- @param what string, what it is for: "--within", "px.renew: within"
-- @return number, integer where it is whole
-- @raise usage
function M.seconds(value, what)
  local total = M.read(value) or value
  if type(total) ~= "number" or not (total >= 0 and total < math.huge) then
    names.usage("%s must be %s, got %s", what, M.expected(value), tostring(value))
  end
  return math.tointeger(total) or total
end

--- The seconds of a duration, so that scripts take times as the functions of px do.
-- @function px.duration
-- @tparam string|number value text in which every number has a unit (ms, s, m, h, d or w), such as
--   "90s", "3d" or "1d12h"; or seconds, which are returned
-- @treturn number an integer where it is whole
-- @raise usage
-- @usage print(px.duration("3d"), px.duration("1h30m"), px.duration("250ms"))
--   --> 259200  5400  0.25
function M.duration(value)
  return M.seconds(value, "px.duration: the value")
end

--- A duration in its two largest units: "3d 4h", "2m 5s", "0s".
-- @param seconds number
-- @return string
function M.text(seconds)
  local left, parts = math.floor(seconds + 0.5), {}
  for _, unit in ipairs{ "d", "h", "m", "s" } do
    local count = left // seconds_of[unit]
    if count > 0 and #parts < 2 then
      parts[#parts + 1] = count .. unit
    elseif #parts == 1 then
      break
    end
    left = left % seconds_of[unit]
  end
  return parts[1] and table.concat(parts, " ") or "0s"
end

return M
