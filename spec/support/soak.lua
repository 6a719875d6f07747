-- A long run: soak.lua WORK COUNT. Does the work in a hundred steps, and prints the largest size of
-- the process in the second tenth and in the last one, in KiB.

local px = require "proxylua"
local core = require "proxylua.core"
local host = require "proxylua.plugin.host"

local STEPS = 100

-- Tasks in each way to start them, thousands at a time.
local function tasks(count)
  local list, functions = {}, {}
  for at = 1, 1000 do
    list[at] = 0
    functions[at] = function() px.sleep(0) end
  end
  return function()
    for _ = 1, count // 4000 do
      px.map(list, px.sleep, { concurrency = #list })
      px.all(functions)
      for _ = 1, #list do px.timeout(10, px.sleep, 0) end
      for _ = 1, #list do px.spawn(px.sleep, 0) end
      px.sleep(0.001)
    end
  end
end

local function checks(count)
  local order = px.orders.create{ type = "isp", quantity = 50, country = "US" }
  local proxies = px.orders.wait(order.id)
  local url = os.getenv "SOAK_TRACE_URL"
  return function()
    local at = 0
    local function next_proxy()
      at = at + 1
      return at <= count and proxies[at % #proxies + 1] or nil
    end
    local summary = px.check.run(next_proxy, { url = url, concurrency = 64 })
    assert(summary.works == count, summary.works)
  end
end

local function calls(count)
  local list = {}
  for at = 1, count do list[at] = at end
  return function()
    px.map(list, function(at)
      if at % 2 == 0 then px.account.get() else px.orders.list() end
    end, { concurrency = 50 })
  end
end

local function plugin_calls(count)
  local plugin = host.start{ name = "soak", modules = { ["main.lua"] = [[
    return { add = function(a, list) return a + #list, { text = ("x"):rep(a % 1000) } end }]] } }
  return function()
    for at = 1, count do assert(plugin:call("add", at, { 1, 2, 3 }) == at + 3) end
  end
end

local function ticks(count)
  return function()
    local left = count
    px.every(1e-6, function()
      left = left - 1
      return left > 0
    end):join()
  end
end

local function size()
  local status <close> = assert(io.open("/proc/self/status"))
  return tonumber(status:read("a"):match("VmRSS:%s+(%d+)"))
end

local works = { tasks = tasks, checks = checks, calls = calls, plugin_calls = plugin_calls,
  ticks = ticks }
local name, count = ...
local step = works[name](tonumber(count) // STEPS)
local largest = {}
for at = 1, STEPS do
  step()
  local tenth = (at - 1) * 10 // STEPS + 1
  largest[tenth] = math.max(largest[tenth] or 0, size())
end
io.stderr:write(name, " ", table.concat(largest, " "), "\n")
print(core.json.encode{ early = largest[2], late = largest[10] })
