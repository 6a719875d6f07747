-- `proxylua test`: specs of a user's scripts.

local core = require "proxylua.core"
local program = require "spec.support.program"

describe("proxylua test", function()
  local folder

  before_each(function()
    folder = program.folder()
    assert(os.execute("mkdir " .. folder .. "/spec"))
  end)
  after_each(function() program.remove(folder) end)

  local function run(...)
    return program.run({ ... }, { cwd = folder, home = folder })
  end

  -- The results of a spec: title -> state and error.
  local function results(text, ...)
    program.write(folder .. "/spec/a_spec.lua", text)
    local result = run("--json", "test", ...)
    local found = {}
    for _, example in ipairs(core.json.decode(result.out)) do found[example.name] = example end
    return found, result
  end

  it("gives each example a sandbox, a store and globals of its own", function()
    local found, result = results([[
      local function example()
        assert.is_nil(seen)
        seen = true
        assert.are.equal(0, #px.orders.list())
        local order = px.orders.create{ type = "isp", quantity = 1, period = 30, key = "same" }
        assert.are.equal(1, #px.orders.list())
        assert.are.equal("active", order.status)
      end
      it("one", example)
      it("two", example)
    ]])
    assert.are.equal("passed", found.one.state, found.one.error)
    assert.are.equal("passed", found.two.state, found.two.error)
    assert.are.equal(0, result.code)
  end)

  it("runs a script with its arguments, its modules, and what it prints", function()
    program.write(folder .. "/mine.lua", "return { word = 'module' }")
    program.write(folder .. "/script.lua", [[#!/usr/bin/env proxylua
      print(arg[0], ..., require("mine").word)
      io.write("end\n")
      if arg[1] == "fail" then px = require("proxylua") px.orders.get("none") end]])
    local found = results([[
      it("prints", function()
        assert.are.equal("script.lua\tone\tmodule\nend\n", run("script.lua", "one"))
      end)
      it("raises", function()
        assert.has_error(function() run("script.lua", "fail") end, "not_found")
      end)
    ]])
    assert.are.equal("passed", found.prints.state, found.prints.error)
    assert.are.equal("passed", found.raises.state, found.raises.error)
  end)

  it("has faults and a clock that can be advanced", function()
    local found = results([[
      it("loses a response", function()
        px.sandbox.fault("orders.create:cut=after,count=1")
        px.orders.create{ type = "isp", quantity = 1, period = 30, key = "k" }
        px.orders.create{ type = "isp", quantity = 1, period = 30, key = "k" }
        assert.are.equal(1, #px.orders.list())
      end)
      it("expires", function()
        local order = px.orders.create{ type = "isp", quantity = 1, period = 30 }
        px.sandbox.advance("31d")
        assert.are.equal("expired", px.orders.get(order.id).status)
      end)
    ]])
    assert.are.equal("passed", found["loses a response"].state, found["loses a response"].error)
    assert.are.equal("passed", found.expires.state, found.expires.error)
  end)

  it("runs what stands around an example, from outside to inside and back", function()
    local found = results([[
      local steps = {}
      local function step(name) return function() steps[#steps + 1] = name end end
      setup(step "setup")
      before_each(step "before")
      describe("group", function()
        before_each(step "inner")
        after_each(step "inner end")
        it("is inside", function() steps[#steps + 1] = "example" end)
      end)
      after_each(step "after")
      teardown(function() print(table.concat(steps, ", ")) end)
    ]])
    assert.are.equal("setup, before, inner, example, inner end, after\n",
      found["group is inside"].output)
  end)

  it("reports what fails, with the place in the spec, and exits with 1", function()
    local found, result = results([[
      it("differs", function() assert.are.same({ a = { 1 } }, { a = { 2 } }) end)
      it("raises", function() error{ "not a text" } end)
      it("raises an error of px", function() px.orders.get("none") end)
      it("exits", function() os.exit(7) end)
      it("misspells", function() assert.are.eqal(1, 1) end)
      pending("comes later")
      it("passes", function() assert(true) end)
    ]])
    assert.has.match("a_spec.lua:1: assert.are.same: expected { a = { 1 } }, got { a = { 2 } }",
      found.differs.error, 1, true)
    assert.are.equal("failed", found.raises.state)
    assert.has.match("not_found", found["raises an error of px"].error)
    assert.has.match("spec/a_spec.lua:3: in", found["raises an error of px"].error, 1, true)
    assert.has.match("exit code 7", found.exits.error)
    assert.has.match("did you mean equal", found.misspells.error)
    assert.are.equal("pending", found["comes later"].state)
    assert.are.equal("passed", found.passes.state)
    assert.are.equal(1, result.code)
    assert.has.match("1 passed, 5 failed, 1 pending", result.err)
  end)

  it("ends an example that takes too long", function()
    local found = results([[it("sleeps", function() px.sleep(60) end)]], "--timeout-each", "300ms")
    assert.has.match("too long", found.sleeps.error)
  end)

  it("has the assertions of busted, each with its opposite", function()
    local found = results([[
      local function refuses(fn, ...) assert.has_error(fn) end
      it("assert", function()
        assert.equal(1, 1) assert.are_equal(1, 1) assert.are.equals(1, 1) assert.is_true(true)
        assert.is_false(false) assert.is_nil(nil) assert.is_not_nil(1) assert.truthy(1)
        assert.falsy(nil) assert.is_string("") assert.is_not_string(1) assert.is_table{}
        assert.matches("b", "abc") assert.has.no.match("x", "abc") assert.near(1, 1.1, 0.2)
        assert.are_not.same({ 1 }, { 1, 2 }) assert.has_no_error(function() end)
        assert.has_error(function() error("boom") end, "boom")
        assert.are.same({ { a = 1 } }, { { a = 1 } })
        for at, fn in ipairs{
          function() assert.equal(1, 2) end, function() assert.is_not_nil(nil) end,
          function() assert.has_error(function() end) end, function() assert(false) end,
          function() assert.are_not.equal(1, 1) end, function() assert.matches("x", "abc") end,
          function() assert.has_error(function() error("a") end, "boom") end,
          function() assert.has_no_error(error) end, function() assert.is_table(1) end,
          function() assert.are.same({ 1 }, { 1, 2 }) end, function() assert.near(1, 2, 0.5) end,
        } do
          if pcall(fn) then error("holds: " .. at) end
        end
      end)
    ]])
    assert.are.equal("passed", found.assert.state, found.assert.error)
  end)

  it("takes the specs here and in spec/, and those whose titles fit", function()
    program.write(folder .. "/spec/a_spec.lua", 'it("one", function() end) it("two", print)')
    program.write(folder .. "/b_spec.lua", 'it("three", function() end)')
    program.write(folder .. "/spec/other.lua", "error('not a spec')")
    local result = run("test")
    assert.are.equal(0, result.code, result.err)
    assert.has.match("ok      b_spec.lua: three\n", result.out, 1, true)
    assert.has.match("3 passed, 0 failed", result.err)
    assert.has.match("1 passed, 0 failed", run("test", "--filter", "two").err)
    assert.has.match("1 passed, 0 failed", run("test", "b_spec.lua").err)
    assert.are.equal(2, run("test", "--filter", "none").code)
    assert.are.equal(2, run("test", "missing_spec.lua").code)
    program.write(folder .. "/spec/a_spec.lua", "it(")
    assert.has.match("a_spec.lua:1", run("test").err)
  end)
end)
