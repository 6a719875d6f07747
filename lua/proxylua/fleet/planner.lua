-- What is to be done so that the current state becomes the desired one. Pure: pools and state in,
-- a plan out; then prices in, a plan with figures out. The same pools and state make the same plan,
-- and a plan that was carried out up to any action makes the rest of it.
--
-- A plan is a table that JSON can hold: `version`, `account`, `pools` (list: `pool`, as it is
-- desired; `have`; `keep`, `actions`, `notes`; `unassigned`, active orders of its kind that belong
-- to no pool: their `count`, the time of the `newest`, and three of them as `orders`; `surplus`;
-- `refused`, why none of its actions will be done; `held`, why nothing is bought for it;
-- `problems`, what could not be extended, each with its order; `total`), `notes`, `extend`, `buy`
-- and `total` (money), `balance`, `balance_after`; `refused`, why nothing of it will be done. An
-- action: `action` ("extend" or "buy"), `pool`, `key`, `type`, `quantity`, `country`, `period`,
-- `price`, and of an extension `order` and `expires_at`.

local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local ties = require "proxylua.fleet.ownership"

local M = {}

M.VERSION = 2

M.MAX_NAMED = 3 -- orders that are named where there may be thousands

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

--- Whether an order is of the kind that a pool wants.
function M.fits(pool, order)
  return order.type == pool.type and (not pool.country or not order.country or order.country
    == pool.country)
end

-- What was extended is not due before the API shows it.
local function ends_soon(pool, order, now)
  return pool.renew_before and order.expires and order.expires - now <= pool.renew_before
    and order.expires > now and not order.is_extended
end

local function keep(part, order)
  part.have = part.have + order.quantity
  table.insert(part.keep, { order = order.id, quantity = order.quantity,
    expires_at = order.expires_at })
end

-- What was not extended although it may be due.
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
    add_problem(part, order, "has an end that cannot be read (%.60s), so it is not extended",
      tostring(order.expires_at):gsub("%c", "?"))
  elseif order.is_new then
    note(part, "order %s has no expiry date yet", order.id)
  else
    add_problem(part, order, "has no expiry date, so it is not extended")
  end
end

local function describe(part, order, now)
  if order.unseen then
    note(part, "order %s %s; it counts", order.id, order.unseen)
  elseif order.stale then
    add_problem(part, order, "%s", order.stale)
  elseif order.is_extended then
    note(part, "order %s was extended already, and the API does not show it yet", order.id)
  elseif order.expires and order.expires <= now then
    note(part, "order %s is called active and ended %s ago; it counts as long as the API says so",
      order.id, duration.text(now - order.expires))
  elseif not is_active(order) then
    note(part, "order %s is called %s; it counts until fleet release %s lets it go", order.id,
      order.status, order.id)
  elseif not order.expires then
    describe_end(part, order)
  end
  if order.listed and order.listed < order.quantity and order.type ~= "residential" then
    note(part, "order %s: %d were bought and %d are there so far; all %d count", order.id,
      order.quantity, order.listed, order.quantity)
  end
end

-- Keeps an order that is due and cannot be extended now. Returns whether it is one.
local function is_hindered(part, order, running)
  local open, key = order.held_by, running[order.id]
  if open and open.running then
    note(part, "order %s may be what another process buys at the moment (key %s)", order.id,
      open.key)
  elseif open then
    add_problem(part, order, "may have come of %s, whose outcome is not known; it is not extended "
      .. "before that is settled", open.key)
    part.problems[#part.problems].unknown = true
  elseif key and key ~= order.renew_key then
    note(part, "order %s is being extended by another process (key %s)", order.id, key)
  else
    return false
  end
  keep(part, order)
  return true
end

-- Keeps what needs nothing; returns what is about to end, the nearest end first.
local function sort_out(part, orders, state)
  local due = {}
  for _, order in ipairs(orders) do
    local is_due = ends_soon(part.pool, order, state.now) and is_active(order)
    if order.unseen and not order.type then
      part.held = part.held or ("order %s %s, and how much it counts is not known; nothing is "
        .. "bought meanwhile"):format(order.id, order.unseen)
    elseif not M.fits(part.pool, order) then
      note(part, "order %s is %s, which the pool is not; it does not count", order.id,
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

-- --- what is to be done ---

local function extend(part, order)
  table.insert(part.actions, {
    action = "extend", pool = part.pool.name,
    key = order.renew_key or ties.renew_key(order.id, order.expires), order = order.id,
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

-- Orders that were paid for and never were stock stop the purchases of their pool, or each run
-- would pay once more.
local function add_failed(part, state)
  for _, order in ipairs(state.failed) do
    if order.pool == part.pool.name and order.is_returned then
      note(part, "order %s came back %s and was not charged, or was refunded; it does not count",
        order.order, order.status)
    elseif order.pool == part.pool.name then
      part.held = part.held or ("order %s came back %s, and %s; it does not count, and nothing is "
        .. "bought in its place. Ask the support; then fleet release %s lets the pool buy again"
        ):format(order.order, order.status, order.paid
        and ("%s of its price were not refunded"):format(order.paid)
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

-- --- what belongs to no pool of these ---

local function describe_nameless(part, state)
  for _, one in ipairs(state.nameless) do
    if one.pool == part.pool.name then
      note(part, "%s was placed without an order id; what came of it does not count unless it is "
        .. "adopted", one.key)
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

-- Pools of one kind share what was found for the first of them.
local function find_unassigned(plan, orders)
  local of_kind = {}
  for _, part in ipairs(plan.pools) do
    local kind = ("%s %s"):format(part.pool.type, part.pool.country or "")
    of_kind[kind] = of_kind[kind] or summary_of(orders, part.pool)
    part.unassigned = of_kind[kind]
  end
end

--- Names some of many orders: "ord_1, ord_2, ord_3 and 7 more".
-- @param ids list of those that are named
-- @param count how many there are
function M.some(ids, count)
  local more = count > #ids and (" and %d more"):format(count - #ids) or ""
  return table.concat(ids, ", ") .. more
end

-- An order may be meant for a pool that would buy once more.
local function describe_unassigned(part)
  local found = part.unassigned
  if found.count == 0 then return end
  note(part, "active orders of this kind that belong to no pool: %d (%s); fleet adopt %s ORDER "
    .. "takes one in", found.count, M.some(found.orders, found.count), part.pool.name)
end

-- A store that was lost or restored knows nothing of what it has bought.
local function refuse_existing(plan)
  for _, part in ipairs(plan.pools) do
    local found = part.unassigned
    if found.count > 0 and part.pool.quantity > 0 then
      plan.refused = ("this store knows nothing of this fleet, and the account has %d active "
        .. "order%s that would fit pool %s (%s). proxylua fleet adopt %s ORDER counts an order "
        .. "towards the pool; --ignore-existing (ignore_existing = true) buys all the same"):format(
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
    note(plan, "pool %s is not in the file; its %d are left alone", name, state.others[name])
  end
end

--- Decides, without prices.
-- @param pools list, as fleet.pools_file has them
-- @param state as fleet.snapshot has it
-- @param options table, may be left out: `ignore_existing`, buy although a store that does not know
--   the pools finds active orders that would fit
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
    describe_nameless(part, state)
    describe_unassigned(part)
  end
  describe_others(plan, state)
  plan.ignore_existing = options and options.ignore_existing or nil
  if state.is_new and not plan.ignore_existing then refuse_existing(plan) end
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
    if part.refused or part.held or #part.problems > 0 or #part.actions > 0 then return true end
  end
  return plan.refused ~= nil
end

return M
