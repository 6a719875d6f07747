-- plugin.lua: what a plugin costs: milliseconds of its first call, its start included, microseconds
-- of a later one, seconds of 100,000 rows from it. Medians.
local core = require "proxylua.core"
local host = require "proxylua.plugin.host"

local CALLS, ROWS, RUNS = 10000, 100000, 11

local spec = {
  name = "bench",
  modules = { ["main.lua"] = [[
    local functions = {}
    function functions.add(a, b) return a + b end
    function functions.rows(count)
      local id = 0
      return function()
        id = id + 1
        if id <= count then return { id = id, host = "198.51.100.7", port = 8080, protocol = "http", ok = true } end
      end
    end
    return functions]] },
}

local function timed(fn)
  local before = core.task.clock()
  fn()
  return core.task.clock() - before
end

local function median(fn)
  local list = {}
  for run = 1, RUNS do list[run] = timed(fn) end
  table.sort(list)
  return list[RUNS // 2 + 1]
end

local first = median(function()
  local plugin = host.start(spec)
  assert(plugin:call("add", 1, 2) == 3)
  plugin:close()
end)

local plugin = host.start(spec)
local call = median(function()
  for n = 1, CALLS do plugin:call("add", n, 1) end
end)
local rows = median(function()
  local count = 0
  for _ in plugin:call("rows", ROWS) do count = count + 1 end
  assert(count == ROWS)
end)
print(first * 1e3, call / CALLS * 1e6, rows)
