-- What can go wrong with a purchase, and how a script handles it.
--   proxylua --spend 50 scripts/errors.lua
local px = require "proxylua"

local function try(what, ...)
  local order, err = px.try(px.orders.create, ...)
  print(("%-16s %s"):format(what, order and "bought " .. order.id
    or ("%s, charge %s"):format(err.kind, err.charge)))
  -- money may have moved: stop here
  if err and err.charge == "unknown" then error(err) end
  return order
end

try("a typo", { typ = "isp", quantity = 1 })
try("too dear", { type = "isp", quantity = 1, country = "US", max_price = "0.01" })
try("too much", { type = "mobile", quantity = 100000, country = "US" })
try("no such country", { type = "isp", quantity = 1, country = "XX" })
try("all right", { type = "isp", quantity = 1, country = "US", key = "errors.lua" })
try("the same again", { type = "isp", quantity = 1, country = "US", key = "errors.lua" })
try("another one", { type = "isp", quantity = 2, country = "US", key = "errors.lua" })
