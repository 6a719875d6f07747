-- Messages of a plugin while the parent's collector runs finalizers that wait: these turn the loop,
-- which reads more messages, while one is being decoded.

local program = require "spec.support.program"

local script = [[
local core = require "proxylua.core"
local px = require "proxylua"
collectgarbage("incremental", 50, 1000)
local slept, wrong, got = 0, 0, 0
local function trap()
  setmetatable({}, { __gc = function()
    if slept >= 100 then return end
    slept = slept + 1
    px.sleep(0.002)
    trap()
  end })
end
local plugin
local function on_message(_, number, what, list)
  got = got + 1
  if what ~= "exec" or #list ~= 4000 or list[4000]:find("^item number 4000 of ") == nil then
    wrong = wrong + 1
  end
  px.spawn(function() plugin:answer(number, true, 1) end)
end
plugin = core.plugin.start({ name = "x", memory = 512 << 20, cpu = 60 }, on_message, print)
plugin:call("start", "x", { ["main.lua"] = [=[
  local px = require "proxylua"
  local function one(i)
    local list = {}
    for k = 1, 4000 do list[k] = "item number " .. k .. " of " .. i end
    return px.exec(list)
  end
  return { go = function()
    local tasks, sum = {}, 0
    for i = 1, 60 do tasks[i] = px.spawn(one, i) end
    for i = 1, 60 do sum = sum + tasks[i]:join() end
    return sum
  end }
]=] })
for _ = 1, 3 do trap() end
print(select(2, plugin:call("call", "go", {})), got, wrong, slept > 0)
]]

describe("messages of a plugin", function()
  it("arrive whole while finalizers of the parent wait", function()
    local folder = program.folder()
    program.write(folder .. "/script.lua", script)
    local result = program.run{ "--sandbox", folder .. "/script.lua" }
    program.remove(folder)
    assert.are.equal("60\t60\t0\ttrue\n", result.stdout or result.out)
  end)
end)
