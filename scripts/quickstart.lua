-- Buys three proxies and uses each of them.
--   proxylua --sandbox --spend 25 scripts/quickstart.lua
local px = require "proxylua"

local sandbox = px.sandbox()
-- a page that shows the address of its client
local trace = sandbox and sandbox.trace_url or "https://1.1.1.1/cdn-cgi/trace"

local account = px.account.get()
print(("account   %s, balance %s"):format(account.email, account.balance))

local wanted = { type = "isp", quantity = 3, country = "US", period = 30 }
local quote = px.orders.calc(wanted)
print(("quote     %d %s proxies in %s for %d days: %s"):format(wanted.quantity, wanted.type,
  wanted.country,
  wanted.period, quote.price))

wanted.max_price = quote.price
local order = px.orders.create(wanted)
print(("order     %s, %s until %s, price %s"):format(order.id, order.status, order.expires_at,
  order.price))

local proxies = px.orders.wait(order.id)
print("\nHOST             PORT   USERNAME           PASSWORD")
for _, proxy in ipairs(proxies) do
  print(("%-16s %-6d %-18s %s"):format(proxy.host, proxy.port, proxy.username, proxy.password))
end

local answers = px.map(proxies, function(proxy)
  local answer, err = px.try(px.http.get, trace, { proxy = proxy, timeout = 20 })
  return answer and ("%-7d %s"):format(answer.status, answer.body:match("ip=(%S+)")) or err.message
end)
print("\nTHROUGH                 STATUS  SEEN AS")
for index, proxy in ipairs(proxies) do
  print(("%-23s %s"):format(proxy.host .. ":" .. proxy.port, answers[index]))
end
