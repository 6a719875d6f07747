-- `make crash`: storms on both kinds of store, several at once, each in a process with an emulated
-- API of its own. Every second one has an allowance that is too small at first.
--   crash_long.lua [seed=N] [storms=N] [parallel=N] [intents=N] [processes=N] [kills=N]
--     [day=AMOUNT] [run=AMOUNT] [store=SQLite|PostgreSQL] [path=PROGRAM]

package.path = "./?.lua;" .. package.path
local core = require "proxylua.core"
local crash = require "spec.support.crash"
local program = require "spec.support.program"
local stores = require "spec.support.stores"

local options = { seed = os.time() % 1000000, storms = 20, parallel = 5, intents = 80,
  processes = 4, kills = 25,
  day = 150, run = 60 }
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

-- --- one storm ---

local function buy_all(storm)
  local total = storm.options.small and {} or nil
  local over = {}
  if total then
    storm:configure(options.day, options.run)
    local first = storm:run(options.kills)
    local spent
    over, spent = storm:overspent(options.day, options.run)
    total.allowances, total.refused = 1, first.refused
    print(("  allowed %s a day and %s a run: %s spent, %d charges refused"):format(options.day,
      options.run,
      tostring(spent), first.refused))
    first.refused = nil
    crash.add(total, first)
  end
  storm:configure()
  local rest, done = storm:run(options.kills)
  total = total or {}
  crash.add(total, rest)
  return total, done, over
end

-- "orders.create:cut=after,chance=0.05" is of kind "cut=after".
local function kinds_of(faults)
  local kinds = {}
  for text, count in pairs(faults) do
    local kind = text:match(":(.*)"):gsub(",?chance=[%d.]+", ""):gsub(",retry_after=%d+", "")
    kinds[kind] = (kinds[kind] or 0) + count
  end
  return kinds
end

local function keep(storm)
  local folder = ("build/crash/kept-%d"):format(storm.options.seed)
  os.execute(("rm -rf %s; cp -r %s %s; cp %s* %s/ 2>/dev/null"):format(folder, storm.folder, folder,
    storm.options.store, folder))
  program.write(folder .. "/orders", core.json.encode(storm.server:look("orders")))
  print("  kept in " .. folder)
end

local function storm_of(place, number)
  local seed = options.seed + number
  place.start()
  local storm = crash.open{
    store = place.fresh(), intents = options.intents, processes = options.processes, seed = seed,
      path = options.path,
    cut = place.cutter and place.cutter(), small = number % 2 == 1,
  }
  storm.server:change("settings", { faults = crash.storm() })
  local began = os.time()
  print(("%s, seed %d"):format(place.name, seed))
  local total, done, over = buy_all(storm)
  local report, counters = storm:audit(), storm.server:look("counters")
  for _, text in ipairs(over) do table.insert(report.texts, "overspent: " .. text) end
  if not done then table.insert(report.texts, "a process gave up") end
  if total.hung > 0 then table.insert(report.texts, "a client hung") end
  if total.crashed > 0 then table.insert(report.texts, "a client crashed") end
  if (total.later or {}).internal then table.insert(report.texts, storm:said("internal")) end
  for _, text in ipairs(report.texts) do print("  ! " .. text) end
  if #report.texts > 0 then keep(storm) end
  print(("  %d s, %d runs, %d orders, %d extensions"):format(os.time() - began, total.runs,
    report.orders,
    report.extensions))
  total.faults, total.charges, total.refunds = kinds_of(counters.faults), counters.charges,
    counters.refunds
  total.overspent, total.wrong = #over, #report.texts > 0 and 1 or 0
  crash.add(total, report)
  storm:close()
  place.stop()
  return total
end

-- --- all of them ---

local function sum(counts)
  local all = 0
  for _, count in pairs(counts or {}) do all = all + count end
  return all
end

local function tell(name, storms, total)
  local line =
    "%s, seed %d: %d storms, %d runs, %d faults, %d kills, %d interrupts, %d charges, %d refunds"
  print(line:format(name, options.seed, storms, total.runs, sum(total.faults),
    sum(total.steps) + total.random,
    total.signals, total.charges, total.refunds))
  print("  faults: " .. words(total.faults))
  print(("  kills: at random %d; at steps: %s"):format(total.random, words(total.steps or {})))
  print("  asked again later: " .. words(total.later or {}))
  print(("  allowances: %d too small, %d charges refused, %d overspent"):format(total.allowances
    or 0,
    total.refused or 0, total.overspent))
  line = "  %d orders, %d extensions, %d duplicates, %d losses, %d unrecorded, %d open, %d "
    .. "mispriced, %d hung, "
    .. "%d crashed"
  print(line:format(total.orders, total.extensions, total.duplicates, total.losses,
    total.unrecorded, total.open,
    total.mispriced, total.hung, total.crashed))
end

local function storms_of(place)
  local lines, folder, total = {}, program.folder(), {}
  for number = 1, options.storms do
    local arguments = {}
    for name, value in pairs(options) do
      arguments[#arguments + 1] = ("%s=%s"):format(name, value)
    end
    local own = { "number=" .. number, "store=" .. place.name, "result=" .. folder .. "/"
      .. number }
    lines[number] = ("%s spec/support/crash_long.lua %s %s"):format(program.path,
      table.concat(arguments, " "),
      table.concat(own, " "))
  end
  program.write(folder .. "/lines", table.concat(lines, "\n") .. "\n")
  local ok = os.execute(("xargs -P %d -I{} sh -c '{} || exit 1' <%s/lines"):format(options.parallel,
    folder))
  for number = 1, options.storms do
    local path = folder .. "/" .. number
    if core.system.kind(path) then crash.add(total, core.json.decode(program.read(path))) end
  end
  program.remove(folder)
  if total.runs then tell(place.name, options.storms, total) end
  return ok and total.wrong == 0
end

local fine = true
for _, place in ipairs(stores.all) do
  if options.number and options.store == place.name then
    local lines, write = {}, print
    print = function(text) lines[#lines + 1] = text end -- luacheck: ignore
    local total = storm_of(place, options.number)
    write(table.concat(lines, "\n"))
    program.write(options.result, core.json.encode(total))
  elseif not options.number and (not options.store or options.store == place.name) then
    fine = storms_of(place) and fine
  end
end
assert(fine, "not everything was bought once, paid once and written down")
