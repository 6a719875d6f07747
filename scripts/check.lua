-- Checks the proxies of all active orders, 256 at once, and tells which do not work.
--   proxylua scripts/check.lua [SECONDS [URL]]
local px = require "proxylua"

local sandbox = px.sandbox()
local timeout = tonumber(arg[1] or 10)
local url = arg[2] or sandbox and sandbox.trace_url or "https://1.1.1.1/cdn-cgi/trace"

local proxies = {}
for order in px.orders.each{ status = "active" } do
  for _, proxy in ipairs(px.orders.proxies(order.id)) do proxies[#proxies + 1] = proxy end
end

local results = px.map(proxies, function(proxy)
  local answer, err = px.try(px.http.get, url, { proxy = proxy, timeout = timeout })
  if err then return err.kind end
  return answer.ok and "works" or "status " .. answer.status
end, { concurrency = 256 })

local works = 0
for index, proxy in ipairs(proxies) do
  if results[index] == "works" then
    works = works + 1
  else
    print(("%s:%d  %s"):format(proxy.host, proxy.port, results[index]))
  end
end
print(("%d of %d work"):format(works, #proxies))
