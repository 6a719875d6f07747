-- The current state: the balance, and the orders of the pools. It is read so that no paid order is
-- overlooked: the lists first, the journal after them, and each order that only the journal knows
-- by its id.

local clock = require "proxylua.util.clock"
local country_code = require "proxylua.util.country"
local endpoints = require "proxylua.api.endpoints"
local ends = require "proxylua.fleet.ends"
local errors = require "proxylua.util.errors"
local failed = require "proxylua.fleet.failed"
local pages = require "proxylua.api.pages"
local tasks = require "proxylua.tasks"
local ownership = require "proxylua.fleet.ownership"
local time = require "proxylua.util.time"

local M = {}

local LAG = 86400 -- seconds for which the API may not show a new order
local SETUP = 3600 -- seconds for which an order may show fewer proxies than were bought
local RETRY = 43200 -- seconds until a failed order that was refunded is replaced
local APART = 3600 -- an order is gone after two 404 that are at least these seconds apart
local AT_ONCE = 8

local function list_active()
  local listed = {}
  for order in pages.orders.each{ status = "active" } do
    if order.id and not failed.is_over(order) then listed[order.id] = order end
  end
  return listed
end

local function age_of(owned, now)
  return owned.placed_at and now - time.time(owned.placed_at) or math.huge
end

-- Errors that concern a single order: it counts while it cannot be read.
local of_one = { upstream = true, protocol = true, invalid = true }

-- An HTML page comes from a gateway; its status does not concern the order.
local function is_denied(err)
  return err.kind == "not_found" and not err.message:find("a page of HTML", 1, true)
end

-- An order as the store knows it.
local function remembered(id, look)
  local bought = look.found.owned[id].params
  local known = next(bought) and bought or look.described[id]
  return { id = id, type = known and known.type, quantity = known and known.quantity,
    country = known and known.country }
end

-- Whether the API responds with 404 for the second time. The first time is stored, because a
-- replica may lag behind, and a broken one may know no orders at all.
local function is_gone(id, look)
  local first = look.missing[id]
  if not first then look.missed[id] = look.now end
  return first ~= nil and look.now - first >= APART
end

local function not_found(id, look)
  local order = remembered(id, look)
  if age_of(look.found.owned[id], look.now) < LAG then
    order.unseen = "was bought, but the API does not show it yet"
  elseif is_gone(id, look) then
    return nil
  else
    order.unseen = "is currently unknown to the API"
  end
  return order
end

-- For some time the API may list an extended order as expired.
local function is_extended(order, look)
  if tostring(order.status):lower() ~= "expired" then return false end
  local shown = time.read(order.expires_at) or 0
  local newest, unseen = ends.newest(shown, look.found.extensions[order.id])
  return unseen ~= nil and newest > look.now and look.now - unseen.at < LAG
end

-- Returns the order; or nil if it has ended or is gone, and the ended order.
local function look_up(id, look)
  local order, err = errors.try(endpoints.orders.get, id)
  if order then
    look.missed[id] = look.missing[id] and false
    if failed.is_over(order) and not is_extended(order, look) then return nil, order end
    order.id = order.id or id
    return order
  end
  if is_denied(err) then return not_found(id, look) end
  if not of_one[err.kind] and err.kind ~= "not_found" then error(err, 0) end
  order = remembered(id, look)
  order.unseen = ("cannot be read (%s)"):format(err.message)
  return order
end

-- Stores the ids of ended orders, except those that never delivered and may have been paid for, or
-- are too recent to be replaced.
local function part_over(over, look)
  local never, gone = {}, {}
  for id, order in pairs(over) do
    local placed_at = look.found.owned[id].placed_at
    if order and failed.never_was_stock(order, placed_at, look.now) then
      never[id] = placed_at
    elseif order or placed_at then -- an order that was assigned may be another account's
      gone[#gone + 1] = id
    end
  end
  local paid = failed.unreturned(never)
  for id in pairs(never) do
    local is_returned = paid[id] ~= nil and paid[id] <= 0
    local status = tostring(over[id].status):lower()
    -- Who cancelled an order and got the money back may want another one now.
    local wait = status == "cancelled" and 0 or time.time(never[id]) + RETRY - look.now
    table.insert(look.failed, { order = id, pool = look.found.owned[id].pool, wait = wait,
      status = status, is_returned = is_returned, paid = paid[id] })
    if is_returned and wait <= 0 then gone[#gone + 1] = id end
  end
  table.sort(look.failed, function(a, b) return a.order < b.order end)
  ownership.put_ended(gone)
end

local function look_up_all(ids, look)
  local orders, over = {}, {}
  tasks.map(ids, function(id)
    local order, ended = look_up(id, look)
    orders[#orders + 1] = order
    if not order then over[id] = ended or false end
  end, { concurrency = AT_ONCE })
  part_over(over, look)
  return orders
end

-- A part of a gigabyte counts as a whole one.
local function whole(quantity)
  local number = tonumber(quantity)
  return number and math.tointeger(math.ceil(number))
end

-- The bought quantity counts, because an order shows less while it is set up. For residential
-- traffic the remaining gigabytes count.
local function quantity_of(order, owned, kind, now)
  local listed, bought = whole(order.quantity), whole(owned.params.quantity)
  local is_set_up = age_of(owned, now) >= SETUP
    and (not order.status or tostring(order.status):lower() == "active")
  if kind == "residential" and is_set_up then return listed or bought or 0 end
  return bought or listed or 0
end

-- An order that a pool bought has the requested type and country, even if the API spells them
-- otherwise; else each run would buy it again.
local function describe(order, owned, now)
  local bought = owned.params
  local kind = bought.type or order.type and tostring(order.type)
  kind = kind and kind:lower()
  return {
    id = order.id, pool = owned.pool, type = kind,
    country = country_code(bought.country) or country_code(order.country),
    expires_at = order.expires_at, expires = time.read(order.expires_at),
    created = time.read(order.created_at),
    quantity = quantity_of(order, owned, kind, now), listed = whole(order.quantity),
    unseen = order.unseen, is_new = age_of(owned, now) < SETUP,
    status = order.status and tostring(order.status),
  }
end

-- Stores type, quantity and country of assigned orders, for use when the API does not show them.
local function remember(orders, look)
  local new = {}
  for _, order in ipairs(orders) do
    local is_known = look.described[order.id] or next(look.found.owned[order.id].params)
    if not is_known and not order.unseen and order.type and order.quantity > 0 then
      new[order.id] = order
    end
  end
  ownership.describe(new)
end

-- Returns those of the orders that are not known to have ended.
local function not_ended(ids)
  local left, ended = {}, ownership.ended(ids)
  for _, id in ipairs(ids) do left[#left + 1] = not ended[id] and id or nil end
  return left
end

-- The orders of the wanted pools, unsorted.
local function orders_of(wanted, listed, look)
  local orders, missing = {}, {}
  for id, owned in pairs(look.found.owned) do
    if wanted[owned.pool] and listed[id] then
      orders[#orders + 1] = listed[id]
      look.missed[id] = look.missing[id] and false
    elseif wanted[owned.pool] then
      missing[#missing + 1] = id
    end
  end
  missing = not_ended(missing)
  for _, order in ipairs(look_up_all(missing, look)) do orders[#orders + 1] = order end
  ownership.put_missing(look.missed)
  local described = {}
  for at, order in ipairs(orders) do
    described[at] = describe(order, look.found.owned[order.id], look.now)
    described[at].held_by = ownership.open_purchase(order, look.found)
  end
  remember(described, look)
  return described
end

-- Replaces the ends that the API shows by the newest known ones, and sets the keys of the
-- extensions that are due.
local function add_ends(orders, wanted, look)
  local due, keys = {}, {}
  for _, order in ipairs(orders) do
    local before = wanted[order.pool].renew_before
    if before and order.expires and order.expires - look.now <= before then
      due[#due + 1] = order
    end
  end
  local newest = ends.of(due, look.found.extensions)
  for _, order in ipairs(due) do
    local pool, one = wanted[order.pool], newest[order.id]
    order.is_extended, order.stale = one.unseen ~= nil, one.stale
    order.expires = one.ends
    if not one.unseen and one.ends - look.now <= pool.renew_before then
      keys[#keys + 1] = { order = order.id, ends = one.ends, period = pool.period, of = order }
    end
  end
  ends.set_keys(keys)
  for _, item in ipairs(keys) do item.of.renew_key = item.key end
end

-- The first to expire first; orders without an end last.
local function by_end(a, b)
  local first, second = a.expires or math.huge, b.expires or math.huge
  return first < second or first == second and a.id < b.id
end

-- Active orders that belong to no pool, and the quantities of pools that are not wanted.
local function others_of(wanted, listed, look)
  local unassigned, others = {}, {}
  for id, order in pairs(listed) do
    local owned = look.found.owned[id]
    if not owned and not look.found.released[id] then
      unassigned[#unassigned + 1] = describe(order, { params = {} }, look.now)
    elseif owned and not wanted[owned.pool] then
      others[owned.pool] = (others[owned.pool] or 0) + describe(order, owned, look.now).quantity
    end
  end
  table.sort(unassigned, by_end)
  return unassigned, others
end

-- The wanted pool that an open entry concerns, or nil.
local function concerns(entry, wanted, found)
  if entry.pool then return wanted[entry.pool] and entry.pool end
  local owned = entry.order and found.owned[entry.order]
  return owned and wanted[owned.pool] and owned.pool or nil
end

local function blocked_by(wanted, found)
  local blocked = {}
  for _, entry in ipairs(found.open) do
    local pool = not entry.running and concerns(entry, wanted, found)
    if pool then blocked[pool] = ownership.way_out(entry) end
  end
  return blocked
end

-- Orders that another process extends at the moment: id -> key.
local function running_extensions(found)
  local running = {}
  for _, entry in ipairs(found.open) do
    if entry.running and entry.order then running[entry.order] = entry.key end
  end
  return running
end

-- Looks up each open entry of ended processes once. Returns whether any was looked up.
local function settle(wanted, found, tried, progress)
  return ownership.look_up(found.open, function(entry)
    if tried[entry.key] or not concerns(entry, wanted, found) then return false end
    tried[entry.key] = true
    return true
  end, progress)
end

-- Whether the store has neither an order nor a purchase of these pools, as after its loss.
local function is_new(wanted, found)
  for name in pairs(wanted) do
    if found.seen[name] then return false end
  end
  return true
end

local function read(wanted)
  local account = endpoints.account.get()
  local listed, ids = list_active(), {}
  for id in pairs(listed) do ids[#ids + 1] = id end
  local found = ownership.read(ids, wanted)
  local look = { found = found, now = clock(), missing = ownership.missing(), missed = {},
    described = ownership.described(), failed = {} }
  local orders = orders_of(wanted, listed, look)
  add_ends(orders, wanted, look)
  table.sort(orders, by_end)
  local unassigned, others = others_of(wanted, listed, look)
  return {
    now = look.now, account = account.id or account.email, balance = account.balance,
    next = found.next, orders = orders, blocked = blocked_by(wanted, found),
    running = running_extensions(found), failed = look.failed, unassigned = unassigned,
    others = others, without_id = found.without_id, is_new = is_new(wanted, found),
  }, found
end

--- Reads the current state of pools. Charges that an earlier run has left open are looked up first,
-- which may take the settling time.
-- @param pools list, as returned by fleet.pools_file
-- @param progress function of a label and a count: object with the methods step and finish
-- @return table: `now` (seconds), `account`, `balance`, `orders` (sorted by their newest known
--   end), `next` (pool -> number of its next purchase), `blocked` (pool -> why it cannot be
--   planned), `running` (order id -> key of its running extension), `failed` (list of orders that
--   never delivered: order, pool, status, is_returned, paid, wait), `unassigned` (active orders of
--   no pool), `others` (other pool -> its quantity), `without_id` (list of key and pool: purchases
--   placed without an order id), `is_new` (whether the store has no record of these pools)
-- @raise the errors of the API calls
function M.read(pools, progress)
  local wanted, tried = {}, {}
  for _, pool in ipairs(pools) do wanted[pool.name] = pool end
  while true do
    local snapshot, found = read(wanted)
    if not settle(wanted, found, tried, progress) then return snapshot end
  end
end

return M
