-- Amounts of records that others wrote.

local core = require "proxylua.core"

--- Reads an amount.
-- @param value anything
-- @return money; nil where it is no amount
return function(value)
  if value == nil or core.money.is(value) then return value end
  local ok, amount = pcall(core.money.new, value)
  return ok and amount or nil
end
