-- Saved plans: reading, writing, and whether a plan is still up to date. Actions of the plan that
-- an interrupted run has carried out do not make it out of date.

local core = require "proxylua.core"
local file = require "proxylua.fleet.pools_file"
local planner = require "proxylua.fleet.planner"
local time = require "proxylua.util.time"

local M = {}

local PRIVATE <const> = 384 -- 0600
local DAY <const>, HOUR <const>, MINUTE <const> = 86400, 3600, 60

local function refuse(from, format, ...)
  core.error.raise{ kind = "config", message = from .. ": " .. format:format(...) }
end

--- Whether a text is a saved plan rather than a list of pools.
function M.is_plan(content)
  return content:find("^%s*{") ~= nil
end

--- Saves a plan atomically in a file that only its owner can read. It overwrites another plan, but
-- never a file that the user has written, such as the pools file.
-- @raise store; config, also when the plan would be too large to be read
function M.save(plan, path)
  local content = core.system.kind(path) == "file" and file.text(path)
  if content and content ~= "" and not M.is_plan(content) then
    refuse(path, "the file exists and is not a saved plan. Use another file name")
  end
  local encoded = core.json.encode(plan, { indent = 2 }) .. "\n"
  if #encoded > file.MAX_BYTES then
    refuse(path, "the plan has %d bytes (maximum: %d). Split the pools into several files",
      #encoded, file.MAX_BYTES)
  end
  core.system.write_file(path, encoded, PRIVATE)
end

local function amount(from, value, what)
  local ok, money = pcall(core.money.new, value)
  if not ok then refuse(from, "%s is not an amount", what) end
  return money
end

local function text(from, value, what)
  if type(value) ~= "string" or value == "" then refuse(from, "%s is missing", what) end
  return value
end

local function read_action(from, pool, action)
  if type(action) ~= "table" or action.action ~= "buy" and action.action ~= "extend" then
    refuse(from, "pool %s has an action that is neither buy nor extend", pool)
  end
  text(from, action.key, "the key of an action")
  if action.action == "extend" then text(from, action.order, "the order of an extension") end
  if not math.tointeger(action.quantity) then
    refuse(from, "the quantity of %s is missing", action.key)
  end
  action.price = amount(from, action.price, "the price of " .. action.key)
  action.pool = pool
end

local function read_list(from, value, what)
  if type(value) ~= "table" then refuse(from, "%s is not a list", what) end
  return value
end

local function read_part(from, part)
  if type(part) ~= "table" then refuse(from, "a pool is not a table") end
  part.pool = file.check({ part.pool }, from, true)[1]
  for _, name in ipairs{ "keep", "actions", "notes", "problems" } do
    read_list(from, part[name], ("%s of pool %s"):format(name, part.pool.name))
  end
  local unassigned = part.unassigned
  if type(unassigned) ~= "table" or not math.tointeger(unassigned.count)
    or type(unassigned.orders) ~= "table" then
    refuse(from, "unassigned of pool %s is missing", part.pool.name)
  end
  for _, action in ipairs(part.actions) do read_action(from, part.pool.name, action) end
end

--- Checks a decoded plan.
-- @param plan table
-- @param from string, the origin of the plan, for messages
-- @return the plan, with its amounts as money
-- @raise config
function M.check(plan, from)
  if type(plan) ~= "table" or plan.version ~= planner.VERSION then
    refuse(from, "not a plan of this version of proxylua. Run proxylua fleet plan again")
  end
  for _, part in ipairs(read_list(from, plan.pools, "pools")) do read_part(from, part) end
  plan.total = amount(from, plan.total, "total")
  return plan
end

--- Reads a saved plan.
-- @raise config
function M.parse(content, from)
  local ok, plan = pcall(core.json.decode, content)
  if not ok then refuse(from, "not a plan: %s", plan.message or tostring(plan)) end
  return M.check(plan, from)
end

local function describe(action)
  return ("%s %s%s"):format(action.action == "buy" and "+ buy" or "~ extend",
    action.order and action.order .. ", " or "", planner.words(action))
end

local function by_key(actions)
  local found = {}
  for _, action in ipairs(actions) do found[action.key] = action end
  return found
end

local function is_same(a, b)
  for _, name in ipairs{ "action", "pool", "order", "type", "quantity", "country", "period" } do
    if a[name] ~= b[name] then return false end
  end
  return true
end

local function compare_actions(moved, planned, fresh)
  local after, before = by_key(fresh), by_key(planned)
  for _, action in ipairs(planned) do
    local now = after[action.key]
    if not now or not is_same(action, now) then
      moved[#moved + 1] = ("pool %s: %s is no longer needed"):format(action.pool, describe(action))
    elseif now.price ~= action.price then
      moved[#moved + 1] = ("pool %s: %s cost %s, now it costs %s"):format(action.pool,
        describe(action), action.price, now.price)
    end
  end
  for _, action in ipairs(fresh) do
    if not before[action.key] then
      moved[#moved + 1] = ("pool %s: %s is needed now"):format(action.pool, describe(action))
    end
  end
end

-- The expiry dates of the orders that a plan names: order id -> text, "" without one.
local function ends_of(part)
  local ends = {}
  for _, order in ipairs(part.keep) do ends[order.order] = order.expires_at or "" end
  for _, action in ipairs(part.actions) do
    if action.order then ends[action.order] = action.expires_at end
  end
  return ends
end

-- The same end differs by seconds between two responses.
local function same_end(a, b, period)
  if a == b then return true end
  local first, second = time.read(a), time.read(b)
  local slack = period and period * DAY / 2 or HOUR
  return first ~= nil and second ~= nil and math.abs(first - second) < slack
end

local function compare_orders(moved, planned, fresh, done)
  local name, before, after = planned.pool.name, ends_of(planned), ends_of(fresh)
  local ours = {}
  for _, action in ipairs(planned.actions) do
    if done[action.key] then ours[action.order or done[action.key]] = true end
  end
  for id, ends in pairs(before) do
    if not after[id] then
      moved[#moved + 1] = ("pool %s: order %s has ended, or is about to expire"):format(name, id)
    elseif not same_end(after[id], ends, planned.pool.period) and not ours[id] then
      moved[#moved + 1] = ("pool %s: the expiry date of order %s was %s and is now %s"):format(name,
        id, ends, after[id])
    end
  end
  for id in pairs(after) do
    if not before[id] and not ours[id] then
      moved[#moved + 1] = ("pool %s: order %s is new"):format(name, id)
    end
  end
end

-- Orders that fit a pool, belong to none and did not exist when the plan was made: their number,
-- and the candidates, newest first.
local function new_unassigned(before, pool, orders)
  local known, since = {}, (before.newest or math.huge) + MINUTE
  for _, id in ipairs(before.orders) do known[id] = true end
  local count, later, unknown = -before.count, 0, {}
  for _, order in ipairs(orders) do
    if planner.fits(pool, order) then
      count = count + 1
      if (order.created or 0) > since then later = later + 1 end
      if not known[order.id] then unknown[#unknown + 1] = order end
    end
  end
  table.sort(unknown, function(a, b)
    local first, second = a.created or math.huge, b.created or math.huge
    return first > second or first == second and a.id < b.id
  end)
  return math.min(math.max(count, later), #unknown), unknown
end

-- The user may have bought outside the fleet what the pool is about to buy. Pools of one kind share
-- the comparison.
local function compare_unassigned(moved, planned, orders, of_kind)
  local pool = planned.pool
  local name, kind = pool.name, ("%s %s"):format(pool.type, pool.country or "")
  of_kind[kind] = of_kind[kind]
    or table.pack(new_unassigned(planned.unassigned, pool, orders))
  local count, unknown = table.unpack(of_kind[kind])
  for at = 1, math.min(count, planner.MAX_NAMED) do
    local id = unknown[at].id
    moved[#moved + 1] = (
      "pool %s: order %s is new, fits and belongs to no pool; assign it with proxylua fleet adopt "
      .. "%s %s"):format(name, id, name, id)
  end
  if count > planner.MAX_NAMED then
    moved[#moved + 1] = ("pool %s: %d more new orders fit and belong to no pool"):format(name,
      count - planner.MAX_NAMED)
  end
end

--- What has changed since a plan was made.
-- @param planned
-- @param fresh current plan of the same pools, with prices
-- @param done table: key -> order, of the actions of the plan that were placed
-- @param unassigned active orders of no pool, as returned by fleet.snapshot
-- @return sorted list of strings; empty if nothing has changed
function M.moved(planned, fresh, done, unassigned)
  if planned.account ~= fresh.account then
    return { ("the plan belongs to account %s, but the key belongs to account %s"):format(
      tostring(planned.account), tostring(fresh.account)) }
  end
  local moved, left, buys, of_kind = {}, {}, {}, {}
  for _, action in ipairs(planner.actions(planned)) do
    if not done[action.key] then
      left[#left + 1] = action
      buys[action.pool] = buys[action.pool] or action.action == "buy"
    end
  end
  for at, part in ipairs(planned.pools) do
    compare_orders(moved, part, fresh.pools[at], done)
    if buys[part.pool.name] then compare_unassigned(moved, part, unassigned, of_kind) end
    if fresh.pools[at].refused and not part.refused then
      moved[#moved + 1] = ("pool %s: %s"):format(part.pool.name, fresh.pools[at].refused)
    end
  end
  compare_actions(moved, left, planner.actions(fresh))
  table.sort(moved)
  return moved
end

return M
