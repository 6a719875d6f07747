-- Keeps a fleet as its file says. Safe to run again, after a crash too: what was bought is not
--   bought again. proxylua --spend 50 scripts/fleet.lua [FILE]
local px = require "proxylua"

local plan = px.fleet.plan(arg[1] or arg[0]:gsub("[^/]*$", "") .. "fleet/pools.lua")
for _, part in ipairs(plan.pools) do
  print(("%s: %d of %d there, %d to do for %s"):format(part.pool.name, part.have,
    part.pool.quantity, #part.actions,
    part.total))
  for _, note in ipairs(part.notes) do print("  " .. note) end
end

local report = px.fleet.apply(plan)
for _, action in ipairs(report.done) do
  print(("%s %s for %s: %s"):format(action.action, action.order, action.pool, action.price))
end
print(report.spent .. " spent, balance " .. px.account.get().balance)
