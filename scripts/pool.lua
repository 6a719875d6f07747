-- Fetches a page many times through the proxies of all active orders, and shows how each of them
--   did. proxylua scripts/pool.lua [URL [TIMES]]
local px = require "proxylua"

local url = arg[1] or px.sandbox() and px.sandbox().trace_url or "https://1.1.1.1/cdn-cgi/trace"
local proxies, numbers = {}, {}
for order in px.orders.each{ status = "active" } do
  for _, proxy in ipairs(px.orders.proxies(order.id)) do proxies[#proxies + 1] = proxy end
end
if #proxies == 0 then return print("no proxies: there is no active order") end

local pool = px.pool(proxies, { strategy = "least_latency", quarantine = "5m" })
for number = 1, tonumber(arg[2]) or 20 do numbers[number] = number end
px.map(numbers, function() return (px.try(px.http.get, url, { proxy = pool, timeout = 15 })) end)
for _, one in ipairs(pool:stats().proxies) do
  print(("%s:%d  %d requests, %d failed, %.3f s"):format(one.proxy.host, one.proxy.port,
    one.requests, one.failures,
    one.latency or 0))
end
