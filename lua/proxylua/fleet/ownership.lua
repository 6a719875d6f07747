-- Which order belongs to which pool, and what the journal knows of each order. What a pool bought
-- is tied to it by the key in the journal; what a person assigned or unassigned by a note, which
-- goes before the journal. An order has one note at most, so it belongs to one pool at most.
--
--   fleet/POOL/N      key of the N-th purchase of a pool. While it is not known to be placed N
--                     stays the same, so a run after a crash asks for the very same purchase; once
--                     it is placed the number is never used again.
--   renew/ORDER/END   key of an extension by renew or by a fleet, see proxylua.fleet.ends

local core = require "proxylua.core"
local country_code = require "proxylua.util.country"
local errors = require "proxylua.util.errors"
local journal = require "proxylua.api.journal"
local names = require "proxylua.util.names"
local notes = require "proxylua.api.notes"
local time = require "proxylua.util.time"

local M = {}

local KIND, ENDED, MISSING, DESCRIBED = "fleet", "fleet.ended", "fleet.missing", "fleet.order"
local NOBODY = "-" -- not a name of a pool
local DAY <const> = 86400
-- To look up a key that has no entry makes the store know whose journal is read, waits for the
-- charge that another process is at work on, and settles what is due.
local NONE = "fleet"
local OF_API = { api = true }

-- A key has neither blanks nor bytes beyond ASCII, and its parts no slash.
local function part(text)
  return (tostring(text):gsub("[^%w._-]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

--- What stands in a key of an extension for an order's id.
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

-- --- notes ---

--- What somebody said: order id -> pool, or false for an order that was let go.
function M.notes()
  local found = {}
  for id, text in notes.each(KIND, OF_API) do found[id] = text ~= NOBODY and text end
  return found
end

--- The orders that are known to be over: a set of ids.
function M.ended()
  local found = {}
  for id in notes.each(ENDED, OF_API) do found[id] = true end
  return found
end

local function put(kind, texts)
  if next(texts) then notes.put(kind, texts, OF_API) end
end

--- Remembers orders that are over for good.
-- @param ids list
function M.put_ended(ids)
  local texts = {}
  for _, id in ipairs(ids) do texts[id] = "1" end
  put(ENDED, texts)
end

--- When the API first denied orders: id -> seconds since 1970.
function M.missing()
  local found = {}
  for id, text in notes.each(MISSING, OF_API) do found[id] = tonumber(text) end
  return found
end

--- Remembers when the API first denied orders.
-- @param since table: id -> seconds since 1970, or false for an order that was found again
function M.put_missing(since)
  local texts = {}
  for id, seconds in pairs(since) do texts[id] = seconds and ("%.0f"):format(seconds) end
  put(MISSING, texts)
end

--- What orders are that were assigned, as far as it was remembered: id -> type, quantity, country.
function M.described()
  local found = {}
  for id, text in notes.each(DESCRIBED, OF_API) do
    local ok, order = pcall(core.json.decode, text)
    found[id] = ok and type(order) == "table" and order or nil
  end
  return found
end

--- Remembers what orders are, for the time when the API does not show them.
-- @param orders table: id -> table of type, quantity and country
function M.describe(orders)
  local texts = {}
  for id, order in pairs(orders) do
    texts[id] = core.json.encode{ type = order.type, quantity = order.quantity,
      country = order.country }
  end
  put(DESCRIBED, texts)
end

-- --- the journal ---

-- "POST /orders {…}" -> table
local function params_of(entry)
  local ok, params = pcall(core.json.decode, entry.params:match("{.*$") or "{}")
  return ok and type(params) == "table" and params or {}
end

-- "POST /orders/ID/extend {…}" -> ID
local function order_in(entry)
  local id = entry.params:match("^%S+ /orders/([^/%s]+)/extend")
  id = id and id:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
  return id or entry.order_id
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
      found.ties[entry.order_id] = pool and found.bought[entry.order_id]
    elseif pool then
      table.insert(found.nameless, { key = entry.key, pool = pool })
    end
  end
end

-- The ends before and after an extension, as far as the journal has them.
local function read_extension(found, entry)
  local id = order_in(entry)
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

--- Open extensions, before a look-up of anything settles them.
-- @return list of key, order, running
-- @raise store
function M.open_extensions()
  local found = { open = {} }
  for entry in journal.each{ state = "open" } do
    if entry.endpoint == "orders.extend" then read_extension(found, entry) end
  end
  return found.open
end

--- What the journal and the notes say.
-- @return table: `ties` (order id -> table: pool, and of what was bought params and placed_at),
--   `bought` (the same of all that was bought, for a pool or not), `next` (pool -> number of its
--   next purchase, 1 where absent), `extensions` (order id -> list of placed extensions: key, at,
--   period (days), and where they are known the ends before and after), `open` (list: key, running,
--   note, at; of a purchase params and pool; of an extension order), `released` (set of ids),
--   `nameless` (list: key and pool of purchases that were placed without an order id), `seen` (set
--   of pools that this store knows)
-- @raise store
function M.read()
  core.journal.inquire(NONE)
  local found = { ties = {}, bought = {}, next = {}, extensions = {}, open = {}, nameless = {},
    released = {}, seen = {} }
  for entry in journal.each() do
    local read = readers[entry.endpoint]
    if read then read(found, entry) end
  end
  for id, pool in pairs(M.notes()) do
    found.released[id] = not pool or nil
    local bought = found.bought[id] or { params = {} }
    found.ties[id] = pool and { pool = pool, params = bought.params,
      placed_at = bought.placed_at, assigned = true } or nil
    if pool then found.seen[pool] = true end
  end
  return found
end

-- Whether an order may be what an open purchase bought. While it is set up an order may show less
-- than was bought, and the clocks of store and server may be hours apart.
local function could_be(open, order)
  local asked = open.params
  local kind, country = order.type and tostring(order.type):lower(), country_code(order.country)
  local quantity, created = tonumber(order.quantity), time.read(order.created_at)
  return (not kind or kind == asked.type)
    and (not country or not asked.country or country == asked.country)
    and (not quantity or not tonumber(asked.quantity) or quantity <= tonumber(asked.quantity))
    and (not created or not open.at or created > open.at - DAY)
end

--- The open purchase that an order may have come of: to extend the order now would hide it from
-- the look-up of the purchase.
-- @param order of a list
-- @param found as M.read returns it
-- @return entry of found.open, or nil
function M.open_purchase(order, found)
  if found.bought[order.id] then return nil end
  for _, open in ipairs(found.open) do
    if open.params and could_be(open, order) then return open end
  end
end

--- The pools that what was read tells of: a set of names.
-- @param found as M.read returns it
function M.pools(found)
  local pools = {}
  for _, tie in pairs(found.ties) do pools[tie.pool] = true end
  for pool in pairs(found.seen) do pools[pool] = true end
  for _, entry in ipairs(found.open) do pools[entry.pool or false] = true end
  pools[false] = nil
  return pools
end

--- Looks up what came of charges that were left open, which takes the settling time where it cannot
-- be told before.
-- @param open list of entries, as M.read returns them
-- @param wanted function of an entry: whether it is looked up
-- @param progress function of what and how many: object with the methods step and finish
-- @return whether any was
-- @raise what stands in the way of looking; not that the outcome stays unknown
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

--- What a person can do about a charge of unknown outcome.
function M.way_out(entry)
  local text = "what came of %s is not known%s; proxylua journal show %s shows more, and journal "
    .. "settle %s settles it"
  return text:format(entry.key, entry.note and " (" .. entry.note .. ")" or "", entry.key,
    entry.key)
end

-- --- a person's word ---

local function owner_of(id)
  local tie = M.read().ties[id]
  return tie and tie.pool
end

--- Ties an order to a pool. Done before, it is well.
-- @param pool name
-- @param id of the order
-- @raise usage when it belongs to another pool
function M.adopt(pool, id)
  local owner = owner_of(id)
  if not owner then
    if not notes.put_new(KIND, id, pool, OF_API) then
      owner = notes.get(KIND, { id }, OF_API)[id]
      if owner == NOBODY then notes.put(KIND, { [id] = pool }, OF_API) end
    end
    owner = owner_of(id)
  end
  if owner ~= pool then
    names.usage("order %s belongs to pool %s; proxylua fleet release %s lets it go first", id,
      tostring(owner), id)
  end
end

--- Lets an order go: it belongs to no pool from now on.
-- @param id of the order
-- @return the pool that it belonged to, nil when there was none
function M.release(id)
  local owner = owner_of(id)
  if owner then notes.put(KIND, { [id] = NOBODY }, OF_API) end
  return owner
end

return M
