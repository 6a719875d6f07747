-- Keeps a stock of proxies: buys what is missing, at most once a week however often it runs.
--   proxylua --spend 50 scripts/restock.lua [TYPE [COUNTRY [QUANTITY]]]
local px = require "proxylua"

local kind, country, wanted = arg[1] or "isp", arg[2] or "US",
  math.tointeger(tonumber(arg[3] or 10))

local stock = 0
for order in px.orders.each{ status = "active", type = kind } do
  if order.country == country then stock = stock + order.quantity end
end

if stock >= wanted then
  print(("%d of %d %s proxies in %s: nothing to buy"):format(stock, wanted, kind, country))
  return
end

local order = px.orders.create{
  type = kind, country = country, quantity = wanted - stock, period = 30,
  key = ("restock-%s-%s-%s"):format(kind, country, os.date("!%G-W%V")),
}
print(("%d of %d %s proxies in %s: bought %d for %s as %s"):format(stock, wanted, kind, country,
  wanted - stock,
  order.price, order.id))
