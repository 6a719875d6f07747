-- Extends every active order that ends within some days. The key makes it safe to run again, from cron for instance.
--   proxylua --spend 50 scripts/renew.lua [DAYS [PERIOD]]
local px = require "proxylua"

local days, period = tonumber(arg[1] or 3), tonumber(arg[2] or 30)

local due = {}
for order in px.orders.each{ status = "active" } do
  if px.time(order.expires_at) - px.time() < days * 86400 then due[#due + 1] = order end
end

for _, order in ipairs(due) do
  px.orders.extend(order.id, { period = period, key = ("renew-%s-%s"):format(order.id, order.expires_at) })
  print(("%s  %s -> %s"):format(order.id, order.expires_at, px.orders.get(order.id).expires_at))
end
print(#due .. " orders extended, balance " .. px.account.get().balance)
