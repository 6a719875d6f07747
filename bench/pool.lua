-- Prints how long a pick and its report take, in microseconds, with so many proxies: bench/pool.lua
-- COUNT. One in ten fails and is set aside; one in two belongs to one of a thousand sessions.

local core = require "proxylua.core"

local count, rounds <const> = tonumber(arg[1]), 200000
local pool = core.pool.new("least_latency", 300)
for at = 1, count do
  pool:add(("http://10.%d.%d.%d:80"):format(at >> 16, at >> 8 & 255, at & 255))
end

local began = core.task.clock()
for round = 1, rounds do
  local url = pool:pick(round % 2 == 0 and round % 1000 or nil, math.random(0))
  pool:report(url, round % 10 == 0 and "failed" or "worked", round % 97 / 100)
end
print((core.task.clock() - began) / rounds * 1e6)
