--- One function for each endpoint, made from the endpoint table: px.orders.list{status = "active"},
-- px.orders.extend(id, {period = 30}). Parameters in the path come first, in their order; the
-- others, and the options of the call, are in one table.
-- @module px.endpoints

local core = require "proxylua.core"
local names = require "proxylua.util.names"

-- "px.orders.extend(id, {period=, key=, max_price=})"
local function signature(row)
  local parts, named = {}, {}
  for _, param in ipairs(row.params) do
    if param.where == "path" then
      parts[#parts + 1] = param.name
    else
      named[#named + 1] = param.name .. "="
    end
  end
  for _, option in ipairs(row.options or {}) do named[#named + 1] = option .. "=" end
  if #named > 0 then parts[#parts + 1] = "{" .. table.concat(named, ", ") .. "}" end
  return ("px.%s(%s)"):format(row.name, table.concat(parts, ", "))
end

local function path_params(row)
  local path = {}
  for _, param in ipairs(row.params) do
    if param.where == "path" then path[#path + 1] = param.name end
  end
  return path
end

local function misuse(row, why, ...)
  names.usage("%s; write %s", why:format(...), signature(row))
end

-- Merges the positional arguments and the table that follows them into a new table; the caller's
-- table does not change.
local function merge(row, path, ...)
  local given = select(#path + 1, ...)
  if given ~= nil and type(given) ~= "table" then
    misuse(row, "%s takes its parameters as a table, got a %s", row.name, type(given))
  end
  local params = {}
  for name, value in pairs(given or {}) do params[name] = value end
  for index, name in ipairs(path) do
    local value = select(index, ...)
    if type(value) == "table" then misuse(row, "%s takes %s first, got a table", row.name, name) end
    if params[name] ~= nil then misuse(row, "%s: %s is given twice", row.name, name) end
    params[name] = value
  end
  return params
end

-- px.orders:get(id) passes a table of these functions first.
local function is_group(value, name)
  return type(value) == "table" and type(rawget(value, name)) == "function"
end

local function is_same(page, other)
  local function text_of(record) return core.json.encode(record, { bytes = "escape" }) end
  for at = 1, math.max(#page, #other) do
    if text_of(page[at]) ~= text_of(other[at]) then return false end
  end
  return true
end

-- The total that a server reports; without one, the number of records in the list.
local function total_of(page)
  return page.total and page.total > #page and page.total or nil
end

-- Lists that are documented without pages may have pages all the same. Appends the pages after the
-- first, or raises protocol if the server has more records and does not send them.
local function add_pages(row, params, list)
  local total, has_more, number = total_of(list), list.has_more, 1
  local first = table.move(list, 1, #list, 1, {})
  local last = first
  while total and #list < total or not total and has_more do
    number = number + 1
    local page = core.api.request{ path = core.endpoints.path(row.name, params),
      query = { page = number }, timeout = params.timeout, max_wait = params.max_wait }
    has_more = page.has_more and #page > 0
    if #page == 0 or is_same(page, last) or is_same(page, first) then break end
    table.move(page, 1, #page, #list + 1, list)
    total, last = total_of(page) or total, page
  end
  if total and #list ~= total or not total and has_more then
    core.error.raise{ kind = "protocol", endpoint = row.name,
      message = ("the API reports %s, but its pages have %d"):format(total or "more", #list) }
  end
  list.page, list.total, list.has_more = 1, #list, false
  return list
end

local function is_part(list)
  return type(list) == "table" and (list.has_more or total_of(list) ~= nil)
end

-- Reference data has no record of its own: fields that are called prices become money.
local function with_prices(value)
  for name, field in pairs(value) do
    if type(field) == "table" and not core.money.is(field) then
      with_prices(field)
    elseif type(name) == "string" and name:find("price", 1, true) then
      local ok, amount = pcall(core.money, field)
      if ok then value[name] = amount end
    end
  end
  return value
end

local function call(row, params)
  if not row.list or row.paged then return core.api.call(row.name, params) end
  local list = core.api.call(row.name, params)
  if is_part(list) then list = add_pages(row, params, list) end
  return row.record == "reference" and with_prices(list) or list
end

local function bind(row, name)
  local path = path_params(row)
  local most = #path + 1
  return function(...)
    local first = ...
    if is_group(first, name) then misuse(row, "px.%s was called with a colon", row.name) end
    if select("#", ...) > most then
      misuse(row, "%s got %d arguments", row.name, select("#", ...))
    end
    return call(row, merge(row, path, ...))
  end
end

local M = {}

for _, row in ipairs(core.endpoints()) do
  local group, name = row.name:match("^(.-)%.(.+)$")
  M[group] = M[group] or {}
  M[group][name] = bind(row, name)
end

return M
