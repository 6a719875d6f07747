--- Fleets: the proxies that ought to be there, and what has to be bought and extended for it.
-- @module px.fleet

local country_code = require "proxylua.util.country"
local endpoints = require "proxylua.api.endpoints"
local file = require "proxylua.fleet.pools_file"
local kept = require "proxylua.fleet.plan_file"
local names = require "proxylua.util.names"
local ties = require "proxylua.fleet.ownership"
local work = require "proxylua.fleet.run"

local M = {}

local known = { ignore_existing = true }

local function options_of(caller, options)
  if options == nil then return work.quiet end
  if type(options) ~= "table" then
    names.usage("%s takes its options as a table, got a %s", caller, type(options))
  end
  names.check(caller, options, known)
  if options.ignore_existing ~= nil and type(options.ignore_existing) ~= "boolean" then
    names.usage("%s: ignore_existing must be true or false, got %s", caller,
      tostring(options.ignore_existing))
  end
  return setmetatable({ ignore_existing = options.ignore_existing }, { __index = work.quiet })
end

--- Compares what ought to be there with what is there: what would be extended and bought, at real
-- quotes. It buys nothing. A charge that an earlier run left open is looked up first, which may
-- take the settling time.
--
-- A pool is a table: `name`; `type`, `country`, `quantity`, `period` (days) as px.orders.create has
-- them; `renew_before`, a duration: an order that ends within it is extended by `period` (3 days,
-- or half the period where that is less; 0: never); `max_unit_price`, the most that a proxy (or GB)
-- may cost, and `max_total`, the most that one plan may spend on the pool, above which nothing is
-- done for the pool; `batch`, the most that one order may hold.
-- @function px.fleet.plan
-- @param what string, path of a file that returns a list of pools, run as data; or the list itself
-- @param options table, may be left out: `ignore_existing` as px.fleet.apply has it
-- @return plan, a table: `pools` (list of tables: `pool`, `have`, `keep`, `actions`, `notes`,
--   `unassigned` (active orders of the kind that belong to no pool: `count` and three of them as
--   `orders`), `surplus`, `refused`, `held` (why nothing is bought), `problems` (orders that cannot
--   be extended), `total`), `extend`, `buy`, `total`, `balance`, `balance_after`, `refused` (why
--   px.fleet.apply does nothing of it); an action has `action` ("extend" or "buy"), `key`, `price`
--   and what it is for
-- @raise config, when a pool is not as it should be; what every call raises
-- @usage local plan = px.fleet.plan{ { name = "us", type = "isp", country = "US", quantity = 5,
--   period = 30 } }
-- print(plan.total, #plan.pools[1].actions)  --> 12.00  1
function M.plan(what, options)
  return work.plan(what, options_of("px.fleet.plan", options))
end

--- Writes a plan to a file, whole or not at all, that nobody else can read.
-- @function px.fleet.save
-- @param plan as px.fleet.plan answers it
-- @param path string
-- @raise store; config, when it is no plan, or when the file is there and holds none
-- @usage px.fleet.save(px.fleet.plan{ { name = "de", type = "isp", country = "DE", quantity = 1,
--   period = 30 } }, "plan.json")
-- print(px.fleet.load("plan.json").total)  --> 2.52
function M.save(plan, path)
  kept.save(kept.check(plan, "px.fleet.save"), path)
end

--- Reads a plan that px.fleet.save or `proxylua fleet plan -o` has written.
-- @function px.fleet.load
-- @param path string
-- @return plan
-- @raise config
-- @usage px.fleet.save(px.fleet.plan{}, "empty.json")
-- print(#px.fleet.load("empty.json").pools)  --> 0
function M.load(path)
  return kept.parse(file.text(path), path)
end

--- Buys and extends what a plan says, as far as the run is allowed to spend: extensions first, one
-- after the other. Each action has a key of its own that stays the same until it was placed, so
-- applying again after a crash, a file or a plan, buys what is left and nothing twice. A plan that
-- is out of date is refused before anything is spent, and so is what the balance cannot pay in
-- full. The first action that fails stops those that follow; pools that are refused hold up no
-- others. What was bought counts, also while an order is set up; an order that came back failed,
-- rejected or cancelled does not, and is replaced only when it was not charged, or was refunded.
-- @function px.fleet.apply
-- @param what string, path of a file with pools or with a plan; or a list of pools; or a plan
-- @param options table, may be left out: `ignore_existing`, true: buy although the store has never
--   seen these pools, as after its loss, and the account has active orders that would fit them
-- @return report, a table: `done` (list of actions with `order` and the `price` that was paid),
--   `left`, `spent`
-- @raise spend_refused, also when the plan is out of date (details.moved has the changes), when a
--   pool is refused, or when active orders exist that the store does not know; funds;
--   outcome_unknown; protocol, when an order could not be extended since its end is not known; what
--   px.orders.create raises, of the action that failed, with the report as details
-- @usage local pools = { { name = "de", type = "isp", country = "DE", quantity = 3, period = 30,
--   batch = 2 } }
-- print(px.fleet.apply(pools).spent, px.fleet.apply(pools).spent)  --> 7.56  0.00
function M.apply(what, options)
  return work.run(what, options_of("px.fleet.apply", options))
end

-- --- ties ---

local function check_text(caller, name, value)
  if type(value) ~= "string" or value == "" then
    names.usage("%s: %s is a text, got a %s", caller, name, type(value))
  end
end

--- Ties an order to a pool that it was not bought for: it counts there from now on. What a pool
-- buys is tied to it already.
-- @function px.fleet.adopt
-- @param pool string, its name
-- @param id string, of the order
-- @raise usage when the order belongs to another pool; not_found and what px.orders.get raises
-- @usage px.fleet.adopt("us", order.id)
-- print(px.fleet.ties()[order.id])  --> us
function M.adopt(pool, id)
  if not file.is_name(pool) then
    names.usage("px.fleet.adopt: %s is no name of a pool", tostring(pool))
  end
  check_text("px.fleet.adopt", "id", id)
  local order = endpoints.orders.get(id)
  if order.type == nil or not tonumber(order.quantity) then
    names.usage("the API does not say of order %s what it is; it cannot be counted", id)
  end
  ties.adopt(pool, id)
  ties.describe{ [id] = { type = tostring(order.type):lower(),
    quantity = math.ceil(tonumber(order.quantity)), country = country_code(order.country) } }
end

--- Lets an order go: it belongs to no pool from now on, and is left alone.
-- @function px.fleet.release
-- @param id string, of the order
-- @return string, the pool that it belonged to; nil when there was none
-- @raise usage; store
-- @usage px.fleet.adopt("us", order.id)
-- print(px.fleet.release(order.id), px.fleet.ties()[order.id])  --> us  nil
function M.release(id)
  check_text("px.fleet.release", "id", id)
  return ties.release(id)
end

--- Which order belongs to which pool.
-- @function px.fleet.ties
-- @return table: id of an order -> name of its pool; of orders that are over, too
-- @raise store
-- @usage px.fleet.apply{ { name = "trial", type = "ipv6", quantity = 1 } }
-- for _, pool in pairs(px.fleet.ties()) do print(pool) end  --> trial
function M.ties()
  local found = {}
  for id, tie in pairs(ties.read().ties) do found[id] = tie.pool end
  return found
end

return M
