-- A counting server (counter.pl), and what is to be said of a run against it.

local core = require "proxylua.core"
local program = require "spec.support.program"

local M = {}
local Counter = {}
Counter.__index = Counter

--- Starts a server that counts.
-- @param options table: `algorithm` (fixed, sliding, bucket, weighted), `count` and `window` (the
--   limit), `burst` of a bucket, `seed`; `hold` and `delay`: seconds before it counts and before it
--   responds, "A-B" at random; `cut` and `hang`: of how large a share it closes at once, or never
--   responds; `lag`: seconds up to which it counts those later still; `calm`: seconds after the
--   first request from which on it does neither
-- @return server, with the fields url and pid, and the methods log and stop
function M.start(options)
  local words = {}
  for name, value in pairs(options) do
    words[#words + 1] = program.quote(("%s=%s"):format(name, value))
  end
  table.sort(words)
  local pipe = assert(io.popen("exec perl spec/support/counter.pl " .. table.concat(words, " ")))
  local port, pid = pipe:read("n", "n")
  assert(pid, "the server did not start")
  return setmetatable({ pipe = pipe, pid = pid, url = ("http://127.0.0.1:%d"):format(port) },
    Counter)
end

local names = { "arrived", "counted", "ended", "fate", "allowed", "late" }

--- What it noted, in the order of arrival: tables with the fields that counter.pl names; times in
-- seconds.
function Counter:log()
  local list = {}
  for line in core.http.get(self.url .. "/_log").body:gmatch("[^\n]+") do
    local entry, at = {}, 1
    for word in line:gmatch("%S+") do
      local number = tonumber(word)
      entry[names[at]], at = number and (names[at] ~= "allowed" and number / 1e6 or number) or word,
        at + 1
    end
    for _, name in ipairs{ "counted", "ended", "allowed", "late" } do
      if entry[name] == "-" then entry[name] = nil end
    end
    list[#list + 1] = entry
  end
  return list
end

function Counter:stop()
  if self.stopped then return end
  self.stopped = true
  os.execute(("kill -KILL %d"):format(self.pid))
  self.pipe:close()
end

Counter.__gc = Counter.stop

--- How long after its end a slot stays taken, as the slot rule has it.
function M.window(seconds)
  return seconds * 1.001 + 0.005
end

--- How many requests were over the limit: by the server's own count, and by any window of `seconds`
-- that held more than `count`.
function M.violations(log, count, seconds)
  local times, over = {}, 0
  for _, entry in ipairs(log) do
    if entry.counted then times[#times + 1] = entry.counted end
    if entry.allowed == 0 then over = over + 1 end
  end
  table.sort(times)
  local crowded = 0
  for at = 1, #times - count do
    if times[at + count] - times[at] < seconds then crowded = crowded + 1 end
  end
  return over, crowded
end

-- The least of a heap of numbers, replaced by a larger one.
local function replace_least(heap, value)
  local at, size = 1, #heap
  while 2 * at <= size do
    local child = 2 * at
    if child < size and heap[child + 1] < heap[child] then child = child + 1 end
    if heap[child] >= value then break end
    heap[at], at = heap[child], child
  end
  heap[at] = value
end

--- The ideal schedule: when each request of the log could have come at the earliest, had a slot
-- never been left free. Each keeps its slot for as long as the server made it, `keeps(entry)`
-- seconds, and a window more.
-- @return list of times, of the log's entries in their order
function M.ideal(log, count, seconds, keeps)
  local slots, times = {}, {}
  local start = log[1].arrived
  for at = 1, count do slots[at] = start end
  for at, entry in ipairs(log) do
    times[at] = slots[1]
    replace_least(slots, slots[1] + keeps(entry) + M.window(seconds))
  end
  return times
end

--- The rate as a share of the ideal one's, from the first request to the last.
function M.share(log, ideal)
  return (ideal[#log] - ideal[1]) / (log[#log].arrived - log[1].arrived)
end

--- The same for the requests that arrived between two moments, in the midst of many: each slot
-- comes round once in the time that its request keeps it and a window more.
function M.share_between(log, from, to, count, seconds, keeps)
  local arrived, kept = 0, 0
  for _, entry in ipairs(log) do
    if entry.arrived >= from and entry.arrived < to then
      arrived, kept = arrived + 1, kept + keeps(entry)
    end
  end
  return arrived / (count * (to - from) / (kept / arrived + M.window(seconds)))
end

--- The value that all but one in a hundred of the server's delays in counting stay below: what a
-- busy machine costs.
function M.lateness(log)
  local list = {}
  for _, entry in ipairs(log) do list[#list + 1] = entry.late end
  table.sort(list)
  return list[math.ceil(#list * 0.99)] or 0
end

return M
