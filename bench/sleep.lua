-- sleep.lua COUNT: tasks that are all asleep at the same time.
local px = require "proxylua"

local count, asleep = math.tointeger(arg[1]), 0
local tasks = {}
for i = 1, count do
  tasks[i] = px.spawn(function()
    asleep = asleep + 1
    px.sleep(1)
    asleep = asleep - 1
  end)
end
px.sleep(0.5)
assert(asleep == count)
for _, task in ipairs(tasks) do task:join() end
