-- What the journal and the notes have about orders: the pool, the purchases, and the price of the
-- last extension. So transactions can be assigned whose orders the API no longer lists.

local core = require "proxylua.core"
local days = require "proxylua.report.days"
local journal = require "proxylua.api.journal"
local notes = require "proxylua.api.notes"

local M = {}

local UNASSIGNED = "-" -- the note of an unassigned order

-- "POST /orders {…}" -> table
local function params_of(entry)
  local ok, params = pcall(core.json.decode, entry.params:match("{.*$") or "{}")
  return ok and type(params) == "table" and params or {}
end

local function record_of(found, id)
  found.orders[id] = found.orders[id] or { charges = {} }
  return found.orders[id]
end

local function read_placed(found, entry)
  if not entry.order_id then return end
  local record, params = record_of(found, entry.order_id), params_of(entry)
  table.insert(record.charges, { day = days.of(entry.created_at),
    price = entry.price or entry.quote })
  if entry.endpoint == "orders.create" then
    record.pool = entry.key:match("^fleet/([^/]+)/")
    record.type, record.country = params.type, params.country
  elseif entry.endpoint == "orders.extend" and entry.price and math.tointeger(params.period) then
    record.extension = { price = entry.price, period = math.tointeger(params.period) }
  end
end

--- Reads journal and notes.
-- @return table: orders (order id -> table: charges (list of day and price), and pool, type,
--   country, extension (price and period of the last) if known), and open, the entries with an
--   unknown outcome
-- @raise store
function M.read()
  local found = { orders = {}, open = {} }
  for entry in journal.each() do
    if entry.open then
      found.open[#found.open + 1] = entry
    elseif entry.state == "placed" then
      read_placed(found, entry)
    end
  end
  for id, pool in notes.each("fleet", { api = true }) do
    record_of(found, id).pool = pool ~= UNASSIGNED and pool or nil
  end
  return found
end

return M
