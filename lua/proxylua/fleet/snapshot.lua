-- How things are: the balance, and the orders of the pools with what is known of each. It is read
-- so that nothing that was paid for can be overlooked: lists first, the journal after them, and
-- what the journal knows and no list shows is asked for by its id.

local clock = require "proxylua.util.clock"
local country_code = require "proxylua.util.country"
local endpoints = require "proxylua.api.endpoints"
local errors = require "proxylua.util.errors"
local pages = require "proxylua.api.pages"
local tasks = require "proxylua.tasks"
local ties = require "proxylua.fleet.ownership"
local time = require "proxylua.util.time"

local M = {}

local LAG = 86400 -- seconds in which a server may not yet show what it has sold
local AT_ONCE = 8

local over = { expired = true, cancelled = true }

local function list_active()
  local listed = {}
  for order in pages.orders.each{ status = "active" } do
    if order.id and not over[order.status] then listed[order.id] = order end
  end
  return listed
end

-- --- what no list shows ---

-- Bought a short while ago, and nobody knows it yet: it counts.
local function is_young(tie)
  return tie.placed_at and time.time() - time.time(tie.placed_at) < LAG
end

-- The order, or nil, and whether it is over for good. A list may have missed it while its records
-- moved from page to page. What was adopted and cannot be found may belong to another account.
local function look_up(id, tie)
  local order, err = errors.try(endpoints.orders.get, id)
  if order and over[order.status] then return nil, true end
  if order then return order end
  if err.kind ~= "not_found" then error(err, 0) end
  if not is_young(tie) then return nil, tie.placed_at ~= nil end
  local params = tie.params
  return { id = id, type = params.type, quantity = params.quantity, country = params.country,
    unseen = true }
end

local function look_up_all(ids, found)
  local orders, gone = {}, {}
  tasks.map(ids, function(id)
    local order, is_over = look_up(id, found.ties[id])
    orders[#orders + 1] = order
    if is_over then gone[#gone + 1] = id end
  end, { concurrency = AT_ONCE })
  ties.put_ended(gone)
  return orders
end

-- --- orders as plans have them ---

-- A gigabyte that has been begun counts.
local function whole(quantity)
  local number = tonumber(quantity)
  return number and math.tointeger(math.ceil(number))
end

-- What a pool bought is what the pool asked for. How the API spells it afterwards is not ours to
-- know, and an order that did not fit for its spelling would be bought again in every run.
local function describe(order, tie, renewed)
  local expires, bought = time.read(order.expires_at), tie.params
  return {
    id = order.id, pool = tie.pool, type = bought.type or order.type
      and tostring(order.type):lower(),
    country = bought.country or country_code(order.country), expires_at = order.expires_at,
      expires = expires,
    quantity = whole(order.quantity) or whole(bought.quantity) or 0, unseen = order.unseen,
    status = order.status and tostring(order.status),
    renewed = expires and renewed[ties.renew_key(order.id, expires)] or nil,
  }
end

-- The orders of the pools wanted, in no order yet.
local function orders_of(wanted, listed, found)
  local orders, missing, ended = {}, {}, ties.ended()
  for id, tie in pairs(found.ties) do
    if wanted[tie.pool] and listed[id] then
      orders[#orders + 1] = listed[id]
    elseif wanted[tie.pool] and not ended[id] then
      missing[#missing + 1] = id
    end
  end
  for _, order in ipairs(look_up_all(missing, found)) do orders[#orders + 1] = order end
  local described = {}
  for at, order in ipairs(orders) do
    described[at] = describe(order, found.ties[order.id], found.renewed)
  end
  return described
end

-- The nearest end first; without one, last.
local function by_end(a, b)
  local first, second = a.expires or math.huge, b.expires or math.huge
  return first < second or first == second and a.id < b.id
end

-- Active orders of no pool, and those of pools that are not wanted: pool -> quantity.
local function others_of(wanted, listed, found)
  local loose, strangers = {}, {}
  for id, order in pairs(listed) do
    local tie = found.ties[id]
    if not tie and not found.released[id] then
      loose[#loose + 1] = describe(order, { params = {} }, {})
    elseif tie and not wanted[tie.pool] then
      strangers[tie.pool] = (strangers[tie.pool] or 0) + describe(order, tie, {}).quantity
    end
  end
  table.sort(loose, by_end)
  return loose, strangers
end

-- --- what is open ---

-- The pool that an open entry concerns, nil when it is none of those wanted.
local function concerns(entry, wanted, found)
  if entry.pool then return wanted[entry.pool] and entry.pool end
  for id, tie in pairs(found.ties) do
    if ties.part(id) == entry.order then return wanted[tie.pool] and tie.pool end
  end
end

local function blocked_by(wanted, found)
  local blocked = {}
  for _, entry in ipairs(found.open) do
    local pool = not entry.running and concerns(entry, wanted, found)
    if pool then blocked[pool] = ties.way_out(entry) end
  end
  return blocked
end

-- Looks up what the dead have left open, each once. Answers whether anything was looked up.
local function settle(wanted, found, tried, progress)
  return ties.look_up(found.open, function(entry)
    if tried[entry.key] or not concerns(entry, wanted, found) then return false end
    tried[entry.key] = true
    return true
  end, progress)
end

local function look(wanted)
  local account = endpoints.account.get()
  local listed = list_active()
  local found = ties.read()
  local world = {
    now = clock(), account = account.id or account.email, balance = account.balance,
      next = found.next,
    orders = orders_of(wanted, listed, found), blocked = blocked_by(wanted, found),
  }
  world.loose, world.strangers = others_of(wanted, listed, found)
  world.nameless = found.nameless
  table.sort(world.orders, by_end)
  return world, found
end

--- Reads the world of some pools. Charges that a run before has left open are looked up first,
-- which may take the settling time.
-- @param pools list, as fleet.file has them
-- @param progress function of what and how many: object with the methods step and finish
-- @return table: `now` (seconds), `account`, `balance`, `orders` (sorted by their end), `next`
--   (pool -> number of its next purchase), `blocked` (pool -> why nothing can be decided for it),
--   `loose` (active orders of no pool), `strangers` (pool that is not among these -> how much it
--   has), `nameless` (list of key and pool: purchases that were placed, nobody knows as which
--   order)
-- @raise what the calls raise
function M.read(pools, progress)
  local wanted, tried = {}, {}
  for _, pool in ipairs(pools) do wanted[pool.name] = true end
  while true do
    local world, found = look(wanted)
    if not settle(wanted, found, tried, progress) then return world end
  end
end

return M
