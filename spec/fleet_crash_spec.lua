-- `fleet apply` that is killed at each step of each of its charges, and two of them at once: whatever happens, running it again
-- leaves exactly what was planned, bought and extended once. FLEET_CRASH=long tries all steps of all charges, on both stores.

local children = require "spec.support.children"
local core = require "proxylua.core"
local crash = require "spec.support.crash"
local program = require "spec.support.program"
local stores = require "spec.support.stores"

local LONG = os.getenv("FLEET_CRASH") == "long"

-- A pool that has one order, which ends soon, and wants two more of two and of one.
local POOL = "return { { name = %q, type = 'isp', country = 'US', quantity = 4, period = 7, renew_before = '2d', batch = 2 } }"
local CHARGES = 3

-- Reached only when an answer was lost, and when another process has left an entry open.
local lost = { unknown = true }

local function chosen(...)
  return LONG and crash.steps() or { ... }
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
      local env = { PROXYLUA_BASE_URL = server.url, PROXYLUA_API_KEY = server.key, PROXYLUA_STORE = store,
        PROXYLUA_LIMITS = "off", PROXYLUA_SPEND = "1000", PROXYLUA_SETTLE = "0.3", PROXYLUA_TIMEOUT = "5" }
      for name, value in pairs(more or {}) do env[name] = value end
      return env
    end

    local function run(arguments, env)
      return program.run(arguments, { home = home, env = environment(env), program = crash.path })
    end

    local function done(arguments)
      local result = run(arguments)
      assert.equal(0, result.code, result.err)
      return result
    end

    -- A pool with an order that is due. Answers the file and the order's id.
    local function prepare(name)
      local path = program.write(("%s/%s.lua"):format(home, name), POOL:format(name))
      local bought = done{ "--json", "orders", "create", "--type", "isp", "--quantity", "1", "--country", "US", "--period",
        "1", "--key", "before-" .. name }
      local id = core.json.decode(bought.out).id
      done{ "fleet", "adopt", name, id }
      return path, id
    end

    -- What the server sold for a pool: by key, and how often the order was extended.
    local function sold(name, id)
      local by_key, extended = {}, 0
      for _, order in ipairs(server:look("orders").orders) do
        if order.key and order.key:find("fleet/" .. name .. "/", 1, true) == 1 then
          by_key[order.key] = (by_key[order.key] or 0) + order.quantity
        elseif order.id == id then
          extended = order.extensions
        end
      end
      return by_key, extended
    end

    local function check(name, id, path, about)
      local by_key, extended = sold(name, id)
      local wanted = { [("fleet/%s/1"):format(name)] = 2, [("fleet/%s/2"):format(name)] = 1 }
      assert.same(wanted, by_key, about)
      assert.equal(1, extended, about)
      local plan = run{ "fleet", "plan", path, "--exit-code" }
      assert.equal(0, plan.code, about .. plan.out .. plan.err)
    end

    -- Runs until it is done.
    local function finish(words, about)
      for _ = 1, 5 do
        local result = run(words)
        if result.code == 0 then return result end
        assert.is_true(result.code == 4 or result.code == 5, about .. ": " .. result.code .. result.err)
      end
      error(about .. ": does not come to an end")
    end

    -- Kills it at the n-th passing of a step, then runs it again. False when that step was not reached.
    local function kill_at(step, number, from_plan)
      local name = ("%s-%d%s"):format(step, number, from_plan and "-plan" or "")
      local path, id = prepare(name)
      local words = { "fleet", "apply", path }
      if from_plan then
        words[3] = path .. ".json"
        done{ "fleet", "plan", path, "-o", words[3] }
      end
      server:faults(lost[step] and ("orders.create:cut=after,count=1") or nil)
      local result = run(words, { PROXYLUA_CRASH = ("%s:%d"):format(step, number) })
      server:faults()
      assert.is_true(result.code == 137 or result.code == 0, name .. ": " .. result.code .. result.err)
      finish(words, name)
      check(name, id, path, name)
      return result.code == 137
    end

    it("that is killed at any step buys and extends the rest, run again from the file", function()
      local reached = 0
      for at, step in ipairs(chosen("locked", "slots", "intent", "leaving", "answered", "unknown", "ended")) do
        for number = LONG and 1 or at % 3 + 1, LONG and 2 * CHARGES + 2 or at % 3 + 1 do
          if kill_at(step, lost[step] and 1 or number, false) then reached = reached + 1 end
        end
      end
      assert.is_true(reached >= 6, reached)
    end)

    it("that is killed at any step buys and extends the rest, run again from the plan", function()
      local reached = 0
      for at, step in ipairs(chosen("intent", "sending", "answered")) do
        for number = LONG and 1 or at % 3 + 1, LONG and 2 * CHARGES + 2 or at % 3 + 1 do
          if kill_at(step, lost[step] and 1 or number, true) then reached = reached + 1 end
        end
      end
      assert.is_true(reached >= 3, reached)
    end)

    it("does not overlook an order that no list shows yet", function()
      local path, id = prepare("slow")
      server:faults("orders.list:slow=3600", "account.transactions:slow=3600")
      assert.equal(137, run({ "fleet", "apply", path }, { PROXYLUA_CRASH = "answered:2" }).code)
      local result
      for _ = 1, 3 do result = run{ "fleet", "apply", path } end
      server:faults()
      finish({ "fleet", "apply", path }, result.err)
      check("slow", id, path, "slow")
    end)

    it("that runs several times at once buys once", function()
      for round = 1, LONG and 10 or 2 do
        local name = "race-" .. round
        local path, id = prepare(name)
        local group = children.start(3, home, { "fleet", "apply", path }, environment())
        for _, result in ipairs(group:join()) do
          assert.is_true(result.code == 0 or result.code == 3, result.code .. result.err)
          if result.code == 3 then assert.matches("key", result.err) end
        end
        finish({ "fleet", "apply", path }, name)
        check(name, id, path, name)
      end
    end)
  end)
end
