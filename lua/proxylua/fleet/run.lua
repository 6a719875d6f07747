-- Plans and applies: reads the current state and the prices, compares a saved plan with them, and
-- carries out the plan.
--
-- Options are a table of functions: `progress` (called with a label and a count; returns an object
-- with the methods step and finish), `planned` (called with the plan before anything is spent),
-- `confirm` or nil (called with the actions and the plan before anything is spent; raises if the
-- user refuses), `report` (called with the report, also after an error); `budget`, money or nil;
-- and `ignore_existing`, as in px.fleet.apply.

local core = require "proxylua.core"
local apply = require "proxylua.fleet.apply"
local file = require "proxylua.fleet.pools_file"
local plan_file = require "proxylua.fleet.plan_file"
local names = require "proxylua.util.names"
local planner = require "proxylua.fleet.planner"
local quote = require "proxylua.api.quote"
local snapshot = require "proxylua.fleet.snapshot"

local M = {}

local function nothing() end
local silent = { step = nothing, finish = nothing }

--- Options that show nothing.
M.quiet = { progress = function() return silent end, planned = nothing, report = nothing }

-- Returns the plan, and the active orders that belong to no pool.
local function make(pools, options)
  local state = snapshot.read(pools, options.progress)
  local plan = planner.decide(pools, state, options)
  local price_of = quote.prices(planner.actions(plan, true), planner.words, options.progress)
  return planner.price(plan, price_of), state.unassigned
end

-- Returns the pools, or nil and the plan if `what` is a plan.
local function read(what, caller)
  if type(what) == "string" then
    local content = file.text(what)
    if not plan_file.is_plan(content) then return file.parse(content, what) end
    return nil, plan_file.parse(content, what)
  end
  if type(what) ~= "table" then
    names.usage("%s: expected the path of a file, a list of pools or a plan, got a %s", caller,
      type(what))
  end
  if what.version == nil then return file.check(what, caller) end
  return nil, plan_file.check(what, caller)
end

--- Makes a plan.
-- @param what path, or list of pools
-- @return plan
-- @raise config, and the errors of the API calls
function M.plan(what, options)
  local pools, plan = read(what, "px.fleet.plan")
  if plan then
    names.usage("px.fleet.plan: expected pools, got a plan. Use px.fleet.apply to apply a plan")
  end
  return (make(pools, options))
end

-- The actions of a plan that were placed: key -> order id, or true if the id is unknown.
local function done_of(plan)
  local done = {}
  for _, action in ipairs(planner.actions(plan)) do
    local entry = core.journal.get(action.key)
    if entry and entry.state == "placed" then done[action.key] = entry.order_id or true end
  end
  return done
end

-- Makes a new plan for the pools of a saved plan; refuses if it differs from the saved plan.
local function verify(plan, options)
  local pools, wanted = {}, setmetatable({}, { __index = options })
  for at, part in ipairs(plan.pools) do pools[at] = part.pool end
  wanted.ignore_existing = options.ignore_existing or plan.ignore_existing
  local fresh, unassigned = make(pools, wanted)
  local moved = plan_file.moved(plan, fresh, done_of(plan), unassigned)
  if #moved > 0 then
    core.error.raise{
      kind = "spend_refused", charge = "none", details = { moved = core.json.array(moved) },
      message = ("the plan is out of date; nothing was bought. Run fleet plan again:\n  %s"):format(
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

-- The first reason for each kind of error: kind -> text.
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

--- The error with which an applied plan ends although each possible action was done.
-- @return kind, text; nil if everything in the plan can be done
function M.shortfall(plan)
  local first = first_reasons(plan)
  for _, kind in ipairs{ "outcome_unknown", "spend_refused", "protocol" } do
    if first[kind] then return kind, first[kind] end
  end
end

-- Reports what could not be started, after everything else is done.
local function raise_shortfall(plan, report)
  local kind, why = M.shortfall(plan)
  if not kind then return end
  core.error.raise{ kind = kind, message = why, details = report,
    charge = kind == "outcome_unknown" and "unknown" or "none" }
end

--- Applies a plan, or makes a plan for pools and applies it.
-- @param what path, list of pools, or plan
-- @return report, see fleet.apply
-- @raise the errors of px.fleet.apply
function M.run(what, options)
  local pools, plan = read(what, "px.fleet.apply")
  plan = plan and verify(plan, options) or make(pools, options)
  options.planned(plan)
  refuse_existing(plan)
  apply.check(plan.total, plan.balance, options.budget)
  local actions = planner.actions(plan)
  if options.confirm then options.confirm(actions, plan) end
  local report = apply.run(actions, options)
  raise_shortfall(plan, report)
  return report
end

return M
