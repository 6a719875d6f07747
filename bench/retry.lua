-- Buys COUNT orders one after another from an API whose responses get lost: with `proxylua` through
-- px.orders.create, with `retry` as scripts are often written: a POST that failed is sent again.
--   bench/retry.lua proxylua|retry COUNT KEY
local px = require "proxylua"

local how, count, key = ... -- the program's own key is out of a script's reach
local order = { type = "ipv6", quantity = 1, country = "US", period = 30 }
local options = { headers = { Authorization = "Bearer " .. key }, json = order }

local function post_until_it_succeeds()
  repeat
    local response = px.try(px.http.post, os.getenv "PROXYLUA_BASE_URL" .. "/orders", options)
  until response and response.ok
end

-- A charge that the API proves not to have happened may be tried again with the same key.
local function create(number)
  local params = { key = "retry-" .. number }
  for name, value in pairs(order) do params[name] = value end
  repeat
    local placed, err = px.try(px.orders.create, params)
    if err and err.charge ~= "none" then error(err) end
  until placed
end

for number = 1, tonumber(count) do
  if how == "proxylua" then create(number) else post_until_it_succeeds() end
end
