-- A price list: every type in some countries, all asked for at the same time.
--   proxylua scripts/prices.lua [COUNTRY…]
local px = require "proxylua"

local countries = #arg > 0 and arg or { "US", "DE", "JP" }
local types = { "residential", "datacenter", "isp", "mobile", "ipv6" }

local asked = {}
for _, kind in ipairs(types) do
  for _, country in ipairs(countries) do
    asked[#asked + 1] = function()
      return px.orders.calc{ type = kind, quantity = 10, country = country, period = 30 }.price
    end
  end
end
local prices = px.all(asked)

print("10 for 30 days" .. (" %9s"):rep(#countries):format(table.unpack(countries)))
for row, kind in ipairs(types) do
  local line = { ("%-14s"):format(kind) }
  for column = 1, #countries do
    line[#line + 1] = ("%9s"):format(prices[(row - 1) * #countries + column])
  end
  print(table.concat(line, " "))
end
