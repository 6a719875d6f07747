-- What was spent in the last days, by pool, and whether the balance lasts; and a page with charts
--   if you name one. proxylua scripts/report.lua [DAYS [PAGE.html]]
local px = require "proxylua"

local length, path = ... -- days; a file for the page
local report = px.report.build{ since = (length or "30") .. "d" }

print(("%s to %s: %s spent, %s charged and %s refunded"):format(report.since, report["until"],
  report.totals.spent,
  report.totals.charges, report.totals.refunds))
for _, row in ipairs(report.by.pool) do print(row.name, row.spent) end

if report.burn then
  print(("%s a day, over %.1f days"):format(report.burn.per_day:round(2), report.burn.days))
end
if report.lasts_with_renewals then
  print(("the balance pays for the renewals of %d days"):format(report.lasts_with_renewals))
end
for _, gap in ipairs(report.gaps) do print("missing: " .. gap) end

if path then
  local page <close> = assert(io.open(path, "w"))
  assert(page:write(px.report.html(report)))
end
