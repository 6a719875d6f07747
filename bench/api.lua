-- api.lua account|orders COUNT IN_FLIGHT: calls of the API, whose records come
-- out canonical.
local px = require "proxylua"

local count, in_flight = math.tointeger(arg[2]), math.tointeger(arg[3])
local done = 0

local calls = {
  account = function()
    assert(px.account.get().balance == px.money("125.40"))
    done = done + 1
  end,
  orders = function()
    local orders = px.orders.list{ limit = 100 }
    assert(#orders == 100 and orders[100].created_at)
    done = done + 1
  end,
}

local list = {}
for i = 1, count do list[i] = i end
px.map(list, calls[arg[1]], { concurrency = in_flight })
assert(done == count)
