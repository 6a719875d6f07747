-- What long runs hold: memory must not grow with the work that is done.

local program = require "spec.support.program"

local script = [[
local px = require "proxylua"
local function size()
  for line in io.lines("/proc/self/status") do
    local kilobytes = line:match("^VmRSS:%s+(%d+)")
    if kilobytes then return tonumber(kilobytes) end
  end
end
local list, early = {}, nil
for i = 1, 5000 do list[i] = 0 end
for round = 1, 100 do
  px.map(list, px.sleep, { concurrency = #list })
  if round == 50 then early = size() end
end
print(size() <= early * 1.1 or ("%d KiB grew to %d KiB"):format(early, size()))
]]

-- With a finalizer for each task, the collector keeps thousands of ended tasks for one more cycle.
local spawning = [[
local px = require "proxylua"
local most = 0
for _ = 1, 50 do
  for _ = 1, 1000 do px.spawn(function() end) end
  px.sleep(0)
  most = math.max(most, collectgarbage("count"))
end
print(most < 8 * 1024 or ("%d KiB"):format(most))
]]

-- The largest size of a report's process, in MiB.
local reporting = [[
local px = require "proxylua"
local report = px.report.build()
local size = io.open("/proc/self/status"):read("a"):match("VmHWM:%s+(%d+)") // 1024
print(report.totals.charge_count, size <= 48 or ("%d MiB"):format(size))
]]

describe("the memory of a run", function()
  it("is 16 bytes for each transaction of a report", function()
    if os.getenv("ASAN_OPTIONS") then return pending("the sanitizers keep what was freed") end
    local pipe <close> = assert(io.popen("exec perl spec/support/history.pl 200000"))
    local env = { PROXYLUA_API_KEY = "sk_live_x", PROXYLUA_LIMITS = "off",
      PROXYLUA_BASE_URL = "http://127.0.0.1:" .. pipe:read("l") }
    assert.are.equal("200000\ttrue\n", program.run({ "-e", reporting }, { env = env }).out)
  end)

  it("holds no more than a few rounds of ended tasks", function()
    assert.are.equal("true\n", program.run{ "-e", spawning }.out)
  end)

  it("stays the same while tasks come and go", function()
    assert.are.equal("true\n", program.run{ "-e", script }.out)
  end)
end)
