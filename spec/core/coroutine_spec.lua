local program = require "spec.support.program"
local px = require "proxylua"

local function output(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("a")
  pipe:close()
  return text
end

-- A coroutine that stands in a wait, and the task in which it does.
local function waiting()
  local co = coroutine.create(function()
    px.sleep(1e6)
    return "slept"
  end)
  local task = px.spawn(function() return coroutine.resume(co) end)
  px.sleep(0)
  return co, task
end

describe("the coroutine library", function()
  it("does what Lua's own does", function()
    local script = "spec/support/coroutines.lua"
    local own = output("lua5.4 " .. script .. " 2>&1")
    assert.has.match("a hundred thousand created true 5000050000\n$", own)
    assert.are.equal(own, output(program.quote(program.path) .. " " .. script .. " 2>&1"))
  end)

  it("keeps waits from the code that resumes", function()
    local co = coroutine.create(function(...)
      px.sleep(0)
      local got = { coroutine.yield("first", ...) }
      px.sleep(0)
      px.sleep(0)
      got[#got + 1] = coroutine.yield("second", table.unpack(got))
      px.sleep(0)
      return "end", nil
    end)
    assert.are.same({ n = 4, true, "first", 1, nil }, table.pack(coroutine.resume(co, 1, nil)))
    assert.are.same({ true, "second", "a", "b" }, { coroutine.resume(co, "a", "b") })
    assert.are.same({ n = 3, true, "end", nil }, table.pack(coroutine.resume(co)))
    assert.are.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(co) })
  end)

  it("hands on waits through many levels", function()
    local function nest(depth)
      if depth == 0 then
        px.sleep(0)
        return "bottom"
      end
      return coroutine.wrap(function()
        local inner = nest(depth - 1)
        coroutine.yield(inner)
      end)()
    end
    assert.are.equal("bottom", nest(50))
  end)

  it("raises errors after a wait as those before one", function()
    local fn = coroutine.wrap(function()
      px.sleep(0)
      error("text")
    end)
    local ok, err = pcall(function() fn() end)
    assert.is_false(ok)
    assert.has.match("^[^ ]*coroutine_spec.lua:%d+: [^ ]*coroutine_spec.lua:%d+: text$", err)
    ok, err = pcall(fn)
    assert.is_false(ok)
    assert.has.match("cannot resume dead coroutine", err)
    local value = {}
    local co = coroutine.create(function()
      px.sleep(0)
      error(value)
    end)
    assert.are.same({ false, value }, { coroutine.resume(co) })
    assert.are.equal("dead", coroutine.status(co))
  end)

  it("closes the variables of a wrapped coroutine that fails after a wait", function()
    local closed
    local ok, err = pcall(coroutine.wrap(function()
      local _ <close> = setmetatable({}, { __close = function(_, why)
        px.sleep(0)
        closed = why
      end })
      px.sleep(0)
      error("text", 0)
    end))
    assert.is_false(ok)
    assert.are.equal("text", err)
    assert.are.equal("text", closed)
  end)

  it("takes a coroutine that waits for one that runs elsewhere", function()
    local co, task = waiting()
    assert.are.equal("normal", coroutine.status(co))
    assert.are.same({ false, "cannot resume non-suspended coroutine" }, { coroutine.resume(co) })
    local ok, err = pcall(coroutine.close, co)
    assert.is_false(ok)
    assert.has.match("cannot close a normal coroutine", err)
    task:cancel()
    local resumed, why = task:join()
    assert.is_false(resumed)
    assert.are.equal("cancelled", why.kind)
    assert.are.equal("dead", coroutine.status(co))
    assert.is_false((coroutine.close(co)))
  end)

  it("lets a coroutine begin in one task and go on in another", function()
    local co = coroutine.wrap(function()
      for index = 1, 4 do
        px.sleep(0)
        coroutine.yield(index)
      end
    end)
    assert.are.equal(1, px.spawn(co):join())
    assert.are.equal(2, co())
    assert.are.same({ 3 }, px.all{ co })
    assert.are.equal(4, px.timeout(1000, co))
  end)

  it("takes a task's body for the main program", function()
    local thread, is_main = coroutine.running()
    assert.is_true(is_main)
    assert.is_false(coroutine.isyieldable())
    assert.are.equal("running", coroutine.status(thread))
    local ok, err = pcall(coroutine.yield)
    assert.is_false(ok)
    assert.has.match("outside a coroutine", err)
    assert.is_true(coroutine.wrap(coroutine.isyieldable)())
  end)

  it("leaves a task's thread to the scheduler", function()
    local thread
    local task = px.spawn(function()
      thread = coroutine.running()
      px.sleep(0.001)
      return "slept"
    end)
    px.sleep(0)
    assert.are.equal("normal", coroutine.status(thread))
    assert.are.same({ false, "cannot resume non-suspended coroutine" },
      { coroutine.resume(thread) })
    assert.is_false((pcall(coroutine.close, thread)))
    assert.are.equal("slept", task:join())
  end)

  it("keeps a thousand generators apart that all wait", function()
    local function count(from)
      return coroutine.wrap(function()
        for index = from, from + 9 do
          px.sleep(0)
          coroutine.yield(index)
        end
      end)
    end
    local list = {}
    for index = 1, 1000 do list[index] = index * 10 end
    local sums = px.map(list, function(from)
      local sum = 0
      for value in count(from) do sum = sum + value end
      return sum
    end, { concurrency = 1000 })
    for index, sum in ipairs(sums) do assert.are.equal(index * 100 + 45, sum) end
  end)

  it("collects suspended coroutines that are unreachable", function()
    local weak = setmetatable({}, { __mode = "k" })
    for _ = 1, 100 do
      local fn = coroutine.wrap(function()
        local kept = {}
        weak[kept] = true
        px.sleep(0)
        coroutine.yield()
        return kept
      end)
      fn()
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end)
end)
