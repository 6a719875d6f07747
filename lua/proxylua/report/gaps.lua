-- The gaps of a report, in words: no figure is made up, and everything that is left out is listed.

local core = require "proxylua.core"
local days = require "proxylua.report.days"
local labels = require "proxylua.report.labels"

local M = {}

-- Texts from outside are cleaned, so that they cannot control a terminal.
local function say(list, ...)
  list[#list + 1] = labels.clean((...):format(select(2, ...)))
end

-- "1 order", "2 orders"
local function count(number, one, many)
  return number == 1 and "1 " .. one or ("%d %s"):format(number, many or one .. "s")
end

local function of_sums(list, sums, report)
  local totals = report.totals
  if totals.charge_count + totals.refund_count + totals.deposit_count == 0 then
    say(list, "there are no charges, refunds or deposits from %s to %s", report.since,
      report["until"])
  end
  if sums.undated > 0 then
    say(list, "%s without a date: not counted", count(sums.undated, "transaction"))
  end
  if sums.amountless > 0 then
    say(list, "%s without an amount: not counted", count(sums.amountless, "transaction"))
  end
  if sums.repeated > 0 then
    say(list, "%s occurring twice: counted once", count(sums.repeated, "transaction"))
  end
  if sums.ambiguous > 0 then
    say(list, "%s with the id of another but different data: counted",
      count(sums.ambiguous, "transaction"))
  end
  for _, other in ipairs(report.others) do
    say(list, "%s of the type \"%s\" (%s), neither charge, refund nor deposit: not counted",
      count(other.transactions, "transaction"), other.type, other.amount)
  end
  for _, grouping in ipairs{ "type", "country" } do
    for _, row in ipairs(report.by[grouping]) do
      if not row.known then
        say(list, "%s (%s) of an unknown %s: neither an order nor the journal has it",
          count(row.transactions, "transaction"), row.spent, grouping)
      end
    end
  end
end

local function of_journal(list, facts, window, named)
  local most = core.money(0)
  for _, entry in ipairs(facts.ownership.open) do most = most + (entry.quote or 0) end
  if #facts.ownership.open > 0 then
    say(list, "%s with an unknown outcome, at most %s: not counted; proxylua journal list --state "
      .. "open "
      .. "shows them",
      count(#facts.ownership.open, "charge"), most)
  end
  local missing, sum = 0, core.money(0)
  for id, record in pairs(named and facts.ownership.orders or {}) do
    for _, charge in ipairs(named[id] and {} or record.charges) do
      if charge.day and charge.day >= window.from and charge.day <= window.to then
        missing, sum = missing + 1, sum + (charge.price or 0)
      end
    end
  end
  if missing > 0 then
    say(list, "%s of the journal (%s) without a transaction: not counted",
      count(missing, "charge"), sum)
  end
end

local function of_renewals(list, report, facts, no_expiry, late)
  local unpriced, once = 0, 0
  for _, renewal in ipairs(report.renewals) do
    if not renewal.price then unpriced = unpriced + 1 elseif not renewal.period then once = once
      + 1 end
  end
  if facts.repeated_orders > 0 then
    say(list, "%s occurring twice: the last record is used", count(facts.repeated_orders, "order"))
  end
  if #no_expiry > 0 then
    say(list, "%s without an expiry date: not in the calendar", count(#no_expiry, "active order"))
  end
  if #late > 0 then
    say(list, "%s whose expiry date has passed: not in the calendar", count(#late, "active order"))
  end
  if unpriced > 0 then
    say(list, "%s without a price: the balance may end earlier", count(unpriced, "renewal"))
  end
  if once > 0 then say(list, "%s without a period: counted once", count(once, "renewal")) end
end

--- Lists the gaps of a report.
-- @param facts of collect.gather
-- @param named set of the journal's order ids that transactions name; nil if no transaction
--   names an order
-- @return list of texts
function M.list(report, facts, sums, window, named, no_expiry, late)
  local list = core.json.array()
  for _, problem in ipairs(facts.problems or {}) do say(list, "%s", problem) end
  of_sums(list, sums, report)
  of_journal(list, facts, window, named)
  of_renewals(list, report, facts, no_expiry, late)
  if not report.balance then
    say(list, "the API does not report the balance: how long it lasts is unknown")
  end
  if window.from * days.SECONDS > window.now then
    say(list, "%s is in the future: the spending per day is unknown", days.text(window.from))
  elseif not report.burn then
    say(list, "no transaction until %s: the spending per day is unknown", days.text(window.to))
  end
  return list
end

return M
