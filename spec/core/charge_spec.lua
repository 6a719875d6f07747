-- src/charge/charge.c: nothing is spent that was not allowed, and nothing is paid twice.

local core = require "proxylua.core"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"
local servers = require "spec.support.server"

local BUY = "type = 'isp', quantity = 1, country = 'US', period = 30"

describe("a purchase", function()
  local sandbox
  before_each(function() sandbox = sandboxes.start{ limits = "off" } end)
  after_each(function() sandbox:stop() end)

  local function faults(...)
    sandbox:change("settings", { faults = core.json.array{ ... } })
  end

  -- Buys with extra parameters; the kind of the error or the order's id, and the error's `charge`.
  local function buy(extra, env)
    return sandbox:eval(("local order, err = px.try(px.orders.create, { %s, %s }) "):format(BUY,
      extra or "")
      .. "return err and err.kind or order.id or 'dry', err and err.charge, err and err.message",
      { env = env })
  end

  local function sold()
    return sandbox:look("counters").sold
  end

  it("is refused unless spending was allowed, and reports the price", function()
    local kind, charge, message = buy("", { PROXYLUA_SPEND = "" })
    assert.same({ "spend_refused", "none" }, { kind, charge })
    assert.matches("2.40", message, 1, true)
    assert.equal(0, sandbox:look("counters").requests["orders.create"] or 0)
  end)

  it("is refused above what is left of the run's allowance", function()
    local kinds = { sandbox:eval([[
      local kinds = {}
      for i = 1, 4 do
        local _, err = px.try(px.orders.create, { ]] .. BUY .. [[ })
        kinds[i] = err and err.kind or "bought"
      end
      return table.unpack(kinds)]], { env = { PROXYLUA_SPEND = "6" } }) }
    assert.same({ "bought", "bought", "spend_refused", "spend_refused" }, kinds)
    assert.equal(2, sold())
  end)

  it("keeps per_order and per_day, the day's across runs", function()
    local config = program.folder()
    program.write(config .. "/c.lua", "return { spend = { per_day = 5, per_order = 3 } }")
    local env = { PROXYLUA_SPEND = "", PROXYLUA_CONFIG = config .. "/c.lua" }
    assert.equal("spend_refused", (buy("quantity = 2", env)))
    assert.matches("^ord_", (buy("", env)))
    assert.matches("^ord_", (buy("", env)))
    assert.equal("spend_refused", (buy("", env)))
    assert.equal(2, sold())
    program.remove(config)
  end)

  it("is refused above max_price", function()
    assert.equal("spend_refused", (buy("max_price = '2.39'")))
    assert.matches("^ord_", (buy("max_price = '2.40'")))
    assert.equal(1, sold())
  end)

  it("is only priced in a dry run", function()
    local result = sandbox:run{ "--dry-run", "-e",
      ("local o = require('proxylua').orders.create{ %s } "):format(BUY)
      .. "print(o.dry_run, o.id, o.price)" }
    assert.equal("true\tnil\t2.40\n", result.out)
    assert.equal(0, sold())
  end)

  it("with the same key returns the recorded order, in this run and the next", function()
    local first, second = sandbox:eval(("local p = { %s, key = 'k' } "):format(BUY)
      .. "return px.orders.create(p).id, px.orders.create(p).id")
    assert.equal(first, second)
    assert.equal(first, (buy("key = 'k'")))
    assert.equal(1, sold())
  end)

  it("with the same key and other parameters is an error", function()
    buy("key = 'k'")
    local kind = buy("key = 'k', quantity = 2")
    assert.equal("key_reused", kind)
    assert.equal(1, sold())
  end)

  for _, status in ipairs{ 400, 401, 402, 403, 404 } do
    it(("refused with %d moved no money, and its key can be used again"):format(status), function()
      faults(("orders.create:status=%d,count=1"):format(status))
      local kind, charge = buy("key = 'k'")
      assert.not_equal("outcome_unknown", kind)
      assert.equal("none", charge)
      assert.matches("^ord_", (buy("key = 'k'")))
      assert.equal(1, sold())
    end)
  end

  it("goes out under another Idempotency-Key after each attempt that failed", function()
    for number, fault in ipairs{ "status=400", "cut=before", "status=402" } do
      faults(("orders.create:%s,count=1"):format(fault))
      assert.equal("none", select(2, buy("key = 'k'", { PROXYLUA_SETTLE = "0.1s" })), number)
    end
    assert.matches("^ord_", (buy("key = 'k'")))
    assert.equal("k.3", sandbox:look("orders").orders[1].key)
  end)

  it("that gets a 429 waits and is sent again", function()
    faults("orders.create:status=429,retry_after=1,count=1")
    assert.matches("^ord_", (buy("key = 'k'")))
    assert.equal(1, sold())
  end)

  it("that gets a 429 repeatedly ends when the pauses exceed max_wait together", function()
    faults("orders.create:status=429,retry_after=1")
    local kind, charge, message = buy("key = 'k', max_wait = 2.5")
    assert.same({ "rate_limited", "none" }, { kind, charge })
    assert.matches("responds with 429 again and again", message, 1, true)
    assert.equal(3, sandbox:look("counters").requests["orders.create"])
    faults("orders.create:delay=0")
    assert.matches("^ord_", (buy("key = 'k'")))
    assert.equal(1, sold())
  end)

  it("that costs more than its quote is reported and ends the run's spending", function()
    faults("orders.create:drift=1.5,count=1")
    local result = sandbox:run{ "-e",
      ("local px = require 'proxylua' print(px.orders.create{ %s }.price) "):format(BUY)
      .. ("print(select(2, px.try(px.orders.create, { %s })).kind)"):format(BUY) }
    assert.equal("3.60\nspend_refused\n", result.out)
    assert.matches("above its quote", result.err, 1, true)
    assert.equal(1, sold())
  end)

  local function count_requests()
    local sum = 0
    for _, count in pairs(sandbox:look("counters").requests) do sum = sum + count end
    return sum
  end

  it("takes at most 6 requests, and 2 for each further one, in an account with many orders",
    function()
    for _ = 1, 2 do -- of two days: records of the same second do not show how a list is sorted
      sandbox:eval("for _ = 1, 65 do px.orders.create{ type = 'ipv6', quantity = 1 } end",
        { env = { PROXYLUA_STORE = sandbox.home .. "/theirs.db" } })
      sandbox:change("clock", { advance = 86400 })
    end
    local before = count_requests()
    sandbox:eval(("px.orders.create{ %s }"):format(BUY))
    assert.is_true(count_requests() - before <= 6, count_requests() - before)
    before = count_requests()
    for _ = 1, 2 do
      sandbox:eval(("for _ = 1, 5 do px.orders.create{ %s } end"):format(BUY))
    end
    assert.is_true(count_requests() - before <= 10 * 2, count_requests() - before)
  end)

  it("by path obeys the same rules", function()
    local request = "px.try(px.request, { method = 'POST', path = '%s', json = { " .. BUY
      .. " } %s })"
    for _, path in ipairs{ "/orders", "/ORDERS" } do
      local kind = sandbox:eval(("local _, e = " .. request
        .. " return e and e.kind or 'bought'"):format(path, ""),
        { env = { PROXYLUA_SPEND = "" } })
      assert.equal("spend_refused", kind, path)
    end
    assert.equal(0, sold())
  end)

  it("by an unknown path needs a max_price above 0, with any method", function()
    local kinds = sandbox:eval([[
      local kinds = {}
      for _, path in ipairs{ "/gifts", "/orders.", "/Orders/Calc", "/orders/calc.", "/deposits/Addresses",
        "/orders~", "/orders-", "/v1/orders", "/orders/ord_1" } do
        for _, method in ipairs{ "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BUY" } do
          for _, price in ipairs{ false, 0, "0.00" } do
            local _, err = px.try(px.request, { method = method, path = path, max_price = price or nil,
              json = { type = "ipv6", quantity = 1 } })
            kinds[err and err.kind or "sent"] = true
          end
        end
      end
      for _, path in ipairs{ "/orders%20", "/orders%3Bx", "/orders;x", "/orders/", "//orders", "/x/../orders",
        "/%6frders", "/orders\0", "/orders\0/calc", "/orders ", "/orders//extend" } do
        local _, err = px.try(px.request, { method = "POST", path = path, max_price = 5,
          json = { type = "ipv6", quantity = 1 } })
        kinds[err and err.kind or "sent"] = true
      end
      return kinds]])
    assert.same({ usage = true }, kinds)
    local counters = sandbox:look("counters")
    assert.same({ 0, nil }, { counters.charges, next(counters.requests) })
  end)

  it("by a path that is not known is sent within the allowance, and reserves max_price", function()
    local server = servers.start{
      ["/account"] = servers.ok('{"success":true,"data":{"id":"acc_1","balance":"9.30"}}'),
      ["/orders."] = servers.ok('{"success":true,"data":{"id":"ord_1"}}'),
    }
    finally(function() server:stop() end)
    local result = program.run({ "-e", [[
      local px = require "proxylua"
      local function buy(price)
        local order, err = px.try(px.request, { method = "POST", path = "/orders.?a=%20;",
          json = { quantity = 1 }, max_price = price })
        print(order and order.id or err.kind)
      end
      buy(6) buy(3) buy(7) buy(2) buy(1)]] }, { home = sandbox.home, env = {
      PROXYLUA_BASE_URL = server.url, PROXYLUA_API_KEY = "sk_live_0123456789abcdef",
      PROXYLUA_LIMITS = "off", PROXYLUA_SPEND = "9" } })
    assert.equal("ord_1\nord_1\nspend_refused\nspend_refused\nspend_refused\n", result.out,
      result.err)
    local sent = 0
    for _, text in ipairs(server:requests()) do
      if text:find("^POST /orders%.%?a=%%20; HTTP") then sent = sent + 1 end
    end
    assert.equal(2, sent)
  end)

  -- A server that sells at a path which the table does not have: each list is what the endpoint
  -- responds before the purchase and after it. Then tries to buy for 7 of the 9 that may be spent.
  local function buy_raw(transactions, balances)
    local answers = { ["/gifts"] = servers.ok('{"success":true,"data":{"done":true}}') }
    answers["/account/transactions"], answers["/account"] = {}, {}
    for at, text in ipairs(transactions) do
      answers["/account/transactions"][at] = servers.ok(('{"success":true,"data":[%s],"meta":'
        .. '{"page":1,"perPage":100,"total":%d,"totalPages":1}}'):format(text, at))
    end
    for at, balance in ipairs(balances) do
      answers["/account"][at] = servers.ok(
        ('{"success":true,"data":{"id":"acc_1","balance":"%s"}}'):format(balance))
    end
    local server = servers.start(answers)
    local result = program.run({ "-e", [[
      local px = require "proxylua"
      px.request{ method = "POST", path = "/gifts", json = {}, max_price = 5, key = "gift" }
      local entry = px.journal.get("gift")
      local _, err = px.try(px.request, { method = "POST", path = "/gifts", json = {},
        max_price = 7 })
      print(entry.state, entry.price, err and err.kind or "bought")]] }, {
      home = program.folder(), env = {
        PROXYLUA_BASE_URL = server.url, PROXYLUA_API_KEY = "sk_live_0123456789abcdef",
        PROXYLUA_LIMITS = "off", PROXYLUA_SPEND = "9" } })
    local requests = #server:requests()
    server:stop()
    return result.out, requests, result.err
  end

  local OLD = '{"id":"txn_1","type":"charge","amount":"4.00","order_id":"ord_1"}'
  local NEW = '{"id":"txn_2","type":"charge","amount":"1.50"}'

  it("by a path that is not known counts what transactions and balance show", function()
    local out, requests, err = buy_raw({ OLD, NEW .. "," .. OLD },
      { "9.30", "9.30", "9.30", "7.80" }) -- the name, the clock, the baseline, the price
    assert.equal("placed\t1.50\tbought\n", out, err)
    assert.is_true(requests <= 2 * 6, requests)
  end)

  it("by a path that is not known stays counted at max_price if the balance differs", function()
    local out, _, err = buy_raw({ OLD, NEW .. "," .. OLD }, { "9.30", "9.30" })
    assert.equal("placed\tnil\tspend_refused\n", out, err)
  end)

  it("by a path that is not known stays counted at max_price if nothing shows it", function()
    local out, _, err = buy_raw({ OLD, OLD }, { "9.30", "9.30", "9.30", "7.80" })
    assert.equal("placed\tnil\tspend_refused\n", out, err)
  end)

  it("by path is quoted for what is sent, and nothing else can be sent", function()
    local id = sandbox:eval(("return px.orders.create{ %s }.id"):format(BUY))
    local bad = { "{ a = { period = 1 }, period = 360 }", "{ period = 1.5 }", "'x'",
      "{ period = 1, x = 2 }" }
    for _, json in ipairs(bad) do
      local kind = sandbox:eval(([[local _, e = px.try(px.request, { method = "POST", path = "/orders/%s/extend",
        json = %s }) return e and e.kind or "extended"]]):format(id, json), { env = {
          PROXYLUA_SPEND = "10" } })
      assert.equal("usage", kind, json)
    end
    local kind = sandbox:eval(([[local _, e = px.try(px.request, { method = "POST", path = "/orders?quantity=9",
      json = { %s } }) return e and e.kind or "bought"]]):format(BUY))
    assert.equal("usage", kind)
    assert.equal(1, sandbox:look("counters").charges)
    local expiry = sandbox:eval(([[return px.request{ method = "POST", path = "/orders/%s/extend",
      json = { period = 1 } }.expires_at]]):format(id))
    assert.is_string(expiry)
    assert.equal(2, sandbox:look("counters").charges)
  end)

  it("is not made by a HEAD with a body, which libcurl would send as a POST", function()
    local kind = sandbox:eval(([[local _, e = px.try(px.request, { method = "HEAD", path = "/orders",
      json = { %s } }) return e and e.kind or "answered"]]):format(BUY), { env = { PROXYLUA_SPEND =
        "" } })
    assert.equal("usage", kind)
    assert.equal(0, sold())
  end)

  it("that was placed does not wait for ever for the look-up of its price", function()
    local id = buy()
    faults("account.transactions:delay=3600")
    local extended = sandbox:eval(("return px.orders.extend(%q, { period = 30 }).id"):format(id),
      { env = { PROXYLUA_TIMEOUT = "3600s" } })
    assert.equal(id, extended)
    assert.equal(2, sandbox:look("counters").requests["account.transactions"])
  end)

  it("that is cancelled while it waits is not sent", function()
    faults("orders.calc:delay=30")
    local kind, charge = sandbox:eval(([[
      local task = px.spawn(px.orders.create, { %s })
      px.sleep(0.3)
      task:cancel()
      local _, err = px.try(task.join, task)
      return err.kind, err.charge]]):format(BUY))
    assert.same({ "cancelled", "none" }, { kind, charge })
    assert.equal(0, sold())
  end)

  it("that is cancelled while under way is settled, and reported", function()
    faults("orders.create:delay=0.5")
    local result = sandbox:run{ "-e", ([[local px = require "proxylua"
      local task = px.spawn(px.orders.create, { %s, key = "gone" })
      while px.limits().off and task:status() ~= "done" do
        px.sleep(0.3)
        task:cancel()
        local _, err = px.try(task.join, task)
        print(err.kind, err.charge)
        break
      end]]):format(BUY) }
    assert.equal("cancelled\tunknown\n", result.out)
    assert.matches("key gone, which was cancelled, went through: order ord_", result.err, 1, true)
    assert.matches("^ord_", (buy("key = 'gone'")))
    assert.equal(1, sold())
  end)

  it("that px.timeout cuts off after it was sent is reported as unknown, and is settled", function()
    faults("orders.create:delay=1.5")
    local script =
      'require("proxylua").timeout(1, require("proxylua").orders.create, { %s, key = "late" })'
    local result = sandbox:run{ "-e", script:format(BUY) }
    assert.equal(5, result.code, result.err)
    assert.matches("px.timeout: not done after 1 s and a charge was under way; proxylua journal "
      .. "list shows its outcome", result.err, 1, true)
    assert.matches("key late, which was cancelled, went through: order ord_", result.err, 1, true)
    assert.equal(1, sold())
  end)

  it("is sent by one of two processes that use the same key at once", function()
    faults("orders.create:delay=0.3")
    local script = sandbox.home .. "/buy.lua"
    program.write(script,
      ("local px = require 'proxylua' print(px.try(px.orders.create, { %s, key = 'same' "
        .. "}))"):format(BUY))
    local env = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
      PROXYLUA_LIMITS = "off",
      PROXYLUA_SPEND = "99" }
    local line = program.command(sandbox.home, { script }, env)
    os.execute(("%s >/dev/null 2>&1 & %s >/dev/null 2>&1; wait"):format(line, line))
    assert.equal(1, sold())
  end)

  it("sends nothing when the store cannot keep its intent", function()
    for _, store in ipairs{ "/proc/none/state.db", "/dev/full", "/" } do
      assert.equal("store", (buy("", { PROXYLUA_STORE = store, PROXYLUA_LIMITS = "general=60/1" })))
    end
    assert.equal(0, sold())
  end)

  it("succeeds with a response that contains only the id", function()
    for _, dialect in ipairs{ "bare", "snake", "mixed" } do
      sandbox:change("settings", { dialect = dialect })
      local id, quantity, price = sandbox:eval(
        ("local o = px.orders.create{ %s } return o.id, o.quantity, tostring(o.price)"):format(BUY))
      assert.matches("^ord_", id)
      assert.same({ 1, "2.40" }, { quantity, price })
    end
  end)
end)

describe("an extension", function()
  local sandbox
  before_each(function() sandbox = sandboxes.start{ limits = "off" } end)
  after_each(function() sandbox:stop() end)

  it("is quoted, allowed, sent once for a key, and moves the expiry", function()
    local before, after, again,
      charges = sandbox:eval(("local o = px.orders.create{ %s } "):format(BUY)
      .. [[local p = { period = 30, key = "e" }
        local e = px.orders.extend(o.id, p)
        local f = px.orders.extend(o.id, p)
        local n = 0
        for t in px.account.each_transaction() do if t.type == "charge" then n = n + 1 end end
        return px.time(o.expires_at), px.time(e.expires_at), px.time(f.expires_at), n]])
    assert.equal(30 * 86400, math.tointeger(after - before))
    assert.equal(after, again)
    assert.equal(2, charges)
  end)

  it("that costs less than the order did does not end the run's spending", function()
    local id = sandbox:eval(("local o = px.orders.create{ %s } "):format(BUY)
      .. "px.orders.extend(o.id, { period = 7 }) "
      .. ("return px.orders.create{ %s }.id"):format(BUY))
    assert.matches("^ord_", id)
    assert.equal(2, sandbox:look("counters").sold)
  end)

  it("is refused above max_price", function()
    assert.equal("spend_refused", (sandbox:eval(("local o = px.orders.create{ %s } "):format(BUY)
      .. "local _, e = px.try(px.orders.extend, o.id, { period = 30, max_price = 1 }) return "
      .. "e.kind")))
  end)
end)
