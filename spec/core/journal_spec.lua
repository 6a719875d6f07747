-- src/charge/journal.c: what is known of charges after a restart, a kill, a new key.

local children = require "spec.support.children"
local core = require "proxylua.core"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"
local stores = require "spec.support.stores"

local BUY = "type = 'isp', quantity = 1, country = 'US', period = 30"
local SECOND_KEY = "sk_sandbox_rotated_00000001"

for _, place in ipairs(stores.all) do
  describe("the journal in " .. place.name, function()
    local sandbox
    local store
    setup(place.start)
    teardown(place.stop)
    before_each(function()
      store = place.fresh()
      sandbox = sandboxes.start{ limits = "off" }
    end)
    after_each(function() sandbox:stop() end)

    local function buy(extra, env)
      local all = { PROXYLUA_STORE = store }
      for name, value in pairs(env or {}) do all[name] = value end
      return sandbox:eval(("local o, err = px.try(px.orders.create, { %s, %s }) "):format(BUY,
        extra or "")
        .. "return err and err.kind or o.id, err and err.message", { env = all })
    end

    local function requests()
      return sandbox:look("counters").requests["orders.create"] or 0
    end

    local function faults(...)
      sandbox:change("settings", { faults = core.json.array{ ... } })
    end

    local function config(text)
      return program.write(sandbox.home .. "/config.lua", text)
    end

    -- A purchase whose process is killed while the server works on it.
    local function killed_purchase(key)
      faults("orders.create:hold=0.5,count=1")
      local script = program.write(sandbox.home .. "/buy.lua",
        ("require('proxylua').orders.create{ %s, key = '%s' }"):format(BUY, key))
      local group = children.start(1, sandbox.home, { script }, { PROXYLUA_BASE_URL = sandbox.url,
        PROXYLUA_API_KEY = sandbox.key, PROXYLUA_LIMITS = "off", PROXYLUA_SPEND = "1000",
        PROXYLUA_STORE = store })
      while requests() == 0 do core.task.sleep(0.005) end
      group:kill(1)
      assert.equal(137, group:join()[1].code)
    end

    it("remembers an order by its key", function()
      local first = buy("key = 'k'")
      assert.matches("^ord_", first)
      assert.equal(first, (buy("key = 'k'")))
      assert.equal(1, requests())
    end)

    it("remembers it when the API key was rotated", function()
      sandbox:change("settings", { keys = core.json.array{ sandbox.key, SECOND_KEY } })
      local first = buy("key = 'k'")
      assert.equal(first, (buy("key = 'k'", { PROXYLUA_API_KEY = SECOND_KEY })))
      assert.equal(1, requests())
    end)

    it("never sends again what a killed process had sent", function()
      killed_purchase("k")
      assert.matches("^ord_", (buy("key = 'k'", { PROXYLUA_SETTLE = "5s" })))
      assert.equal(1, requests())
    end)

    it("keeps what a killed process had reserved of the day's allowance", function()
      local path = config("return { spend = { per_day = 3 } }")
      killed_purchase("k")
      assert.equal("spend_refused",
        (buy("key = 'l', quantity = 2", { PROXYLUA_SPEND = "", PROXYLUA_CONFIG = path,
        PROXYLUA_SETTLE = "3600s" })))
      assert.equal(1, requests())
    end)

    it("gives back what was reserved for a refused charge", function()
      local path = config("return { spend = { per_day = 3 } }")
      local env = { PROXYLUA_SPEND = "", PROXYLUA_CONFIG = path }
      faults("orders.create:status=400,count=1")
      assert.equal("invalid", (buy("", env)))
      assert.matches("^ord_", (buy("", env)))
      assert.equal("spend_refused", (buy("", env)))
    end)

    it("belongs to the base URL and account: another store knows nothing", function()
      local first = buy("key = 'k'")
      assert.not_equal(first, (buy("key = 'k'", { PROXYLUA_STORE = sandbox.home .. "/other.db" })))
    end)

    it("sends nothing when it cannot be read", function()
      program.write(sandbox.home .. "/bad.db", ("x"):rep(9000))
      assert.equal("store", (buy("", { PROXYLUA_STORE = sandbox.home .. "/bad.db" })))
      assert.equal(0, requests())
    end)

    it("keeps texts of any characters", function()
      local key = "k'\";\\--$1%s?1{}"
      local first = buy(("key = %q"):format(key))
      assert.matches("^ord_", first)
      assert.equal(first, (buy(("key = %q"):format(key))))
    end)
  end)
end
