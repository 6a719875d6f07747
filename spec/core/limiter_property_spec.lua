-- src/limits/limiter*.c and slots.c, as a property: processes that share a key against a server
-- that counts. However it counts, none of their requests is over its limit, and hardly a slot is
-- left unused.
--
-- The short form is part of `make test`: everything at once, on windows of a quarter of a second.
-- `make check-limits` runs the long one: thousands of requests, one run after another, and prints
-- its figures. LIMITS_SEED=N repeats the random part of a run.

local children = require "spec.support.children"
local core = require "proxylua.core"
local counters = require "spec.support.counter"
local program = require "spec.support.program"
local stores = require "spec.support.stores"
local tasks = require "proxylua.tasks"

local LONG = os.getenv "LIMITS_LONG" ~= nil
local SEED = tonumber(os.getenv "LIMITS_SEED") or os.time() % 1000000
local PROCESSES = 4
-- seconds that a slot stays taken after a close without an answer; of a lease beyond that and the
-- timeout
local LOST, MARGIN = 10, 1

-- Many tasks that ask as fast as they may. Failures that the server is not to blame for end the
-- script.
local BUSY = [[
  local px = require "proxylua"
  local list = {}
  for index = 1, tonumber((...)) do list[index] = index end
  px.map(list, function()
    local _, err = px.try(px.account.get)
    if err and err.kind ~= "network" and err.kind ~= "timeout" then error(err) end
  end, { concurrency = 64 })
]]

-- Of each run: the limit; requests of each process; for how many seconds connections are cut or
-- hang. In the long form, where nothing else runs, also the share of the ideal rate that is asked
-- for, and how often a run may be repeated that was slowed down.
local FORM = LONG
    and { count = 60, window = 0.5, sound = 1000, faulty = 1700, paced = 900, calm = 10,
    floor = 0.97, tries = 3 }
  or { count = 40, window = 0.25, sound = 120, faulty = 850, paced = 60, calm = 2 }

local FAULTS = { cut = 0.04, hang = 0.04, lag = 4, calm = FORM.calm, hold = "0-0.1",
  delay = "0-0.1" }
local TIMEOUT = 0.5 -- seconds, where connections hang

local runs = {}
for _, algorithm in ipairs{ "fixed", "sliding", "bucket" } do
  runs[#runs + 1] = { kind = "sound", algorithm = algorithm, requests = FORM.sound }
  if LONG or algorithm == "sliding" then
    runs[#runs + 1] = { kind = "faulty", algorithm = algorithm, requests = FORM.faulty, kill = 2,
      faults = FAULTS }
  end
end
runs[#runs + 1] = { kind = "paced", algorithm = "weighted", requests = FORM.paced }
runs[#runs + 1] = { kind = "paced", algorithm = "bucket", burst = FORM.count // 3,
  requests = FORM.paced }

local function start_counter(run, seed)
  local options = { algorithm = run.algorithm, burst = run.burst, count = FORM.count,
    window = FORM.window, seed = seed,
    hold = "0-0.02", delay = "0-0.02" }
  for name, value in pairs(run.faults or {}) do options[name] = value end
  return counters.start(options)
end

local function start_processes(run, home, url, store, seed)
  local script = program.write(home .. "/busy.lua", BUSY)
  return children.start(PROCESSES, home, { script, tostring(run.requests) }, {
    PROXYLUA_BASE_URL = url, PROXYLUA_STORE = store,
    PROXYLUA_TIMEOUT = (run.faults and TIMEOUT or 30) .. "s",
    PROXYLUA_API_KEY = ("sk_live_%s_%s_%d"):format(run.kind, run.algorithm, seed),
    PROXYLUA_LIMITS = ("general=%d/%g"):format(FORM.count, FORM.window),
  })
end

-- Kills some at random moments while the server has its faults, and checks how the others ended.
local function finish_processes(run, group)
  for number = 1, run.kill or 0 do
    core.task.sleep(0.2 + math.random() * (FORM.calm / run.kill - 0.2))
    group:kill(number)
  end
  for number, result in ipairs(group:join()) do
    local code = number <= (run.kill or 0) and 137 or 0
    assert.same({ code, "" }, { result.code, result.err },
      ("process %d of %s, seed %d"):format(number, run.kind, SEED))
  end
end

-- The log of a run, and the seed of its server.
local function perform(run, store)
  local seed = math.random(1, 1000000)
  local home, counter = program.folder(), start_counter(run, seed)
  finish_processes(run, start_processes(run, home, counter.url, store, seed))
  local log = counter:log()
  counter:stop()
  program.remove(home)
  return log
end

-- How long a request held its slot, by the server's watch.
local function keeps(entry)
  if entry.fate == "gone" then return TIMEOUT + LOST + MARGIN end -- killed: its lease
  return entry.ended - entry.arrived + (entry.fate == "answered" and 0 or LOST)
end

local function tell(place, run, format, ...)
  if not LONG then return end
  io.write(("\n  %-10s %-6s %-8s "):format(place.name, run.kind, run.algorithm), format:format(...))
  io.flush()
end

-- From when on all that the faults took is there again, and until when there was enough to do.
local function calm_part(log)
  local calm = log[1].arrived + FAULTS.calm
  return calm + TIMEOUT + LOST + MARGIN + 2 * counters.window(FORM.window),
    log[#log - FORM.count].arrived
end

local check = {}

function check.sound(place, run, log)
  local share = counters.share(log, counters.ideal(log, FORM.count, FORM.window, keeps))
  tell(place, run, "%d requests, %.2f %% of the ideal rate", #log, share * 100)
  assert.equal(PROCESSES * run.requests, #log)
  return share
end

function check.faulty(place, run, log)
  local share = counters.share(log, counters.ideal(log, FORM.count, FORM.window, keeps))
  local from, to = calm_part(log)
  if not LONG and to - from <= 3 * FORM.window then return share end
  assert.is_true(to - from > 3 * FORM.window, "the run was too short to see it recover")
  local recovered = counters.share_between(log, from, to, FORM.count, FORM.window, keeps)
  local fates = { cut = 0, hung = 0, gone = 0, answered = 0 }
  for _, entry in ipairs(log) do fates[entry.fate] = fates[entry.fate] + 1 end
  tell(place, run,
    "%d requests, %d cut, %d hung, %d killed; %.2f %% of the ideal rate, %.2f %% afterwards", #log,
    fates.cut, fates.hung, fates.gone, share * 100, recovered * 100)
  assert.is_true(fates.cut > 0 and fates.hung > 0, "no faults at all")
  return math.min(share, recovered)
end

-- Those that were under way when the first 429 came belong to it; it asks for a second at least.
function check.paced(place, run, log)
  local first
  local late, refused = 0, 0
  for _, entry in ipairs(log) do
    if entry.allowed == 0 then
      first = first or entry.ended + 0.5
      refused = refused + 1
      if entry.arrived > first then late = late + 1 end
    end
  end
  tell(place, run, "%d requests in %.0f windows, %d at once answered by 429, %d later", #log,
    log[#log].arrived / FORM.window, refused - late, late)
  -- Beside others, clients may be too slow to be refused.
  assert.is_true(refused > 0 or not LONG, "no 429 at all: the rule fits this server")
  assert.is_true(late <= PROCESSES, ("%d 429s after the pause"):format(late))
  return 1
end

local function check_run(place, run, log)
  if run.kind ~= "paced" then
    local over, crowded = counters.violations(log, FORM.count, FORM.window)
    assert.same({ 0, 0 }, { over, crowded }, ("requests over the limit, seed %d"):format(SEED))
  end
  return check[run.kind](place, run, log)
end

-- A machine that is busy with other things is one that lets the server itself be late: then the
-- rate says nothing of us.
local BUSY_MACHINE = 0.003 -- seconds, 99th percentile; 1 to 2 ms where nothing else runs

local function run_until_good(place, run, store)
  for try = 1, FORM.tries or 1 do
    local log = perform(run, store)
    local share, late = check_run(place, run, log), counters.lateness(log)
    if not LONG or share >= FORM.floor then return end
    local text = ("%.2f %% of the ideal rate, the server late by %.1f ms, seed %d"):format(share
      * 100,
      late * 1000, SEED)
    if try == FORM.tries or late < BUSY_MACHINE then error(text, 0) end
    tell(place, run, "%s: once more", text)
  end
end

describe("With", function()
  setup(function()
    io.write(("\n  LIMITS_SEED=%d "):format(SEED))
    io.flush()
    math.randomseed(SEED)
  end)

  for _, place in ipairs(stores.all) do
    describe(place.name, function()
      local store
      setup(place.start)
      teardown(place.stop)
      setup(function() store = place.fresh() end)

      if not LONG then
        it("no request of four processes exceeds the limit, under each way of counting and each "
          .. "fault",
          function()
          tasks.map(runs, function(run)
            run_until_good(place, run, store)
          end, { concurrency = #runs })
        end)
        return
      end
      for _, run in ipairs(runs) do
        it(("four processes keep to the limit, %s, by %s"):format(run.kind, run.algorithm),
          function()
          run_until_good(place, run, store)
        end)
      end
    end)
  end
end)
