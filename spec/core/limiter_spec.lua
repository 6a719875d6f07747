-- src/limits/limiter.c and slots.c: who may send when, in one process and in several that share a
-- store.

local core = require "proxylua.core"
local children = require "spec.support.children"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"
local servers = require "spec.support.server"
local stores = require "spec.support.stores"

local ACCOUNT = '{"success":true,"data":{"id":"acc_1","balance":"9.30","email":"a@b.example"}}'
local KEY = "sk_live_0123456789abcdef"

-- Requests from several tasks: COUNT in all, at most 16 at once.
local BUSY = [[
  local px = require "proxylua"
  local list = {}
  for index = 1, tonumber((...)) do list[index] = index end
  px.map(list, function() px.account.get() end, { concurrency = 16 })
]]

local function environment(sandbox, store, env)
  local all = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
    PROXYLUA_STORE = store }
  for name, value in pairs(env or {}) do all[name] = value end
  return all
end

-- The first place at which more than `count` requests lie within `window` seconds; nil when there
-- is none.
local function crowded(times, count, window)
  for at = 1, #times - count do
    if times[at + count] - times[at] < window * 1e6 then return at end
  end
end

for _, place in ipairs(stores.all) do
  describe("With " .. place.name .. ",", function()
    local store
    setup(place.start)
    teardown(place.stop)
    before_each(function() store = place.fresh() end)

    describe("processes that share a key", function()
      local sandbox
      after_each(function() sandbox:stop() end)

      local function busy(count, requests, env)
        local script = program.write(sandbox.home .. "/busy.lua", BUSY)
        return children.start(count, sandbox.home, { script, tostring(requests) },
          environment(sandbox, store, env))
      end

      local function check_windows(count, window)
        local times = sandbox:look("counted").times
        assert.is_nil(crowded(times, count, window))
        assert.equal(0, sandbox:look("counters").limited)
        return #times
      end

      for _, algorithm in ipairs{ "fixed", "sliding", "bucket" } do
        it("never meet 429 where the server counts by " .. algorithm, function()
          sandbox = sandboxes.start{ limits = "general=20/0.5,algorithm=" .. algorithm,
            faults = { "*:hold=0-0.02,delay=0-0.02" } }
          for _, result in ipairs(busy(4, 20, { PROXYLUA_LIMITS = "general=20/0.5" }):join()) do
            assert.same({ 0, "" }, { result.code, result.err })
          end
          assert.equal(80, check_windows(20, 0.5))
        end)
      end

      it("slow down when the server allows half of the configured limit", function()
        sandbox = sandboxes.start{ limits = "general=10/0.5" }
        local script = program.write(sandbox.home .. "/row.lua",
          "local px = require 'proxylua' for _ = 1, 80 do px.account.get() end")
        local env = environment(sandbox, store, { PROXYLUA_LIMITS = "general=20/0.5" })
        assert.equal(0, children.start(1, sandbox.home, { script }, env):join()[1].code)
        assert.is_true(sandbox:look("counters").limited <= 3)
      end)

      it("get slots in equal shares, however many of their requests wait", function()
        local COUNT, TOTAL = 8, 128 -- of which 16 are the burst of the first process
        sandbox = sandboxes.start{ limits = "off" }
        local script = program.write(sandbox.home .. "/greedy.lua", [[
          local px = require "proxylua"
          local folder, list = (...), {}
          local file = assert(io.open(folder .. "/" .. px.json.encode(px.time()) .. tostring(list)
            :match("0x%x+") .. ".got", "w"))
          file:setvbuf("no")
          while not os.rename(folder .. "/go", folder .. "/go") do px.sleep(0.01) end
          for index = 1, 64 do list[index] = index end
          px.map(list, function()
            while true do px.account.get() file:write("x") end
          end, { concurrency = 64 })]])
        local group = children.start(COUNT, sandbox.home, { "--quiet", script, sandbox.home },
          environment(sandbox, store, { PROXYLUA_LIMITS = "general=16/1" }))
        local function files()
          local list = {}
          local pipe = assert(io.popen("ls " .. program.quote(sandbox.home)))
          for name in pipe:lines() do
            if name:find("%.got$") then list[#list + 1] = sandbox.home .. "/" .. name end
          end
          pipe:close()
          return list
        end
        while #files() < COUNT do core.task.sleep(0.02) end
        program.write(sandbox.home .. "/go", "")
        while sandbox:look("counters").requests["account.get"] == nil
          or sandbox:look("counters").requests["account.get"] < TOTAL do core.task.sleep(0.02) end
        for number = 1, COUNT do group:kill(number) end
        group:join()
        for _, path in ipairs(files()) do
          assert.is_true(#program.read(path) >= TOTAL // COUNT // 3, path)
        end
      end)

      it("share a pause, and one request finds out when it is over", function()
        sandbox = sandboxes.start{ limits = "off",
          faults = { "account.get:status=429,retry_after=1,count=1" } }
        local env = { PROXYLUA_LIMITS = "general=1000/1" }
        for _, result in ipairs(busy(4, 5, env):join()) do
          assert.same({ 0, "" }, { result.code, result.err })
        end
        local counters = sandbox:look("counters")
        assert.equal(1, counters.answers["429"])
        assert.equal(21, counters.requests["account.get"])
      end)
    end)

    describe("a scope", function()
      local sandbox
      before_each(function() sandbox = sandboxes.start{ limits = "off" } end)
      after_each(function() sandbox:stop() end)

      local function eval(limits, code)
        return sandbox:eval(code, { env = { PROXYLUA_LIMITS = limits, PROXYLUA_STORE = store } })
      end

      it("is first come, first served", function()
        assert.equal("1 2 3 4 5 6", (eval("general=1/0.02", [[
          local order, tasks = {}, {}
          for index = 1, 6 do
            tasks[index] = px.spawn(function() px.account.get() order[#order + 1] = index end)
          end
          for _, task in ipairs(tasks) do task:join() end
          return table.concat(order, " ")]])))
      end)

      it("that is full of waiting POST /orders does not hold back a GET", function()
        local result = sandbox:run({ "-e", [[
          local px = require "proxylua"
          local function buy() px.orders.create{ type = "isp", quantity = 1, country = "US", period = 30 } end
          buy()
          px.spawn(buy)
          while px.limits().orders.waiting == 0 do px.sleep(0.01) end
          for _ = 1, 5 do px.account.get() end
          print(px.limits().orders.waiting)
          io.stdout:flush()
          os.execute("kill -KILL $PPID")]] },
            { env = { PROXYLUA_LIMITS = "general=100/100,orders=1/100", PROXYLUA_STORE = store } })
        assert.equal("1\n", result.out, result.err)
        assert.equal(1, sandbox:look("counters").requests["orders.create"])
      end)

      it("is reported by px.limits()", function()
        local first, some, all, orders = eval("general=5/60,orders=2/60", [[
          local first = px.limits().general
          px.account.get() px.account.get()
          local some = px.limits().general
          px.account.get() px.account.get() px.account.get()
          local limits = px.limits()
          return first, some, limits.general, limits.orders]])
        assert.same({ requests = 5, free = 5, waiting = 0, seconds = 60, next = 0, paused = 0,
          paced = 0 }, first)
        assert.same({ 3, 0 }, { some.free, some.next })
        assert.equal(0, all.free)
        assert.is_true(all.next > 0 and all.next <= 60.1)
        assert.same({ 2, 2 }, { orders.requests, orders.free })
      end)

      it("is shared with the next process", function()
        eval("general=5/60", "px.account.get() px.account.get()")
        assert.equal(3, (eval("general=5/60", "return px.limits().general.free")))
      end)

      it("keeps to max_wait, when one is given", function()
        local kind, seconds, message = eval("general=1/100", [[
          px.account.get()
          local _, err = px.try(px.account.get, { max_wait = 0.05 })
          return err.kind, err.retry_after, err.message]])
        assert.equal("rate_limited", kind)
        assert.is_true(seconds > 90 and seconds < 101)
        assert.matches("general limit is 1 requests in 100 s", message, 1, true)
        assert.equal(1, sandbox:look("counters").requests["account.get"])
      end)

      it("names a moment above 0, or the requests before, when max_wait is over", function()
        local messages = eval("general=1/0.2", [[
          local messages = px.json.array{}
          for _, most in ipairs{ 0, 0.01, 0, 0.1, 0 } do
            for _ = 1, 3 do
              px.spawn(px.try, px.account.get)
              local _, err = px.try(px.account.get, { max_wait = most })
              if err then messages[#messages + 1] = err.message end
            end
          end
          return messages]])
        assert.is_true(#messages > 5)
        for _, message in ipairs(messages) do
          assert.is_nil(message:find("0.0 s", 1, true), message)
          assert.is_truthy(message:find("^no free slot within max_wait")
            and (message:find("the next slot can be free in 0%.%d s")
            or message:find("earlier requests", 1, true)), message)
        end
      end)

      it("has no limit when limits are off", function()
        assert.equal(true, (eval("off",
          "for _ = 1, 80 do px.account.get() end return px.limits().off")))
        assert.equal(80, sandbox:look("counters").requests["account.get"])
      end)

      it("respects pauses of other processes when limits are off", function()
        sandbox:change("settings",
          { faults = core.json.array{ "account.get:status=429,retry_after=50,count=1" } })
        assert.equal("rate_limited", (eval("general=60/1",
          "return select(2, px.try(px.account.get, { max_wait = 0.1 })).kind")))
        local kind, paused, free = eval("off", [[
          px.account.get() -- reads the pauses too
          repeat px.sleep(0.01) until px.limits().general.paused > 0
          px.sleep(0.2)
          local _, err = px.try(px.account.get, { max_wait = 0.1 })
          local general = px.limits().general
          return err.kind, general.paused, general.free]])
        assert.same({ "rate_limited", 0 }, { kind, free })
        assert.is_true(paused > 40, paused)
        assert.equal(2, sandbox:look("counters").requests["account.get"])
      end)

      it("sends one request to try whether a pause is over when limits are off", function()
        sandbox:change("settings",
          { faults = core.json.array{ "account.get:status=429,retry_after=1,count=2" } })
        local paced, off = eval("off", [[
          local first = px.spawn(px.account.get)
          while px.limits().general.paused == 0 do px.sleep(0.01) end
          local list = {}
          for index = 1, 20 do list[index] = index end
          px.map(list, function() px.account.get() end, { concurrency = 20 })
          first:join()
          local limits = px.limits()
          return limits.general.paced, limits.off]])
        assert.same({ 0, true }, { paced, off })
        local counters = sandbox:look("counters")
        assert.same({ 2, 23 }, { counters.answers["429"], counters.requests["account.get"] })
      end)

      it("reports each wait once with --verbose", function()
        local result = sandbox:run({ "--verbose", "-e", [[
          local px = require "proxylua"
          px.map({ 1, 2, 3, 4, 5 }, function() px.account.get() end)]] },
            { env = { PROXYLUA_LIMITS = "general=2/0.3", PROXYLUA_STORE = store } })
        assert.equal(0, result.code, result.err)
        assert.equal(3, select(2, result.err:gsub("limit general: waiting for a slot, ", "")))
      end)
    end)
  end)
end

describe("Retry-After", function()
  local server, home
  before_each(function() home = program.folder() end)
  after_each(function()
    server:stop()
    program.remove(home)
  end)

  local function start(value)
    local header = value and ("Retry-After: %s\r\n"):format(value) or ""
    server = servers.start{ ["/account"] = {
      { ("HTTP/1.1 429 X\r\n%sContent-Length: 0\r\n\r\n"):format(header), keep = true },
        servers.ok(ACCOUNT) } }
  end

  local function run(code, limits, flags)
    local arguments = table.move(flags or {}, 1, #(flags or {}), 1, {})
    table.move({ "-e", "local px = require 'proxylua' " .. code }, 1, 2, #arguments + 1, arguments)
    return program.run(arguments, { home = home,
      env = { PROXYLUA_BASE_URL = server.url, PROXYLUA_API_KEY = KEY, PROXYLUA_LIMITS = limits } })
  end

  local REFUSED =
    "local _, e = px.try(px.account.get, { max_wait = 0.5 }) print(e.kind, e.retry_after)"
  local function date(seconds)
    return os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + seconds)
  end

  -- The pause is between the third and the fourth; 50 s is the window.
  local cases = {
    { "in seconds", "7", 5, 7 }, { "of a day", "86400", 86390, 86400 },
    { "with decimals", "2.5", 2, 3 }, { "below a second", "0.2", 0.5, 1 },
    { "as a date", date(100), 60, 101 }, { "as a date of RFC 850",
      os.date("!%A, %d-%b-%y %H:%M:%S GMT", os.time() + 100), 60, 101 },
    { "as a date of asctime", os.date("!%a %b %e %H:%M:%S %Y", os.time() + 100), 60, 101 },
  }
  for _, text in ipairs{ "0", "0.0", "-5", "soon", "", "1795905000", "86401", "86400.5",
    "99999999999", ("9"):rep(40), "2026-11-23T22:15:00Z", "3000ms", "1e3", "0x10", "+7",
    "7s", "7,5", ".5", "5.", "7 8", "inf", "nan", date(-100), date(90000),
    "Mon, 01 Jan 2126 00:00:00 GMT", date(100):gsub("GMT", "EST"), date(100):sub(6),
    date(100):lower() .. " x", "tomorrow", "12:00:00" } do
    cases[#cases + 1] = { ("%q"):format(text), text, 45, 50 }
  end
  cases[#cases + 1] = { "absent", nil, 45, 50 }

  for _, case in ipairs(cases) do
    it(("that is %s pauses for a sane time"):format(case[1]), function()
      start(case[2])
      local result = run(REFUSED, "general=60/50")
      local kind, seconds = result.out:match("(%S+)\t(%S+)")
      assert.equal("rate_limited", kind, result.err)
      assert.is_true(tonumber(seconds) > case[3] and tonumber(seconds) <= case[4], seconds)
    end)
  end

  it("that is a date counts from the response's own Date", function()
    local now = os.time() + 7 * 86400
    local function at(time) return os.date("!%a, %d %b %Y %H:%M:%S GMT", time) end
    start(("%s\r\nDate: %s"):format(at(now + 30), at(now)))
    local seconds = tonumber(run(REFUSED, "general=60/50").out:match("rate_limited\t(%S+)"))
    assert.is_true(seconds > 25 and seconds <= 30, seconds)
  end)

  it("holds for other processes, which send nothing", function()
    start("50")
    run(REFUSED, "general=60/50")
    assert.matches("^rate_limited", run(REFUSED, "general=60/50").out)
    assert.equal(1, #server:requests())
  end)

  local NOTE = "proxylua: requests wait for each other %(limit general: one in 0.2 s%), since the "
    .. "API responded with 429 to this key before; normal speed in 60 minutes\n"

  it("is followed by an hour of pacing, which each process that waits for it reports once",
    function()
      local code = "px.map({ 1, 2, 3, 4 }, function() px.account.get() end)"
      start("1")
      for _, flags in ipairs{ {}, {}, { "--verbose" } } do
        local result = run(code, "general=1/0.2", flags)
        assert.equal(1, select(2, result.err:gsub(NOTE, "")), result.err)
      end
      assert.equal("", run(code, "general=1/0.2", { "--quiet" }).err)
    end)

  it("does not slow down processes that do not wait for its pacing, and those report nothing",
    function()
      start("1")
      run("px.account.get()", "general=5/1")
      local result = run("print(px.limits().general.paced > 3500)", "general=5/1")
      assert.same({ "true\n", "" }, { result.out, result.err })
    end)

  it("is followed by an hour of pacing", function()
    start("1")
    local result = run([[
      for _ = 1, 5 do px.account.get() end
      local general = px.limits().general
      print(general.paced, general.free)]], "general=1000/1", { "--verbose" })
    assert.equal(0, result.code, result.err)
    local paced, free = result.out:match("(%S+)\t(%d+)")
    assert.is_true(tonumber(paced) > 3500 and tonumber(paced) <= 3600)
    assert.is_true(tonumber(free) <= 1)
    assert.equal(1, select(2, result.err:gsub("the API asked for a pause", "")))
  end)
end)

describe("A store that cannot be read", function()
  it("does not hold back requests when limits are off", function()
    local sandbox = sandboxes.start{ limits = "off",
      faults = { "account.get:status=429,retry_after=1,count=1" } }
    finally(function() sandbox:stop() end)
    local store = program.write(sandbox.home .. "/damaged.db", ("not a database "):rep(1000))
    assert.equal(5, (sandbox:eval([[
      local list = px.map({ 1, 2, 3, 4, 5 }, function() return px.account.get().balance end)
      return #list]], { env = { PROXYLUA_LIMITS = "off", PROXYLUA_STORE = store } })))
    assert.equal(6, sandbox:look("counters").requests["account.get"])
  end)
end)

describe("PROXYLUA_LIMITS", function()
  for text, why in pairs{
    ["genral=1/1"] = "unknown scope", ["general"] = "lack a number of requests",
    ["general=1"] = "lack a number of seconds", ["general=1/x"] = "lack a number of seconds",
    ["general=x/1"] = "lack a number of requests", ["general=0/1"] = "outside 1 to 10000",
    ["general=10001/1"] = "outside 1 to 10000", ["general=1/0"] = "outside 0.001 to 86400",
    ["general=1/86401"] = "outside 0.001 to 86400", ["general=1/1,general=2/1"] =
      "name a scope twice",
    ["general=1/1;orders=1/1"] = "comma between two rules",
      ["general=1/1,"] = "unknown scope",
    ["off,general=1/1"] = "unknown scope",
      ["general=-1/1"] = "lack a number of requests",
    ["general=1/1."] = "lack a number of seconds",
  } do
    it("is refused when it is " .. text, function()
      local result = program.run({ "-e", "require('proxylua').account.get()" },
        { env = { PROXYLUA_LIMITS = text,
        PROXYLUA_API_KEY = KEY, PROXYLUA_BASE_URL = "http://127.0.0.1:9" } })
      assert.equal(2, result.code)
      assert.matches(why, result.err, 1, true)
    end)
  end

  it("may have blanks, decimals and one scope alone", function()
    local result = program.run({ "-e", [[
      local limits = require('proxylua').limits()
      print(limits.general.requests, limits.general.seconds, limits.orders.requests,
        limits.orders.seconds)]] },
      { env = { PROXYLUA_LIMITS = " general = 3 / 0.25 ", PROXYLUA_API_KEY = KEY,
        PROXYLUA_BASE_URL = "http://127.0.0.1:9" } })
    assert.equal("3\t0.25\t10\t60.0\n", result.out, result.err)
  end)
end)
