local program = require "spec.support.program"
local px = require "proxylua"

local home

-- Runs a script of its own file and returns the result.
local function run(text, ...)
  return program.run({ program.write(home .. "/script.lua", text), ... }, { home = home })
end

describe("Lua's standard library", function()
  setup(function() home = program.folder() end)
  teardown(function() program.remove(home) end)

  it("names the caller's line in errors of print and io.write", function()
    for _, call in ipairs{ "io.write('', nil)", "io.write({})",
      "print(setmetatable({}, { __tostring = function() return {} end }))" } do
      local text = "\n\n" .. call
      local ours = run(text)
      assert.equal(1, ours.code)
      local own = select(2, pcall(assert(load(text, "@script.lua"))))
      assert.matches("script.lua:3: " .. own:match("^script.lua:3: (.*)"),
        ours.err, 1, true)
    end
  end)

  it("raises an error for output that is lost, also while another file is the output", function()
    local result = run([[
      local full = io.open("/dev/full", "w")
      full:setvbuf("no")
      io.output(full)
      print(io.write("lost"))
      io.output(io.stdout)
      print(io.write("written") == io.stdout)]])
    assert.matches("^nil\tNo space left on device\t28\nwrittentrue\n$", result.out)
    local exit = os.execute(("%s -e 'io.write(1) os.exit(0)' >/dev/full 2>%s/err"):format(
      program.quote(program.path), home))
    assert.is_nil(exit)
    assert.matches("cannot write to standard output", program.read(home .. "/err"))
  end)

  it("prints warnings once they are switched on", function()
    local result = run([[
      warn("a") warn("@on") warn("b", "c") warn("@off") warn("d") warn("@on", "")]])
    assert.equal("Lua warning: bc\n", result.err)
  end)

  it("finds the words before the script at negative indices of arg", function()
    local show = "for at = -5, 2 do io.write(tostring(arg[at]), ' ') end"
    local path = program.write(home .. "/show.lua", show)
    local options = { "--quiet", "--spend", "3", path, "one" }
    assert.equal(("nil %s --quiet --spend 3 %s one nil "):format(program.path, path),
      program.run(options, { home = home }).out)
    assert.equal(("nil nil %s -e %s -e nil nil "):format(program.path, show),
      program.run({ "-e", show }, { home = home }).out)
  end)

  it("reports a module that does not exist in the words of lua", function()
    local text = "package.path, package.cpath = '?.lua', '?.so' "
      .. "print(select(2, pcall(require, 'x')))"
    local pipe = io.popen(("lua5.4 -e %s"):format(program.quote(text)))
    assert.equal(pipe:read("a"), run(text).out)
    pipe:close()
  end)
end)

describe("os.exit", function()
  setup(function() home = program.folder() end)
  teardown(function() program.remove(home) end)

  local closing = [[
    local px = require "proxylua"
    local function closing(name)
      return setmetatable({}, { __close = function() print(name) end })
    end
  ]]

  it("closes pending variables, innermost first, and runs finalizers, when asked to", function()
    local text = closing .. [[
      collected = setmetatable({}, { __gc = function() print "collected" end })
      local outer <close> = closing "outer"
      local function inner()
        local variable <close> = closing "inner"
        os.exit(3, ...)
      end
      inner()]]
    local result = run(text:gsub("%.%.%.", "true"))
    assert.same({ 3, "inner\nouter\ncollected\n" }, { result.code, result.out })
    result = run(text:gsub("%.%.%.", "false"))
    assert.same({ 3, "" }, { result.code, result.out })
  end)

  it("closes those of all tasks, also of tasks that catch every error", function()
    local result = run(closing .. [[
      local outer <close> = closing "body"
      for at = 1, 2 do
        px.spawn(function()
          local variable <close> = closing("task " .. at)
          while true do pcall(px.sleep, 60) end
        end)
      end
      px.sleep(0)
      os.exit(true, true)]])
    assert.same({ 0, "task 2\ntask 1\nbody\n" }, { result.code, result.out })
  end)

  it("closes those of a coroutine, and where Lua cannot yield", function()
    local result = run(closing .. [[
      local outer <close> = closing "body"
      table.sort({ 1, 2, 3 }, function()
        local compare <close> = closing "compare"
        px.all{ function()
          coroutine.wrap(function()
            local variable <close> = closing "coroutine"
            os.exit(false, true)
          end)()
        end }
      end)]])
    assert.same({ 1, "coroutine\ncompare\nbody\n" }, { result.code, result.out })
  end)
end)

describe("a debug hook", function()
  local function lines_of(code)
    local seen = {}
    local chunk = assert(load(code, "@hooked"))
    debug.sethook(function(_, line)
      local source = debug.getinfo(2, "S").source
      if source == "@hooked" then seen[line] = true end
    end, "l")
    local ok, err = pcall(chunk)
    debug.sethook()
    assert(ok, err)
    return seen
  end

  it("reaches the tasks that are started under it, and theirs", function()
    local seen = lines_of([[
      local px = require "proxylua"
      px.spawn(function()
        px.sleep(0)
        px.map({ 1, 2 }, function()
          px.sleep(0)
          return 1
        end)
      end):join()
      px.timeout(5, function()
        return 1
      end)]])
    for line = 1, 11 do
      if line ~= 7 and line ~= 8 then assert.is_true(seen[line], "line " .. line) end
    end
  end)

  it("is gone from tasks that are started after it", function()
    lines_of("return 1")
    px.spawn(function() assert.is_nil(debug.gethook()) end):join()
  end)
end)

describe("a cancelled task that catches every error", function()
  local function forever()
    while true do pcall(px.sleep, 60) end
  end

  it("is ended", function()
    for _, fn in ipairs{ forever, coroutine.wrap(forever),
      function() pcall(forever) px.sleep(60) end } do
      local task = px.spawn(fn)
      px.sleep(0)
      task:cancel()
      assert.equal("cancelled", select(2, px.try(task.join, task)).kind)
      assert.equal("timeout", select(2, px.try(px.timeout, 0, forever)).kind)
    end
  end)

  it("may wait many times before it ends by itself", function()
    local count = 0
    local task = px.spawn(function()
      for _ = 1, 900 do
        pcall(px.sleep, 60)
        count = count + 1
      end
    end)
    px.sleep(0)
    task:cancel()
    task:join()
    assert.equal(900, count)
  end)

  it("does not keep a script from ending", function()
    local result = program.run{ "-e", "local px = require 'proxylua' "
      .. "px.spawn(function() while true do pcall(px.sleep, 60) end end) "
      .. "px.sleep(0) error('over', 0)" }
    assert.equal(1, result.code)
    assert.matches("^proxylua: over\n", result.err)
  end)
end)
