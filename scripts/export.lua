-- Writes the proxies of all active orders to one file, in the format of another program.
--   proxylua scripts/export.lua [FORMAT [FILE]]
local px = require "proxylua"

local format = arg[1] or "clash"
local extension
for _, each in ipairs(px.export.formats()) do
  if each.name == format then extension = each.extension end
end
local path = arg[2] or "proxies." .. (extension or "txt")

-- A format of your own: a function that returns the line of a proxy.
px.export.register("pac", function(proxy)
  if proxy.username then return nil, "PAC files hold no credentials" end
  return ("PROXY %s:%d;"):format(proxy.host, proxy.port)
end)

local proxies = {}
for order in px.orders.each{ status = "active" } do
  for _, proxy in ipairs(px.orders.proxies(order.id)) do proxies[#proxies + 1] = proxy end
end
if #proxies == 0 then
  print("no active order has proxies")
  return
end
local count = px.export.file(proxies, path, { format = format }) -- the whole file, or none
print(("%d proxies in %s"):format(count, path))
