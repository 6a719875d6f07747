--- Renewal: extends the orders that end soon, each once from one end on.
-- @module px.renew

local apply = require "proxylua.fleet.apply"
local clock = require "proxylua.util.clock"
local core = require "proxylua.core"
local country_code = require "proxylua.util.country"
local duration = require "proxylua.util.duration"
local endpoints = require "proxylua.api.endpoints"
local health = require "proxylua.check.sample"
local names = require "proxylua.util.names"
local pages = require "proxylua.api.pages"
local planner = require "proxylua.fleet.planner"
local quote = require "proxylua.api.quote"
local ties = require "proxylua.fleet.ownership"
local time = require "proxylua.util.time"
local work = require "proxylua.fleet.run"

local M = {}

local USUAL_PERIOD = 30
local USUAL_SHARE = 0.5
local OF_ONE = { invalid = true, not_found = true } -- errors that say nothing of other orders

local known = { within = true, period = true, type = true, country = true, pool = true, only = true,
  checked = true, check_url = true }
local texts = { "type", "country", "pool", "check_url" }

-- The share of an order's proxies that must work, nil when nobody asked.
local function share_of(checked)
  if not checked then return nil end
  local share = checked == true and USUAL_SHARE or checked
  if type(share) == "number" and share > 0 and share <= 1 then return share end
  names.usage("px.renew: checked is true, or the share of the proxies that must work, above 0 and "
    .. "at most 1; got %s",
    tostring(checked))
end

local function country_of(code)
  return code and (country_code(code)
    or names.usage("px.renew: country is a code of two letters, such as US, got %s", code))
end

local function check_options(options)
  if type(options) ~= "table" then
    names.usage("px.renew takes its options as a table, got a %s", type(options))
  end
  names.check("px.renew", options, known)
  if options.within == nil then
    names.usage("px.renew: within is missing, the duration in which orders end")
  end
  local wanted = { within = duration.seconds(options.within, "within"), only = options.only }
  local period = options.period == nil and USUAL_PERIOD or options.period
  wanted.period = math.type(period) == "integer" and period >= 1 and period
    or names.usage("px.renew: period is a number of days, got %s", tostring(period))
  for _, name in ipairs(texts) do
    wanted[name] = options[name]
    if wanted[name] ~= nil and type(wanted[name]) ~= "string" then
      names.usage("px.renew: %s is a text", name)
    end
  end
  wanted.country = country_of(wanted.country)
  wanted.checked = share_of(options.checked)
  if wanted.only ~= nil and type(wanted.only) ~= "function" then
    names.usage("px.renew: only is a function")
  end
  return wanted
end

-- --- which ---

local function is_wanted(order, wanted)
  return order.id and (not wanted.country or country_code(order.country) == wanted.country)
end

-- Those that are due, the nearest end first; and those of which nobody knows when they are.
local function list(wanted, now)
  local due, endless = {}, {}
  for order in pages.orders.each{ status = "active", type = wanted.type } do
    if is_wanted(order, wanted) then
      local ends = time.read(order.expires_at)
      if not ends then
        endless[#endless + 1] = order
      elseif ends - now <= wanted.within then
        due[#due + 1] = order
      end
    end
  end
  table.sort(due, function(a, b)
    local first, second = time.time(a.expires_at), time.time(b.expires_at)
    return first < second or first == second and a.id < b.id
  end)
  return due, endless
end

local function action_of(order, wanted)
  return {
    action = "extend", key = ties.renew_key(order.id, time.time(order.expires_at)),
      order = order.id, type = order.type,
    quantity = math.tointeger(tonumber(order.quantity)), country = order.country,
      period = wanted.period,
    expires_at = order.expires_at,
  }
end

-- What the journal says of these, once what was left open is looked up: found, and key -> why
-- nobody knows.
local function read_journal(actions, progress)
  local found, mine, unknown = ties.read(), {}, {}
  for _, action in ipairs(actions) do mine[action.key] = true end
  if ties.look_up(found.open, function(entry)
    return mine[entry.key]
  end, progress) then found = ties.read() end
  for _, entry in ipairs(found.open) do
    if mine[entry.key] and not entry.running then unknown[entry.key] = ties.way_out(entry) end
  end
  return found, unknown
end

local function failure(order, wanted)
  if not wanted.checked then return nil end
  local working, count = health.look(order.id, wanted.check_url)
  if count > 0 and working >= wanted.checked * count then return nil end
  return ("failed the check: %d of %d proxies work"):format(working, count)
end

-- Why an order is left alone: a word, and a sentence; nil when it is not.
local function reason(order, action, wanted, found, unknown, now)
  local expires = time.time(order.expires_at)
  if unknown[action.key] then return "unknown", unknown[action.key] end
  if found.renewed[action.key] then
    return "renewed", "was extended already, and the API does not show it yet"
  end
  if expires <= now then
    return "past", ("is called active and ended %s ago; it is not extended"):format(
      duration.text(now - expires))
  end
  if not action.type or not action.quantity then
    return "vague", "cannot be priced: the API does not say what it is"
  end
  if wanted.only and not wanted.only(order) then return "unwanted", "is left out" end
  local failed = failure(order, wanted)
  if failed then return "failed", failed end
end

-- A pool that nobody has heard of is misspelt; one whose orders have all ended is not.
local function check_pool(name, found)
  local pools = ties.pools(found)
  if not name or pools[name] then return end
  local nearest = names.nearest(name, pools)
  names.usage("px.renew: there is no pool %s%s; proxylua fleet status shows them", name,
    nearest and (", did you mean %s?"):format(nearest) or "")
end

local function of_pool(order, wanted, found)
  local tie = found.ties[order.id]
  return not wanted.pool or tie ~= nil and tie.pool == wanted.pool
end

local function tell_endless(plan, orders, wanted, found)
  for _, order in ipairs(orders) do
    local is_meant = of_pool(order, wanted, found) and (not wanted.only or wanted.only(order))
    if is_meant then table.insert(plan.endless, order.id) end
  end
end

-- --- what it costs ---

local function decide(wanted, progress)
  local array, actions = core.json.array, {}
  local plan = { actions = array{}, skipped = array{}, endless = array{},
    balance = endpoints.account.get().balance }
  local now = clock() -- which that answer has told
  local due, endless = list(wanted, now)
  for at, order in ipairs(due) do actions[at] = action_of(order, wanted) end
  local found, unknown = read_journal(actions, progress)
  check_pool(wanted.pool, found)
  tell_endless(plan, endless, wanted, found)
  for at, order in ipairs(due) do
    if of_pool(order, wanted, found) then
      local why, text = reason(order, actions[at], wanted, found, unknown, now)
      if why then
        table.insert(plan.skipped, { order = order.id, why = why, text = text,
          expires_at = order.expires_at })
      else
        table.insert(plan.actions, actions[at])
      end
    end
  end
  return plan
end

local function price(plan, options)
  local price_of = quote.prices(plan.actions, planner.words, options.progress)
  plan.total = core.money(0)
  for _, action in ipairs(plan.actions) do
    action.price = price_of(action)
    plan.total = plan.total + action.price
  end
  plan.balance_after = plan.balance and plan.balance - plan.total
  return plan
end

local function raise_unknown(plan, report)
  for _, order in ipairs(plan.skipped) do
    if order.why == "unknown" then
      core.error.raise{ kind = "outcome_unknown", charge = "unknown", details = report,
        message = ("order %s: %s"):format(order.order, order.text) }
    end
  end
end

--- Extends what ends soon, and shows how far it is.
-- @param options as px.renew has them
-- @param shown options of proxylua.fleet.run
-- @return report
-- @raise what px.renew raises
function M.run(options, shown)
  local plan = price(decide(check_options(options), shown.progress), shown)
  shown.planned(plan)
  apply.check(plan.total, plan.balance, shown.budget)
  local report = apply.run(plan.actions, shown, OF_ONE)
  report.skipped, report.endless = plan.skipped, plan.endless
  raise_unknown(plan, report)
  return report
end

--- Extends the active orders that end within a duration, the nearest end first, as far as the run
-- is allowed to spend. All are quoted first, and nothing is extended when the balance cannot pay
-- for all. From one end on an order is extended once, however often this runs, so it is safe to run
-- again. An extension that fails stops those that follow, unless the API refuses that order alone:
-- 400, 404 or 409.
-- @function px.renew
-- @param options table: `within`, a duration such as "3d"; `period`, the additional days (30); only
--   those of a `type`, a `country`, or a `pool` (px.fleet); `checked`, true or a share: only those
--   of whose proxies at least half, or that share, fetch a page now, that at `check_url` or else
--   the setting check_url; `only`, a function of an order that answers whether it is extended
-- @return report, a table: `done` (list of what was extended: `order`, `expires_at`, `price`),
--   `skipped` (list of those that end and were left alone: `order`, `why`: past, renewed, failed,
--   unwanted, vague or unknown, and `text`), `endless` (ids of active orders that do not tell when
--   they end, so that nobody knows whether they are due), `left`, `spent`
-- @raise funds; spend_refused; outcome_unknown; what px.orders.extend raises, of the extension that
--   failed, with the report as details; usage
-- @usage local report = px.renew{ within = "31d", period = 7 }
-- print(#report.done, report.spent, #px.renew{ within = "31d", period = 7 }.done)  --> 1  1.12  0
function M.renew(options)
  return M.run(options, work.quiet)
end

return M
