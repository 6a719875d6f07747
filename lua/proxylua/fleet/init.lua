--- Fleets: the proxies that ought to be there, and what has to be bought and extended for it.
-- @module px.fleet

local endpoints = require "proxylua.api.endpoints"
local file = require "proxylua.fleet.pools_file"
local kept = require "proxylua.fleet.plan_file"
local names = require "proxylua.util.names"
local ties = require "proxylua.fleet.ownership"
local work = require "proxylua.fleet.run"

local M = {}

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
-- @return plan, a table: `pools` (list of tables: `pool`, `have`, `keep`, `actions`, `notes`,
--   `loose`, `surplus`, `refused`, `total`), `extend`, `buy`, `total`, `balance`, `balance_after`;
--   an action has `action` ("extend" or "buy"), `key`, `price` and what it is for
-- @raise config, when a pool is not as it should be; what every call raises
-- @usage local plan = px.fleet.plan{ { name = "us", type = "isp", country = "US", quantity = 5,
--   period = 30 } }
-- print(plan.total, #plan.pools[1].actions)  --> 12.00  1
function M.plan(what)
  return work.plan(what, work.quiet)
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
-- applying again after a crash, a file or a plan, buys what is left and nothing twice. A plan whose
-- world or prices have moved is refused before anything is spent, and so is what the balance cannot
-- pay in full. The first action that fails stops those that follow; pools that are refused hold up
-- no others.
-- @function px.fleet.apply
-- @param what string, path of a file with pools or with a plan; or a list of pools; or a plan
-- @return report, a table: `done` (list of actions with `order` and the `price` that was paid),
--   `left`, `spent`
-- @raise spend_refused, also when the world has moved (details.moved tells what) or a pool is
--   refused; funds; outcome_unknown; what px.orders.create raises, of the action that failed, with
--   the report as details
-- @usage local pools = { { name = "de", type = "isp", country = "DE", quantity = 3, period = 30,
--   batch = 2 } }
-- print(px.fleet.apply(pools).spent, px.fleet.apply(pools).spent)  --> 7.56  0.00
function M.apply(what)
  return work.run(what, work.quiet)
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
