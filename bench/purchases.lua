-- Buys COUNT orders one after another: with `proxylua` through px.orders.create and its journal,
-- with `bare` by plain POSTs of the same body, which is what a program without any care would do.
-- bench/purchases.lua proxylua|bare COUNT KEY
local px = require "proxylua"

local how, count, key = ... -- the program's own key is out of a script's reach
local order = { type = "ipv6", quantity = 1, country = "US", period = 30 }
local headers = { Authorization = "Bearer " .. key }
for _ = 1, tonumber(count) do
  if how == "proxylua" then
    px.orders.create(order)
  else
    local answer = px.http.post(os.getenv "PROXYLUA_BASE_URL" .. "/orders",
      { headers = headers, json = order })
    assert(answer.ok, answer.status)
    answer:json()
  end
end
