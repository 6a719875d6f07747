-- The proxies of orders. They are not stored: user, password and exit address are computed from the
-- order and the seed. Each proxy connects from its own loopback address, 127.B.C.D, so that checks
-- can distinguish them.

local faults = require "proxylua.sandbox.faults"
local reference = require "proxylua.sandbox.reference"
local state = require "proxylua.sandbox.state"

local M = {}

local RESIDENTIAL = 5 -- gateways of an order, which do not depend on the traffic bought

local alphabets = {
  plain = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789",
  hard = [[abcdefghijkmnp23456789:@/%"'#?&=+$ \]],
}

--- The kinds of passwords.
M.alphabets = alphabets

--- The number of an order's proxies.
function M.count(order)
  return reference.type_of[order.type].unit == "gb" and RESIDENTIAL or order.quantity
end

local function password(world, serial)
  local alphabet, number = alphabets[world.passwords], state.mix(world.data.seed, serial, 1)
  return state.letters(number, 8, alphabet) .. state.letters(state.mix(number), 8, alphabet)
end

-- Serial numbers to 127.1.0.1 … 127.254.255.254 and back, without addresses that end in 0 or 255.
local function address_of(serial)
  local rest = serial // 254
  return ("127.%d.%d.%d"):format(rest // 256 % 254 + 1, rest % 256, serial % 254 + 1)
end

local function serial_of(address)
  local b, c, d = address:match("^127%.(%d+)%.(%d+)%.(%d+)$")
  b, c, d = tonumber(b), tonumber(c), tonumber(d)
  return b and b > 0 and d > 0 and ((b - 1) * 256 + c) * 254 + d - 1 or nil
end

--- The proxy of an order at an index from 1.
function M.get(world, order, index)
  local serial = order.first + index - 1
  local ports = world.host.ports
  return {
    host = "127.0.0.1", port = ports[serial % #ports + 1], protocol = "http",
    username = ("%s-%d"):format(order.id:match("[^_]+$"), index),
      password = password(world, serial),
  }
end

-- The order that has the proxy with a serial number.
local function owner(world, serial)
  local orders = world.data.orders
  local low, high = 1, #orders
  while low <= high do
    local middle = (low + high) // 2
    local order = orders[middle]
    if serial < order.first then
      high = middle - 1
    elseif serial >= order.first + M.count(order) then
      low = middle + 1
    else
      return order
    end
  end
end

local function find(world, username)
  local suffix, index = username:match("^(%w+)%-(%d+)$")
  local order = suffix and world.by_id["ord_" .. suffix]
  index = math.tointeger(tonumber(index))
  if not order or not index or index < 1 or index > M.count(order) then return nil end
  return order, index
end

--- Checks the credentials of a proxy.
-- @return the exit address and the faults that apply (a table); nil for invalid credentials
function M.authorize(world, username, secret)
  local order, index = find(world, username)
  if not order or order.cancelled or order.expires <= state.now(world) then return nil end
  local serial = order.first + index - 1
  if secret ~= password(world, serial) then return nil end
  local counters, fault = world.counters, faults.pick(world.faults, "forward", false)
  counters.forwarded = counters.forwarded + 1
  counters.proxies[username] = (counters.proxies[username] or 0) + 1
  local address = address_of(serial)
  world.exits[address] = fault.country
  return address, fault
end

--- GET /_sandbox/trace: the client as the server sees it, in lines of name=value.
function M.trace(world, request)
  local serial = serial_of(request.peer)
  local order = serial and owner(world, serial)
  local lines = {
    "h=" .. (request.headers.host or ""), "ip=" .. request.peer,
      ("ts=%.3f"):format(state.now(world)),
    "visit_scheme=http",
    "uag=" .. (request.headers["user-agent"] or ""), "colo=SANDBOX", "http=http/1.1",
    "loc=" .. (world.exits[request.peer] or order and order.country or "US"), "tls=off", "warp=off",
  }
  if order then
    lines[#lines + 1] = ("proxy=%s-%d"):format(order.id:match("[^_]+$"), serial - order.first + 1)
    lines[#lines + 1] = "order=" .. order.id
  end
  return { status = 200, body = table.concat(lines, "\n") .. "\n",
    headers = { ["Content-Type"] = "text/plain" } }
end

return M
