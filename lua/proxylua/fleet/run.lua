-- From a file, a list or a plan to a report: reads the current state, prices, compares a saved plan
-- with it, and has it done.
--
-- Options are a table of functions: `progress` (what, how many: returns an object with the methods
-- step and finish), `planned` (called with the plan before anything is spent), `tell` (called with
-- the report however it ends); `budget`, money or nil; and `ignore_existing`, as px.fleet.apply has
-- it.

local core = require "proxylua.core"
local apply = require "proxylua.fleet.apply"
local file = require "proxylua.fleet.pools_file"
local journal = require "proxylua.api.journal"
local kept = require "proxylua.fleet.plan_file"
local names = require "proxylua.util.names"
local planner = require "proxylua.fleet.planner"
local quote = require "proxylua.api.quote"
local snapshot = require "proxylua.fleet.snapshot"

local M = {}

local function nothing() end
local silent = { step = nothing, finish = nothing }

--- Options that show nothing.
M.quiet = { progress = function() return silent end, planned = nothing, tell = nothing }

-- The plan, and the active orders of no pool.
local function make(pools, options)
  local state = snapshot.read(pools, options.progress)
  local plan = planner.decide(pools, state, options)
  local price_of = quote.prices(planner.actions(plan, true), planner.words, options.progress)
  return planner.price(plan, price_of), state.unassigned
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
  return (make(pools, options))
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

-- The current plan for what a saved plan wants.
local function verify(plan, options)
  local pools, wanted = {}, setmetatable({}, { __index = options })
  for at, part in ipairs(plan.pools) do pools[at] = part.pool end
  wanted.ignore_existing = options.ignore_existing or plan.ignore_existing
  local fresh, unassigned = make(pools, wanted)
  local moved = kept.moved(plan, fresh, done_of(plan), unassigned)
  if #moved > 0 then
    core.error.raise{
      kind = "spend_refused", charge = "none", details = { moved = core.json.array(moved) },
      message = ("the plan is out of date; nothing was bought. Make a new plan:\n  %s"):format(
        table.concat(moved, "\n  ")),
    }
  end
  return fresh
end

local function refuse_existing(plan)
  if not plan.refused then return end
  core.error.raise{ kind = "spend_refused", charge = "none",
    message = "nothing was bought: " .. plan.refused }
end

-- The first reason of each kind of error that some pool has.
local function first_reasons(plan)
  local first = {}
  local function add(kind, ...)
    first[kind] = first[kind] or (...):format(select(2, ...))
  end
  for _, part in ipairs(plan.pools) do
    local name = part.pool.name
    if part.refused then
      add(part.unknown and "outcome_unknown" or "spend_refused", "pool %s: %s", name, part.refused)
    end
    if part.held then add("spend_refused", "pool %s: %s", name, part.held) end
    for _, problem in ipairs(part.problems) do
      add(problem.unknown and "outcome_unknown" or "protocol", "pool %s: order %s %s", name,
        problem.order, problem.text)
    end
  end
  return first
end

--- The kind of error that a plan ends with, though all that can be done was done; and why.
-- @return kind, text; nil where there is none
function M.shortfall(plan)
  local first = first_reasons(plan)
  for _, kind in ipairs{ "outcome_unknown", "spend_refused", "protocol" } do
    if first[kind] then return kind, first[kind] end
  end
end

-- What could not even begin is reported when all else is done.
local function raise_shortfall(plan, report)
  local kind, why = M.shortfall(plan)
  if not kind then return end
  core.error.raise{ kind = kind, message = why, details = report,
    charge = kind == "outcome_unknown" and "unknown" or "none" }
end

--- Does what a plan says, or what is needed to reach the state that pools describe.
-- @param what path, list of pools, or plan
-- @return report, see fleet.apply
-- @raise what px.fleet.apply raises
function M.run(what, options)
  local pools, plan = read(what, "px.fleet.apply")
  plan = plan and verify(plan, options) or make(pools, options)
  options.planned(plan)
  refuse_existing(plan)
  apply.check(plan.total, plan.balance, options.budget)
  local report = apply.run(planner.actions(plan), options)
  raise_shortfall(plan, report)
  return report
end

return M
