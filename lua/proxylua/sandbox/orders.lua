-- The endpoints of orders: price, create, list, extend. The balance changes once for each charge,
-- in the same step as the order.

local responses = require "proxylua.sandbox.responses"
local money = require "proxylua.sandbox.money"
local proxies = require "proxylua.sandbox.proxies"
local reference = require "proxylua.sandbox.reference"
local state = require "proxylua.sandbox.state"

local M = {}

local DAY = 86400

-- The body as a table, or nil when it is not a JSON object.
local function body_of(context)
  local ok, value = pcall(context.world.host.json.decode, context.request.body)
  return ok and type(value) == "table" and value or nil
end

local function whole(value)
  return math.type(value) and math.tointeger(value)
end

local function check_period(period, details)
  if period == nil then return end
  if not whole(period) or period < 1 or period > reference.max_period then
    details.period = ("must be an integer from 1 to %d"):format(reference.max_period)
  end
end

-- The parameters of an order; or nil and a message for each invalid field.
local function read_order(context)
  local body = body_of(context)
  if not body then return nil, { body = "must be a JSON object" } end
  local details = {}
  if not reference.type_of[body.type] then
    details.type = "must be one of residential, datacenter, isp, mobile, ipv6"
  end
  if not whole(body.quantity) or body.quantity < 1 or body.quantity > reference.max_quantity then
    details.quantity = ("must be an integer from 1 to %d"):format(reference.max_quantity)
  end
  if body.country ~= nil and not reference.country_of[body.country] then
    details.country = "must be a country code of GET /reference/countries"
  end
  check_period(body.period, details)
  if next(details) then return nil, details end
  return {
    type = body.type, quantity = whole(body.quantity), country = body.country,
    period = whole(body.period or reference.default_period),
  }
end

local function too_poor(context, price)
  return responses.failure(context, 402, nil, nil, {
    required = money.format(price), balance = money.format(context.world.data.balance),
  })
end

local function drifted(context, price)
  local factor = context.fault.drift
  return factor and math.tointeger(price * factor // money.cent * money.cent) or price
end

--- POST /orders/calc
function M.calc(context)
  local order, details = read_order(context)
  if not order then return responses.failure(context, 400, nil, nil, details) end
  order.price = reference.price(order)
  return responses.record(context, 200, "quote", order)
end

local function sell(world, order, key)
  local data = world.data
  order.id = state.id(world, "ord_")
  order.charged, order.extensions, order.key = order.price, 0, key
  order.created = state.now(world)
  order.expires = order.created + order.period * DAY
  order.first, data.proxies = data.proxies, data.proxies + proxies.count(order)
  data.orders[#data.orders + 1] = order
  world.by_id[order.id] = order
  state.move(world, "charge", order.price, order.id)
  world.counters.sold = world.counters.sold + 1
end

--- Cancels an order and refunds what it cost.
function M.refund(world, order)
  order.cancelled = true
  state.move(world, "refund", order.charged, order.id)
end

local function after_sale(context, order)
  if not context.fault.refund then
    return responses.created(context, responses.order(context.world, order))
  end
  M.refund(context.world, order)
  return responses.failure(context, 502)
end

--- POST /orders
function M.create(context)
  local order, details = read_order(context)
  if not order then return responses.failure(context, 400, nil, nil, details) end
  order.price = drifted(context, reference.price(order))
  if order.price > context.world.data.balance then return too_poor(context, order.price) end
  local key = context.request.headers["idempotency-key"]
  sell(context.world, order, key and utf8.len(key) and key)
  return after_sale(context, order)
end

--- POST /orders/:id/extend
function M.extend(context, order)
  local world, body, details = context.world, body_of(context), {}
  if responses.status(order, state.now(world)) ~= "active" then
    return responses.failure(context, 400, "ORDER_NOT_ACTIVE", "Only active orders can be extended")
  end
  if not body then
    return responses.failure(context, 400, nil, nil, { body = "must be a JSON object" })
  end
  if body.period == nil then details.period = "is required" end
  check_period(body.period, details)
  if next(details) then return responses.failure(context, 400, nil, nil, details) end

  local days = whole(body.period)
  local price = drifted(context, reference.price{
    type = order.type, quantity = order.quantity, country = order.country, period = days,
  })
  if price > world.data.balance then return too_poor(context, price) end
  order.period, order.expires = order.period + days, order.expires + days * DAY
  order.charged, order.extensions = order.charged + price, order.extensions + 1
  state.move(world, "charge", price, order.id, days)
  world.counters.extended = world.counters.extended + 1
  local record = responses.order(world, order)
  record.charged = price
  return responses.record(context, 200, "order", record)
end

--- The time after which a fault hides orders and extensions.
function M.horizon(context)
  return context.fault.slow and state.now(context.world) - context.fault.slow or math.huge
end

-- The days by which an order was extended after a time.
local function extended_since(world, order, time)
  local days = 0
  for _, entry in ipairs(world.data.transactions) do
    if entry.order_id == order.id and entry.days and entry.created > time then
      days = days + entry.days
    end
  end
  return days
end

-- An order as the response shows it: a fault can hide its latest extensions or shift its expiry
-- date.
local function seen(context, order)
  local record, fault = responses.order(context.world, order), context.fault
  local hidden = fault.slow and extended_since(context.world, order, M.horizon(context)) or 0
  record.expires_at = state.date(order.expires - hidden * DAY + (fault.shift or 0))
  return record
end

--- GET /orders/:id
function M.get(context, order)
  return responses.record(context, 200, "order", seen(context, order))
end

-- The numbers of page and limit; or nil and a message for each invalid one.
local function read_page(query)
  local page, limit = math.tointeger(tonumber(query.page or 1)),
    math.tointeger(tonumber(query.limit or 20))
  local details = {}
  if not page or page < 1 then details.page = "must be an integer of at least 1" end
  if not limit or limit < 1 or limit > 100 then
    details.limit = "must be an integer from 1 to 100"
  end
  if next(details) then return nil, details end
  return { page = page, limit = limit, total = 0 }
end

--- A response with a page of a list, newest first.
-- @param kind of records
-- @param list oldest first
-- @param keep function of an item: whether it belongs to the list
-- @param shown function of an item: its record
function M.page(context, kind, list, keep, shown)
  local page, details = read_page(context.query)
  if not page then return responses.failure(context, 400, nil, nil, details) end
  page.limit = math.min(page.limit, context.fault.most or page.limit)
  local from, items = (page.page - 1) * page.limit, {}
  for at = #list, 1, -1 do
    local item = list[at]
    if keep(item) then
      page.total = page.total + 1
      if page.total > from and #items < page.limit then items[#items + 1] = shown(item) end
    end
  end
  return responses.list(context, kind, items, page)
end

local statuses = { active = true, expired = true, cancelled = true }

--- GET /orders
function M.list(context)
  local query, world, details = context.query, context.world, {}
  if query.type and not reference.type_of[query.type] then details.type = "is not a proxy type" end
  if query.status and not statuses[query.status] then
    details.status = "must be active, expired or cancelled"
  end
  if next(details) then return responses.failure(context, 400, nil, nil, details) end
  local now, newest = state.now(world), M.horizon(context)
  return M.page(context, "order", world.data.orders, function(order)
    return order.created <= newest and (not query.type or order.type == query.type)
      and (not query.status or responses.status(order, now) == query.status)
  end, function(order) return seen(context, order) end)
end

--- GET /orders/:id/proxies
function M.proxies(context, order)
  local list = {}
  for index = 1, proxies.count(order) do list[index] = proxies.get(context.world, order, index) end
  return responses.list(context, "proxy", list)
end

local formats = {
  txt = {
    type = "text/plain; charset=utf-8",
    line = function(proxy)
      return ("%s:%d:%s:%s\n"):format(proxy.host, proxy.port, proxy.username, proxy.password)
    end,
  },
  csv = {
    type = "text/csv; charset=utf-8", head = "host,port,username,password,protocol\n",
    line = function(proxy)
      return ('%s,%d,%s,"%s",%s\n'):format(proxy.host, proxy.port, proxy.username,
        proxy.password:gsub('"', '""'),
        proxy.protocol)
    end,
  },
}

-- A function that returns the file in pieces, so that a hundred thousand lines do not delay other
-- requests.
local function text_of(world, order, format)
  local index, count = 0, proxies.count(order)
  local head = format.head
  return function()
    if index == count then return nil end
    local lines = { head }
    head = nil
    for at = index + 1, math.min(index + 1000, count) do
      lines[#lines + 1] = format.line(proxies.get(world, order, at))
      index = at
    end
    return table.concat(lines)
  end
end

--- GET /orders/:id/download
function M.download(context, order)
  local name = context.query.format or "txt"
  local headers = { ["Content-Disposition"] = ('attachment; filename="%s.%s"'):format(order.id,
    name) }
  if name == "json" then
    local list = {}
    for index = 1, proxies.count(order) do
      list[index] = proxies.get(context.world, order, index)
    end
    headers["Content-Type"] = "application/json; charset=utf-8"
    return { status = 200, body = context.world.host.json.encode(list), headers = headers }
  end
  local format = formats[name]
  if not format then
    return responses.failure(context, 400, nil, nil, { format = "must be txt, csv or json" })
  end
  headers["Content-Type"] = format.type
  local more = text_of(context.world, order, format)
  if proxies.count(order) <= 1000 then return { status = 200, body = more(), headers = headers } end
  return { status = 200, body = "", more = more, headers = headers }
end

--- Wraps an endpoint of one order: 404 when no order has the id.
function M.of(run)
  return function(context, id)
    local order = context.world.by_id[id]
    if not order then
      return responses.failure(context, 404, "ORDER_NOT_FOUND", "Order not found")
    end
    return run(context, order)
  end
end

return M
