-- Amounts in records from outside.

local core = require "proxylua.core"

--- Reads an amount.
-- @param value anything
-- @return money; nil if it is not an amount
return function(value)
  if value == nil or core.money.is(value) then return value end
  local ok, amount = pcall(core.money.new, value)
  return ok and amount or nil
end
