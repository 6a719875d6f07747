-- The steps of a request: faults that delay it, key, account, limits, the endpoint, faults that
-- change the response. Runs in a coroutine; yielding a number waits that many seconds.

local account = require "proxylua.sandbox.account"
local responses = require "proxylua.sandbox.responses"
local faults = require "proxylua.sandbox.faults"
local limits = require "proxylua.sandbox.limits"
local orders = require "proxylua.sandbox.orders"
local state = require "proxylua.sandbox.state"

local M = {}

M.base = "/api/v1"

-- Method and path; a colon stands for any one segment.
local routes = {
  ["GET /account"] = { name = "account.get", run = account.get },
  ["GET /account/transactions"] = { name = "account.transactions", run = account.transactions },
  ["POST /orders/calc"] = { name = "orders.calc", run = orders.calc },
  ["POST /orders"] = { name = "orders.create", run = orders.create,
    scopes = { "general", "orders" } },
  ["GET /orders"] = { name = "orders.list", run = orders.list },
  ["GET /orders/:"] = { name = "orders.get", run = orders.of(orders.get) },
  ["GET /orders/:/proxies"] = { name = "orders.proxies", run = orders.of(orders.proxies) },
  ["GET /orders/:/download"] = { name = "orders.download", run = orders.of(orders.download) },
  ["POST /orders/:/extend"] = { name = "orders.extend", run = orders.of(orders.extend) },
  ["GET /reference/:"] = { name = "reference", run = account.reference },
  ["GET /deposits/addresses"] = { name = "deposits.addresses", run = account.addresses },
  ["POST /deposits/addresses"] = { name = "deposits.create_address", run = account.create_address },
}
local reference_names = {
  countries = "reference.countries", ["proxy-types"] = "reference.proxy_types",
    periods = "reference.periods",
}

--- The endpoints that a fault can name.
M.endpoints = { ["*"] = true, forward = true }
for _, route in pairs(routes) do M.endpoints[route.name] = true end
for _, name in pairs(reference_names) do M.endpoints[name] = true end

local unknown = { name = "unknown", run = function(context)
  return responses.failure(context, 404)
end }
local general = { "general" }

local function unescape(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

local function read_query(text)
  local query = {}
  for name, value in text:gmatch("([^&=]+)=?([^&]*)") do query[unescape(name)] = unescape(value) end
  return query
end

-- What a path without the method of the request has: 405 with the methods that it has, or 404.
local function refuse(path, pattern)
  local allowed = {}
  for place in pairs(routes) do
    local method, its_path = place:match("^(%u+) (.*)$")
    if its_path == path or its_path == pattern then allowed[#allowed + 1] = method end
  end
  if #allowed == 0 then return unknown end
  table.sort(allowed)
  return { name = unknown.name, run = function(context)
    local response = responses.failure(context, 405)
    response.headers.Allow = table.concat(allowed, ", "):gsub("GET", "GET, HEAD")
    return response
  end }
end

-- The route of a request, the name of its endpoint, and the path's parameter.
local function find(method, path)
  local route = routes[method .. " " .. path]
  if route then return route, route.name end
  local head, id, tail = path:match("^(/%a+/)([^/]+)(.*)$")
  local pattern = head and head .. ":" .. tail
  route = head and routes[method .. " " .. pattern]
  if not route then return refuse(path, pattern), unknown.name end
  id = unescape(id)
  return route, route.run == account.reference and reference_names[id] or route.name, id
end

-- The key of a request; or nil and the response that refuses the request.
local function key_of(context)
  local header = context.request.headers.authorization
  local key = header and header:match("^[Bb][Ee][Aa][Rr][Ee][Rr] +(%S+)$")
  if not key then return nil, responses.failure(context, 401) end
  if context.world.keys[key] then return key end
  return nil, responses.failure(context, 401, "INVALID_API_KEY", "Invalid API key")
end

local refusals = {
  banned = { "BANNED", "Your account is banned" },
  unverified = { "UNVERIFIED", "Verify your account first" },
}

local function note(world, name, now)
  local counted = world.counted
  if #counted.names >= 200000 then
    for _, list in pairs(counted) do table.move(list, 100001, 300000, 1) end
  end
  counted.names[#counted.names + 1] = name
  counted.times[#counted.times + 1] = now
end

-- Counts a request. Returns the 429 response when it exceeds a limit.
local function count(context, route, name, key)
  local world = context.world
  local now = world.host.clock()
  world.counted_by[key] = world.counted_by[key] or limits.open(world.limits)
  local wait = limits.take(world.counted_by[key], route.scopes or general, now)
  if not wait then
    note(world, name, now)
    return nil
  end
  world.counters.limited = world.counters.limited + 1
  local response = responses.failure(context, 429)
  response.headers["Retry-After"] = ("%d"):format(math.max(math.ceil(wait), 1))
  return response
end

local function work(context, route, id)
  local fault = context.fault
  local before = faults.when(fault) == "before"
  local response = not before and route.run(context, id)
  if before or fault.status then response = responses.failure(context, fault.status or 502) end
  faults.shape(fault, response)
  return response
end

local function retry_after(context, response)
  local text = context.fault.retry_after
  if not text or response.status < 400 then return end
  if text == "date" then
    text = os.date("!%a, %d %b %Y %H:%M:%S GMT", math.floor(state.now(context.world)) + 30)
  end
  if text == "none" then text = nil end
  response.headers["Retry-After"] = text
end

local function serve(context, route, name, id)
  local world = context.world
  local early = faults.pick(world.faults, name, true)
  if early.hold then coroutine.yield(faults.seconds(early.hold)) end
  local key, response = key_of(context)
  if not key then return response end
  local refusal = refusals[world.account]
  if refusal then return responses.failure(context, 403, refusal[1], refusal[2]) end
  response = count(context, route, name, key)
  local late = faults.pick(world.faults, name, false)
  context.fault = next(early) and setmetatable(early, { __index = late }) or late
  context.omit, context.say = context.fault.omit, context.fault.say
  response = response or work(context, route, id)
  retry_after(context, response)
  if context.fault.delay then
    state.save(world)
    coroutine.yield(faults.seconds(context.fault.delay))
  end
  return response
end

--- Handles a request to the API.
-- @return response with status (0: close the connection), body, headers, and perhaps length and
--   more; the endpoint's name
function M.handle(world, request)
  local path, query = request.target:sub(#M.base + 1):match("^([^?]*)%??(.*)$")
  local context = { world = world, request = request, query = read_query(query), fault = {},
    dialect = responses.next_dialect(world) }
  local route, name, id = find(request.method, path)
  local requests = world.counters.requests
  requests[name] = (requests[name] or 0) + 1
  return serve(context, route, name, id), name
end

return M
