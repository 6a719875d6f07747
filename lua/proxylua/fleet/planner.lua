-- The planner decides which actions turn the current state into the desired one. It is pure: pools
-- and state in, a plan out; then prices in, a plan with prices out. The same pools and state give
-- the same plan. After some actions of a plan were done, planning again gives the remaining ones.
--
-- A plan is a table that JSON can hold: `version`, `account`, `pools` (list: `pool`, the desired
-- one; `have`; `keep`, `actions`, `notes`; `unassigned`, active orders that fit but belong to no
-- pool: their `count`, the time of the `newest`, and up to three ids as `orders`; `surplus`;
-- `refused`, why none of its actions will be done; `held`, why nothing is bought for it;
-- `problems`, orders that could not be extended; `total`), `notes`, `extend`, `buy` and `total`
-- (money), `balance`, `balance_after`; `refused`, why the whole plan is refused. An action:
-- `action` ("extend" or "buy"), `pool`, `key`, `type`, `quantity`, `country`, `period`, `price`,
-- and for an extension `order` and `expires_at`.

local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local ownership = require "proxylua.fleet.ownership"

local M = {}

M.VERSION = 2

M.MAX_NAMED = 3 -- order ids in a message or plan; there may be thousands

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

--- Whether the type and country of an order fit a pool.
function M.fits(pool, order)
  return order.type == pool.type and (not pool.country or not order.country or order.country
    == pool.country)
end

-- An extended order is not due, even while the API still shows its old expiry date.
local function ends_soon(pool, order, now)
  return pool.renew_before and order.expires and order.expires - now <= pool.renew_before
    and order.expires > now and not order.is_extended
end

local function keep(part, order)
  part.have = part.have + order.quantity
  table.insert(part.keep, { order = order.id, quantity = order.quantity,
    expires_at = order.expires_at })
end

-- Records why an order that may be due is not extended.
local function add_problem(part, order, format, ...)
  local text = format:format(...)
  note(part, "order %s %s", order.id, text)
  table.insert(part.problems, { order = order.id, text = text })
end

local function is_active(order)
  return not order.status or order.status:lower() == "active"
end

local function describe_end(part, order)
  if (part.pool.renew_before or 0) == 0 then return end
  if order.expires_at ~= nil then
    add_problem(part, order, "has an unreadable expiry date (%.60s) and is not extended",
      tostring(order.expires_at):gsub("%c", "?"))
  elseif order.is_new then
    note(part, "order %s has no expiry date yet", order.id)
  else
    add_problem(part, order, "has no expiry date and is not extended")
  end
end

local function describe(part, order, now)
  if order.unseen then
    note(part, "order %s %s; it counts", order.id, order.unseen)
  elseif order.stale then
    add_problem(part, order, "%s", order.stale)
  elseif order.is_extended then
    note(part, "order %s was extended; the API does not show it yet", order.id)
  elseif order.expires and order.expires <= now then
    note(part, "order %s expired %s ago, but the API lists it as active; it counts until that "
      .. "changes", order.id, duration.text(now - order.expires))
  elseif not is_active(order) then
    note(part, "order %s has status %s; it counts until you run proxylua fleet release %s",
      order.id, order.status, order.id)
  elseif not order.expires then
    describe_end(part, order)
  end
  if order.listed and order.listed < order.quantity and order.type ~= "residential" then
    note(part, "order %s: %d proxies were bought, %d are set up so far; all %d count", order.id,
      order.quantity, order.listed, order.quantity)
  end
end

-- Keeps a due order if it cannot be extended now. Returns whether that is so.
local function is_hindered(part, order, running)
  local open, key = order.held_by, running[order.id]
  if open and open.running then
    note(part, "order %s may belong to a purchase that another process is making (key %s)",
      order.id, open.key)
  elseif open then
    add_problem(part, order, "may belong to purchase %s, whose outcome is unknown; it is not "
      .. "extended until that is settled (proxylua journal show %s)", open.key, open.key)
    part.problems[#part.problems].unknown = true
  elseif key and key ~= order.renew_key then
    note(part, "order %s is being extended by another process (key %s)", order.id, key)
  else
    return false
  end
  keep(part, order)
  return true
end

-- Keeps the orders that need no extension; returns the due ones, the first to expire first.
local function sort_out(part, orders, state)
  local due = {}
  for _, order in ipairs(orders) do
    local is_due = ends_soon(part.pool, order, state.now) and is_active(order)
    if order.unseen and not order.type then
      part.held = part.held or ("order %s %s, so its quantity is unknown; nothing is bought for "
        .. "the pool meanwhile"):format(order.id, order.unseen)
    elseif not M.fits(part.pool, order) then
      note(part, "order %s is %s, which does not fit the pool; it does not count", order.id,
        M.words(order))
    elseif not is_due then
      describe(part, order, state.now)
      keep(part, order)
    elseif not is_hindered(part, order, state.running) then
      due[#due + 1] = order
    end
  end
  return due
end

local function extend(part, order)
  table.insert(part.actions, {
    action = "extend", pool = part.pool.name,
    key = order.renew_key or ownership.renew_key(order.id, order.expires), order = order.id,
    type = order.type, quantity = order.quantity, country = order.country,
    period = part.pool.period, expires_at = order.expires_at,
  })
end

-- Extends due orders as long as the pool would be short of proxies without them.
local function renew(part, due, now)
  local count = part.have
  for _, order in ipairs(due) do
    part.have = part.have + order.quantity
    if count < part.pool.quantity then
      count = count + order.quantity
      extend(part, order)
    else
      note(part, "order %s is not needed and expires in %s", order.id,
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
      action = "buy", pool = pool.name, key = ownership.buy_key(pool.name, number),
      type = pool.type, quantity = quantity, country = pool.country, period = pool.period,
    })
    missing, number = missing - quantity, number + 1
  end
end

-- An order that never delivered stops the purchases of its pool, since the next one may fare alike:
-- for half a day if it was refunded, otherwise until the user has released it.
local function add_failed(part, state)
  for _, order in ipairs(state.failed) do
    if order.pool == part.pool.name and order.is_returned and order.wait > 0 then
      part.held = part.held or ("order %s has status %s and was not charged, or was refunded; "
        .. "another one is bought in %s, or at once after proxylua fleet release %s"):format(
        order.order, order.status, duration.text(order.wait), order.order)
    elseif order.pool == part.pool.name and order.is_returned then
      note(part, "order %s has status %s and was not charged, or was refunded; it does not count",
        order.order, order.status)
    elseif order.pool == part.pool.name then
      part.held = part.held or ("order %s has status %s, and %s; it does not count, and nothing is "
        .. "bought in its place. Contact support, then run proxylua fleet release %s to let the "
        .. "pool buy again"):format(order.order, order.status, order.paid
        and ("%s of its price was not refunded"):format(order.paid)
        or "the transactions do not show whether it was refunded", order.order)
    end
  end
end

local function plan_pool(pool, orders, state)
  local array = core.json.array
  local part = { pool = pool, have = 0, keep = array{}, actions = array{}, notes = array{},
    problems = array{} }
  add_failed(part, state)
  local due = sort_out(part, orders, state)
  if state.blocked[pool.name] then
    for _, order in ipairs(due) do keep(part, order) end
    part.refused, part.unknown = state.blocked[pool.name], true
    return part
  end
  local missing = pool.quantity - renew(part, due, state.now)
  if missing <= 0 then
    part.held = nil
  elseif not part.held then
    buy(part, missing, state.next[pool.name] or 1)
  end
  if part.have > pool.quantity then
    part.surplus = part.have - pool.quantity
    note(part, "%d more than wanted; they are left alone", part.surplus)
  end
  return part
end

local function describe_without_id(part, state)
  for _, one in ipairs(state.without_id) do
    if one.pool == part.pool.name then
      note(part, "purchase %s was placed without an order id; assign its order with proxylua fleet "
        .. "adopt %s ORDER, or it does not count", one.key, part.pool.name)
    end
  end
end

local function summary_of(orders, pool)
  local summary = { count = 0, orders = core.json.array{} }
  for _, order in ipairs(orders) do
    if M.fits(pool, order) then
      summary.count = summary.count + 1
      summary.newest = order.created and math.max(summary.newest or 0, order.created)
        or summary.newest
      if summary.count <= M.MAX_NAMED then table.insert(summary.orders, order.id) end
    end
  end
  return summary
end

-- Pools of one type and country share one summary.
local function find_unassigned(plan, orders)
  local of_kind = {}
  for _, part in ipairs(plan.pools) do
    local kind = ("%s %s"):format(part.pool.type, part.pool.country or "")
    of_kind[kind] = of_kind[kind] or summary_of(orders, part.pool)
    part.unassigned = of_kind[kind]
  end
end

--- Lists some of many orders: "ord_1, ord_2, ord_3 and 7 more".
-- @param ids list of the ids to show
-- @param count number of all orders
function M.some(ids, count)
  local more = count > #ids and (" and %d more"):format(count - #ids) or ""
  return table.concat(ids, ", ") .. more
end

-- The user may have meant such an order for the pool, which would otherwise buy again.
local function describe_unassigned(part)
  local found = part.unassigned
  if found.count == 0 then return end
  note(part, "active orders that would fit but belong to no pool: %d (%s); assign one with "
    .. "proxylua fleet adopt %s ORDER", found.count, M.some(found.orders, found.count),
    part.pool.name)
end

-- After its loss or its restoration from a backup, a store has no record of the fleet's orders.
local function refuse_existing(plan)
  for _, part in ipairs(plan.pools) do
    local found = part.unassigned
    if found.count > 0 and part.pool.quantity > 0 then
      plan.refused = ("the store has no record of this fleet, but the account has %d active "
        .. "order%s that would fit pool %s (%s). Run proxylua fleet adopt %s ORDER to count an "
        .. "order, or use --ignore-existing (ignore_existing = true) to buy anyway"):format(
        found.count, found.count == 1 and "" or "s", part.pool.name,
        M.some(found.orders, found.count), part.pool.name)
      return
    end
  end
end

local function describe_others(plan, state)
  local names = {}
  for name in pairs(state.others) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    note(plan, "pool %s is not in the file; its orders (quantity: %d) are left alone", name,
      state.others[name])
  end
end

--- Makes a plan without prices.
-- @param pools list, as returned by fleet.pools_file
-- @param state as returned by fleet.snapshot
-- @param options table, optional: `ignore_existing`, buy even if the store has no record of the
--   pools while active orders would fit them
-- @return plan
function M.decide(pools, state, options)
  local array = core.json.array
  local of_pool, plan = {}, { version = M.VERSION, account = state.account, pools = array{},
    notes = array{}, balance = state.balance }
  for _, order in ipairs(state.orders) do
    of_pool[order.pool] = of_pool[order.pool] or {}
    table.insert(of_pool[order.pool], order)
  end
  for at, pool in ipairs(pools) do
    plan.pools[at] = plan_pool(pool, of_pool[pool.name] or {}, state)
  end
  find_unassigned(plan, state.unassigned)
  for _, part in ipairs(plan.pools) do
    describe_without_id(part, state)
    describe_unassigned(part)
  end
  describe_others(plan, state)
  plan.ignore_existing = options and options.ignore_existing or nil
  if state.is_new and not plan.ignore_existing then refuse_existing(plan) end
  return plan
end

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
    part.refused = ("the total of %s is above max_total %s"):format(part.total, most)
  end
  return sums
end

--- Adds prices to a plan, and refuses pools above their price limits.
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

--- Lists the actions of a plan, extensions first because they are urgent.
-- @param plan
-- @param all true: include the actions of refused pools
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

--- Whether the plan has actions, refusals or problems.
function M.has_work(plan)
  for _, part in ipairs(plan.pools) do
    if part.refused or part.held or #part.problems > 0 or #part.actions > 0 then return true end
  end
  return plan.refused ~= nil
end

return M
