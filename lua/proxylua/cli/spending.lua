-- Commands that spend: they show the plan before anything is spent, and the results afterwards,
-- even after a failure.

local core = require "proxylua.core"
local diff = require "proxylua.cli.plan_text"
local tables = require "proxylua.term.table"

local M = {}

-- Whether the user at the terminal is asked, since no setting allows spending.
local function is_asked(context, yes)
  local flags = context.flags
  return not flags.dry_run and not flags.quiet and not yes and not context.settings.spend
    and core.system.isatty(0) and core.system.isatty(2)
end

-- What the run may spend, nil if the user is asked, or other limits decide.
local function budget_of(context, yes)
  if context.flags.dry_run or is_asked(context, yes) then return nil end
  local spend = context.settings.spend
  if spend then return spend.per_run end
  return core.money(0)
end

--- The progress options of proxylua.fleet.run.
function M.options(screen)
  return { progress = function(what, total) return screen:progress(what, total) end }
end

--- Shows a plan.
-- @param form "plan" or "renewal"
function M.show(screen, form, plan)
  if screen:is_data() then return screen:value(nil, plan) end
  core.system.write(diff[form](plan, screen.colors))
  core.system.flush()
end

-- All data of a run, for programs.
local function whole(plan, report, err)
  local all = { plan = plan, error = err and { kind = err.kind, message = err.message,
    charge = err.charge } }
  for name, value in pairs(report or {}) do all[name] = all[name] or value end
  all.moved = err and type(err.details) == "table" and err.details.moved or nil
  return all
end

local function show_report(screen, report)
  if not screen:is_data() then core.system.write(diff.report(report, screen.colors)) end
end

-- One question for all actions. The core writes the amounts, and allows this total after a yes.
local function confirm(actions, plan)
  if #actions == 0 then return end
  local words = tables.clean(diff.question(actions))
  if core.api.confirm(words, plan.total, plan.balance) then return end
  core.error.raise{ kind = "spend_refused", charge = "none",
    message = "not confirmed; nothing was bought" }
end

--- Runs the work.
-- @param context of the command: screen, flags and settings
-- @param form of its plan, "plan" or "renewal"
-- @param work function of the options of proxylua.fleet.run
-- @param yes whether no question is asked; then only settings allow spending
-- @raise what it raises, once all is shown
function M.run(context, form, work, yes)
  local screen, flags = context.screen, context.flags
  local options, plan, report = M.options(screen), nil, nil
  options.budget = budget_of(context, yes)
  options.planned = function(made)
    plan = made
    if not screen:is_data() then M.show(screen, form, made) end
  end
  if is_asked(context, yes) then options.confirm = confirm end
  options.report = function(made)
    report = made
    show_report(screen, made)
  end
  local ok, err = pcall(work, options)
  if not ok and not core.error.is(err) then error(err, 0) end
  if screen:is_data() then screen:value(nil, whole(plan, report, not ok and err or nil)) end
  if not ok then error(err, 0) end
  if flags.dry_run then screen:note("dry run: nothing was bought") end
end

return M
