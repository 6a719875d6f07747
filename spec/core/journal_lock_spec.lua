-- src/charge/lock_store.c: one process at a time charges an account, even if processes are stopped
-- or killed.

local children = require "spec.support.children"
local core = require "proxylua.core"
local jobs = require "spec.support.journal_jobs"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"
local stores = require "spec.support.stores"

local BUY = "type = 'isp', quantity = 1, country = 'US', period = 30"

-- As if a process had been stopped for longer.
local function end_lease(place)
  place.query("UPDATE locks SET until = 0, next_until = 0")
end

for _, place in ipairs(stores.all) do
  describe("the lock of an account in " .. place.name, function()
    local store, sessions
    setup(place.start)
    teardown(place.stop)
    before_each(function() store, sessions = place.fresh(), {} end)
    after_each(function()
      for _, session in ipairs(sessions) do session:close() end
    end)

    local function open(count)
      for number = 1, count do sessions[number] = jobs.open(store) end
      return table.unpack(sessions)
    end

    local function await(session, job, wanted)
      while session:run(job) ~= wanted do core.task.sleep(0.02) end
    end

    it("goes to the next process when its holder is stopped, whose writes then fail", function()
      local first, second = open(2)
      assert.equal("locked", first:run("lock account=A"))
      assert.matches("^reserved 1 ", first:run("reserve key=a locked=1"))
      assert.equal("not locked", second:run("lock account=A"))
      first:signal("STOP")
      await(second, "lock account=A", "locked")
      assert.matches("^reserved 2 ", second:run("reserve key=b locked=1"))
      first:signal("CONT")
      for _, job in ipairs{ "settle id=1 state=sent locked=1", "reserve key=c locked=1",
        "amend id=1 price=2 locked=1" } do
        assert.matches("^error this process lost the lock of the account", first:run(job))
      end
      assert.equal("changed", first:run("settle id=1 state=not_placed"))
      assert.equal("not locked", first:run("lock account=A"))
    end)

    it("leaves no baseline of a holder that lost it", function()
      local first, second = open(2)
      assert.equal("locked", first:run("lock account=A"))
      assert.matches("^reserved 1 ", first:run("reserve key=a locked=1"))
      first:signal("STOP")
      end_lease(place)
      await(second, "lock account=A", "locked")
      first:signal("CONT")
      assert.equal("changed", first:run("settle id=1 baseline=old"))
      assert.equal("open; settled a:placed", second:run("review"))
    end)

    it("stays with a holder that lives, for longer than a lease", function()
      local first, second = open(2)
      assert.equal("locked", first:run("lock account=A"))
      local since = os.time()
      while os.time() < since + 12 do
        assert.equal("not locked", second:run("lock account=A"))
        core.task.sleep(0.1)
      end
      assert.matches("^reserved", first:run("reserve key=a locked=1"))
    end)

    it("is free before its lease ends once its holder is killed", function()
      local first, second = open(2)
      assert.equal("locked", first:run("lock account=A"))
      first:signal("KILL")
      local function lock()
        place.query(place.server and "UPDATE locks SET until = "
          .. "(extract(epoch from clock_timestamp()) + 3)::int8 * 1000000"
          or "UPDATE locks SET until = until + 1000000")
        return second:run("lock account=A")
      end
      local tries, line = 0, lock()
      while line ~= "locked" and tries < 100 do
        core.task.sleep(0.02)
        tries, line = tries + 1, lock()
      end
      assert.equal("locked", line)
    end)

    it("goes to the processes that wait before one that charges again and again", function()
      local first, second, third = open(3)
      assert.equal("locked", first:run("lock account=A"))
      assert.equal("not locked", second:run("lock account=A"))
      assert.equal("not locked", third:run("lock account=A"))
      assert.equal("not locked", first:run("lock"))
      assert.equal("not locked", first:run("lock account=A"))
      assert.equal("not locked", third:run("lock account=A"))
      assert.equal("locked", second:run("lock account=A"))
    end)

    it("passes over a process that is stopped or killed while it waits", function()
      local first, second, third = open(3)
      for _, signal in ipairs{ "STOP", "KILL" } do
        assert.equal("locked", first:run("lock account=A"))
        assert.equal("not locked", second:run("lock account=A"))
        second:signal(signal)
        assert.equal("not locked", first:run("lock"))
        end_lease(place)
        await(third, "lock account=A", "locked")
        assert.equal("not locked", third:run("lock"))
        second:signal("CONT")
        if signal == "STOP" then
          assert.equal("locked", second:run("lock account=A"))
          assert.equal("not locked", second:run("lock"))
        end
      end
    end)

    it("is not needed to record a purchase that the response proves", function()
      local first = open(1)
      for _, job in ipairs{
        { "reserve", "reserved" }, { "settle id=1 state=not_placed", "changed" },
        { "settle id=1 order=o", "not changed" }, { "settle id=1 order=o proven=1", "changed" },
        { "find key=k", "placed order=o" }, { "reserve key=b per_day=1", "refused per_day 1" } } do
        assert.matches("^" .. job[2], first:run(job[1]))
      end
    end)
  end)

  describe("a purchase that is stopped, with its journal in " .. place.name, function()
    local store, sandbox, group
    setup(place.start)
    teardown(place.stop)
    before_each(function()
      store = place.fresh()
      sandbox = sandboxes.start{ limits = "off" }
    end)
    after_each(function() sandbox:stop() end)

    local function counted(endpoint)
      return sandbox:look("counters").requests[endpoint] or 0
    end

    -- Stops a purchase while the sandbox works on a request.
    local function stop_at(endpoint, fault)
      sandbox:change("settings", { faults = core.json.array{ endpoint .. ":" .. fault } })
      local script = program.write(sandbox.home .. "/buy.lua", ("local px = require 'proxylua' "
        .. "local o, err = px.try(px.orders.create, { %s, key = 'a' }) "
        .. "print(err and err.kind or o.id, err and err.message)"):format(BUY))
      group = children.start(1, sandbox.home, { script }, { PROXYLUA_BASE_URL = sandbox.url,
        PROXYLUA_API_KEY = sandbox.key, PROXYLUA_LIMITS = "off", PROXYLUA_SPEND = "1000",
        PROXYLUA_STORE = store })
      while counted(endpoint) == 0 do core.task.sleep(0.005) end
      group:signal(1, "STOP")
      end_lease(place)
    end

    local function go_on()
      group:signal(1, "CONT")
      return group:join()[1].out
    end

    local function buy(key, quantity)
      return sandbox:eval(("local o, err = px.try(px.orders.create, { %s, key = '%s', quantity = "
        .. "%d }) return err and err.message or o.id"):format(BUY, key, quantity or 1),
        { env = { PROXYLUA_STORE = store } })
    end

    it("has given the lock back when it looks up what a recorded charge cost", function()
      local order = buy("b")
      sandbox:change("settings", { faults = { "account.transactions:delay=1,count=1" } })
      group = children.start(1, sandbox.home, { "orders", "extend", order, "--period", "30",
        "--key", "a" }, { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
        PROXYLUA_LIMITS = "off", PROXYLUA_SPEND = "1000", PROXYLUA_STORE = store })
      while counted("orders.extend") == 0 or counted("account.transactions") < 2 do
        core.task.sleep(0.005)
      end
      assert.equal("0", place.query("SELECT count(*) FROM locks WHERE token != 0"):match("%d+"))
      group:join()
      assert.equal("240000000", place.query("SELECT price FROM charges WHERE key = 'a'")
        :match("%d+"))
    end)

    it("lets others buy, and then sends nothing", function()
      stop_at("orders.calc", "delay=0.3,count=1")
      assert.matches("^ord_", buy("b"))
      assert.matches("^store\t.*lost the lock", go_on())
      assert.equal(1, counted("orders.create"))
      assert.matches("^ord_", buy("a"))
      assert.equal(2, counted("orders.create"))
    end)

    it("is recorded as its response says, after others bought", function()
      stop_at("orders.create", "delay=0.3,count=1")
      assert.matches("^ord_", buy("b", 2))
      local bought = go_on():match("^ord_%w+")
      assert.is_string(bought)
      assert.equal(bought, buy("a"))
      assert.equal(2, counted("orders.create"))
    end)

    it("is found by another process with its key, and not bought twice", function()
      stop_at("orders.create", "delay=0.3,count=1")
      local found = buy("a")
      assert.matches("^ord_", found)
      assert.equal(found, go_on():match("^ord_%w+"))
      assert.equal(1, counted("orders.create"))
    end)
  end)
end
