-- The ends (expiry dates) of orders, from the API and the journal. Lists lag behind extensions, and
-- the same end differs by seconds between two responses, so ends are never compared for equality:
-- an extension belongs to an order and its newest known end, and an end that differs from a
-- recorded one by less than half the period of that extension is the same end.
--
-- The key of an extension is renew/ORDER/END. Of processes that see the same end some seconds
-- apart, the first one to write the note of that end decides which END stands in the key of all.

local duration = require "proxylua.util.duration"
local endpoints = require "proxylua.api.endpoints"
local errors = require "proxylua.util.errors"
local notes = require "proxylua.api.notes"
local ownership = require "proxylua.fleet.ownership"
local settings = require "proxylua.settings"
local tasks = require "proxylua.tasks"
local time = require "proxylua.util.time"

local M = {}

local KIND, OF_API = "renew", { api = true }
local DAY, HOUR = 86400, 3600
local AT_ONCE = 8

-- The end after an extension, nil if neither its response nor its key gives it. A response may
-- still show the old end: an order that was active when it was extended ends more than a period
-- after that time.
local function end_after(extension)
  local days, before, after = extension.period * DAY, extension.before, extension.after
  if after and after < (before and before + days / 2 or extension.at + days - HOUR) then
    return after + days
  end
  return after or before and before + days
end

--- The newest known end of an order.
-- @param shown seconds since 1970: the end that the API shows
-- @param extensions list of placed extensions, as returned by ownership.read; nil: none
-- @return seconds since 1970
-- @return the extension that the API does not show yet, nil when it shows all of them
function M.newest(shown, extensions)
  local newest, unseen = shown, nil
  for _, extension in ipairs(extensions or {}) do
    local days = extension.period * DAY
    local after = end_after(extension)
    if not after and newest <= extension.at + days - HOUR then after = newest + days end
    if after and after - newest >= days / 2 then newest, unseen = after, extension end
  end
  return newest, unseen
end

-- A list may lag behind the order itself, so the order is read.
local function read_again(order, shown, extensions)
  local fresh, err = errors.try(endpoints.orders.get, order.id)
  if not fresh and err.kind ~= "not_found" then error(err, 0) end
  local ends = fresh and time.read(fresh.expires_at)
  return M.newest(math.max(shown, ends or shown), extensions)
end

-- The problem of an order whose old end the API still shows after the settling time.
local function describe_stale(order, unseen)
  return ("was extended %s ago (key %s), but the API still shows its old expiry date; it is not "
    .. "extended again. Compare proxylua orders get %s with proxylua journal show %s; to extend "
    .. "it anyway, run proxylua orders extend %s"):format(
    duration.text(math.max(time.time() - unseen.at, 0)), unseen.key, order.id, unseen.key,
    order.id)
end

--- The newest known ends of orders that end soon according to a list. An order whose extension the
-- list does not show is read once more.
-- @param orders list of orders with readable ends
-- @param extensions table: order id -> list, as ownership.read returns it
-- @return table: order id -> table: `ends`, `unseen` (the extension that the API does not show),
--   `stale` (a message, if the API does not show it after the settling time)
-- @raise the errors of px.orders.get
function M.of(orders, extensions)
  local found, behind = {}, {}
  for _, order in ipairs(orders) do
    local ends, unseen = M.newest(time.read(order.expires_at), extensions[order.id])
    found[order.id] = { ends = ends, unseen = unseen }
    if unseen then behind[#behind + 1] = order end
  end
  tasks.map(behind, function(order)
    local one = found[order.id]
    one.ends, one.unseen = read_again(order, time.read(order.expires_at), extensions[order.id])
    if one.unseen and time.time() - one.unseen.at > settings.get("settle") then
      one.stale = describe_stale(order, one.unseen)
    end
  end, { concurrency = AT_ONCE })
  return found
end

-- Returns "END PERIOD" of the note of this name; writes the note unless another process has.
local function read_or_write(name, text, item)
  local mine = ("%d %d"):format(math.floor(item.ends), item.period)
  if not text then
    text = notes.put_new(KIND, name, mine, OF_API) and mine
      or notes.get(KIND, { name }, OF_API)[name]
  end
  local ends, period = text:match("^(%d+) (%d+)$")
  return tonumber(ends), tonumber(period)
end

-- The notes of an order are a chain: the name of each has the order and the previous end, so that
-- only one process can write the next.
local function agree(wanted)
  local list, further = {}, {}
  for name in pairs(wanted) do list[#list + 1] = name end
  local texts = notes.get(KIND, list, OF_API)
  for name, item in pairs(wanted) do
    local ends, period = read_or_write(name, texts[name], item)
    if math.abs(ends - item.ends) < period * DAY / 2 then
      item.key = ownership.renew_key(item.order, ends)
    else
      further[("%s/%d"):format(ownership.part(item.order), ends)] = item
    end
  end
  return further
end

--- Gives each extension the key that all processes use for that end of that order.
-- @param list of tables: `order` (id), `ends` (its newest known end, seconds since 1970), `period`
--   (days of the extension); the function sets `key`
-- @raise store
function M.set_keys(list)
  local wanted = {}
  for _, item in ipairs(list) do wanted[ownership.part(item.order)] = item end
  while next(wanted) do wanted = agree(wanted) end
end

return M
