-- The endpoints of the account, transactions, deposit addresses and reference data.

local responses = require "proxylua.sandbox.responses"
local orders = require "proxylua.sandbox.orders"
local reference = require "proxylua.sandbox.reference"
local state = require "proxylua.sandbox.state"

local M = {}

-- Whether a fault leaves a transaction visible. Only those of orders can be hidden.
local function seen(entry, newest)
  return not entry.order_id or entry.created <= newest
end

-- The balance without the transactions that are newer than a time.
local function balance_at(world, newest)
  local balance = world.data.balance
  for _, entry in ipairs(world.data.transactions) do
    if not seen(entry, newest) then
      balance = balance + (entry.type == "charge" and entry.amount or -entry.amount)
    end
  end
  return balance
end

--- GET /account
function M.get(context)
  local world = context.world
  local balance = context.fault.slow and balance_at(world, orders.horizon(context))
    or world.data.balance
  return responses.record(context, 200, "account", { balance = balance, email = world.data.email })
end

--- GET /account/transactions
function M.transactions(context)
  local newest = orders.horizon(context)
  local function keep(entry) return seen(entry, newest) end
  return orders.page(context, "transaction", context.world.data.transactions, keep, function(entry)
    return { id = entry.id, type = entry.type, amount = entry.amount, order_id = entry.order_id,
      created_at = state.date(entry.created) }
  end)
end

local function shown_address(entry)
  return { currency = entry.currency, network = entry.network, address = entry.address,
    created_at = state.date(entry.created) }
end

--- GET /deposits/addresses
function M.addresses(context)
  local list = {}
  for at, entry in ipairs(context.world.data.addresses) do list[at] = shown_address(entry) end
  return responses.list(context, "address", list)
end

local function read_address(context)
  local ok, body = pcall(context.world.host.json.decode, context.request.body)
  if not ok or type(body) ~= "table" then return nil, { body = "must be a JSON object" } end
  local networks = reference.networks[body.currency]
  if not networks then return nil, { currency = "must be one of BTC, ETH, LTC, USDT" } end
  for _, network in ipairs(networks) do
    if body.network == nil or body.network == network then
      return { currency = body.currency, network = network }
    end
  end
  return nil, { network = "must be one of " .. table.concat(networks, ", ") }
end

--- POST /deposits/addresses. Each call makes a new address, which no real currency accepts.
function M.create_address(context)
  local entry, details = read_address(context)
  if not entry then return responses.failure(context, 400, nil, nil, details) end
  local world = context.world
  entry.address = state.id(world, "sandbox-" .. entry.currency:lower() .. "-")
  entry.created = state.now(world)
  table.insert(world.data.addresses, entry)
  world.dirty = true
  return responses.record(context, 201, "address", shown_address(entry))
end

local lists = {
  ["countries"] = function()
    local out = {}
    for at, row in ipairs(reference.countries) do out[at] = { code = row.code, name = row.name } end
    return out
  end,
  ["proxy-types"] = function()
    local out = {}
    for at, row in ipairs(reference.types) do
      local sample = { type = row.type, quantity = 1, period = reference.default_period }
      out[at] = { type = row.type, name = row.name, unit = row.unit,
        price = reference.price(sample) }
    end
    return out
  end,
  ["periods"] = function() return reference.periods end,
}

--- GET /reference/:type
function M.reference(context, name)
  local list = lists[name]
  if not list then return responses.failure(context, 404) end
  return responses.list(context, "reference", list())
end

return M
