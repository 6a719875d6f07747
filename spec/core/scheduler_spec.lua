local px = require "proxylua"
local program = require "spec.support.program"

local function usage(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.are.equal("usage", type(err) == "table" and err.kind or err)
  return err.message
end

-- Runs code as a script.
local function run(code)
  return program.run({ "-" }, { stdin = 'local px = require "proxylua" ' .. code })
end

-- Kilobytes in use after a full collection.
local function memory()
  collectgarbage()
  collectgarbage()
  return collectgarbage("count")
end

describe("a task", function()
  it("runs when the code that started it waits", function()
    local order = {}
    local task = px.spawn(function(...)
      order[#order + 1] = table.concat({ ... }, " ")
    end, "with", "arguments")
    order[#order + 1] = "before"
    task:join()
    assert.are.same({ "before", "with arguments" }, order)
  end)

  it("hands its results to everybody who joins it", function()
    local task = px.spawn(function(...)
      px.sleep(0)
      return ...
    end, 1, nil, 3, nil)
    local joiners = {}
    for index = 1, 3 do joiners[index] = px.spawn(function() return task:join() end) end
    for _, joiner in ipairs(joiners) do
      assert.are.same({ n = 4, 1, nil, 3, nil }, table.pack(joiner:join()))
    end
    assert.are.same({ n = 4, 1, nil, 3, nil }, table.pack(task:join()))
  end)

  it("hands over two hundred thousand results", function()
    local list = {}
    for index = 1, 200000 do list[index] = index end
    local task = px.spawn(table.unpack, list)
    assert.are.equal(200000, select("#", task:join()))
    assert.are.equal(200000, (select(-1, task:join())))
  end)

  it("hands its error to everybody who joins it", function()
    local value = {}
    local task = px.spawn(function()
      px.sleep(0)
      error(value)
    end)
    for _ = 1, 3 do
      local ok, err = pcall(task.join, task)
      assert.is_false(ok)
      assert.are.equal(value, err)
    end
  end)

  it("returns its state", function()
    local task
    local inside
    task = px.spawn(function()
      inside = task:status()
      px.sleep(0)
    end)
    assert.are.equal("ready", task:status())
    px.sleep(0)
    assert.are.equal("running", inside)
    task:join()
    assert.are.equal("done", task:status())
    local failing = px.spawn(error, "x")
    pcall(failing.join, failing)
    assert.are.equal("failed", failing:status())
    local cancelled = px.spawn(px.sleep, 1e6)
    px.sleep(0)
    assert.are.equal("waiting", cancelled:status())
    cancelled:cancel()
    pcall(cancelled.join, cancelled)
    assert.are.equal("cancelled", cancelled:status())
  end)

  it("that has ended can be cancelled to no effect", function()
    local task = px.spawn(function() return 5 end)
    task:join()
    task:cancel()
    assert.are.equal(5, task:join())
    assert.are.equal("done", task:status())
  end)

  it("that is cancelled before it began never begins", function()
    local reached
    local task = px.spawn(function() reached = true end)
    task:cancel()
    assert.are.equal("cancelled", select(2, px.try(task.join, task)).kind)
    assert.is_nil(reached)
  end)

  it("refuses what it cannot do", function()
    assert.has_error(function() px.spawn() end)
    assert.has_error(function() px.spawn({}) end)
    for _, seconds in ipairs{ -1, 0 / 0, math.huge } do usage(px.sleep, seconds) end
    assert.has_error(function() px.sleep("soon") end)
  end)

  it("is gone when it has ended", function()
    local function round()
      local tasks = {}
      for index = 1, 1000 do tasks[index] = px.spawn(px.sleep, 0) end
      for _, task in ipairs(tasks) do task:join() end
      local failing = px.spawn(error, "x")
      pcall(failing.join, failing)
    end
    round()
    local before = memory()
    for _ = 1, 20 do round() end
    assert.is_true(memory() < before + 2000)
  end)

  it("sleeps among ten thousand", function()
    local tasks, asleep, sum = {}, 0, 0
    for index = 1, 10000 do
      tasks[index] = px.spawn(function()
        asleep = asleep + 1
        px.sleep(0.05)
        sum = sum + index
      end)
    end
    px.sleep(0)
    assert.are.equal(10000, asleep)
    assert.are.equal(0, sum)
    for _, task in ipairs(tasks) do task:join() end
    assert.are.equal(50005000, sum)
  end)
end)

describe("px.all", function()
  it("returns first results in the order of the functions", function()
    assert.are.same({ "slow", "fast", 3 }, px.all{
      function() px.sleep(0.01) return "slow", "not this" end,
      function() return "fast" end,
      function() px.sleep(0) return 3 end,
    })
    assert.are.same({}, px.all{})
  end)

  it("runs them all at once", function()
    local arrived = 0
    local function meet()
      arrived = arrived + 1
      while arrived < 100 do px.sleep(0) end
    end
    local fns = {}
    for index = 1, 100 do fns[index] = meet end
    px.all(fns)
    assert.are.equal(100, arrived)
  end)

  it("raises the first failure and cancels the rest", function()
    local told, started = {}, 0
    local function wait_long()
      started = started + 1
      local ok, err = pcall(px.sleep, 1e6)
      told[#told + 1] = ok or err.kind
      error(err, 0)
    end
    local value = {}
    local ok, err = pcall(px.all, {
      wait_long,
      function()
        while started < 2 do px.sleep(0) end
        error(value)
      end,
      wait_long,
    })
    assert.is_false(ok)
    assert.are.equal(value, err)
    assert.are.same({ "cancelled", "cancelled" }, told)
  end)

  it("returns when the last has ended, even one that takes its time over the cancellation",
    function()
    local closed = false
    local gate = px.spawn(px.sleep, 0.005)
    local ok = pcall(px.all, {
      function()
        local _ <close> = setmetatable({}, { __close = function()
          while gate:status() ~= "done" do
            if not pcall(px.sleep, 0) then break end
          end
          closed = true
        end })
        px.sleep(1e6)
      end,
      function() error("broken") end,
    })
    assert.is_false(ok)
    assert.is_true(closed)
    gate:cancel()
  end)

  it("keeps a failure during the cancellation to itself", function()
    local result = run[[
      local ok, err = pcall(px.all, {
        function() pcall(px.sleep, 1e6) error("second") end,
        function() px.sleep(0) error("first", 0) end,
      })
      print(ok, err)
    ]]
    assert.are.same({ 0, "false\tfirst\n", "" }, { result.code, result.out, result.err })
  end)

  it("is cancelled with the task that waits in it", function()
    local told, started = {}, 0
    local function wait_long(name)
      return function()
        started = started + 1
        local _, err = pcall(px.sleep, 1e6)
        told[name] = err.kind
        error(err, 0)
      end
    end
    local task = px.spawn(function()
      px.all{ wait_long("a"), function() px.all{ wait_long("b"), wait_long("c") } end }
    end)
    while started < 3 do px.sleep(0) end
    task:cancel()
    assert.are.equal("cancelled", select(2, px.try(task.join, task)).kind)
    px.sleep(0)
    assert.are.same({ a = "cancelled", b = "cancelled", c = "cancelled" }, told)
  end)

  it("refuses a value that is not a list of functions", function()
    assert.has.match("px.all takes a list of functions, got a function", usage(px.all, print))
    assert.has.match("got a table at %[2%]", usage(px.all, { print, {} }))
  end)
end)

describe("px.map", function()
  it("returns results in the order of the items", function()
    assert.are.same({ "1a", "2b", "3c" }, px.map({ "a", "b", "c" }, function(item, index)
      px.sleep((3 - index) * 0.001)
      return index .. item, "not this"
    end))
    assert.are.same({}, px.map({}, error))
    assert.are.same({ 1, 12 }, px.map({ "1", "12" }, tonumber)) -- without the index
    assert.are.same({ 5, 60 }, px.map({ "5s", "1m" }, px.duration))
    assert.equal("1.50", tostring(px.map({ "1.5" }, px.money)[1]))
    assert.are.same({ false }, px.map({ false }, function(item) return item end))
  end)

  it("runs no more at once than it may, and that many", function()
    for _, most in ipairs{ 1, 2, 7, 64 } do
      local running, peak, list = 0, 0, {}
      for index = 1, 200 do list[index] = index end
      px.map(list, function()
        running = running + 1
        peak = math.max(peak, running)
        px.sleep(0)
        running = running - 1
      end, { concurrency = most })
      assert.are.equal(most, peak)
      assert.are.equal(0, running)
    end
  end)

  it("runs 64 at once by default", function()
    local running, peak, list = 0, 0, {}
    for index = 1, 200 do list[index] = index end
    px.map(list, function()
      running = running + 1
      peak = math.max(peak, running)
      px.sleep(0)
      running = running - 1
    end)
    assert.are.equal(64, peak)
  end)

  it("ends when it is interrupted before all of its tasks have begun", function()
    local code = [[px.map({ 1, 2, 3, 4 }, function()
      io.popen("kill -INT $PPID"):close()
      px.sleep(600)
    end, { concurrency = 4 })]]
    assert.are.equal(130, run(code).code)
  end)

  it("raises the first failure, cancels the rest and takes no more items", function()
    local taken, told = 0, 0
    local ok, err = pcall(px.map, { 1, 2, 3, 4, 5, 6 }, function(item)
      taken = taken + 1
      if item == 2 then
        px.sleep(0)
        error("at two", 0)
      end
      local _, why = pcall(px.sleep, 1e6)
      if why.kind == "cancelled" then told = told + 1 end
    end, { concurrency = 3 })
    assert.is_false(ok)
    assert.are.equal("at two", err)
    assert.are.equal(3, taken)
    assert.are.equal(2, told)
  end)

  it("takes an iterator", function()
    local at = 0
    local function numbers()
      at = at + 1
      return at <= 100 and at or nil
    end
    local results = px.map(numbers, function(n) return n * n end, { concurrency = 8 })
    assert.are.equal(100, #results)
    assert.are.equal(10000, results[100])
  end)

  it("takes an iterator that waits, one call of it at a time, while items are worked on", function()
    local at, inside, together, working = 0, 0, 0, 0
    local function numbers()
      inside = inside + 1
      together = math.max(together, inside)
      px.sleep(0)
      inside = inside - 1
      at = at + 1
      return at <= 50 and at or nil
    end
    local peak = 0
    local results = px.map(numbers, function(n)
      working = working + 1
      peak = math.max(peak, working)
      repeat px.sleep(0) until peak >= 4
      working = working - 1
      return n
    end, { concurrency = 4 })
    assert.are.equal(50, #results)
    for index, n in ipairs(results) do assert.are.equal(index, n) end
    assert.are.equal(1, together)
    assert.are.equal(4, peak)
  end)

  it("raises what the iterator raises, and cancels", function()
    local at, told = 0, nil
    local ok, err = pcall(px.map, function()
      at = at + 1
      if at == 3 then error("no more", 0) end
      px.sleep(0)
      return at
    end, function()
      local _, why = pcall(px.sleep, 1e6)
      told = why.kind
    end)
    assert.is_false(ok)
    assert.are.equal("no more", err)
    assert.are.equal("cancelled", told)
  end)

  it("keeps memory constant when results are not kept", function()
    local function count_to(most)
      local at = 0
      return function()
        at = at + 1
        if at % 1000 == 0 then px.sleep(0) end
        return at <= most and at or nil
      end
    end
    local sum = 0
    local function work(n)
      sum = sum + n
      if n % 10 == 0 then px.sleep(0) end
      return ("x"):rep(1000)
    end
    px.map(count_to(1000), work, { results = false })
    local before = memory()
    local during
    local at = count_to(20000)
    local answer = px.map(function()
      local n = at()
      if n == 18000 then during = memory() end
      return n
    end, work, { results = false, concurrency = 16 })
    assert.is_nil(answer)
    assert.are.equal(500500 + 200010000, sum)
    assert.is_true(during < before + 256)
  end)

  it("is cancelled with the task that waits in it", function()
    local told, started = 0, 0
    local task = px.spawn(px.map, { 1, 2, 3 }, function()
      started = started + 1
      local _, err = pcall(px.sleep, 1e6)
      if err.kind == "cancelled" then told = told + 1 end
    end)
    while started < 3 do px.sleep(0) end
    task:cancel()
    assert.are.equal("cancelled", select(2, px.try(task.join, task)).kind)
    px.sleep(0)
    assert.are.equal(3, told)
  end)

  it("works inside itself", function()
    assert.are.same({ { 11, 21 }, { 12, 22 } }, px.map({ 1, 2 }, function(n)
      return px.map({ 10, 20 }, function(m)
        px.sleep(0)
        return m + n
      end)
    end))
  end)

  it("refuses what it cannot do", function()
    assert.has.match("px.map takes a list or an iterator, then a function; got a nil first",
      usage(px.map))
    assert.has.match("px.map takes a function for each item, got a table", usage(px.map, {}, {}))
    assert.has.match('px.map has no option "concurency", did you mean concurrency%?',
      usage(px.map, {}, print, { concurency = 3 }))
    for _, value in ipairs{ 0, -1, 2.5, "8" } do
      assert.has.match("concurrency must be an integer of at least 1",
        usage(px.map, {}, print, { concurrency = value }))
    end
    assert.has.match("options as a table", usage(px.map, {}, print, 8))
  end)
end)

describe("px.timeout", function()
  it("returns what the function returns", function()
    assert.are.same({ n = 3, 1, nil, 3 }, table.pack(px.timeout(1000, function(...)
      px.sleep(0)
      return ...
    end, 1, nil, 3)))
  end)

  it("raises what the function raises", function()
    local value = {}
    local ok, err = pcall(px.timeout, 1000, function()
      px.sleep(0)
      error(value)
    end)
    assert.is_false(ok)
    assert.are.equal(value, err)
  end)

  it("cancels the function when the time is over", function()
    local told
    local _, err = px.try(px.timeout, 0.002, function()
      local _, why = pcall(px.sleep, 1e6)
      told = why.kind
      error(why, 0)
    end)
    assert.are.equal("timeout", err.kind)
    assert.are.equal("px.timeout: not done after 0.002 s", err.message)
    assert.are.equal("cancelled", told)
  end)

  it("allows no time at all", function()
    assert.are.equal("timeout", select(2, px.try(px.timeout, 0, px.sleep, 1e6)).kind)
    assert.are.equal(5, px.timeout(0, function() return 5 end))
  end)

  it("is the inner one's where two are over", function()
    local order = {}
    local _, err = px.try(px.timeout, 1000, function()
      local _, inner = px.try(px.timeout, 0.001, px.sleep, 1e6)
      order[#order + 1] = inner.kind
      px.sleep(0)
      error(inner, 0)
    end)
    assert.are.equal("timeout", err.kind)
    assert.are.same({ "timeout" }, order)
  end)

  it("is cancelled with the task that waits in it", function()
    local told, started
    local task = px.spawn(px.timeout, 1000, function()
      started = true
      local _, why = pcall(px.sleep, 1e6)
      told = why.kind
    end)
    while not started do px.sleep(0) end
    task:cancel()
    assert.are.equal("cancelled", select(2, px.try(task.join, task)).kind)
    px.sleep(0)
    assert.are.equal("cancelled", told)
  end)

  it("leaves no task behind", function()
    local result = run[[ px.timeout(1e6, px.sleep, 0) print "ended" ]]
    assert.are.same({ 0, "ended\n" }, { result.code, result.out })
  end)

  it("refuses an invalid time", function()
    for _, seconds in ipairs{ -1, 0 / 0, 1e10, "5" } do
      assert.has.match("px.timeout takes a number of seconds from 0",
        usage(px.timeout, seconds, print))
    end
  end)
end)

describe("px.every", function()
  it("calls at once and again until the function returns false", function()
    local calls = {}
    local task = px.every(0.001, function(...)
      calls[#calls + 1] = table.concat({ ... }, " ")
      return #calls < 3
    end, "with", "arguments")
    task:join()
    assert.are.same({ "with arguments", "with arguments", "with arguments" }, calls)
  end)

  it("never overlaps, and lets pass what a long call missed", function()
    local inside, together, calls = 0, 0, 0
    px.every(0.0005, function()
      inside = inside + 1
      together = math.max(together, inside)
      px.sleep(0.002)
      inside = inside - 1
      calls = calls + 1
      return calls < 5
    end):join()
    assert.are.equal(1, together)
    assert.are.equal(5, calls)
  end)

  it("ends when it is cancelled", function()
    local calls = 0
    local task = px.every(1e6, function() calls = calls + 1 end)
    while calls == 0 do px.sleep(0) end
    task:cancel()
    assert.are.equal("cancelled", select(2, px.try(task.join, task)).kind)
    assert.are.equal(1, calls)
  end)

  it("fails with its function", function()
    local task = px.every(0.001, error, "broken", 0)
    local ok, err = pcall(task.join, task)
    assert.is_false(ok)
    assert.are.equal("broken", err)
  end)

  it("refuses what it cannot do", function()
    assert.has.match("px.every takes a number of seconds above 0", usage(px.every, 0, print))
    assert.has.match("px.every takes a function, got a nil", usage(px.every, 1))
  end)
end)

describe("a script", function()
  it("ends when its body and its tasks have", function()
    local result = run[[
      px.spawn(function() px.sleep(0.01) px.spawn(function() px.sleep(0.01) print "the last" end) print "task" end)
      print "body"
    ]]
    assert.are.same({ 0, "body\ntask\nthe last\n", "" }, { result.code, result.out, result.err })
  end)

  it("fails with a task that no other task can join", function()
    local result = run[[
      local function inner() px.sleep(0.001) error("in the task") end
      px.spawn(function() inner() end)
      px.sleep(1e6)
    ]]
    assert.are.equal(1, result.code)
    assert.has.match("^proxylua: stdin:%d+: in the task\nstack traceback:\n", result.err)
    assert.has.match("in upvalue 'inner'", result.err)
  end)

  it("fails in the end with a task that was not joined", function()
    local result = run[[
      kept = px.spawn(function() error("never joined") end)
      px.sleep(0.001)
      print "on"
    ]]
    assert.are.same({ 1, "on\n" }, { result.code, result.out })
    assert.has.match("never joined", result.err)
  end)

  it("does not fail with a task whose failure was joined", function()
    local result = run[[
      local task = px.spawn(function() error("joined") end)
      px.sleep(0.001)
      print(pcall(task.join, task))
    ]]
    assert.are.equal(0, result.code)
    assert.has.match("^false\t.*joined\n$", result.out)
  end)

  it("ends with the exit code of the kind of a task's error", function()
    local result = run[[ px.spawn(px.error.raise, { kind = "funds", message = "no money" }) ]]
    assert.are.equal(3, result.code)
    assert.has.match("^proxylua: funds: no money", result.err)
  end)

  it("cancels its tasks when its body fails, and they close their variables", function()
    local result = run[[
      px.spawn(function()
        local _ <close> = setmetatable({}, { __close = function(_, why) print("closed", why.kind) end })
        px.sleep(1e6)
      end)
      px.sleep(0.001)
      error("the body", 0)
    ]]
    assert.are.equal(1, result.code)
    assert.are.equal("closed\tcancelled\n", result.out)
    assert.has.match("^proxylua: the body\n", result.err)
  end)

  it("is not failed by a task that was cancelled", function()
    local result = run[[
      local task = px.spawn(px.sleep, 1e6)
      px.sleep(0)
      task:cancel()
      task = nil
      collectgarbage()
      px.sleep(0.001)
      print "on"
    ]]
    assert.are.same({ 0, "on\n", "" }, { result.code, result.out, result.err })
  end)

  it("reports many failures quickly", function()
    local result = run[[
      local heap, tasks, told = {}, {}, 0
      for index = 1, 100000 do heap[index] = { index } end
      for index = 1, 2000 do
        tasks[index] = px.spawn(function() px.sleep(index * 1e-5) error(index, 0) end)
      end
      for index, task in ipairs(tasks) do
        if select(2, pcall(task.join, task)) == index then told = told + 1 end
      end
      print(told, #heap)
    ]]
    assert.are.same({ 0, "2000\t100000\n", "" }, { result.code, result.out, result.err })
  end)
end)
