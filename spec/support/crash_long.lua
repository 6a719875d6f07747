-- `make crash`: storms on both kinds of store, one after the other, until the wanted number of intents is done.
--   crash_long.lua [seed=N] [intents=N] [processes=N] [rounds=N] [kills=N] [store=SQLite|PostgreSQL] [path=PROGRAM]

package.path = "./?.lua;" .. package.path
local core = require "proxylua.core"
local crash = require "spec.support.crash"
local stores = require "spec.support.stores"

local options = { seed = os.time() % 1000000, intents = 120, processes = 4, rounds = 10, kills = 25 }
for _, word in ipairs{ ... } do
  local name, value = word:match("^(%a+)=(.+)$")
  options[name] = tonumber(value) or value
end

local function words(counts)
  local names, out = {}, {}
  for name in pairs(counts) do names[#names + 1] = name end
  table.sort(names)
  for at, name in ipairs(names) do out[at] = ("%s %s"):format(name, counts[name]) end
  return table.concat(out, ", ")
end

local bad = 0

local function round(store, number)
  local storm = crash.open{ store = store.fresh(), intents = options.intents, processes = options.processes,
    seed = options.seed + number, path = options.path }
  storm:configure()
  storm.server:change("settings", { faults = crash.storm() })
  local began = os.time()
  local total, done = storm:run(options.kills)
  local report, counters = storm:audit(), storm.server:look("counters")
  print(("%s, seed %d, %d s: %s"):format(store.name, options.seed + number, os.time() - began,
    done and "all done" or "GAVE UP"))
  print(("  runs %d, killed at steps %s, at random %d, interrupted %d, hung %d"):format(total.runs,
    words(total.steps or {}), total.random, total.signals, total.hung))
  print("  left for later: " .. words(total.later or {}))
  local struck = 0
  for _, count in pairs(counters.faults) do struck = struck + count end
  print(("  faults %d, charges %d (%s), refunds %d"):format(struck, counters.charges, counters.charged, counters.refunds))
  print(("  orders %d, extensions %d, duplicates %d, losses %d, unrecorded %d, open %d, mispriced %d"):format(
    report.orders, report.extensions, report.duplicates, report.losses, report.unrecorded, report.open,
    report.mispriced))
  for _, text in ipairs(report.texts) do print("  ! " .. text) end
  if #report.texts > 0 or not done or total.hung > 0 then
    bad = bad + 1
    os.execute(("rm -rf /tmp/crash-kept-%d; cp -r %s /tmp/crash-kept-%d"):format(options.seed + number, storm.folder, options.seed + number))
    if store.name == "SQLite" then os.execute(("cp %s* /tmp/crash-kept-%d/"):format(storm.options.store, options.seed + number)) end
    print("kept: /tmp/crash-kept-" .. options.seed + number)
    local f = io.open(("/tmp/crash-kept-%d/orders.json"):format(options.seed + number), "w") f:write(core.json.encode(storm.server:look("orders"))) f:close()
  end
  storm:close()
end

for _, store in ipairs(stores.all) do
  if not options.store or options.store == store.name then
    store.start()
    for number = 1, options.rounds do round(store, number) end
    store.stop()
  end
end
assert(bad == 0, bad .. " rounds went wrong")
