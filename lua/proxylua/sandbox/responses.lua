-- The dialects: the vendor's documents disagree on names, wrappings and number forms, so the same
-- records can be sent in each of them. `envelope` wraps each response in an object. `bare` sends
-- values without it: names in camelCase, numbers as strings, a new order as its id alone. `snake`
-- sends values too, under a third set of names. `mixed` uses the three in turn.

local money = require "proxylua.sandbox.money"
local state = require "proxylua.sandbox.state"

local M = {}

local dialects = {
  envelope = { wrap = true, whole_order = true },
  bare = { texts = true, lists = { proxy = false, reference = false } },
  snake = { whole_order = true, lists = {} },
}
local rotation = { "envelope", "bare", "snake" }

-- One row per field: its name, its form, and its name in a dialect where that differs.
local records = {
  account = {
    { "balance", form = "money", bare = "balance" },
    { "email" },
  },
  quote = {
    { "type" }, { "quantity", form = "number" }, { "period", form = "number" }, { "country" },
    { "price", form = "money", bare = "total", snake = "amount" },
  },
  order = {
    { "id", bare = "orderId", snake = "order_id" },
    { "type" }, { "quantity", form = "number" }, { "period", form = "number" }, { "country" },
      { "status" },
    { "price", form = "money", bare = "total", snake = "cost" },
    { "created_at", bare = "createdAt" },
    { "expires_at", bare = "expiresAt" },
    { "charged", form = "money" },
  },
  proxy = {
    { "host", bare = "ip", snake = "address" }, { "port", form = "number" },
    { "username", bare = "user", snake = "login" }, { "password", bare = "pass", snake = "pass" },
    { "protocol", bare = false },
  },
  transaction = {
    { "id", bare = "transactionId", snake = "transaction_id" }, { "type" },
      { "amount", form = "money" },
    { "order_id", bare = "orderId" }, { "created_at", bare = "createdAt" },
  },
  address = { { "currency" }, { "network" }, { "address" }, { "created_at", bare = "createdAt" } },
  reference = {
    { "type" }, { "code" }, { "name" }, { "unit" }, { "days", form = "number" },
      { "discount", form = "number" },
    { "price", form = "money" },
  },
}

local list_names = { order = "orders", proxy = "proxies", transaction = "transactions",
  address = "addresses",
  reference = "items" }

local function convert(dialect, form, value)
  if form == "money" then
    local text = money.format(value)
    return dialect.wrap and tonumber(text) or text
  end
  if form == "number" and dialect.texts then return tostring(value) end
  return value
end

local function rename(context, kind, record)
  local out, omit, say = {}, context.omit, context.say
  for _, field in ipairs(records[kind]) do
    local name, value = field[1], record[field[1]]
    local called = field[context.dialect]
    if called == nil then called = name end
    if value ~= nil and called and not (omit and omit[name]) then
      out[called] = say and say[name] or convert(dialects[context.dialect], field.form, value)
    end
  end
  return out
end

--- Whether a string names a dialect.
function M.known(name)
  return dialects[name] ~= nil or name == "mixed"
end

--- The dialect of the next response; "mixed" uses all of them in turn.
function M.next_dialect(world)
  if world.dialect ~= "mixed" then return world.dialect end
  world.turn = (world.turn or 0) + 1
  return rotation[world.turn % #rotation + 1]
end

local function response(context, status, value)
  return {
    status = status, body = context.world.host.json.encode(value),
    headers = { ["Content-Type"] = "application/json; charset=utf-8" },
  }
end

--- A response with one record.
-- @param context of the request: world, dialect, omit, say
function M.record(context, status, kind, record)
  local value = rename(context, kind, record)
  if dialects[context.dialect].wrap then value = { success = true, data = value } end
  return response(context, status, value)
end

--- A response with a new order: the whole order or its id, depending on the dialect.
function M.created(context, order)
  if dialects[context.dialect].whole_order then return M.record(context, 201, "order", order) end
  return M.record(context, 201, "order", { id = order.id })
end

-- A list without pages is one page.
local function wrapped_list(list, page)
  page = page or { page = 1, limit = math.max(1, #list), total = #list }
  local meta = {
    page = page.page, perPage = page.limit, total = page.total,
    totalPages = (page.total + page.limit - 1) // page.limit,
  }
  return { success = true, data = list, meta = meta }
end

-- One page of a list that the API documents without pages.
local function cut(context, items)
  local limit, number = context.fault.most, math.tointeger(tonumber(context.query.page or 1)) or 1
  return table.move(items, (number - 1) * limit + 1, math.min(number * limit, #items), 1, {}),
    { page = number, limit = limit, total = #items }
end

--- A response with a list.
-- @param page table with page, limit, total; nil when the list is not paged
function M.list(context, kind, items, page)
  if not page and context.fault.most then items, page = cut(context, items) end
  local dialect, list = dialects[context.dialect], {}
  for at, record in ipairs(items) do list[at] = rename(context, kind, record) end
  list = context.world.host.json.array(list)
  if context.fault.untold then return response(context, 200, list) end
  if dialect.wrap then return response(context, 200, wrapped_list(list, page)) end
  if dialect.lists and dialect.lists[kind] == false then return response(context, 200, list) end
  local value = { [list_names[kind]] = list }
  if page then value.page, value.limit, value.total = page.page, page.limit, page.total end
  return response(context, 200, value)
end

local codes = {
  [400] = { "VALIDATION_ERROR", "Invalid request parameters" },
  [401] = { "UNAUTHORIZED", "API key is missing" },
  [402] = { "INSUFFICIENT_BALANCE", "Insufficient balance" },
  [403] = { "FORBIDDEN", "Access denied" },
  [405] = { "METHOD_NOT_ALLOWED", "Method not allowed" },
  [404] = { "NOT_FOUND", "Resource not found" },
  [429] = { "RATE_LIMITED", "Too many requests" },
  [500] = { "INTERNAL_ERROR", "Internal server error" },
  [502] = { "UPSTREAM_ERROR", "The proxy provider returned an error" },
}

--- A response with an error. Dialects without an envelope send its message alone, which then names
-- the invalid fields.
-- @param code nil: the usual one of the status
-- @param details table of field -> text, or nil
function M.failure(context, status, code, message, details)
  local usual = codes[status] or { "ERROR", "Error" }
  code, message = code or usual[1], message or usual[2]
  if dialects[context.dialect].wrap then
    return response(context, status, { success = false, error = { code = code, message = message,
      details = details } })
  end
  local texts = { message }
  for name, text in pairs(details or {}) do texts[#texts + 1] = name .. " " .. text end
  table.sort(texts, function(a, b) return a == message or (b ~= message and a < b) end)
  return response(context, status, { error = table.concat(texts, "; ") })
end

--- The status of an order at a time.
function M.status(order, now)
  return order.cancelled and "cancelled" or order.expires <= now and "expired" or "active"
end

--- An order as the API reports it now.
function M.order(world, order)
  return {
    id = order.id, type = order.type, quantity = order.quantity, period = order.period,
      country = order.country,
    status = M.status(order, state.now(world)), price = order.price,
    created_at = state.date(order.created), expires_at = state.date(order.expires),
  }
end

return M
