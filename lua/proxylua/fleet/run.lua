-- From a file, a list or a plan to a report: reads the world, prices, holds a kept plan against it,
-- and has it done.
--
-- Options are a table of functions: `progress` (what, how many: answers an object with the methods
-- step and finish), `planned` (called with the plan before anything is spent), `tell` (called with
-- the report however it ends); and `budget`, money or nil.

local core = require "proxylua.core"
local apply = require "proxylua.fleet.apply"
local file = require "proxylua.fleet.pools_file"
local journal = require "proxylua.api.journal"
local kept = require "proxylua.fleet.plan_file"
local names = require "proxylua.util.names"
local planner = require "proxylua.fleet.planner"
local quote = require "proxylua.api.quote"
local world = require "proxylua.fleet.snapshot"

local M = {}

local function nothing() end
local silent = { step = nothing, finish = nothing }

--- Options of those who want to be told nothing.
M.quiet = { progress = function() return silent end, planned = nothing, tell = nothing }

local function make(pools, options)
  local plan = planner.decide(pools, world.read(pools, options.progress))
  return planner.price(plan, quote.prices(planner.actions(plan, true), planner.words,
    options.progress))
end

-- Pools, and the plan where there is one already.
local function read(what, caller)
  if type(what) == "string" then
    local content = file.text(what)
    if not kept.is_plan(content) then return file.parse(content, what) end
    return nil, kept.parse(content, what)
  end
  if type(what) ~= "table" then
    names.usage("%s takes the path of a file, a list of pools or a plan, got a %s", caller,
      type(what))
  end
  if what.version == nil then return file.check(what, caller) end
  return nil, kept.check(what, caller)
end

--- Makes a plan.
-- @param what path, or list of pools
-- @return plan
-- @raise config, and what the calls raise
function M.plan(what, options)
  local pools, plan = read(what, "px.fleet.plan")
  if plan then
    names.usage("px.fleet.plan takes pools, and this is a plan already; px.fleet.apply applies it")
  end
  return make(pools, options)
end

-- Of a plan's actions those that were placed: key -> order.
local function done_of(plan)
  local done = {}
  for _, action in ipairs(planner.actions(plan)) do
    local entry = journal.get(action.key)
    if entry and entry.state == "placed" then done[action.key] = entry.order_id or true end
  end
  return done
end

-- The plan of now for what a kept plan wants.
local function verify(plan, options)
  local pools = {}
  for at, part in ipairs(plan.pools) do pools[at] = part.pool end
  local fresh = make(pools, options)
  local moved = kept.moved(plan, fresh, done_of(plan))
  if #moved > 0 then
    core.error.raise{
      kind = "spend_refused", charge = "none", details = { moved = core.json.array(moved) },
      message = ("the world is not the one of the plan any more; nothing was bought, make a new "
        .. "plan:\n  %s"):format(
        table.concat(moved, "\n  ")),
    }
  end
  return fresh
end

-- What could not even begin is told when all else is done.
local function raise_refused(plan, report)
  local unknown, refused
  for _, part in ipairs(plan.pools) do
    if part.refused then
      local text = ("pool %s: %s"):format(part.pool.name, part.refused)
      if part.unknown then unknown = unknown or text else refused = refused or text end
    end
  end
  if not unknown and not refused then return end
  core.error.raise{ kind = unknown and "outcome_unknown" or "spend_refused", message = unknown
    or refused,
    charge = unknown and "unknown" or "none", details = report }
end

--- Does what a plan says, or what would make the world what pools say.
-- @param what path, list of pools, or plan
-- @return report, see fleet.apply
-- @raise what px.fleet.apply raises
function M.run(what, options)
  local pools, plan = read(what, "px.fleet.apply")
  plan = plan and verify(plan, options) or make(pools, options)
  options.planned(plan)
  apply.check(plan.total, plan.balance, options.budget)
  local report = apply.run(planner.actions(plan), options)
  raise_refused(plan, report)
  return report
end

return M
