-- Ownership: which order belongs to which pool, and what the journal knows of each order. An order
-- that a pool bought belongs to it by its key in the journal. Orders that the user assigned or
-- unassigned have a note, which takes precedence over the journal. An order has at most one note,
-- so it belongs to at most one pool.
--
--   fleet/POOL/N      key of the N-th purchase of a pool. N stays the same until the purchase is
--                     placed, so a run after a crash repeats the same purchase. Once it is placed,
--                     the number is never used again.
--   renew/ORDER/END   key of an extension by renew or by a fleet, see proxylua.fleet.ends

local core = require "proxylua.core"
local country_code = require "proxylua.util.country"
local entries = require "proxylua.api.entries"
local errors = require "proxylua.util.errors"
local journal = require "proxylua.api.journal"
local names = require "proxylua.util.names"
local notes = require "proxylua.api.notes"
local time = require "proxylua.util.time"

local M = {}

local KIND, ENDED, MISSING, DESCRIBED = "fleet", "fleet.ended", "fleet.missing", "fleet.order"
local UNASSIGNED = "-" -- not a valid name of a pool
local DAY <const> = 86400
-- A key without an entry. Looking it up identifies the account of the journal, waits for the charge
-- of another process, and settles entries that are due.
local NONE = "fleet"
local OF_API = { api = true }

-- A key has no blanks and only ASCII, and its parts have no slash.
local function part(text)
  return (tostring(text):gsub("[^%w._-]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

--- Encodes an order id as a part of a key.
M.part = part

--- The key of a purchase.
function M.buy_key(pool, number)
  return ("fleet/%s/%d"):format(pool, number)
end

--- The key of an extension.
-- @param id of the order
-- @param ends seconds since 1970: the end from which it is extended
function M.renew_key(id, ends)
  return ("renew/%s/%d"):format(part(id), math.floor(ends))
end

--- What the user assigned: order id -> pool, or false for an unassigned order.
function M.notes()
  local found = {}
  for id, text in notes.each(KIND, OF_API) do found[id] = text ~= UNASSIGNED and text end
  return found
end

--- Which of some assigned orders are known to have ended: a set of ids. The journal marks those
-- that were bought as retired.
-- @param ids list
function M.ended(ids)
  return notes.get(ENDED, ids, OF_API)
end

local function put(kind, texts)
  if next(texts) then notes.put(kind, texts, OF_API) end
end

--- Stores the ids of orders that have ended for good.
-- @param ids list
function M.put_ended(ids)
  local texts = {}
  for _, id in ipairs(ids) do texts[id] = "1" end
  put(ENDED, texts)
  entries.retire(ids)
end

--- When the API first responded with 404 for orders: id -> seconds since 1970.
function M.missing()
  local found = {}
  for id, text in notes.each(MISSING, OF_API) do found[id] = tonumber(text) end
  return found
end

--- Stores when the API first responded with 404 for orders.
-- @param since table: id -> seconds since 1970, or false for an order that was found again
function M.put_missing(since)
  local texts = {}
  for id, seconds in pairs(since) do texts[id] = seconds and ("%.0f"):format(seconds) end
  put(MISSING, texts)
end

--- The stored descriptions of assigned orders: id -> table of type, quantity and country.
function M.described()
  local found = {}
  for id, text in notes.each(DESCRIBED, OF_API) do
    local ok, order = pcall(core.json.decode, text)
    found[id] = ok and type(order) == "table" and order or nil
  end
  return found
end

--- Stores descriptions of orders, for use when the API does not show the orders.
-- @param orders table: id -> table of type, quantity and country
function M.describe(orders)
  local texts = {}
  for id, order in pairs(orders) do
    texts[id] = core.json.encode{ type = order.type, quantity = order.quantity,
      country = order.country }
  end
  put(DESCRIBED, texts)
end

-- "POST /orders {…}" -> table
local function params_of(entry)
  local ok, params = pcall(core.json.decode, entry.params:match("{.*$") or "{}")
  return ok and type(params) == "table" and params or {}
end

local function open_of(entry)
  return { key = entry.key, running = entry.running, note = entry.note, state = entry.state,
    at = time.read(entry.created_at) }
end

local function read_purchase(found, entry)
  local pool, number = entry.key:match("^fleet/([^/]+)/(%d+)$")
  if pool then found.seen[pool] = true end
  if entry.open then
    local open = open_of(entry)
    open.pool, open.params = pool, params_of(entry)
    table.insert(found.open, open)
  elseif entry.state == "placed" then
    if pool then found.next[pool] = math.max(found.next[pool] or 1, tonumber(number) + 1) end
    if entry.order_id then
      found.bought[entry.order_id] = { pool = pool, params = params_of(entry),
        placed_at = entry.updated_at }
      found.owned[entry.order_id] = pool and found.bought[entry.order_id]
    elseif pool then
      table.insert(found.without_id, { key = entry.key, pool = pool })
    end
  end
end

-- Reads an extension, with the ends before and after it if the journal has them.
local function read_extension(found, entry)
  local id = entries.extended_order(entry) or entry.order_id
  if not id or not (entry.open or entry.state == "placed") then return end
  local extension = open_of(entry)
  extension.order, extension.period = id, tonumber(params_of(entry).period) or 1
  extension.before = tonumber(entry.key:match("^renew/[^/]+/(%d+)$"))
    or time.read((entry.snapshot or ""):match("expires_at ([^\n]+)"))
  if entry.open then
    table.insert(found.open, extension)
    return
  end
  extension.after = entry.answer
    and time.read(core.record.field(entry.answer, "order", "expires_at"))
  found.extensions[id] = found.extensions[id] or {}
  table.insert(found.extensions[id], extension)
end

local readers = { ["orders.create"] = read_purchase, ["orders.extend"] = read_extension }

-- Reads every placed entry of the orders at hand.
local function read_orders(found, ids)
  local listed = {}
  for id in pairs(ids) do listed[#listed + 1] = id end
  for entry in entries.of_orders(listed) do
    local read = entry.state == "placed" and readers[entry.endpoint]
    if read then read(found, entry) end
  end
end

-- Reads the purchases of pools whose orders have not ended, and the last purchase of each pool.
local function read_pools(found, pools)
  local stems = {}
  for name in pairs(pools) do stems[#stems + 1] = M.buy_key(name, 0):sub(1, -2) end
  for entry in entries.of_stems(stems) do
    if entry.endpoint == "orders.create" and not entry.open then read_purchase(found, entry) end
  end
end

local function read_open(found)
  for entry in journal.each{ state = "open" } do
    local read = readers[entry.endpoint]
    if read then read(found, entry) end
  end
end

--- Returns the open extensions, before a look-up settles them.
-- @return list of key, order, running
-- @raise store
function M.open_extensions()
  local found = { open = {} }
  for entry in journal.each{ state = "open" } do
    if entry.endpoint == "orders.extend" then read_extension(found, entry) end
  end
  return found.open
end

-- Reads the orders that a person assigned or unassigned.
local function read_notes(found, assigned)
  for id, pool in pairs(assigned) do
    found.released[id] = not pool or nil
    local bought = found.bought[id] or { params = {} }
    found.owned[id] = pool and { pool = pool, params = bought.params,
      placed_at = bought.placed_at, assigned = true } or nil
    if pool then found.seen[pool] = true end
  end
end

local function new_found()
  return { owned = {}, bought = {}, next = {}, extensions = {}, open = {}, without_id = {},
    released = {}, seen = {} }
end

-- The orders at hand: the given ones, and those that were bought for pools or assigned to them.
local function at_hand(ids, pools, assigned)
  local orders, bought = {}, new_found()
  for _, id in ipairs(ids) do orders[id] = true end
  for id, pool in pairs(assigned) do orders[id] = orders[id] or pools[pool] and true end
  read_pools(bought, pools)
  for id in pairs(bought.owned) do orders[id] = true end
  return orders, bought
end

--- Reads the open entries of the journal, those of the orders at hand, and the notes.
-- @param ids list of order ids, each once
-- @param pools set of names, whose orders are read too unless they have ended
-- @return table: `owned` (order id -> table: pool; params and placed_at if it was bought), `bought`
--   (order id -> the same, also of purchases for no pool), `next` (pool -> number of its next
--   purchase, 1 if absent), `extensions` (order id -> list of placed extensions: key, at, period
--   (days), and the ends before and after, if known), `open` (list: key, running, note, at; for a
--   purchase also params and pool, for an extension order), `released` (set of ids), `without_id`
--   (list of key and pool: purchases placed without an order id), `seen` (set of pools that this
--   store knows)
-- @raise store
function M.read(ids, pools)
  core.journal.inquire(NONE)
  local assigned = M.notes()
  local orders, found = at_hand(ids, pools, assigned)
  read_orders(found, orders)
  read_open(found)
  read_notes(found, assigned)
  return found
end

--- The pool of every order that ever had one: id -> name.
-- @raise store
function M.all()
  core.journal.inquire(NONE)
  local found, pools = new_found(), {}
  for entry in journal.each{ prefix = "fleet/" } do
    if entry.endpoint == "orders.create" then read_purchase(found, entry) end
  end
  read_notes(found, M.notes())
  for id, owned in pairs(found.owned) do pools[id] = owned.pool end
  return pools
end

-- Whether an order may be the result of an open purchase. An order that is being set up may show
-- less than was bought, and the clocks of store and server may differ by hours.
local function could_be(open, order)
  local asked = open.params
  local kind, country = order.type and tostring(order.type):lower(), country_code(order.country)
  local quantity, created = tonumber(order.quantity), time.read(order.created_at)
  return (not kind or kind == asked.type)
    and (not country or not asked.country or country == asked.country)
    and (not quantity or not tonumber(asked.quantity) or quantity <= tonumber(asked.quantity))
    and (not created or not open.at or created > open.at - DAY)
end

--- Returns the open purchase that an order may belong to. Extending the order now would hide it
-- from the look-up of the purchase.
-- @param order of a list
-- @param found as M.read returns it
-- @return entry of found.open, or nil
function M.open_purchase(order, found)
  if found.bought[order.id] then return nil end
  for _, open in ipairs(found.open) do
    if open.params and could_be(open, order) then return open end
  end
end

-- Adds the pools with keys in the journal. Only the first key of each is read.
local function add_bought(pools)
  local key = entries.next_key("fleet/")
  while key do
    local name = key:match("^fleet/([^/]+)/")
    if name then pools[name] = true end
    key = entries.next_key("fleet/", name and ("fleet/%s/\x7F"):format(name) or key)
  end
end

--- The set of names of all known pools.
-- @param found as M.read returns it
-- @raise store
function M.pools(found)
  local pools = {}
  for pool in pairs(found.seen) do pools[pool] = true end
  add_bought(pools)
  return pools
end

--- Looks up the outcome of open charges. This may take the settling time.
-- @param open list of entries, as returned by M.read
-- @param wanted function of an entry: whether it is looked up
-- @param progress function of a label and a count: object with the methods step and finish
-- @return whether any was looked up
-- @raise the errors of the look-up, except outcome_unknown
function M.look_up(open, wanted, progress)
  local list = {}
  for _, entry in ipairs(open) do
    if not entry.running and wanted(entry) then list[#list + 1] = entry.key end
  end
  if #list == 0 then return false end
  local shown = progress("open charges looked up", #list)
  shown:step(0)
  for _, key in ipairs(list) do
    local ok, err = errors.try(function() core.journal.inquire(key) return true end)
    if not ok and err.kind ~= "outcome_unknown" then error(err, 0) end
    shown:step()
  end
  shown:finish()
  return true
end

--- The message about a charge of unknown outcome, with the commands that help.
function M.way_out(entry)
  local text = "the outcome of %s is unknown%s. See proxylua journal show %s, then settle it with "
    .. "proxylua journal settle %s"
  return text:format(entry.key, entry.note and " (" .. entry.note .. ")" or "", entry.key,
    entry.key)
end

local function owner_of(id)
  local owned = M.read({ id }, {}).owned[id]
  return owned and owned.pool
end

--- Assigns an order to a pool; does nothing if it belongs to the pool already.
-- @param pool name
-- @param id of the order
-- @raise usage, when it belongs to another pool
function M.adopt(pool, id)
  local owner = owner_of(id)
  if not owner then
    if not notes.put_new(KIND, id, pool, OF_API) then
      owner = notes.get(KIND, { id }, OF_API)[id]
      if owner == UNASSIGNED then notes.put(KIND, { [id] = pool }, OF_API) end
    end
    owner = owner_of(id)
  end
  if owner ~= pool then
    names.usage("order %s belongs to pool %s. Run proxylua fleet release %s first", id,
      tostring(owner), id)
  end
end

--- Unassigns an order: from now on it belongs to no pool.
-- @param id of the order
-- @return the pool that it belonged to, nil if it belonged to none
function M.release(id)
  local owner = owner_of(id)
  if owner then notes.put(KIND, { [id] = UNASSIGNED }, OF_API) end
  return owner
end

return M
