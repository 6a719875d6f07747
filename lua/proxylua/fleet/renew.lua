--- Renewal: extends orders that expire soon, each once per expiry date.
-- @module px.renew

local apply = require "proxylua.fleet.apply"
local clock = require "proxylua.util.clock"
local core = require "proxylua.core"
local country_code = require "proxylua.util.country"
local declare = require("proxylua.util.options").declare
local duration = require "proxylua.util.duration"
local endpoints = require "proxylua.api.endpoints"
local ends = require "proxylua.fleet.ends"
local failed = require "proxylua.fleet.failed"
local health = require "proxylua.check.sample"
local names = require "proxylua.util.names"
local pages = require "proxylua.api.pages"
local planner = require "proxylua.fleet.planner"
local quote = require "proxylua.api.quote"
local ownership = require "proxylua.fleet.ownership"
local time = require "proxylua.util.time"
local run = require "proxylua.fleet.run"

local M = {}

local DAY <const>, HOUR <const> = 86400, 3600
local MAX_NAMED <const> = 10 -- orders that an error names
local USUAL_PERIOD = 30
local USUAL_SHARE = 50 -- percent
local OF_ONE = { invalid = true, not_found = true } -- errors that concern a single order

-- true stands for the usual share.
local share = {
  read = function(value)
    local percent = value == true and USUAL_SHARE or tonumber(value)
    return percent and percent > 0 and percent <= 100 and percent or nil
  end,
  expected = "a percentage above 0 and up to 100", doc = "percentage or true",
  meta = "number|true",
}

local renew_options = declare("px.renew", {
  { "within", "duration", "extend orders that expire within this", required = true },
  { "period", "integer", "the additional days, longer than `within`", min = 1,
    default = USUAL_PERIOD },
  { "type", "string", "only orders of this type" },
  { "country", "country", "only orders of this country" },
  { "pool", "string", "only orders of this pool of a fleet" },
  { "checked", share, "only orders of which at least this share of the proxies works" },
  { "check_url", "string", "page for that check", usual = "the setting check_url" },
  { "only", "function", "gets an order and returns whether to extend it",
    meta = "fun(order: order): boolean" },
})

--- Refuses a period after which the order would be due again at once, in every run.
-- @param within seconds
-- @param period days; nil: the default
-- @param named list of the caller's names for the two, for messages
-- @raise usage
function M.check_period(within, period, named)
  period = period or USUAL_PERIOD
  if period < 1 or within < period * DAY then return end
  names.usage("%s (%s) must be shorter than %s (%d day%s), or each run extends the same orders "
    .. "again", named[1], duration.text(within), named[2], period, period == 1 and "" or "s")
end

local function check_options(given)
  local wanted = renew_options(given)
  M.check_period(wanted.within, wanted.period, { "px.renew: within", "period" })
  return wanted
end

local function is_wanted(order, wanted)
  local country = country_code(order.country)
  return not wanted.country or country == wanted.country
    or country == nil and order.country ~= nil -- an unreadable country is reported later
end

-- The active orders that are due according to the list, those without a readable end, and the
-- problems of reading the list.
local function list(wanted, now)
  local due, without_end, problems = {}, {}, {}
  local function note(err) problems[#problems + 1] = err.message end
  local orders = pages.orders.each{ status = "active", type = wanted.type, on_problem = note }
  for order in orders do
    local shown = time.read(order.expires_at)
    local is_meant = is_wanted(order, wanted) and not failed.is_over(order)
    if is_meant and not shown then
      without_end[#without_end + 1] = order
    elseif is_meant and shown - now <= wanted.within then
      due[#due + 1] = order
    end
  end
  return due, without_end, problems
end

local function action_of(order, wanted, key)
  return {
    action = "extend", key = key, order = order.id, type = order.type,
    quantity = math.tointeger(tonumber(order.quantity)), country = order.country,
    period = wanted.period, expires_at = order.expires_at,
  }
end

local function ids_of(...)
  local ids, listed = {}, {}
  for _, orders in ipairs{ ... } do
    for _, order in ipairs(orders) do
      local id = order.id
      if id and not listed[id] then ids[#ids + 1], listed[id] = id, true end
    end
  end
  return ids
end

-- Reads the journal after looking up open extensions, and open purchases that due orders may belong
-- to.
local function read_journal(due, without_end, progress)
  local ids, matters = ids_of(due, without_end), {}
  local found = ownership.read(ids, {})
  for _, order in ipairs(due) do
    local open = ownership.open_purchase(order, found)
    if open then matters[open.key] = true end
  end
  local looked = ownership.look_up(found.open, function(entry)
    return entry.order ~= nil or matters[entry.key]
  end, progress)
  return looked and ownership.read(ids, {}) or found
end

-- The outcome of an extension that an earlier run left open, nil while it is still open.
local function outcome_of(open)
  local entry = core.journal.get(open.key)
  if not entry or entry.open then return nil end
  local text = "was not extended by an earlier, interrupted run (key %s)"
  if entry.state == "placed" then
    text = "was extended by an earlier, interrupted run (key %s)"
  end
  return { order = open.order, key = open.key, state = entry.state, price = entry.price,
    text = text:format(open.key) }
end

local function add_settled(plan, before)
  for _, open in ipairs(before) do
    table.insert(plan.settled, not open.running and outcome_of(open) or nil)
  end
end

local function failure(order, wanted)
  if not wanted.checked then return nil end
  local working, count = health.look(order.id, wanted.check_url)
  if count > 0 and working * 100 >= wanted.checked * count then return nil end
  return ("failed the check: %d of %d proxies work"):format(working, count)
end

-- Why the journal forbids an extension: a code and a message.
local function hindrance(order, found)
  for _, open in ipairs(found.open) do
    if open.order == order.id and open.running then
      return "running", ("is being extended by another process (key %s)"):format(open.key)
    elseif open.order == order.id then
      return "unknown", "may have been extended already: " .. ownership.way_out(open)
    end
  end
  local open = ownership.open_purchase(order, found)
  if open and open.running then
    return "running",
      ("may belong to a purchase that another process is making (key %s)"):format(open.key)
  elseif open then
    return "unknown", ("may belong to a purchase of unknown outcome and is not extended until that "
      .. "is settled: %s"):format(ownership.way_out(open))
  end
end

-- Why an order is skipped: a code and a message; nil if it is not.
local function reason(order, known, wanted, found, now)
  local why, text = hindrance(order, found)
  if why then return why, text end
  if known.stale then return "stale", known.stale end
  if known.unseen then
    return "renewed", "was extended; the API does not show it yet"
  end
  if known.ends <= now then
    return "past", ("expired %s ago, but the API lists it as active; it is not extended"):format(
      duration.text(now - known.ends))
  end
  if not order.type or not math.tointeger(tonumber(order.quantity)) then
    return "vague", "cannot be priced: the API does not report its type and quantity"
  end
  if wanted.country and not country_code(order.country) then
    return "vague", ("has an unreadable country (%.60s) and is not extended"):format(
      tostring(order.country):gsub("%c", "?"))
  end
  if wanted.only and not wanted.only(order) then return "unwanted", "is excluded by only" end
  local failing = failure(order, wanted)
  if failing then return "failed", failing end
end

-- Refuses a pool that the store has never seen. A pool whose orders have all ended is accepted.
local function check_pool(name, found)
  if not name or found.seen[name] then return end
  local pools = ownership.pools(found)
  if pools[name] then return end
  names.usage("px.renew: unknown pool %s%s (proxylua fleet status lists the pools)", name,
    names.hint(name, pools))
end

local function of_pool(order, wanted, found)
  local owned = found.owned[order.id]
  return not wanted.pool or owned ~= nil and owned.pool == wanted.pool
end

-- Types that are sold by the day: each order has an end.
local timed = { datacenter = true, isp = true, mobile = true }

-- A new order may have no end before it is set up.
local function is_new(order, found, now)
  local bought = found.bought[order.id]
  return bought ~= nil and bought.placed_at ~= nil and now - time.time(bought.placed_at) < HOUR
end

local function add_skipped(plan, order, why, text)
  table.insert(plan.skipped, { order = order.id, why = why, text = text,
    expires_at = order.expires_at })
end

-- Orders without a readable end: they may be due.
local function add_without_end(plan, orders, wanted, found, now)
  for _, order in ipairs(orders) do
    local is_meant = of_pool(order, wanted, found) and (not wanted.only or wanted.only(order))
    if is_meant and order.expires_at ~= nil then
      add_skipped(plan, order, "unreadable",
        ("has an unreadable expiry date (%.60s) and is not extended"):format(
        tostring(order.expires_at):gsub("%c", "?")))
    elseif is_meant and timed[tostring(order.type):lower()] and not is_new(order, found, now) then
      add_skipped(plan, order, "unreadable", "has no expiry date and is not extended")
    end
    if is_meant then table.insert(plan.endless, order.id) end
  end
end

-- Reports extensions of unknown outcome even if their orders are no longer due.
local function add_unknown(plan, due, wanted, found)
  local is_due = {}
  for _, order in ipairs(due) do is_due[order.id] = true end
  local is_narrow = wanted.type or wanted.country or wanted.pool or wanted.only
  for _, open in ipairs(found.open) do
    if open.order and not open.running and not is_due[open.order] and not is_narrow then
      add_skipped(plan, { id = open.order }, "unknown",
        "may have been extended already: " .. ownership.way_out(open))
    end
  end
end

-- The first to expire first.
local function sort_due(due, newest)
  table.sort(due, function(a, b)
    local first, second = newest[a.id].ends, newest[b.id].ends
    return first < second or first == second and a.id < b.id
  end)
end

local function decide(wanted, progress)
  local array = core.json.array
  local plan = { actions = array{}, skipped = array{}, endless = array{}, settled = array{},
    balance = endpoints.account.get().balance }
  local now, earliest = clock() -- set by the response to account.get
  local before = ownership.open_extensions()
  local due, without_end, problems = list(wanted, now)
  local found = read_journal(due, without_end, progress)
  check_pool(wanted.pool, found)
  add_settled(plan, before)
  add_unknown(plan, due, wanted, found)
  add_without_end(plan, without_end, wanted, found, now)
  plan.problems = array(problems)
  local newest, chosen = ends.of(due, found.extensions), {}
  sort_due(due, newest)
  for _, order in ipairs(due) do
    local known = newest[order.id]
    local is_due = known.unseen or known.ends - now <= wanted.within
    if is_due and of_pool(order, wanted, found) then
      local why, text = reason(order, known, wanted, found, earliest)
      if why then add_skipped(plan, order, why, text) end
      chosen[#chosen + 1] = not why and { order = order.id, ends = known.ends,
        period = wanted.period, of = order } or nil
    end
  end
  ends.set_keys(chosen)
  for at, item in ipairs(chosen) do plan.actions[at] = action_of(item.of, wanted, item.key) end
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

-- The kind of error for each reason that needs the user's attention.
local kinds <const> = { unknown = "outcome_unknown", stale = "protocol", vague = "protocol",
  unreadable = "protocol" }

local function texts_of(plan, kind)
  local texts = {}
  for _, order in ipairs(plan.skipped) do
    if kinds[order.why] == kind then
      texts[#texts + 1] = ("order %s %s"):format(order.order, order.text)
    end
  end
  if kind == "protocol" then table.move(plan.problems, 1, #plan.problems, #texts + 1, texts) end
  local more = #texts - MAX_NAMED
  if more > 0 then texts[MAX_NAMED + 1] = ("and %d more (--json shows all)"):format(more) end
  return table.concat(texts, "\n  ", 1, math.min(#texts, MAX_NAMED + 1)), #texts
end

local function raise_left(plan, report)
  for _, kind in ipairs{ "outcome_unknown", "protocol" } do
    local text, count = texts_of(plan, kind)
    if count > 0 then
      core.error.raise{ kind = kind, details = report, message = text,
        charge = kind == "outcome_unknown" and "unknown" or "none" }
    end
  end
end

--- Extends orders that expire soon, with progress.
-- @param options as in px.renew
-- @param shown options of proxylua.fleet.run
-- @return report
-- @raise the errors of px.renew
function M.run(options, shown)
  local plan = price(decide(check_options(options), shown.progress), shown)
  shown.planned(plan)
  apply.check(plan.total, plan.balance, shown.budget)
  if shown.confirm then shown.confirm(plan.actions, plan) end
  local report = apply.run(plan.actions, shown, OF_ONE)
  report.skipped, report.endless, report.settled = plan.skipped, plan.endless, plan.settled
  raise_left(plan, report)
  return report
end

--- What was extended.
-- @record renew_report
-- @tfield plan_action[] done with `order`, `expires_at` and `price`
-- @tfield table[] skipped orders left alone: `order`, `why` (past, renewed, running, failed,
--   unwanted, vague, unreadable, stale or unknown) and `text`
-- @tfield table[] settled extensions that an earlier run left open and this one looked up: `order`,
--   `key`, `state`, `text`
-- @tfield string[] endless ids of active orders without a readable expiry date
-- @tfield plan_action[] left
-- @tfield money spent

--- Extends the active orders that expire within a duration, the first to expire first, within the
-- spending limit. All extensions are quoted first; if the balance does not cover them all, none is
-- made. Each order is extended once per expiry date, so it is safe to run this again: an extension
-- in the journal counts, also while the API still shows the old date. An extension that fails stops
-- those that follow, unless the API refuses this order only (400, 404 or 409).
-- @function px.renew
-- @param options
-- @treturn renew_report
-- @raise funds; spend_refused; outcome_unknown; protocol, when a skipped order may be due; the
--   error of the extension that failed (see px.orders.extend), with the report as details; usage
-- @usage local report = px.renew{ within = "31d", period = 60 }
-- print(#report.done, report.spent, #px.renew{ within = "31d", period = 60 }.done)  --> 1  9.60  0
function M.renew(options)
  return M.run(options, run.quiet)
end

return M
