-- What is to be done so that the world becomes the desired one. Pure: pools and world in, a plan
-- out; then prices in, a plan with figures out. The same pools and world make the same plan, and a
-- plan that was carried out up to any action makes the rest of it.
--
-- A plan is a table that JSON can hold: `version`, `account`, `pools` (list: `pool`, as it is
-- desired; `have`; `keep`, `actions`, `notes`; `loose`, the ids of active orders of its kind that
-- belong to no pool; `surplus`; `refused`, why none of its actions will be done; `total`), `notes`,
-- `extend`, `buy` and `total` (money), `balance`, `balance_after`. An action: `action` ("extend" or
-- "buy"), `pool`, `key`, `type`, `quantity`, `country`, `period`, `price`, and of an extension
-- `order` and `expires_at`.

local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local ties = require "proxylua.fleet.ownership"

local M = {}

M.VERSION = 1

--- "10 isp in US for 30 days"
-- @param thing action or pool
function M.words(thing)
  local unit = thing.type == "residential" and " GB of" or ""
  return ("%d%s %s%s%s"):format(thing.quantity, unit, thing.type, thing.country and " in "
    .. thing.country or "",
    thing.period and (" for %d day%s"):format(thing.period, thing.period == 1 and "" or "s") or "")
end

local function note(part, format, ...)
  table.insert(part.notes, format:format(...))
end

-- --- what is there ---

local function fits(pool, order)
  return order.type == pool.type and (not pool.country or not order.country or order.country
    == pool.country)
end

local function is_due(pool, order, now)
  return pool.renew_before and order.expires and not order.renewed and order.expires - now
    <= pool.renew_before
    and order.expires > now
end

local function keep(part, order)
  part.have = part.have + order.quantity
  table.insert(part.keep, { order = order.id, quantity = order.quantity,
    expires_at = order.expires_at })
end

local function tell_of(part, order, now)
  if order.unseen then
    note(part, "order %s was bought, and the API does not show it yet; it counts", order.id)
  elseif order.expires and order.expires <= now then
    note(part, "order %s is called active and ended %s ago; it counts as long as the API says so",
      order.id,
      duration.text(now - order.expires))
  elseif order.status and order.status:lower() ~= "active" then
    note(part, "order %s is called %s; it counts until fleet release %s lets it go", order.id,
      order.status, order.id)
  elseif not order.expires and (part.pool.renew_before or 0) > 0 then
    note(part, "order %s does not tell when it ends, so nobody knows when it is to be extended",
      order.id)
  end
end

-- Keeps what needs nothing; answers what is about to end, the nearest end first.
local function sort_out(part, orders, now)
  local due = {}
  for _, order in ipairs(orders) do
    if not fits(part.pool, order) then
      note(part, "order %s is %s, which the pool is not; it does not count", order.id,
        M.words(order))
    elseif is_due(part.pool, order, now) then
      due[#due + 1] = order
    else
      tell_of(part, order, now)
      keep(part, order)
    end
  end
  return due
end

-- --- what is to be done ---

local function extend(part, order)
  table.insert(part.actions, {
    action = "extend", pool = part.pool.name, key = ties.renew_key(order.id, order.expires),
      order = order.id,
    type = order.type, quantity = order.quantity, country = order.country,
      period = part.pool.period,
    expires_at = order.expires_at,
  })
end

-- Those that end are extended as long as the pool would be short without them.
local function renew(part, due, now)
  local count = part.have
  for _, order in ipairs(due) do
    part.have = part.have + order.quantity
    if count < part.pool.quantity then
      count = count + order.quantity
      extend(part, order)
    else
      note(part, "order %s is not needed and ends in %s", order.id,
        duration.text(order.expires - now))
    end
  end
  return count
end

local function buy(part, missing, number)
  local pool = part.pool
  while missing > 0 do
    local quantity = math.min(missing, pool.batch or missing)
    table.insert(part.actions, {
      action = "buy", pool = pool.name, key = ties.buy_key(pool.name, number), type = pool.type,
        quantity = quantity,
      country = pool.country, period = pool.period,
    })
    missing, number = missing - quantity, number + 1
  end
end

local function plan_pool(pool, orders, world)
  local array = core.json.array
  local part = { pool = pool, have = 0, keep = array{}, actions = array{}, notes = array{},
    loose = array{} }
  local due = sort_out(part, orders, world.now)
  if world.blocked[pool.name] then
    for _, order in ipairs(due) do keep(part, order) end
    part.refused, part.unknown = world.blocked[pool.name], true
    return part
  end
  local count = renew(part, due, world.now)
  buy(part, pool.quantity - count, world.next[pool.name] or 1)
  if part.have > pool.quantity then
    part.surplus = part.have - pool.quantity
    note(part, "%d more than wanted; they are left alone", part.surplus)
  end
  return part
end

local function tell_of_nameless(part, world)
  for _, one in ipairs(world.nameless) do
    if one.pool == part.pool.name then
      note(part, "%s was placed, and nobody said as which order; what came of it does not count "
        .. "unless it is adopted",
        one.key)
    end
  end
end

-- Something may be meant for a pool that would be bought once more.
local function tell_of_others(plan, world)
  for _, part in ipairs(plan.pools) do
    tell_of_nameless(part, world)
    local ids = part.loose
    for _, order in ipairs(world.loose) do
      if fits(part.pool, order) then ids[#ids + 1] = order.id end
    end
    if #ids > 0 then
      local more = #ids > 3 and (" and %d more"):format(#ids - 3) or ""
      note(part, "active orders of this kind that belong to no pool: %d (%s%s); fleet adopt %s "
        .. "ORDER takes one "
        .. "in", #ids, table.concat(ids, ", ", 1, math.min(3, #ids)), more, part.pool.name)
    end
  end
  local names = {}
  for name in pairs(world.strangers) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    note(plan, "pool %s is not in the file; its %d are left alone", name, world.strangers[name])
  end
end

--- Decides, without prices.
-- @param pools list, as fleet.file has them
-- @param world as fleet.world has it
-- @return plan
function M.decide(pools, world)
  local of_pool, plan = {}, { version = M.VERSION, account = world.account,
    pools = core.json.array{},
    notes = core.json.array{}, balance = world.balance }
  for _, order in ipairs(world.orders) do
    of_pool[order.pool] = of_pool[order.pool] or {}
    table.insert(of_pool[order.pool], order)
  end
  for at, pool in ipairs(pools) do
    plan.pools[at] = plan_pool(pool, of_pool[pool.name] or {}, world)
  end
  tell_of_others(plan, world)
  return plan
end

-- --- figures ---

local function check_unit_price(part, action)
  local most = part.pool.max_unit_price
  if part.refused or not most or action.price <= most * action.quantity then return end
  part.refused = ("%s%s cost %s, %s each, above max_unit_price %s"):format(action.order
    and action.order .. ", " or "",
    M.words(action), action.price, action.price / action.quantity, most)
end

local function add_up(part, price_of)
  local sums = { extend = core.money(0), buy = core.money(0) }
  for _, action in ipairs(part.actions) do
    action.price = price_of(action)
    sums[action.action] = sums[action.action] + action.price
    check_unit_price(part, action)
  end
  part.total = sums.extend + sums.buy
  local most = part.pool.max_total
  if most and not part.refused and part.total > most then
    part.refused = ("all of it costs %s, above max_total %s"):format(part.total, most)
  end
  return sums
end

--- Puts prices on a plan, and refuses what is too dear.
-- @param plan changed in place
-- @param price_of function of an action: money
-- @return the plan
function M.price(plan, price_of)
  plan.extend, plan.buy = core.money(0), core.money(0)
  for _, part in ipairs(plan.pools) do
    local sums = add_up(part, price_of)
    if not part.refused then
      plan.extend, plan.buy = plan.extend + sums.extend, plan.buy + sums.buy
    end
  end
  plan.total = plan.extend + plan.buy
  plan.balance_after = plan.balance and plan.balance - plan.total
  return plan
end

--- All actions, of the pools that are not refused unless told otherwise: extensions first, which
-- cannot wait.
-- @param plan
-- @param all true: the refused ones too
-- @return list
function M.actions(plan, all)
  local list = core.json.array{}
  for _, kind in ipairs{ "extend", "buy" } do
    for _, part in ipairs(plan.pools) do
      for _, action in ipairs(all and part.actions or not part.refused and part.actions or {}) do
        if action.action == kind then list[#list + 1] = action end
      end
    end
  end
  return list
end

--- Whether there is something to do, or something that ought to be done and is refused.
function M.has_work(plan)
  for _, part in ipairs(plan.pools) do
    if part.refused or #part.actions > 0 then return true end
  end
  return false
end

return M
