local px = require "proxylua"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"
local servers = require "spec.support.server"

local sandbox, url

-- A real request, and a sleep.
local function wait()
  px.sleep(0.001)
  return px.http.get(url, { proxy = "" }).status
end

-- Counts how often another task came round while `fn` ran.
local function watch(fn)
  local rounds = 0
  local task = px.spawn(function()
    while true do
      px.sleep(0)
      rounds = rounds + 1
    end
  end)
  px.sleep(0)
  local before = rounds
  local result = fn()
  local during = rounds - before
  task:cancel()
  return result, during
end

-- Where Lua can yield: other tasks run meanwhile.
local yielding = {
  ["the body"] = wait,
  ["pcall"] = function() return select(2, pcall(wait)) end,
  ["xpcall"] = function() return select(2, xpcall(wait, debug.traceback)) end,
  ["pcall after an error that waited"] = function()
    local _, err = pcall(function() error(wait()) end)
    return err
  end,
  ["an __index metamethod"] = function() return setmetatable({}, { __index = wait }).field end,
  ["a __newindex metamethod"] = function()
    local kept
    local t = setmetatable({}, { __newindex = function() kept = wait() end })
    t.field = 1
    return kept
  end,
  ["a __call metamethod"] = function() return setmetatable({}, { __call = wait })() end,
  ["an __add metamethod"] = function() return setmetatable({}, { __add = wait }) + 1 end,
  ["a __concat metamethod"] = function() return setmetatable({}, { __concat = wait }) .. "x" end,
  ["a __len metamethod"] = function() return #setmetatable({}, { __len = wait }) end,
  ["an __unm metamethod"] = function() return -setmetatable({}, { __unm = wait }) end,
  ["an __eq metamethod"] = function()
    local mt = { __eq = function() return wait() == 200 end }
    return setmetatable({}, mt) == setmetatable({}, mt) and 200
  end,
  ["an __lt metamethod"] = function()
    local mt = { __lt = function() return wait() == 200 end }
    return setmetatable({}, mt) < setmetatable({}, mt) and 200
  end,
  ["an iterator"] = function()
    local last
    for status in function() return not last and wait() or nil end do last = status end
    return last
  end,
  ["a __close metamethod"] = function()
    local kept
    do
      local _ <close> = setmetatable({}, { __close = function() kept = wait() end })
    end
    return kept
  end,
  ["a __close metamethod on the way of an error"] = function()
    local kept
    pcall(function()
      local _ <close> = setmetatable({}, { __close = function() kept = wait() end })
      error("on the way")
    end)
    return kept
  end,
  ["a __close metamethod of a loop that is left"] = function()
    local kept
    local function each()
      return function()
        return 1
      end, nil, nil, setmetatable({}, { __close = function() kept = wait() end })
    end
    for _ in each() do
      if url then break end
    end
    return kept
  end,
  ["coroutine.wrap"] = function() return coroutine.wrap(wait)() end,
  ["coroutine.resume"] = function() return select(2, coroutine.resume(coroutine.create(wait))) end,
  ["a coroutine in a coroutine in pcall"] = function()
    return coroutine.wrap(function()
      return select(2, pcall(coroutine.wrap(function() return select(2, pcall(wait)) end)))
    end)()
  end,
  ["a generator that waits and yields"] = function()
    local last
    for status in coroutine.wrap(function()
      for _ = 1, 3 do coroutine.yield(wait()) end
    end) do last = status end
    return last
  end,
  ["dofile"] = function()
    package.loaded["spec.wait"] = wait
    local path = program.write(sandbox.home .. "/waits.lua",
      [[return (package.loaded["spec.wait"]())]])
    local status = dofile(path)
    package.loaded["spec.wait"] = nil
    return status
  end,
}

-- Where it cannot: the request goes on, other tasks pause.
local driving = {
  ["a table.sort comparator"] = function()
    local status
    table.sort({ 2, 1 }, function(a, b)
      status = wait()
      return a < b
    end)
    return status
  end,
  ["a gsub callback"] = function()
    local status
    string.gsub("x", "x", function() status = wait() end)
    return status
  end,
  ["require"] = function()
    package.preload["spec.waits"] = wait
    local status = require "spec.waits"
    package.preload["spec.waits"], package.loaded["spec.waits"] = nil, nil
    return status
  end,
  ["a __tostring metamethod"] = function()
    return tonumber(tostring(setmetatable({}, { __tostring = function()
      return tostring(wait())
    end })))
  end,
  ["string.format of a __tostring"] = function()
    return tonumber(("%s"):format(setmetatable({}, { __tostring = function()
      return tostring(wait())
    end })))
  end,
  ["a __gc metamethod"] = function()
    local status
    setmetatable({}, { __gc = function() status = wait() end })
    collectgarbage()
    return status
  end,
  ["coroutine.close"] = function()
    local status
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function() status = wait() end })
      coroutine.yield()
    end)
    coroutine.resume(co)
    assert(coroutine.close(co))
    return status
  end,
  ["a message handler"] = function() return select(2, xpcall(error, wait)) end,
  ["a function that gives load its text"] = function()
    local parts, at = { "return ", "" }, 0
    local chunk = load(function()
      at = at + 1
      return at == 2 and tostring(wait()) or parts[at]
    end)
    return chunk()
  end,
  ["a coroutine inside a sort"] = function()
    local status
    table.sort({ 2, 1 }, function(a, b)
      status = coroutine.wrap(function()
        coroutine.yield(wait())
      end)()
      return a < b
    end)
    return status
  end,
  ["a sort inside a coroutine"] = function()
    return coroutine.wrap(function()
      local status
      table.sort({ 2, 1 }, function(a, b)
        status = wait()
        return a < b
      end)
      coroutine.yield(status)
    end)()
  end,
}

-- The collector as it is, and two settings that find values without an anchor.
local collectors = {
  ["the usual"] = function() end,
  ["a generational"] = function() collectgarbage("generational") end,
  ["a restless"] = function() collectgarbage("incremental", 1, 1000) collectgarbage() end,
}

for name, set in pairs(collectors) do
  describe("with " .. name .. " collector, waiting works in", function()
    local pause, effort = collectgarbage("setpause", 200), collectgarbage("setstepmul", 100)
    collectgarbage("incremental", pause, effort)

    setup(function()
      sandbox = sandboxes.start()
      url = sandbox.trace_url
      set()
    end)

    teardown(function()
      collectgarbage("incremental", pause, effort)
      sandbox:stop()
    end)

    for place, fn in pairs(yielding) do
      it(place .. ", while other tasks run", function()
        local status, rounds = watch(fn)
        assert.are.equal(200, status)
        assert.is_true(rounds > 0)
      end)
    end

    for place, fn in pairs(driving) do
      it(place .. ", while other tasks stand still", function()
        local status, rounds = watch(fn)
        assert.are.equal(200, status)
        assert.are.equal(0, rounds)
      end)
    end

    it("many tasks at once, each in another place", function()
      local fns = {}
      for _ = 1, 5 do
        for _, places in ipairs{ yielding, driving } do
          for _, fn in pairs(places) do fns[#fns + 1] = fn end
        end
      end
      local results = px.all(fns)
      assert.are.equal(#fns, #results)
      for _, status in ipairs(results) do assert.are.equal(200, status) end
    end)
  end)
end

-- Sorts a list of two and returns what `fn` returned, or raises what it raised, within the
-- comparator.
local function in_sort(fn)
  local results
  table.sort({ 2, 1 }, function(a, b)
    results = results or table.pack(fn())
    return a < b
  end)
  return table.unpack(results, 1, results.n)
end

describe("a wait on tasks where Lua cannot yield", function()
  it("runs them", function()
    assert.are.equal(7, in_sort(function()
      return px.spawn(function()
        px.sleep(0.001)
        return 7
      end):join()
    end))
    assert.are.same({ 1, 4, 9 }, in_sort(function()
      return px.map({ 1, 2, 3 }, function(n)
        px.sleep(0.001)
        return n * n
      end)
    end))
  end)

  it("raises their failures", function()
    local ok, err = pcall(in_sort, function()
      px.all{ function() px.sleep(0.001) error("broken") end }
    end)
    assert.is_false(ok)
    assert.has.match("broken", err)
  end)

  it("inside another such wait is refused, and both end", function()
    local inner
    local task = px.spawn(function()
      inner = table.pack(pcall(in_sort, function() return px.spawn(px.sleep, 0.001):join() end))
      return "outer"
    end)
    assert.are.equal("outer", in_sort(function() return task:join() end))
    assert.is_false(inner[1])
    assert.are.equal("usage", inner[2].kind)
    assert.has.match("inside one that began where Lua cannot yield", inner[2].message)
  end)

  it("is refused when it waits for the task that it is in", function()
    local task
    task = px.spawn(function()
      return in_sort(function() return task:join() end)
    end)
    local _, err = px.try(task.join, task)
    assert.are.equal("usage", err.kind)
    assert.has.match("cannot end", err.message)
  end)

  it("is refused when it waits for one that waits for it", function()
    local first, second
    first = px.spawn(function()
      px.sleep(0)
      return in_sort(function() return second:join() end)
    end)
    second = px.spawn(function() return first:join() end)
    local _, err = px.try(second.join, second)
    assert.are.equal("usage", err.kind)
  end)
end)

describe("a task that is cancelled", function()
  -- Returns the error of a task that runs `fn` and is cancelled while it waits in it.
  local function cancel_in(fn)
    local task = px.spawn(fn)
    px.sleep(0)
    task:cancel()
    return select(2, px.try(task.join, task))
  end

  local server
  setup(function() server = servers.start{ ["/silent"] = { "", hold = true } } end)
  teardown(function() server:stop() end)

  it("leaves a sleep, a request and a wait for tasks", function()
    local other = px.spawn(px.sleep, 1e6)
    for _, fn in ipairs{
      function() px.sleep(1e6) end,
      function() px.http.get(server.url .. "/silent", { timeout = 1000, proxy = "" }) end,
      function() other:join() end,
      function() coroutine.wrap(function() px.sleep(1e6) end)() end,
    } do
      assert.are.equal("cancelled", cancel_in(fn).kind)
    end
    assert.are.equal("waiting", other:status())
    other:cancel()
  end)

  it("leaves a sort that waits on tasks", function()
    local task
    task = px.spawn(in_sort, function()
      px.spawn(function() task:cancel() end):join()
      px.sleep(1e6)
    end)
    assert.are.equal("cancelled", select(2, px.try(task.join, task)).kind)
  end)

  it("raises again at every later wait", function()
    local told = {}
    cancel_in(function()
      for _ = 1, 3 do told[#told + 1] = select(2, pcall(px.sleep, 1e6)).kind end
      told[#told + 1] = select(2, pcall(px.http.get, server.url .. "/silent")).kind
      told[#told + 1] = select(2, pcall(in_sort, function() px.sleep(1e6) end)).kind
    end)
    assert.are.same({ "cancelled", "cancelled", "cancelled", "cancelled", "cancelled" }, told)
  end)

  it("closes its variables, whose waits raise too", function()
    local closed
    local err = cancel_in(function()
      local _ <close> = setmetatable({}, { __close = function(_, why)
        closed = { why.kind, select(2, pcall(px.sleep, 1e6)).kind }
      end })
      px.sleep(1e6)
    end)
    assert.are.equal("cancelled", err.kind)
    assert.are.same({ "cancelled", "cancelled" }, closed)
  end)
end)

describe("a wait that cannot end", function()
  local function refused(task)
    local _, err = px.try(task.join, task)
    assert.are.equal("usage", err.kind)
    assert.has.match("cannot end", err.message)
  end

  it("is refused: a task joins itself", function()
    local task
    task = px.spawn(function() task:join() end)
    refused(task)
  end)

  it("is refused: two tasks join each other", function()
    local first, second
    first = px.spawn(function() second:join() end)
    second = px.spawn(function() first:join() end)
    local kinds = {}
    for _, task in ipairs{ first, second } do
      local _, err = px.try(task.join, task)
      kinds[#kinds + 1] = err.kind
    end
    assert.are.same({ "usage", "usage" }, kinds)
  end)

  it("is refused: a ring of a hundred", function()
    local tasks = {}
    for index = 1, 100 do
      tasks[index] = px.spawn(function() tasks[index % 100 + 1]:join() end)
    end
    for _, task in ipairs(tasks) do
      local _, err = px.try(task.join, task)
      assert.are.equal("usage", err.kind)
    end
  end)

  it("is refused where the ring closes late", function()
    local first, second
    first = px.spawn(function()
      px.sleep(0.001)
      second:join()
    end)
    second = px.spawn(function() first:join() end)
    refused(first)
    refused(second)
  end)

  it("is not reported while one of many can end", function()
    local slow = px.spawn(px.sleep, 0.005)
    local own
    own = px.spawn(function() px.all{ function() slow:join() end, function() px.sleep(0) end } end)
    own:join()
    assert.are.equal("done", slow:status())
  end)
end)
