-- The current stock: the proxies of active orders, by type and country.

local px = require "proxylua"

local M = {}

--- The stock, sorted: list of {type, country, quantity, expires_at}, the last of which is the next
-- to expire.
function M.list()
  local rows, by_key = {}, {}
  for order in px.orders.each{ status = "active" } do
    local key = ("%s\0%s"):format(order.type, order.country or "")
    local row = by_key[key]
    if not row then
      row = { type = order.type, country = order.country, quantity = 0,
        expires_at = order.expires_at }
      by_key[key], rows[#rows + 1] = row, row
    end
    row.quantity = row.quantity + (order.quantity or 0)
    if order.expires_at and order.expires_at < (row.expires_at or order.expires_at) then
      row.expires_at = order.expires_at
    end
  end
  table.sort(rows, function(a, b)
    if a.type ~= b.type then return a.type < b.type end
    return (a.country or "") < (b.country or "")
  end)
  return rows
end

--- How many there are of a type in a country.
function M.count(kind, country)
  for _, row in ipairs(M.list()) do
    if row.type == kind and row.country == country then return row.quantity end
  end
  return 0
end

return M
