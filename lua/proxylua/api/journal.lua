-- The journal of charges: purchases by key, purchases with an unknown outcome, and manual settling.

local core = require "proxylua.core"
local entries = require "proxylua.api.entries"
local names = require "proxylua.util.names"
local declare = require("proxylua.util.options").declare

local M = {}

local OPEN = { "intent", "sent", "unknown" }

local state = { "state", "choice", "only entries in this state; open: the first three",
  values = { "intent", "sent", "unknown", "placed", "not_placed", "open" } }

local each_options = declare("px.journal.each", {
  state,
  { "prefix", "string", "only entries whose keys begin with this, in the order of their keys",
    pattern = "^[^\x80-\xFF\0]+$", expected = "a text of ASCII characters" },
  { "newest", "boolean", "true: the newest first", default = false },
})

local count_options = declare("px.journal.count", { state })

local settle_options = declare("px.journal.settle", {
  { "order_id", "string", "placed: the order that came of it" },
  { "price", "money", "placed: what it cost", usual = "the quote" },
  { "note", "string", "text for the journal; for a purchase that is placed without an order_id it "
    .. "says why" },
})

local function states_of(name)
  return name == "open" and OPEN or name and { name } or nil
end

-- The next entries are requested by the last id, or the last key.
local function go_on(query, after)
  query.after = math.tointeger(after)
  query.after_key = not query.after and after or nil
  return after ~= nil
end

--- An entry of the journal. Its state is `intent` (written, not sent), `sent` (may have been sent)
-- or `unknown` (may have been bought), which are open and keep their quote reserved; or `placed` or
-- `not_placed`.
-- @record journal_entry
-- @tfield integer id
-- @tfield string key
-- @tfield string endpoint
-- @tfield[opt] string account whose money it is
-- @tfield string params as text
-- @tfield[opt] money quote
-- @tfield string state
-- @tfield boolean open
-- @tfield[opt] string order_id
-- @tfield[opt] money price
-- @tfield[opt] string answer the server's, as text
-- @tfield[opt] string snapshot what existed before; while the entry is open
-- @tfield[opt] string note why its outcome is unknown, or how it was found
-- @tfield string host
-- @tfield integer pid
-- @tfield string run_id
-- @tfield string day
-- @tfield string created_at
-- @tfield string updated_at
-- @tfield[opt] boolean running while the process that wrote it still works on it
-- @tfield[opt] boolean pruned if px.journal.prune has removed its details

--- An iterator over the entries of the journal, oldest first. Other processes may write meanwhile.
-- @function px.journal.each
-- @param options
-- @treturn fun():journal_entry?
-- @raise usage; store
-- @usage for entry in px.journal.each{ state = "unknown" } do
--   print(entry.key, entry.quote, entry.created_at)
-- end
function M.each(given)
  local wanted = each_options(given)
  if wanted.prefix and wanted.newest then
    names.usage("px.journal.each: entries with a prefix come in the order of their keys; leave out "
      .. "newest")
  end
  local query = { states = states_of(wanted.state), prefix = wanted.prefix,
    newest = wanted.newest }
  local list, at, more = {}, 0, true
  return function()
    while at == #list do
      if not more then return nil end
      local after
      list, after = core.journal.list(query)
      at, more = 0, go_on(query, after)
    end
    at = at + 1
    return list[at]
  end
end

--- The number of entries in the journal, without those whose details px.journal.prune has removed.
-- @function px.journal.count
-- @param options
-- @treturn integer
-- @raise usage; store
-- @usage print(px.journal.count{ state = "open" })
function M.count(given)
  local wanted = count_options(given)
  local _, _, count = core.journal.list{ states = states_of(wanted.state), newest = true,
    hide_pruned = true, counts = true, limit = 1 }
  if count then return count end
  count = 0 -- the account is not known yet
  for entry in M.each(wanted) do
    if not entry.pruned then count = count + 1 end
  end
  return count
end

--- Shrinks old entries. Placed ones keep what their keys need (key, order, price and parameters),
-- so that the same key still returns its order. Entries that were not placed are removed. Open
-- entries stay, and so do the sums that `per_day` and `per_run` count.
-- @function px.journal.prune
-- @tparam number before seconds since 1970: entries that were last changed before this time
-- @treturn integer the number of entries that were shrunk
-- @treturn integer the number of entries that were removed
-- @raise usage; store
-- @usage px.journal.prune(os.time() - 90 * 86400)
function M.prune(before)
  if type(before) ~= "number" then
    names.usage("px.journal.prune: before must be a time in seconds, got a %s", type(before))
  end
  return core.journal.prune(before)
end

--- One entry of the journal.
-- @function px.journal.get
-- @tparam string|integer key that of the purchase, or the entry's id
-- @treturn journal_entry
-- @raise not_found when there is no such entry; usage; store
-- @usage local entry, err = px.try(px.journal.get, "restock-2026-W48")
-- print(entry and entry.state or err.kind)  --> not_found
function M.get(key)
  local entry = core.journal.get(key)
  if entry then return entry end
  core.error.raise{
    kind = "not_found",
    message = ("the journal has no entry %s; proxylua journal list shows all entries"):format(
      tostring(key)),
  }
end

local function named(entry)
  return ("entry %d (key %s)"):format(entry.id, entry.key)
end

local function check_open(entry)
  if entry.running then
    names.usage("%s: process %d on %s still works on it and will settle it", named(entry),
      entry.pid,
      entry.host)
  end
  if entry.open then return end
  names.usage("%s is already %s%s; only open entries can be settled", named(entry), entry.state,
    entry.order_id and (" (order %s)"):format(entry.order_id) or "")
end

-- An order belongs to one purchase; it may have several extensions.
local function check_order(entry, order_id)
  if entry.endpoint ~= "orders.create" then return end
  for other in entries.of_orders{ order_id } do
    if other.state == "placed" and other.order_id == order_id
      and other.endpoint == "orders.create" then
      names.usage("%s: order %s already belongs to entry %d (key %s)", named(entry), order_id,
        other.id, other.key)
    end
  end
end

local function check_placed(entry, wanted)
  if wanted.order_id then return check_order(entry, wanted.order_id) end
  if entry.endpoint == "orders.create" and not wanted.note then
    names.usage("%s: placed needs the id of the bought order (order_id), or a note that says "
      .. "why there is none",
      named(entry))
  end
end

local function check_not_placed(entry, wanted)
  if not wanted.order_id and not wanted.price then return end
  names.usage("%s: an entry that is not placed has no order and no price", named(entry))
end

-- The response that a later purchase with the same key returns, in the form of the API's own. Keeps
-- the response that the API sent, if there was one.
local function answer_of(entry, outcome, wanted)
  if outcome == "not_placed" then return nil end
  local before = entry.answer and entry.answer ~= "" and entry.answer or nil
  if before and not utf8.len(before) then before = before:gsub("[\x80-\xFF]", "?") end
  return core.json.encode{ id = wanted.order_id or entry.order_id, settled = outcome,
    answered = before }
end

-- The present state of the account decides, if it can.
local function inquire(entry)
  check_open(entry)
  core.journal.inquire(entry.key)
  return M.get(entry.id)
end

--- Settles an open entry with a state that the user has verified in the account. After "placed",
-- the same key returns that order. After "not_placed", the key may buy again, and the money
-- reserved for it is released. Without a state, proxylua looks the purchase up as the next purchase
-- would; the entry stays open if the account does not show the outcome.
-- @function px.journal.settle
-- @tparam string|integer key that of the purchase, or the entry's id
-- @tparam[opt] "placed"|"not_placed" state left out: look it up, which waits until the settling
--   time is over
-- @param options
-- @treturn journal_entry as it is now
-- @raise not_found when there is no such entry; usage when it is not open, when its process is
--   works on it, or when the order belongs to another entry; store
-- @usage for entry in px.journal.each{ state = "unknown" } do
--   if px.try(px.orders.get, "ord_abc123") then
--     px.journal.settle(entry.id, "placed", { order_id = "ord_abc123" })
--   end
-- end
function M.settle(key, outcome, given)
  local wanted = settle_options(given)
  if outcome == nil then return inquire(M.get(key)) end
  if outcome ~= "placed" and outcome ~= "not_placed" then
    names.usage("px.journal.settle: state must be placed or not_placed, got %s",
      tostring(outcome))
  end
  local entry = M.get(key)
  check_open(entry)
  if outcome == "placed" then check_placed(entry, wanted) else check_not_placed(entry, wanted) end
  local changed = core.journal.settle(entry.id, outcome, {
    order_id = wanted.order_id or outcome == "placed" and entries.extended_order(entry) or nil,
    price = wanted.price, answer = answer_of(entry, outcome, wanted),
    note = wanted.note or "settled manually",
  })
  if not changed then check_open(M.get(entry.id)) end
  return M.get(entry.id)
end

return M
