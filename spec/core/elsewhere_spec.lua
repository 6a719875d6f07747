-- src/charge/elsewhere.c, reconcile_day.c: what the account was charged today that the journal does
-- not have counts towards per_day.

local core = require "proxylua.core"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"
local servers = require "spec.support.server"
local stores = require "spec.support.stores"

local BUY = { "orders", "create", "--type", "isp", "--quantity", "1", "--country", "US",
  "--period", "30" } -- 2.40

for _, place in ipairs(stores.all) do
  describe("per_day on " .. place.name, function()
    local sandbox, store
    setup(function() place.start() end)
    teardown(function() place.stop() end)
    before_each(function() sandbox, store = sandboxes.start(), place.fresh() end)
    after_each(function() sandbox:stop() end)

    local function run(words, per_day, more)
      local config = program.write(sandbox.home .. "/c.lua",
        ("return { spend = { per_day = %s%s } }"):format(per_day, more or ""))
      return sandbox:run(words, { env = { PROXYLUA_SPEND = "", PROXYLUA_CONFIG = config,
        PROXYLUA_STORE = store } })
    end

    local function buy(per_day, more) return run(BUY, per_day, more) end

    local function faults(...)
      sandbox:change("settings", { faults = core.json.array{ ... } })
    end

    local function lose_store() store = place.fresh() end

    local function request(method, path, body)
      local answer = core.http[method](sandbox.url .. path, {
        headers = { Authorization = "Bearer " .. sandbox.key }, json = body,
      })
      assert(answer.ok, answer.body)
      return answer:json().data
    end

    local function colleague_buys(quantity)
      return request("post", "/orders", { type = "isp", quantity = quantity or 1, country = "US",
        period = 30 }).id
    end

    local function newest() return request("get", "/orders")[1].id end

    local function sold() return sandbox:look("counters").sold end

    local function assert_refused(result, sum)
      assert.equal(6, result.code, result.err)
      assert.matches(("%s of it was charged to the account today without this journal"):format(sum),
        result.err, 1, true)
      assert.matches("spend.ignore_elsewhere", result.err, 1, true)
    end

    local function assert_bought(result)
      assert.equal(0, result.code, result.err)
    end

    it("holds although the store was lost", function()
      assert_bought(buy("4"))
      lose_store()
      assert_refused(buy("4"), "2.40")
      assert.equal(1, sold())
    end)

    it("holds although the store was restored from a backup", function()
      assert_bought(buy("10"))
      local copy = place.copy("copy")
      assert_bought(buy("10"))
      assert_bought(run({ "orders", "extend", newest(), "--period", "30" }, "10"))
      store = copy
      local result = buy("9")
      assert_refused(result, "4.80")
      assert.matches("of which 7.20 is spent or reserved", result.err, 1, true)
      assert.matches("also counts 4.80 in 2 charges of today", result.err, 1, true)
      assert.equal(2, sold())
    end)

    it("counts an extension of an order that the journal has, made without it", function()
      assert_bought(buy("10"))
      request("post", ("/orders/%s/extend"):format(newest()), { period = 30 })
      assert_refused(buy("7"), "2.40")
    end)

    it("counts what a colleague buys, and a refund of it does not", function()
      assert_bought(buy("10"))
      local id = colleague_buys()
      assert_refused(buy("7"), "2.40")
      sandbox:change("cancel", { id = id })
      assert_bought(buy("7"))
    end)

    it("counts no purchase twice, and no refund of the journal's own as another's", function()
      for _ = 1, 3 do assert_bought(buy("9.70")) end
      local result = buy("9.70")
      assert_bought(result)
      assert.not_matches("also counts", result.err, 1, true)
      colleague_buys()
      sandbox:change("cancel", { id = newest() })
      assert.equal(6, buy("9.70").code)
    end)

    it("leaves other charges out with spend.ignore_elsewhere", function()
      colleague_buys()
      assert_refused(buy("4"), "2.40")
      assert_bought(buy("4", ", ignore_elsewhere = true"))
    end)

    it("begins anew on the next day", function()
      assert_bought(buy("4"))
      lose_store()
      sandbox:change("clock", { advance = 86400 - os.time() % 86400 })
      assert_bought(buy("4"))
    end)

    it("counts transactions without order ids", function()
      faults("account.transactions:omit=order_id")
      for _ = 1, 2 do assert_bought(buy("9.70")) end
      colleague_buys()
      assert_bought(buy("9.70"))
      assert_refused(buy("9.70"), "2.40")
      lose_store()
      assert_refused(buy("9.70"), "9.60")
    end)

    it("counts the orders, and says so, where transactions may not be read", function()
      faults("account.transactions:status=403")
      assert_bought(buy("4"))
      lose_store()
      local result = buy("4")
      assert_refused(result, "2.40")
      assert.matches("may not count all charges of today", result.err, 1, true)
    end)

    it("counts an order that no transaction shows yet", function()
      assert_bought(buy("4"))
      lose_store()
      faults("account.transactions:slow=3600")
      assert_refused(buy("4"), "2.40")
    end)

    it("counts the orders of today where transactions have neither orders nor dates", function()
      faults("account.transactions:omit=order_id+created_at+id")
      assert_bought(buy("4"))
      lose_store()
      assert_refused(buy("4"), "2.40")
    end)

    it("counts charges without dates from one purchase to the next, and says so", function()
      faults("account.transactions:omit=created_at", "orders.list:omit=created_at")
      colleague_buys()
      assert.matches("may not count all charges of today", buy("7").err, 1, true)
      colleague_buys()
      assert_refused(buy("7"), "2.40")
    end)

    it("costs no further request, except where the day's charges fill more than a page", function()
      local function requests()
        return sandbox:look("counters").requests["account.transactions"] or 0
      end
      assert_bought(buy("1000"))
      assert.equal(1, requests())
      for at = 1, 230 do
        if at % 50 == 0 then sandbox:change("clock", { advance = 1 }) end
        colleague_buys()
      end
      lose_store()
      local before = requests()
      assert_refused(buy("555"), "554.40")
      assert.equal(3, requests() - before)
      assert_bought(buy("600"))
      before = requests()
      colleague_buys()
      assert_bought(buy("600"))
      assert.equal(1, requests() - before)
      assert_refused(buy("563"), "556.80")
    end)
  end)
end

it("per_day counts no deposit without a type where charges are negative", function()
  local today, home = os.date("!%Y-%m-%dT%H:%M:%SZ"), program.folder()
  local function ok(data) return servers.ok(('{"success":true,"data":%s}'):format(data)) end
  local server = servers.start{
    ["/account"] = ok'{"id":"acc_1","balance":"100.00"}',
    ["/account/transactions"] = ok(('[{"id":"t2","amount":"50.00","created_at":%q},'
      .. '{"id":"t1","amount":"-3.00","created_at":%q}]'):format(today, today)),
    ["/orders/calc"] = ok'{"price":"2.40"}',
    ["/orders"] = { ok"[]", ok'{"id":"ord_1","type":"isp","quantity":1,"price":"2.40"}' },
  }
  local config = program.write(home .. "/c.lua", "return { spend = { per_day = 6 } }")
  local result = program.run(BUY, { home = home, env = { PROXYLUA_BASE_URL = server.url,
    PROXYLUA_API_KEY = "sk_live_abc123", PROXYLUA_LIMITS = "off", PROXYLUA_CONFIG = config } })
  server:stop()
  assert.equal(0, result.code, result.err)
  assert.matches("also counts 3.00 in 1 charge", result.err, 1, true)
end)
