--- Durations as people write them: "90s", "5m", "12h", "3d", "2w", also together ("1d12h"), or a
-- number of seconds.
-- @module proxylua.util.duration

local names = require "proxylua.util.names"

local M = {}

local seconds_of = { s = 1, m = 60, h = 3600, d = 86400, w = 7 * 86400 }

local function add_up(text)
  local total, at = 0, 1
  while at <= #text do
    local number, unit, after = text:match("^(%d+%.?%d*)([smhdw])()", at)
    if not number then return nil end
    total, at = total + tonumber(number) * seconds_of[unit], after
  end
  return at > 1 and total or nil
end

--- The seconds of a duration.
-- @param value number of seconds, or string
-- @param what string, what it is for: "--within", "renew_before"
-- @return number, integer where it is whole
-- @raise usage
function M.seconds(value, what)
  local total = type(value) == "string" and (add_up(value) or tonumber(value)) or value
  if type(total) ~= "number" or not (total >= 0 and total < math.huge) then
    names.usage("%s takes a duration such as 90s, 5m, 12h, 3d or 2w, got %s", what, tostring(value))
  end
  return math.tointeger(total) or total
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
