--- Fleets: keeps pools of proxies at the size that a file describes.
-- @module px.fleet

local country_code = require "proxylua.util.country"
local declare = require("proxylua.util.options").declare
local endpoints = require "proxylua.api.endpoints"
local file = require "proxylua.fleet.pools_file"
local plan_file = require "proxylua.fleet.plan_file"
local names = require "proxylua.util.names"
local ownership = require "proxylua.fleet.ownership"
local run = require "proxylua.fleet.run"

local M = {}

local rows = {
  { "ignore_existing", "boolean", "true: buy even if the store has no record of these pools (it "
    .. "may be new, or lost) while the account has active orders that would fit them" },
}
local plan_options = declare("px.fleet.plan", rows)
local apply_options = declare("px.fleet.apply", rows)

local function quiet(wanted)
  return setmetatable(wanted, { __index = run.quiet })
end

--- A pool as it is wanted, in a list of pools. Type, country, quantity and period are those of
-- px.orders.create.
-- @record pool_wish
-- @tfield string name
-- @tfield string type
-- @tfield[opt] string country
-- @tfield integer quantity
-- @tfield[opt] integer period days
-- @tfield[opt] string|number renew_before an order that expires within it is extended by `period`
--   (default: 3 days, or half the period if that is less; 0: never)
-- @tfield[opt] money|number|string max_unit_price the highest price of a proxy (or GB)
-- @tfield[opt] money|number|string max_total the highest total that one plan may spend on the pool;
--   above either, nothing is done for it
-- @tfield[opt] integer batch the largest quantity of one order

--- A plan for a fleet.
-- @record plan
-- @tfield plan_pool[] pools
-- @tfield integer extend
-- @tfield integer buy
-- @tfield money total
-- @tfield[opt] money balance
-- @tfield[opt] money balance_after
-- @tfield[opt] any refused why px.fleet.apply refuses the plan
-- @tfield integer version of the form of plans
-- @tfield[opt] string account for which it was made
-- @tfield string[] notes

--- A pool in a plan.
-- @record plan_pool
-- @tfield pool_wish pool
-- @tfield integer have
-- @tfield integer keep
-- @tfield plan_action[] actions
-- @tfield string[] notes
-- @tfield[opt] table unassigned active orders that fit but belong to no pool: `count` and up to
--   three ids as `orders`
-- @tfield[opt] any surplus
-- @tfield[opt] any refused
-- @tfield[opt] any held why nothing is bought
-- @tfield[opt] any problems orders that cannot be extended
-- @tfield money total

--- What a plan does for one order.
-- @record plan_action
-- @tfield "extend"|"buy" action
-- @tfield[opt] string pool
-- @tfield string key
-- @tfield money price
-- @tfield[opt] string order
-- @tfield string type
-- @tfield integer quantity
-- @tfield[opt] string country
-- @tfield[opt] integer period
-- @tfield[opt] string expires_at

--- Plans what has to be extended and bought so that each pool has its quantity, at real quotes. It
-- buys nothing. A charge that an earlier run left open is looked up first, which may take the
-- settling time.
-- @function px.fleet.plan
-- @tparam string|pool_wish[] what the path of a file that returns a list of pools, run as data; or
--   the list itself
-- @param options
-- @treturn plan
-- @raise config, when a pool is invalid; the errors of every API call
-- @usage local plan = px.fleet.plan{ { name = "us", type = "isp", country = "US", quantity = 5,
--   period = 30 } }
-- print(plan.total, #plan.pools[1].actions)  --> 12.00  1
function M.plan(what, options)
  return run.plan(what, quiet(plan_options(options)))
end

--- Writes a plan to a file, atomically, readable by its owner only.
-- @function px.fleet.save
-- @tparam plan plan
-- @tparam string path
-- @raise store; config, when `plan` is not a plan, or when the file exists and is not a saved plan
-- @usage px.fleet.save(px.fleet.plan{ { name = "de", type = "isp", country = "DE", quantity = 1,
--   period = 30 } }, "plan.json")
-- print(px.fleet.load("plan.json").total)  --> 2.52
function M.save(plan, path)
  plan_file.save(plan_file.check(plan, "px.fleet.save"), path)
end

--- Reads a plan written by px.fleet.save or `proxylua fleet plan -o`.
-- @function px.fleet.load
-- @tparam string path
-- @treturn plan
-- @raise config
-- @usage px.fleet.save(px.fleet.plan{}, "empty.json")
-- print(#px.fleet.load("empty.json").pools)  --> 0
function M.load(path)
  return plan_file.parse(file.text(path), path)
end

--- What was done of a plan.
-- @record apply_report
-- @tfield plan_action[] done each with its `order` and the `price` that was paid
-- @tfield plan_action[] left
-- @tfield money spent

--- Carries out a plan within the spending limit: extensions first, one action after the other. The
-- key of an action stays the same until the action is placed, so applying the same file or plan
-- again after a crash buys the rest and nothing twice. A plan that is out of date, or that costs
-- more than the balance, is refused before anything is spent. The first action that fails stops
-- those that follow; a refused pool does not stop the others. An order counts as soon as it is
-- bought, also while it is being set up. A failed, rejected or cancelled order does not count, and
-- is replaced only if it was not charged or was refunded.
-- @function px.fleet.apply
-- @tparam string|pool_wish[]|plan what the path of a file with pools or with a plan; or a list of
--   pools; or a plan
-- @param options
-- @treturn apply_report
-- @raise spend_refused, also when the plan is out of date (details.moved has the changes), when a
--   pool is refused, or when the store has no record of matching active orders; funds;
--   outcome_unknown; protocol, when an order could not be extended because its expiry date is
--   unknown; the error of the action that failed (see px.orders.create), with the report as details
-- @usage local pools = { { name = "de", type = "isp", country = "DE", quantity = 3, period = 30,
--   batch = 2 } }
-- print(px.fleet.apply(pools).spent, px.fleet.apply(pools).spent)  --> 7.56  0.00
function M.apply(what, options)
  return run.run(what, quiet(apply_options(options)))
end

local function check_text(caller, name, value)
  if type(value) ~= "string" or value == "" then
    names.usage("%s: %s must be a string and not empty, got %s", caller, name,
      value == "" and "an empty string" or "a " .. type(value))
  end
end

--- Assigns an order to a pool that it was not bought for; from now on it counts there. Orders that
-- a pool buys belong to it already.
-- @function px.fleet.adopt
-- @tparam string pool its name
-- @tparam string id of the order
-- @raise usage when the order belongs to another pool; not_found and the errors of px.orders.get
-- @usage px.fleet.adopt("us", order.id)
-- print(px.fleet.owners()[order.id])  --> us
function M.adopt(pool, id)
  if not file.is_name(pool) then
    names.usage("px.fleet.adopt: invalid pool name %s (expected letters, digits, '.', '_', '-')",
      tostring(pool))
  end
  check_text("px.fleet.adopt", "id", id)
  local order = endpoints.orders.get(id)
  if order.type == nil or not tonumber(order.quantity) then
    names.usage("order %s cannot be assigned: the API does not report its type and quantity", id)
  end
  ownership.adopt(pool, id)
  ownership.describe{ [id] = { type = tostring(order.type):lower(),
    quantity = math.ceil(tonumber(order.quantity)), country = country_code(order.country) } }
end

--- Unassigns an order: from now on it belongs to no pool, and fleet commands ignore it.
-- @function px.fleet.release
-- @tparam string id of the order
-- @treturn string|nil the pool that it belonged to; nil if it belonged to none
-- @raise usage; store
-- @usage px.fleet.adopt("us", order.id)
-- print(px.fleet.release(order.id), px.fleet.owners()[order.id])  --> us  nil
function M.release(id)
  check_text("px.fleet.release", "id", id)
  return ownership.release(id)
end

--- Returns the pool of each assigned order.
-- @function px.fleet.owners
-- @treturn table<string,string> id of an order -> name of its pool, including orders that have
--   ended
-- @raise store
-- @usage px.fleet.apply{ { name = "trial", type = "ipv6", quantity = 1 } }
-- for _, pool in pairs(px.fleet.owners()) do print(pool) end  --> trial
function M.owners()
  return ownership.all()
end

return M
