-- Exact amounts: integers of 10^-8 inside the sandbox, decimal text outside.

local M = {}

local ONE = 100000000

M.cent = ONE // 100

--- The amount of a decimal text or a number.
-- @param value "9.30", 9.3 or 10
-- @return units of 10^-8, or nil when it is not a plain decimal of at most 10 and 8 digits
function M.parse(value)
  local sign, whole, fraction = tostring(value):match("^(%-?)(%d+)%.?(%d*)$")
  if not whole or #whole > 10 or #fraction > 8 then return nil end
  local units = tonumber(whole, 10) * ONE + tonumber(fraction .. ("0"):rep(8 - #fraction), 10)
  return sign == "-" and -units or units
end

--- Decimal text with at least two digits after the point.
function M.format(units)
  local whole, rest = math.abs(units) // ONE, math.abs(units) % ONE
  local fraction = ("%08d"):format(rest):gsub("0+$", "")
  fraction = fraction .. ("0"):rep(2 - #fraction)
  return (units < 0 and "-" or "") .. ("%d.%s"):format(whole, fraction)
end

return M
