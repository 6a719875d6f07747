-- Checks the proxies of all active orders, many at once, and prints those that do not work.
--   proxylua scripts/check.lua [TIMEOUT [URL]], such as 10s
local px = require "proxylua"

local function proxies()
  for order in px.orders.each{ status = "active" } do
    for _, proxy in ipairs(px.orders.proxies(order.id)) do
      proxy.country = order.country
      coroutine.yield(proxy)
    end
  end
end

local summary = px.check.run(coroutine.wrap(proxies), {
  timeout = arg[1] or "10s", url = arg[2],
  each = function(result)
    if not result.works then
      print(("%s:%d  %s"):format(result.host, result.port, result.reason))
    end
  end,
})
print(("%d of %d work"):format(summary.works, summary.total))
