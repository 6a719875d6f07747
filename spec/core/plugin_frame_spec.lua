-- A plugin's process that has fallen into the wrong hands: what it can say to its parent, and what
-- comes of it.

local core = require "proxylua.core"
local program = require "spec.support.program"

local folder

-- What a script prints that calls the forger; `forge` is what the forger does at each call, given
-- core and the call's number.
local function say(forge, script)
  local code = ([[
    local px, host = require "proxylua", require "proxylua.plugin.host"
    local main = %q
    local plugin = host.start{ name = "forger", modules = { ["main.lua"] = main }, permissions = {} }
    local function call() return select(2, pcall(plugin.call, plugin, "run")) end
    %s]]):format("local core, call = ...\n" .. forge, script)
  local result = program.run({ "-e", code }, { env = { PROXYLUA_LUA_DIR = folder } })
  assert.are.equal("", result.err)
  assert.are.equal(0, result.code)
  return result.out
end

describe("a forged message", function()
  setup(function()
    folder = program.folder()
    local lua = core.system.real_path(os.getenv("PROXYLUA_LUA_DIR") or "lua")
    assert(os.execute(("cp -r %s/. %s"):format(program.quote(lua), folder)))
    program.write(folder .. "/proxylua/plugin/guest/init.lua",
      program.read("spec/support/forger.lua"))
  end)
  teardown(function() program.remove(folder) end)

  it("that cannot be read is refused, thousands of kinds of them", function()
    local pipe = assert(io.popen("build/spec/frame_check"))
    local said = pipe:read("a")
    assert.is_truthy(pipe:close(), said)
    assert.is_true(tonumber(said:match("^(%d+) messages\n$")) > 1000, said)
  end)

  it("ends a plugin that responds or asks out of order", function()
    for _, forge in ipairs{
      "core.send('r', 999, 'forged')",
      "core.send('e', 0, 'forged')",
      "core.send('z', 1)",
      "core.send('n', 0, 'nothing')",
      "core.send('n', 0)",
      "core.send('c', 7, 'sleep', 60) core.send('c', 7, 'sleep', 60)",
    } do
      assert.are.equal("plugin_forged true\n", say(forge, [[
        print(call().code, plugin:ended() ~= nil)]]):gsub("\t", " "), forge)
    end
  end)

  it("with a question that does not exist gets an error", function()
    assert.are.equal("no e\n", say([[
      core.send("c", 1, "shell", "id") core.send("c", 2) core.send("c", 3, { 1 })
      local kinds = {}
      for i = 1, 3 do kinds[i] = core.receive() end
      core.send("r", call, nil, (table.concat(kinds) == "eee") and "no e" or "what")]],
        "print(call())"))
  end)

  it("that is large waits until there is room for what it holds", function()
    assert.are.equal("20 true\n", say([[
      local large = string.rep("x", 15 << 20)
      for i = 1, 20 do core.send("c", i, "pull", 1, large) end
      for _ = 1, 20 do assert(core.receive() == "r") end
      core.send("r", call)]], [[
      local inside, most, all = 0, 0, 0
      plugin:call("run", function()
        inside, all = inside + 1, all + 1
        most = math.max(most, inside)
        px.sleep(0.3)
        inside = inside - 1
        return true
      end)
      print(all, most <= 5)]]):gsub("\t", " "))
  end)

  it("with arguments of any kind does no harm", function()
    assert.are.equal("done\n", say([[
      local number = 0
      for _, what in ipairs{ "api", "request", "limits", "http", "read", "write", "env", "exec", "pull", "sleep" } do
        for _, value in ipairs{ 1, -1, 0/0, true, "", "\0", "orders.list", {}, { {} }, { path = 1 }, core.money(1) } do
          for _, count in ipairs{ 0, 1, 2, 3 } do
            if not (what == "sleep" and value == 1) then
              number = number + 1
              core.send("c", number, what, table.unpack({ value, value, value }, 1, count))
              core.receive()
            end
          end
        end
      end
      core.send("r", call, nil, "done")]], "print(select(2, pcall(plugin.call, plugin, 'run')))"))
  end)

  it("with an invalid iterator, or one without rows, is an error where it is used", function()
    assert.matches("protocol: .*not return a list of rows", say([[
      if call % 2 == 0 then core.send("r", call, { true }, "number") else core.send("r", call, 5) end]], [[
      print(select(2, pcall(plugin:call("run"))))]]))
    local odd = [[core.send("r", call, { [9] = true, x = true, [1.5] = true }, nil)]]
    assert.are.equal("nil\n", say(odd, "print(call())"))
  end)

  it("with an error value of any shape can be shown", function()
    assert.are.equal("internal: plugin forger: no message\n", say([[
      local err = core.error.new{ kind = "usage", message = "x" }
      err.kind, err.message, err.retry_after, err.status, err.charge = {}, { 1 }, "soon", {}, 0/0
      core.send("e", call, err)]], "print((tostring(call()):gsub('^%w+', 'internal')))"))
  end)

  it("sent without end holds up neither the parent nor its memory", function()
    local out = say([[
      local number = 0
      while true do
        number = number + 1
        core.send("c", number, "sleep", 60, ("x"):rep(10000))
      end]], [[
      print(select(2, px.try(px.timeout, 0.3, plugin.call, plugin, "run")).kind)
      collectgarbage()
      print(collectgarbage("count") < 100000, plugin:ended() == nil)
      plugin:close()]])
    assert.are.equal("timeout\ntrue\ttrue\n", out)
  end)
end)
