-- Keeps the list of a gateway: reads the orders or files that the user chose, and looks again for
-- orders that are new, changed or expired. Looks cost requests, of which an hour has a budget; what
-- does not fit in it waits. The first look is outside of it, since nothing works without.

local core = require "proxylua.core"
local country_code = require "proxylua.util.country"
local endpoints = require "proxylua.api.endpoints"
local time = require "proxylua.util.time"
local walk = require "proxylua.api.walk"

local HOUR <const> = 3600
local LATE <const> = 60 -- seconds after its end at which an order is taken for expired
local AT_ONCE <const> = 8

local Orders = {}
Orders.__index = Orders

-- --- the budget: times of the requests of the last hour ---

local function forget_old(spent)
  local now = core.task.clock()
  while spent[1] and spent[1] <= now - HOUR do table.remove(spent, 1) end
end

local function left(follower)
  if not follower.loaded then return math.huge end
  forget_old(follower.spent)
  return follower.budget - #follower.spent
end

local function spend(follower)
  if follower.loaded then table.insert(follower.spent, core.task.clock()) end
end

-- --- orders ---

local function wanted(follower, order)
  local source = follower.source
  if source.pool and follower.pools[order.id] ~= source.pool then return false end
  return (not source.type or order.type == source.type)
    and (not source.country or country_code(order.country) == country_code(source.country))
end

local function list_active(follower)
  if follower.source.pool then follower.pools = follower.owners() end
  local list, called = {}, { caller = "orders.each", endpoint = "orders.list", what = "orders" }
  local each = walk.open(function(params)
    spend(follower)
    return endpoints.orders.list(params)
  end, called, { status = "active", on_problem = follower.problem })
  for order in each do
    if wanted(follower, order) then list[#list + 1] = order end
  end
  return list
end

local function get_each(follower)
  local list = {}
  for _, id in ipairs(follower.source.orders) do
    spend(follower)
    local order = endpoints.orders.get(id)
    if order.status == "active" or order.status == nil then list[#list + 1] = order end
  end
  return list
end

-- What changes when the proxies of an order may have.
local function mark_of(order)
  return table.concat({ tostring(order.status), tostring(order.quantity),
    tostring(order.expires_at) }, "\n")
end

local function fetch(follower, order)
  spend(follower)
  local proxies, usable = endpoints.orders.proxies(order.id), {}
  for at, proxy in ipairs(proxies) do
    if proxy.unreadable then
      follower.problem(core.error.new{ kind = "protocol", endpoint = "orders.proxies",
        message = ("order %s: proxy %d cannot be used: %s"):format(order.id, at,
          proxy.unreadable) })
    else
      proxy.country = proxy.country or order.country
      usable[#usable + 1] = proxy
    end
  end
  return usable
end

-- A known order whose proxies cannot be read now keeps those that it had.
local function fetch_known(follower, order, entry)
  local ok, proxies = pcall(fetch, follower, order)
  if not ok then
    if not core.error.is(proxies) or proxies.kind == "cancelled" then error(proxies, 0) end
    follower.note("order %s: %s", order.id, proxies.message)
    return entry and entry.proxies or {}, nil
  end
  return proxies, mark_of(order)
end

local function take(follower, found, order)
  local entry, mark = follower.entries[order.id], mark_of(order)
  local proxies = entry and entry.proxies
  if not entry or entry.mark ~= mark then
    if left(follower) >= 1 then
      proxies, mark = fetch_known(follower, order, entry)
    else
      proxies, mark = proxies or {}, nil -- at a later look
    end
  end
  found[order.id] = { proxies = proxies, mark = mark, ends = time.read(order.expires_at) }
end

-- The records of all orders, in the order of the list.
local function collect(follower)
  local records = {}
  for _, id in ipairs(follower.ids) do
    table.move(follower.entries[id].proxies, 1, #follower.entries[id].proxies, #records + 1,
      records)
  end
  return records
end

local function look(follower)
  local orders = follower.source.orders and get_each(follower) or list_active(follower)
  local found, ids = {}, {}
  for at, order in ipairs(orders) do ids[at] = order.id end
  require("proxylua.tasks").map(orders, function(order) take(follower, found, order) end,
    { concurrency = AT_ONCE, results = false })
  follower.entries, follower.ids = found, ids
end

--- Reads the list for the first time.
-- @return list of proxy records
-- @raise what the API's calls raise
function Orders:first()
  look(self)
  self.loaded = true
  return collect(self)
end

-- Removes orders whose end has passed. True when there was one.
local function drop_expired(follower)
  local now, kept = core.task.now(), {}
  for _, id in ipairs(follower.ids) do
    local ends = follower.entries[id].ends
    if ends and ends + LATE < now then
      follower.entries[id] = nil
      follower.note("order %s has expired", id)
    else
      kept[#kept + 1] = id
    end
  end
  local changed = #kept < #follower.ids
  follower.ids = kept
  return changed
end

-- What one look takes at least.
local function least(follower)
  return follower.source.orders and #follower.source.orders or 1 + #follower.ids // 100
end

--- Looks again: always at the clock, and at the API when the interval has passed and the budget
-- allows it.
-- @return list of proxy records when it may have changed, else nil
function Orders:again()
  local changed = drop_expired(self)
  local now = core.task.clock()
  if now >= self.due and left(self) >= least(self) then
    self.due = now + self.interval
    local ok, err = pcall(look, self)
    if ok then
      changed = true
    elseif not core.error.is(err) or err.kind == "cancelled" then
      error(err, 0)
    else
      self.note("the list of proxies cannot be refreshed: %s", err.message)
    end
  end
  return changed and collect(self) or nil
end

-- --- files ---

local Files = {}
Files.__index = Files

local function read_all(follower)
  local records = {}
  for _, path in ipairs(follower.source.from) do
    for record in require("proxylua.proxies").each(path) do records[#records + 1] = record end
  end
  return records
end

local function print_of(paths)
  local list = {}
  for at, path in ipairs(paths) do
    local file = io.open(path, "rb")
    list[at] = file and core.digest.sha256(file:read("a")) or "absent"
    if file then file:close() end
  end
  return table.concat(list, " ")
end

--- Reads the files for the first time.
-- @return list of proxy records
-- @raise usage
function Files:first()
  self.print = self.is_stream and "" or print_of(self.source.from)
  return read_all(self)
end

--- Reads them again when they have changed. A file that cannot be read changes nothing.
function Files:again()
  if self.is_stream or core.task.clock() < self.due then return nil end
  self.due = core.task.clock() + self.interval
  local print_now = print_of(self.source.from)
  if print_now == self.print then return nil end
  self.print = print_now
  local ok, result = pcall(read_all, self)
  if ok then return result end
  if not core.error.is(result) or result.kind == "cancelled" then error(result, 0) end
  self.note("the list of proxies stays as it was: %s", result.message)
end

local M = {}

--- Begins to follow.
-- @param source table: `from`, a list of paths; or `orders`, a list of ids; or neither: all active
--   orders, of `type`, `country` and the fleet's `pool` where these are given
-- @param options table: `interval` (seconds), `budget` (requests an hour), `note`, a function that
--   reports, `problem`, a function that takes an error, and `owners`, a function that returns the
--   pool of each order
-- @return follower with the methods first and again
function M.open(source, options)
  local follower = { source = source, interval = options.interval, budget = options.budget,
    note = options.note, problem = options.problem, owners = options.owners, spent = {},
    entries = {}, ids = {}, due = core.task.clock() + options.interval }
  if not source.from then return setmetatable(follower, Orders) end
  for _, path in ipairs(source.from) do
    if core.system.kind(path) ~= "file" then follower.is_stream = true end
  end
  return setmetatable(follower, Files)
end

return M
