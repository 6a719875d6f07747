-- Extends every active order that expires soon, once, however often it runs, such as from cron.
--   proxylua --spend 50 scripts/renew.lua [WITHIN [PERIOD]]
local px = require "proxylua"

local report = px.renew{ within = arg[1] or "3d", period = math.tointeger(tonumber(arg[2] or 30)) }

for _, action in ipairs(report.done) do
  print(("%s  until %s  %s"):format(action.order, action.expires_at, action.price))
end
for _, order in ipairs(report.skipped) do print(("%s  %s"):format(order.order, order.text)) end
print(("%d orders extended for %s, balance %s"):format(#report.done, report.spent,
  px.account.get().balance))
