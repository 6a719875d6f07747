-- The figures above a report's charts, in words, the same for every form of it: name, value, and
-- their basis.

local M = {}

local function count(number, word)
  return ("%d %s%s"):format(number, word, number == 1 and "" or "s")
end

-- Days with the decimals that are significant.
local function in_days(days)
  return (days < 10 and "%.1f days" or "%.0f days"):format(math.floor(days * 10) / 10)
end

local function at_burn(report)
  if not report.balance then return "unknown", "the API does not report the balance" end
  if not report.burn then return "unknown", "no data for a rate" end
  if not report.lasts_at_burn then return "no end", "nothing was spent" end
  return in_days(report.lasts_at_burn), ("balance %s at %s a day"):format(report.balance,
    report.burn.per_day:round(2))
end

-- The sources of the prices of renewals.
local function sources(report)
  local by, parts = {}, {}
  for _, renewal in ipairs(report.renewals) do
    local from = renewal.priced_by or "nothing"
    by[from] = (by[from] or 0) + 1
  end
  for _, each in ipairs{ { "order", "by its order's price" },
    { "extension", "by its last extension" },
    { "quote", "by a quote" }, { "nothing", "without a price, not counted" } } do
    if by[each[1]] then parts[#parts + 1] = ("%d %s"):format(by[each[1]], each[2]) end
  end
  return table.concat(parts, ", ")
end

local function with_renewals(report)
  if not report.balance then return "unknown", "the API does not report the balance" end
  if #report.renewals == 0 then return "no end", "no active order has a known expiry date" end
  local basis = ("each order renewed when it expires, nothing else bought; priced: %s"):format(
    sources(report))
  if not report.lasts_with_renewals then return ("over %d days"):format(report.horizon), basis end
  local last = report.path[#report.path]
  return in_days(report.lasts_with_renewals), ("until %s, when %s are due; %s"):format(last.day,
    last.due, basis)
end

--- The figures.
-- @return list of tables: name, value, basis
function M.list(report)
  local totals, burn = report.totals, report.burn
  local burn_basis = burn and ("over %s from %s to %s"):format(in_days(burn.days), burn.from,
    burn.to)
  local list = {
    { "Spent", tostring(totals.spent), ("charges %s in %s, refunds %s in %s"):format(totals.charges,
      count(totals.charge_count, "transaction"), totals.refunds,
      count(totals.refund_count, "transaction")) },
    { "Burn rate", burn and burn.per_day:round(2) .. " a day" or "unknown",
      burn_basis or "no transactions" },
    { "Balance", report.balance and tostring(report.balance) or "unknown", "now" },
    { "Lasts at that rate", at_burn(report) },
    { "Lasts with renewals", with_renewals(report) },
    { "Deposits", tostring(totals.deposits),
      ("%s, %s to %s"):format(count(totals.deposit_count, "transaction"),
      report.since, report["until"]) },
  }
  for at, row in ipairs(list) do list[at] = { name = row[1], value = row[2], basis = row[3] } end
  return list
end

--- The largest rows, with the rest summed up in one.
-- @param rows of a grouping
-- @param most how many are shown
-- @return list of rows
function M.top(rows, most)
  if #rows <= most then return rows end
  local list, rest = table.move(rows, 1, most - 1, 1, {}), { known = true, transactions = 0 }
  for at = most, #rows do
    local row = rows[at]
    for _, field in ipairs{ "charges", "refunds", "spent", "transactions" } do
      rest[field] = rest[field] and rest[field] + row[field] or row[field]
    end
  end
  rest.name = ("%d others"):format(#rows - most + 1)
  list[most] = rest
  return list
end

return M
