-- The admin interface, for tests: outside the API's base path, never limited, always plain JSON.
-- All requests except /trace need the sandbox's key in the header X-Sandbox-Key. Request and
-- response bodies are JSON objects.
--
--   GET  /_sandbox/trace      the client's address: ip=, loc=, proxy=, order= (needs no key)
--   GET  /_sandbox/counters   requests by endpoint, responses by status, limited (429 by the
--                             limits), sold, extended, charges, charged, refunds, refunded,
--                             balance, forwarded, proxies (uses by user name), faults (how often
--                             each current fault applied)
--   GET  /_sandbox/counted    requests that the limits counted, oldest first:
--                             {"names": […], "times": [µs, …]}; at least the last 100,000
--   GET  /_sandbox/orders     every order, with its Idempotency-Key, what it was charged, and how
--                             often it was extended
--   POST /_sandbox/settings   {"faults": ["orders.create:cut=after,count=2"], "dialect": "bare",
--                             "limits": "general=5/1", "balance": "5.00", "account": "banned", …}:
--                             see settings.lua; the list of faults replaces the previous one
--   POST /_sandbox/clock      {"advance": SECONDS}: orders expire; the limits keep real time
--   POST /_sandbox/deposit    {"amount": "50.00"}
--   POST /_sandbox/cancel     {"id": ORDER}: cancels and refunds it
--   POST /_sandbox/reset      restores the state at the start; {"only": "counters"} resets the
--                             counters and the list of counted requests alone

local responses = require "proxylua.sandbox.responses"
local money = require "proxylua.sandbox.money"
local orders = require "proxylua.sandbox.orders"
local proxies = require "proxylua.sandbox.proxies"
local settings = require "proxylua.sandbox.settings"
local state = require "proxylua.sandbox.state"

local M = {}

M.base = "/_sandbox/"

local function response(world, status, value)
  return { status = status, body = world.host.json.encode(value),
    headers = { ["Content-Type"] = "application/json" } }
end

local function refuse(world, status, text)
  return response(world, status,
    { error = utf8.len(text) and text or (text:gsub("[\x80-\xFF]", "?")) })
end

local function done(world)
  return response(world, 200, { ok = true })
end

local actions = {}

-- Number and sum of the transactions of a type that belong to orders.
local function sum(world, kind)
  local count, total = 0, 0
  for _, entry in ipairs(world.data.transactions) do
    if entry.type == kind and entry.order_id then count, total = count + 1, total + entry.amount end
  end
  return count, money.format(total)
end

actions["GET counters"] = function(world)
  local out = {}
  for name, value in pairs(world.counters) do out[name] = value end
  out.charges, out.charged = sum(world, "charge")
  out.refunds, out.refunded = sum(world, "refund")
  out.balance = money.format(world.data.balance)
  out.faults = {}
  for _, fault in ipairs(world.faults) do
    out.faults[fault.text] = (out.faults[fault.text] or 0) + fault.struck
  end
  return response(world, 200, out)
end

actions["GET counted"] = function(world)
  local times, array = {}, world.host.json.array
  for at, time in ipairs(world.counted.times) do times[at] = math.floor(time * 1e6) end
  return response(world, 200, { names = array(world.counted.names), times = array(times) })
end

actions["GET orders"] = function(world)
  local list = {}
  for at, order in ipairs(world.data.orders) do
    local record = responses.order(world, order)
    record.price, record.charged = money.format(order.price), money.format(order.charged)
    record.key, record.extensions = order.key, order.extensions
    list[at] = record
  end
  return response(world, 200, { orders = world.host.json.array(list) })
end

-- Settings from JSON: numbers become strings; lists stay lists.
local function texts(body)
  local values = {}
  for name, value in pairs(body) do
    if (type(value) == "table") ~= (settings.lists[name] or false) then
      error(("'%s' must be %s"):format(name,
        settings.lists[name] and "a list of strings" or "a string"), 0)
    end
    values[name] = type(value) == "table" and value or tostring(value)
  end
  return values
end

actions["POST settings"] = function(world, body)
  local ok, why = pcall(function()
    settings.check(body)
    settings.apply(world, texts(body))
  end)
  if not ok then return refuse(world, 400, why) end
  return done(world)
end

actions["POST clock"] = function(world, body)
  local seconds = tonumber(body.advance)
  if not seconds or seconds ~= seconds or math.abs(seconds) > 1e9 then
    return refuse(world, 400, "advance must be a number of seconds")
  end
  world.data.offset, world.dirty = world.data.offset + seconds, true
  return done(world)
end

actions["POST deposit"] = function(world, body)
  local amount = money.parse(body.amount)
  if not amount or amount <= 0 then
    return refuse(world, 400, "amount must be an amount such as 50.00")
  end
  state.move(world, "deposit", amount)
  return done(world)
end

actions["POST cancel"] = function(world, body)
  local order = world.by_id[body.id]
  if not order or order.cancelled then
    return refuse(world, 400, "id must be an order that is not cancelled")
  end
  orders.refund(world, order)
  return done(world)
end

actions["POST reset"] = function(world, body)
  if body.only == "counters" then
    world:clear()
  else
    world:reset()
  end
  return done(world)
end

local function body_of(world, request)
  if request.body == "" then return {} end
  local ok, value = pcall(world.host.json.decode, request.body)
  return ok and type(value) == "table" and value or nil
end

--- Handles a request to the admin interface.
-- @return as `api.handle`
function M.handle(world, request)
  local name = request.target:sub(#M.base + 1):match("^[^?]*")
  if name == "trace" then return proxies.trace(world, request), "trace" end
  local key = request.headers["x-sandbox-key"]
  if not key or not world.keys[key] then
    return refuse(world, 401, "X-Sandbox-Key is missing or wrong"), "admin"
  end
  local action = actions[request.method .. " " .. name]
  if not action then return refuse(world, 404,
      "the admin interface does not have this method and path"), "admin" end
  local body = body_of(world, request)
  if not body then return refuse(world, 400, "the body must be a JSON object"), "admin" end
  return action(world, body), "admin"
end

return M
