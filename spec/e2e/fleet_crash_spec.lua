-- `fleet apply` that is killed at each step of each of its charges, and two of them at once:
-- running it again always leaves exactly what was planned, bought and extended once.
-- FLEET_CRASH=long tries all steps of all charges, on both stores.

local children = require "spec.support.children"
local crash = require "spec.support.crash"
local program = require "spec.support.program"
local stores = require "spec.support.stores"

local LONG = os.getenv("FLEET_CRASH") == "long"

-- A pool that has one order, which ends soon, and wants two more of two and of one.
local POOL = [[
return { { name = %q, type = "isp", country = "US", quantity = 4, period = 7, renew_before = "2d",
  batch = 2 } }]]

-- A step is passed by the look-up at the beginning, and by three charges.
local PASSINGS = 4

-- Reached only when an answer was lost, and when another process has left an entry open.
local lost = { unknown = true }

-- Of the steps with the passing at which it is killed, in the long form all.
local function chosen(some)
  if not LONG then return some end
  local all = {}
  for _, step in ipairs(crash.steps()) do
    for number = 1, lost[step] and 1 or PASSINGS do all[#all + 1] = { step, number } end
  end
  return all
end

for _, place in ipairs(LONG and stores.all or { stores.all[1] }) do
  describe("with its store in " .. place.name .. ", fleet apply", function()
    local server, store, home

    setup(function()
      place.start()
      server, store, home = crash.server(), place.fresh(), program.folder()
    end)
    teardown(function()
      server:stop()
      program.remove(home)
      place.stop()
    end)

    local function environment(more)
      local env = { PROXYLUA_BASE_URL = server.url, PROXYLUA_API_KEY = server.key,
        PROXYLUA_STORE = store,
        PROXYLUA_LIMITS = "off", PROXYLUA_SPEND = "1000", PROXYLUA_SETTLE = "0.3s",
          PROXYLUA_TIMEOUT = "5s" }
      for name, value in pairs(more or {}) do env[name] = value end
      return env
    end

    local function run(arguments, env)
      return program.run(arguments, { home = home, env = environment(env), program = crash.path })
    end

    local script = [[
      local px = require "proxylua"
      for _, name in ipairs(arg) do
        local order = px.orders.create{ type = "isp", quantity = 1, country = "US", period = 1, key = "before-" .. name }
        px.fleet.adopt(name, order.id)
        print(order.id)
      end]]

    -- Pools with an order that is due each. Returns lists of files and of the orders' ids.
    local function prepare(names)
      local paths, ids = {}, {}
      for at, name in ipairs(names) do
        paths[at] = program.write(("%s/%s.lua"):format(home, name), POOL:format(name))
      end
      local result = run({ program.write(home .. "/prepare.lua", script), table.unpack(names) })
      assert.equal(0, result.code, result.err)
      for id in result.out:gmatch("%S+") do ids[#ids + 1] = id end
      return paths, ids
    end

    -- The key of a purchase, without the number of its journal entry.
    local function key_of(order)
      return order.key and order.key:gsub("%.%d+$", "")
    end

    -- What the server sold for a pool: by key, and how often the order was extended.
    local function sold(name, id)
      local by_key, extended = {}, 0
      for _, order in ipairs(server:look("orders").orders) do
        local key = key_of(order)
        if key and key:find("fleet/" .. name .. "/", 1, true) == 1 then
          by_key[key] = (by_key[key] or 0) + order.quantity
        elseif order.id == id then
          extended = order.extensions
        end
      end
      return by_key, extended
    end

    local function check(name, id, about)
      local by_key, extended = sold(name, id)
      local wanted = { [("fleet/%s/1"):format(name)] = 2, [("fleet/%s/2"):format(name)] = 1 }
      assert.same(wanted, by_key, about)
      assert.equal(1, extended, about)
      local plan = run{ "fleet", "plan", ("%s/%s.lua"):format(home, name), "--exit-code" }
      assert.equal(0, plan.code, about .. plan.out .. plan.err)
    end

    -- Runs until it is done.
    local function finish(words, about)
      for _ = 1, 5 do
        local result = run(words)
        if result.code == 0 then return result end
        assert.is_true(result.code == 4 or result.code == 5, about .. ": " .. result.code
          .. result.err)
      end
      error(about .. ": does not come to an end")
    end

    -- Kills it at the n-th passing of a step, then runs it again. Returns whether that step was
    -- reached.
    local function kill_at(step, number, name, id, words)
      server:faults(lost[step] and "orders.create:cut=after,count=1" or nil)
      local result = run(words, { PROXYLUA_CRASH = ("%s:%d"):format(step, number) })
      server:faults()
      assert.is_true(result.code == 137 or result.code == 0, name .. ": " .. result.code
        .. result.err)
      finish(words, name)
      check(name, id, name)
      return result.code == 137
    end

    local function kill_at_all(kind, cases)
      local names, reached = {}, 0
      for at, case in ipairs(cases) do names[at] = ("%s-%s-%d"):format(kind, case[1], case[2]) end
      local paths, ids = prepare(names)
      for at, case in ipairs(cases) do
        local path = paths[at]
        if kind == "plan" then
          path = path .. ".json"
          assert.equal(0, run{ "fleet", "plan", paths[at], "-o", path }.code)
        end
        if kill_at(case[1], case[2], names[at], ids[at], { "fleet", "apply", path }) then
          reached = reached + 1
        end
      end
      return reached
    end

    it("that is killed at any step buys and extends the rest, run again from the file", function()
      local some = { { "slots", 3 }, { "intent", 2 }, { "leaving", 3 }, { "answered", 2 },
        { "unknown", 1 } }
      local reached = kill_at_all("file", chosen(some))
      assert.is_true(reached >= #some, reached)
    end)

    it("that is killed at any step buys and extends the rest, run again from the plan", function()
      local some = { { "sending", 2 }, { "answered", 1 }, { "answered", 3 } }
      local reached = kill_at_all("plan", chosen(some))
      assert.is_true(reached >= #some, reached)
    end)

    it("does not overlook an order that no list shows yet", function()
      local paths, ids = prepare{ "slow" }
      local path, id = paths[1], ids[1]
      server:faults("orders.list:slow=3600", "account.transactions:slow=3600")
      assert.equal(137, run({ "fleet", "apply", path }, { PROXYLUA_CRASH = "answered:2" }).code)
      local result
      for _ = 1, 2 do result = run{ "fleet", "apply", path } end
      server:faults()
      finish({ "fleet", "apply", path }, result.err)
      check("slow", id, "slow")
    end)

    -- Three runs at a time on one file, in faults of all kinds, two of them killed at random; then
    -- one in peace.
    local function weather(words)
      local steps, groups = crash.steps(), {}
      for number = 1, 3 do
        local env = { PROXYLUA_TIMEOUT = "2s", PROXYLUA_SETTLE = "4s" }
        if number > 1 then
          env.PROXYLUA_CRASH = ("%s:%d"):format(steps[math.random(#steps)], math.random(6))
        end
        groups[number] = children.start(1, home, words, environment(env), crash.path)
      end
      for _, group in ipairs(groups) do group:join() end
    end

    if LONG then
      it("comes out of a storm of faults and kills with what was planned, and nothing twice",
        function()
        local seed = tonumber(os.getenv("FLEET_SEED")) or os.time()
        math.randomseed(seed)
        local names, about = { "s1", "s2", "s3", "s4" }, "FLEET_SEED=" .. seed .. " "
        local paths, ids = prepare(names)
        local list = {}
        for at, name in ipairs(names) do list[at] = POOL:format(name):match("{ (.*) }%s*$") end
        local path = program.write(home .. "/storm.lua", "return { " .. table.concat(list, ", ")
          .. " }")
        for _ = 1, 6 do
          server:change("settings", { faults = crash.storm() })
          weather{ "fleet", "apply", path }
        end
        server:faults()
        finish({ "fleet", "apply", path }, about)
        for at, name in ipairs(names) do
          local count, by_key = 0, {}
          for _, order in ipairs(server:look("orders").orders) do
            local key = key_of(order)
            if key and key:find("fleet/" .. name .. "/", 1, true) == 1 and order.status
              == "active" then
              count, by_key[key] = count + order.quantity, (by_key[key] or 0) + 1
            elseif order.id == ids[at] then
              assert.equal(1, order.extensions, about .. name)
            end
          end
          assert.equal(3, count, about .. name)
          for key, times in pairs(by_key) do assert.equal(1, times, about .. key) end
          assert.equal(0, run{ "fleet", "plan", paths[at], "--exit-code" }.code, about .. name)
        end
      end)
    end

    it("that runs several times at once buys once", function()
      for round = 1, LONG and 10 or 1 do
        local name = "race-" .. round
        local paths, ids = prepare{ name }
        local path, id = paths[1], ids[1]
        local group = children.start(3, home, { "fleet", "apply", path }, environment())
        for _, result in ipairs(group:join()) do
          assert.is_true(result.code == 0 or result.code == 3, result.code .. result.err)
          if result.code == 3 then assert.matches("key", result.err) end
        end
        finish({ "fleet", "apply", path }, name)
        check(name, id, name)
      end
    end)
  end)
end
