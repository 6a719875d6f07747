-- A plan that is kept in a file until it is applied, and whether the world is still the one that it
-- was made for. What the plan itself has done since, in a run that broke off, is no change.

local core = require "proxylua.core"
local file = require "proxylua.fleet.pools_file"
local planner = require "proxylua.fleet.planner"

local M = {}

local PRIVATE <const> = 384 -- 0600

local function refuse(from, format, ...)
  core.error.raise{ kind = "config", message = from .. ": " .. format:format(...) }
end

--- Whether a text is a kept plan, and no list of pools.
function M.is_plan(content)
  return content:find("^%s*{") ~= nil
end

--- Keeps a plan, whole or not at all, in a file that is its owner's alone. It takes the place of
-- another plan, and not of what somebody may have written by hand, such as the pools that it was
-- made from.
-- @raise store; config
function M.save(plan, path)
  local content = core.system.kind(path) == "file" and file.text(path)
  if content and content ~= "" and not M.is_plan(content) then
    refuse(path, "is there and holds no plan; name another file to keep this one in")
  end
  core.system.write_file(path, core.json.encode(plan, { indent = 2 }) .. "\n", PRIVATE)
end

-- --- reading ---

local function amount(from, value, what)
  local ok, money = pcall(core.money.new, value)
  if not ok then refuse(from, "%s is no amount", what) end
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
  if type(value) ~= "table" then refuse(from, "%s is no list", what) end
  return value
end

local function read_part(from, part)
  if type(part) ~= "table" then refuse(from, "a pool is no table") end
  part.pool = file.check({ part.pool }, from)[1]
  for _, name in ipairs{ "keep", "actions", "notes", "loose" } do
    read_list(from, part[name], ("%s of pool %s"):format(name, part.pool.name))
  end
  for _, action in ipairs(part.actions) do read_action(from, part.pool.name, action) end
end

--- Checks a plan that was read from somewhere.
-- @param plan decoded
-- @param from where it is from, for messages
-- @return the plan, with its amounts as money
-- @raise config
function M.check(plan, from)
  if type(plan) ~= "table" or plan.version ~= planner.VERSION then
    refuse(from, "is no plan of this version of the program; make it again")
  end
  for _, part in ipairs(read_list(from, plan.pools, "pools")) do read_part(from, part) end
  plan.total = amount(from, plan.total, "total")
  return plan
end

--- Reads a kept plan.
-- @raise config
function M.parse(content, from)
  local ok, plan = pcall(core.json.decode, content)
  if not ok then refuse(from, "is no plan: %s", plan.message or tostring(plan)) end
  return M.check(plan, from)
end

-- --- what moved ---

local function tell(action)
  return ("%s %s%s"):format(action.action == "buy" and "+ buy" or "~ extend",
    action.order and action.order .. ", " or "", planner.words(action))
end

local function by_key(actions)
  local found = {}
  for _, action in ipairs(actions) do found[action.key] = action end
  return found
end

local function same_thing(a, b)
  for _, name in ipairs{ "action", "pool", "order", "type", "quantity", "country", "period" } do
    if a[name] ~= b[name] then return false end
  end
  return true
end

local function compare_actions(moved, planned, fresh)
  local after, before = by_key(fresh), by_key(planned)
  for _, action in ipairs(planned) do
    local now = after[action.key]
    if not now or not same_thing(action, now) then
      moved[#moved + 1] = ("pool %s: %s is not what is needed any more"):format(action.pool,
        tell(action))
    elseif now.price ~= action.price then
      moved[#moved + 1] = ("pool %s: %s cost %s and costs %s now"):format(action.pool, tell(action),
        action.price,
        now.price)
    end
  end
  for _, action in ipairs(fresh) do
    if not before[action.key] then
      moved[#moved + 1] = ("pool %s: %s is needed now"):format(action.pool, tell(action))
    end
  end
end

-- The ends of the orders that a plan knows by their ids; true: it was about to move that.
local function ends_of(part)
  local ends = {}
  for _, order in ipairs(part.keep) do ends[order.order] = order.expires_at or "" end
  for _, action in ipairs(part.actions) do
    if action.order then ends[action.order] = action.expires_at end
  end
  return ends
end

local function compare_orders(moved, planned, fresh, done)
  local name, before, after = planned.pool.name, ends_of(planned), ends_of(fresh)
  local ours = {}
  for _, action in ipairs(planned.actions) do
    if done[action.key] then ours[action.order or done[action.key]] = true end
  end
  for id, ends in pairs(before) do
    if not after[id] then
      moved[#moved + 1] = ("pool %s: order %s has gone, or is about to end"):format(name, id)
    elseif after[id] ~= ends and not ours[id] then
      moved[#moved + 1] = ("pool %s: order %s ended %s and ends %s now"):format(name, id, ends,
        after[id])
    end
  end
  for id in pairs(after) do
    if not before[id] and not ours[id] then
      moved[#moved + 1] = ("pool %s: order %s has come"):format(name, id)
    end
  end
end

-- What a pool is about to buy, somebody may have bought by hand in the meantime.
local function compare_loose(moved, planned, fresh, left)
  local name, before, buys = planned.pool.name, {}, false
  for _, id in ipairs(planned.loose) do before[id] = true end
  for _, action in ipairs(left) do buys = buys or action.action == "buy" and action.pool == name end
  for _, id in ipairs(buys and fresh.loose or {}) do
    if not before[id] then
      moved[#moved + 1] = (
        "pool %s: order %s of this kind has come, and belongs to no pool; fleet adopt %s %s takes "
        .. "it in"):format(name, id, name, id)
    end
  end
end

--- What has moved since a plan was made.
-- @param planned
-- @param fresh plan of the same pools in the world of now, with prices
-- @param done table: key -> order, of the actions of the plan that were placed
-- @return list of texts, sorted; empty when nothing has
function M.moved(planned, fresh, done)
  if planned.account ~= fresh.account then
    return { ("the plan is of account %s, and this is %s"):format(tostring(planned.account),
      tostring(fresh.account)) }
  end
  local moved, left = {}, {}
  for _, action in ipairs(planner.actions(planned)) do
    if not done[action.key] then left[#left + 1] = action end
  end
  for at, part in ipairs(planned.pools) do
    compare_orders(moved, part, fresh.pools[at], done)
    compare_loose(moved, part, fresh.pools[at], left)
    if fresh.pools[at].refused and not part.refused then
      moved[#moved + 1] = ("pool %s: %s"):format(part.pool.name, fresh.pools[at].refused)
    end
  end
  compare_actions(moved, left, planner.actions(fresh))
  table.sort(moved)
  return moved
end

return M
