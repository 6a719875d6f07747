-- Which order belongs to which pool. What a pool bought is tied to it by the key in the journal;
-- what somebody adopted or let go by a note, which goes before the journal. An order has one note
-- at most, so it belongs to one pool at most.
--
--   fleet/POOL/N key of the N-th purchase of a pool. While it is not known to be placed N stays the
--                        same, so a run after a crash asks for the very same purchase; once it is
--                        placed the number is never used again.
--   renew/ORDER/EXPIRY key of an extension, whoever makes it: from one expiry on an order is
--   extended once.

local core = require "proxylua.core"
local errors = require "proxylua.util.errors"
local journal = require "proxylua.api.journal"
local names = require "proxylua.util.names"
local notes = require "proxylua.api.notes"

local M = {}

local KIND, ENDED = "fleet", "fleet.ended"
local NOBODY = "-" -- no name of a pool
-- To look up a key that has no entry makes the store know whose journal is read, waits for the
-- charge that another process is at work on, and settles what is due.
local NONE = "fleet"
local OF_API = { api = true }

-- A key has neither blanks nor bytes beyond ASCII, and its parts no slash.
local function part(text)
  return (tostring(text):gsub("[^%w._-]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

--- The key of a purchase.
function M.buy_key(pool, number)
  return ("fleet/%s/%d"):format(pool, number)
end

--- The key of an extension.
-- @param id of the order
-- @param expires seconds since 1970: its end as it is now
function M.renew_key(id, expires)
  return ("renew/%s/%d"):format(part(id), math.floor(expires))
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

--- Remembers orders that are over for good.
-- @param ids list
function M.put_ended(ids)
  local texts = {}
  for _, id in ipairs(ids) do texts[id] = "1" end
  if next(texts) then notes.put(ENDED, texts, OF_API) end
end

-- --- the journal ---

-- "POST /orders {…}" -> table
local function params_of(entry)
  local ok, params = pcall(core.json.decode, entry.params:match("{.*$") or "{}")
  return ok and type(params) == "table" and params or {}
end

local function read_purchase(found, entry, pool, number)
  number = tonumber(number)
  if entry.state == "placed" then
    found.next[pool] = math.max(found.next[pool] or 1, number + 1)
    if entry.order_id then
      found.ties[entry.order_id] = { pool = pool, params = params_of(entry),
        placed_at = entry.updated_at }
    else
      table.insert(found.nameless, { key = entry.key, pool = pool })
    end
  elseif entry.open then
    table.insert(found.open, { key = entry.key, pool = pool, running = entry.running,
      note = entry.note })
  end
end

local function read_renewal(found, entry)
  if entry.state == "placed" then
    found.renewed[entry.key] = true
  elseif entry.open then
    table.insert(found.open, { key = entry.key, order = entry.key:match("^renew/([^/]+)/"),
      running = entry.running,
      note = entry.note })
  end
end

--- What the journal and the notes say.
-- @return table: `ties` (order id -> table: pool, and of what was bought params and placed_at),
--   `next` (pool -> number of its next purchase, 1 where absent), `renewed` (set of keys), `open`
--   (list: key, pool or order, running, note), `released` (set of ids), `nameless` (list: key and
--   pool of purchases that were placed, of which nobody named the order)
-- @raise store
function M.read()
  core.journal.inquire(NONE)
  local found = { ties = {}, next = {}, renewed = {}, open = {}, nameless = {}, released = {} }
  for entry in journal.each() do
    local pool, number = entry.key:match("^fleet/([^/]+)/(%d+)$")
    if pool and entry.endpoint == "orders.create" then
      read_purchase(found, entry, pool, number)
    elseif entry.endpoint == "orders.extend" and entry.key:find("^renew/") then
      read_renewal(found, entry)
    end
  end
  for id, pool in pairs(M.notes()) do
    found.released[id] = not pool or nil
    local tie = found.ties[id] or { params = {} }
    tie.pool = pool
    found.ties[id] = pool and tie or nil
  end
  return found
end

--- The pools that what was read tells of: a set of names.
-- @param found as M.read answers it
function M.pools(found)
  local pools = {}
  for _, tie in pairs(found.ties) do pools[tie.pool] = true end
  for pool in pairs(found.next) do pools[pool] = true end
  for _, entry in ipairs(found.open) do pools[entry.pool or false] = true end
  pools[false] = nil
  return pools
end

--- Looks up what came of charges that were left open, which takes the settling time where it cannot
-- be told before.
-- @param open list of entries, as M.read answers them
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

--- What a person can do about a charge of which nobody knows what came of it.
function M.way_out(entry)
  local text = "what came of %s is not known%s; proxylua journal show %s tells more, and journal "
    .. "settle %s settles it"
  return text:format(entry.key, entry.note and " (" .. entry.note .. ")" or "", entry.key,
    entry.key)
end

--- What stands in a key of an extension for an order's id.
M.part = part

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
