-- Carries out planned actions one after the other, each under its key and at most at its quoted
-- price. The first action that fails stops those that follow. The report is complete in every case.

local core = require "proxylua.core"
local failed = require "proxylua.fleet.failed"
local orders = require "proxylua.api.orders"

local M = {}

-- A failed or rejected order does not count, even if it was paid for.
local function check_stock(action, order)
  if not failed.is_over(order) then return order end
  core.error.raise{ kind = "upstream", endpoint = "orders.create", charge = "made",
    message = ("order %s has status %s and does not count. The next run checks in the transactions "
      .. "whether it was refunded (proxylua journal show %s)"):format(order.id,
      tostring(order.status):lower(), action.key) }
end

local function act(action)
  local params = { key = action.key, max_price = action.price, period = action.period }
  if action.action == "extend" then return orders.extend(action.order, params) end
  params.type, params.quantity, params.country = action.type, action.quantity, action.country
  return check_stock(action, orders.create(params))
end

-- Returns a copy of the action with its result. The journal has the price and the process that
-- paid: two runs may have wanted the same action.
local function result_of(action, order)
  local done = {}
  for name, value in pairs(action) do done[name] = value end
  if order.dry_run then
    done.dry_run = true
    return done
  end
  local entry = core.journal.get(action.key)
  done.order, done.expires_at = order.id, order.expires_at
  done.price = entry and (entry.price or entry.quote) or action.price
  done.by_another = entry and entry.pid ~= core.system.pid() or nil
  return done
end

local function count_in(report, done)
  table.insert(report.done, done)
  if not done.dry_run and not done.by_another then report.spent = report.spent + done.price end
end

local function fail(report, action, err)
  if report.failed then table.insert(report.left, report.failed) end
  report.failed, report.error = action, { kind = err.kind, message = err.message,
    charge = err.charge }
end

-- Returns the error that stopped the run, or else the last one that did not stop it, if any.
local function run(report, actions, progress, passing)
  local last
  for at, action in ipairs(actions) do
    local ok, result = pcall(act, action)
    if ok then
      count_in(report, result_of(action, result))
    else
      if not core.error.is(result) then error(result, 0) end
      fail(report, action, result)
      if not passing[result.kind] then
        table.move(actions, at + 1, #actions, #report.left + 1, report.left)
        return result
      end
      last = result
    end
    progress:step()
  end
  return last
end

local function refuse(kind, ...)
  core.error.raise{ kind = kind, message = (...):format(select(2, ...)), charge = "none" }
end

--- Refuses a total that cannot be paid in full.
-- @param total money
-- @param balance money, or nil
-- @param budget money that this run may spend, or nil if only the core knows it
-- @raise funds, spend_refused
function M.check(total, balance, budget)
  if balance and total > balance then
    refuse("funds", "the total is %s, but the balance is %s; nothing was bought", total, balance)
  end
  if budget and total > budget then
    refuse("spend_refused",
      "the total is %s, but only %s may be spent; nothing was bought. Use --spend %s to allow it",
      total, budget, total)
  end
end

local function raise_with(report, err, passes)
  if err.kind == "cancelled" then error(err, 0) end
  local action = report.failed
  core.error.raise{
    kind = err.kind, endpoint = err.endpoint, status = err.status, code = err.code,
      retry_after = err.retry_after,
    charge = err.charge, details = report,
    message = ("%d of %d actions done, %s spent; %s %s: %s"):format(#report.done,
      #report.done + 1 + #report.left,
      report.spent, passes and "the API refused" or "stopped at", action.key, err.message),
  }
end

--- Carries out actions.
-- @param actions list
-- @param options table: `progress` (function of a label and a count), `report` (function of the
--   report, called also after an error)
-- @param passing set of kinds of errors that do not stop the run, optional
-- @return report, a table: `done` (list of actions with `order`, the paid `price`, `by_another` if
--   another run did it, or `dry_run`), `left` (list of actions not done), `failed` (the last action
--   that failed) and `error`, `spent`
-- @raise the error of the action that failed, with the report as its details
function M.run(actions, options, passing)
  local array = core.json.array
  local report = { done = array{}, left = array{}, spent = core.money(0) }
  local progress = options.progress("done", #actions)
  passing = passing or {}
  local err = run(report, actions, progress, passing)
  progress:finish()
  options.report(report)
  if err then raise_with(report, err, passing[err.kind]) end
  return report
end

return M
