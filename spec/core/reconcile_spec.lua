-- src/charge/inquiry.c, reconcile.c, recover.c: what becomes of a charge whose answer is lost.

local core = require "proxylua.core"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"

local BUY = "type = 'isp', quantity = 1, country = 'US', period = 30"

local sandbox
before_each(function() sandbox = sandboxes.start() end)
after_each(function() sandbox:stop() end)

local function faults(...)
  sandbox:change("settings", { faults = core.json.array{ ... } })
end

-- Buys with extra parameters; the kind of the error or the order's id, the error's `charge` and its
-- text.
local function buy(extra, env)
  return sandbox:eval(("local order, err = px.try(px.orders.create, { %s, %s }) "):format(BUY,
    extra or "")
    .. "return err and err.kind or order.id, err and err.charge, err and err.message",
    { env = env })
end

local function entry(key)
  return sandbox:eval((
    "local e = px.journal.get(%q) return { state = e.state, order_id = e.order_id, note = e.note,"
    .. " price = e.price and tostring(e.price) or nil }"):format(key))
end

local function sold()
  return sandbox:look("counters").sold
end

-- Another user buys in the same account, through the API directly.
local function colleague_buys(quantity)
  local answer = core.http.post(sandbox.url .. "/orders", {
    headers = { Authorization = "Bearer " .. sandbox.key },
    json = { type = "isp", quantity = quantity, country = "US", period = 30 },
  })
  return answer:json().data.id
end

-- Waits for the request that is to be lost (or one to another endpoint), then does something, while
-- the program runs in the background.
local function during(requests, code, act, env, endpoint)
  local all = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
    PROXYLUA_LIMITS = "off",
    PROXYLUA_SPEND = "1000", PROXYLUA_SETTLE = "0.6s" }
  for name, value in pairs(env or {}) do all[name] = value end
  local script = program.write(sandbox.home .. "/during.lua", 'local px = require "proxylua" '
    .. code)
  local pipe = io.popen(("%s 2>%s/err; echo $?"):format(program.command(sandbox.home, { script },
    all), sandbox.home))
  while (sandbox:look("counters").requests[endpoint or "orders.create"] or 0) < requests do
    core.task.sleep(0.01)
  end
  act()
  local out = pipe:read("a")
  pipe:close()
  return out, program.read(sandbox.home .. "/err")
end

local CHARGED = { "cut=after", "status=502,when=after", "status=500,when=after", "truncate",
  "garbage",
  "html,when=after", "empty", "nested", "nul", "redirect=http://127.0.0.1:9/,when=after" }
local FEW = { "cut=after", "garbage" }
local NOT_CHARGED = { "cut=before", "status=502", "status=500", "status=302", "status=408", "html" }

describe("A purchase whose response is lost", function()
  for dialect, lost in pairs{ envelope = CHARGED, bare = FEW, snake = FEW, mixed = FEW } do
    it("is found where the order is there, in dialect " .. dialect, function()
      for number, fault in ipairs(lost) do
        sandbox:change("settings",
          { dialect = dialect, faults = { "orders.create:" .. fault .. ",count=1" } })
        local id, again, e = sandbox:eval(([[
          local purchase = { %s, key = "k%d" }
          return px.orders.create(purchase).id, px.orders.create(purchase).id,
            px.journal.get(purchase.key)]]):format(
          BUY, number))
        assert.matches("^ord_", id, fault)
        assert.same({ number, id }, { sold(), sandbox:look("orders").orders[number].id })
        assert.equal(id, again, fault)
        assert.same({ "placed", id, 2.4 }, { e.state, e.order_id, e.price })
        assert.equal(number, sandbox:look("counters").requests["orders.create"], fault)
      end
    end)
  end

  it("is known not to be made where nothing shows it, and its key may buy again", function()
    for number, fault in ipairs(NOT_CHARGED) do
      faults("orders.create:" .. fault .. ",count=1")
      local err, state, id = sandbox:eval(([[
        local purchase = { %s, key = "k%d" }
        local _, err = px.try(px.orders.create, purchase)
        return { err.kind, err.charge, err.message }, px.journal.get(purchase.key).state,
          px.orders.create(purchase).id]]):format(BUY, number))
      assert.not_equal("outcome_unknown", err[1], fault)
      assert.equal("none", err[2], fault)
      assert.matches("nothing was bought", err[3], 1, true)
      assert.equal("not_placed", state)
      assert.matches("^ord_", id)
      assert.equal(number, sold())
    end
  end)

  it("is found in lists that are slow to show it", function()
    faults("orders.create:cut=after,count=1", "orders.list:slow=1", "account.transactions:slow=1",
      "account.get:slow=1")
    assert.matches("^ord_", (buy("key = 'k'", { PROXYLUA_SETTLE = "3s" })))
    assert.equal(1, sold())
  end)

  it("stays unknown where the balance fell and no order is shown, and the next run finds it",
    function()
    faults("orders.create:cut=after,count=1", "orders.list:slow=3600",
      "account.transactions:slow=3600")
    local kind, charge, message = buy("key = 'k'")
    assert.same({ "outcome_unknown", "unknown" }, { kind, charge })
    assert.matches("the balance is 997.60; without this charge it would be 1000.00", message, 1,
      true)
    assert.equal("unknown", entry("k").state)
    assert.equal("outcome_unknown", (buy("key = 'k'")))
    faults()
    assert.matches("^ord_", (buy("key = 'k'")))
    assert.equal(1, sold())
  end)

  it("is found by its id where no list shows it and a transaction names it", function()
    faults("orders.create:cut=after,count=1", "orders.list:slow=3600", "account.get:slow=3600")
    local id, _, message = buy("key = 'k'")
    assert.equal(sandbox:look("orders").orders[1].id, id, message)
    assert.equal(1, sold())
  end)

  it("stays unknown where only a transaction shows it", function()
    for number, hidden in ipairs{ "orders.get:status=404", "account.transactions:omit=order_id" } do
      local key = "k" .. number
      faults("orders.create:cut=after,count=1", "orders.list:slow=3600", "account.get:slow=3600",
        hidden)
      local kind, _, message = buy(("key = %q"):format(key))
      assert.equal("outcome_unknown", kind, hidden)
      assert.matches("no charge in the journal explains transaction", message, 1, true)
      faults()
      assert.matches("^ord_", (buy(("key = %q"):format(key))))
    end
  end)

  it("is not placed although a transaction names a colleague's order that no list shows",
    function()
    faults("orders.create:cut=before,count=1", "orders.list:slow=3600")
    local out = during(1, ("print(px.try(px.orders.create, { %s, key = 'k' }))"):format(BUY),
      function() colleague_buys(7) end)
    assert.matches("show that nothing was bought", out, 1, true)
    assert.equal("not_placed", entry("k").state)
    assert.equal(1, sold())
  end)

  it("stays unknown if the orders cannot be listed", function()
    faults("orders.create:cut=after,count=1", "orders.list:status=403,skip=1")
    local kind, charge, message = buy("key = 'k'")
    assert.same({ "outcome_unknown", "unknown" }, { kind, charge })
    assert.matches("could not be looked up", message, 1, true)
  end)

  for _, omitted in ipairs{ "type", "quantity", "period", "country", "price", "created_at",
    "status", "expires_at",
    "type+quantity+period+country+price+created_at+status+expires_at" } do
    it("is found in records without " .. omitted, function()
      faults("orders.create:cut=after,count=1", "orders.list:omit=" .. omitted)
      assert.matches("^ord_", (buy("key = 'k'")))
      assert.equal(1, sold())
    end)
  end

  it("is found with the period and country that the server added", function()
    faults("orders.create:cut=after,count=1")
    assert.matches("^ord_",
      (sandbox:eval("return px.orders.create{ type = 'isp', quantity = 1, key = 'k' }.id")))
    assert.equal(1, sold())
  end)

  it("is found at a price above its quote, which is reported and ends the spending",
    function()
    faults("orders.create:cut=after,drift=1.5,count=1")
    local result = sandbox:run{ "-e",
      ("local px = require 'proxylua' print(px.orders.create{ %s }.price) "):format(BUY)
      .. ("print(select(2, px.try(px.orders.create, { %s, key = 2 })).kind)"):format(
      "type='ipv6', quantity=1") }
    assert.equal("3.60\n", result.out:match("^[^\n]*\n"), result.err)
    assert.matches("above its quote", result.err, 1, true)
    assert.equal(1, sold())
  end)

  it("that was refunded at once was not made, and its key may buy again", function()
    faults("orders.create:refund,count=1")
    local kind, charge = buy("key = 'k'")
    assert.same({ "upstream", "none" }, { kind, charge })
    assert.matches("^ord_", (buy("key = 'k'")))
    assert.equal("1000.00", (sandbox:eval("return tostring(px.account.get().balance + 2.40)")))
  end)

  it("is not taken for not made by a list that says nothing of its pages", function()
    for _ = 1, 25 do colleague_buys(3) end
    local short = "untold,most=20"
    faults("orders.create:cut=after,count=1", "orders.list:" .. short, "account.transactions:"
      .. short)
    assert.matches("^ord_", (buy("key = 'k'")))
    local orders = sandbox:eval("local n = 0 for _ in px.orders.each() do n = n + 1 end return n")
    assert.equal(26, orders)
  end)

  it("is distinguished from what a colleague bought just before", function()
    colleague_buys(3)
    sandbox:eval(
      "px.request{ method = 'POST', path = '/orders', json = { type = 'ipv6', quantity = 1 } }",
      { env = { PROXYLUA_STORE = sandbox.home .. "/theirs.db" } })
    faults("orders.create:cut=before,count=1")
    local kind, charge, message = buy("key = 'k'")
    assert.same({ "network", "none" }, { kind, charge }, message)
  end)

  it("is not guessed at where two new orders fit", function()
    faults("orders.create:cut=after,count=1", "orders.list:slow=0.4")
    local theirs
    local out = during(1, ("print(px.try(px.orders.create, { %s, key = 'k' }))"):format(BUY),
      function()
      theirs = colleague_buys(1)
    end)
    assert.matches("several new orders fit the request", out, 1, true)
    local state = entry("k")
    assert.same({ "unknown" }, { state.state, state.order_id })
    local ours
    for _, order in ipairs(sandbox:look("orders").orders) do
      if order.id ~= theirs then ours = order.id end
    end
    assert.equal("outcome_unknown", (buy("key = 'k'")))
    sandbox:eval(("px.journal.settle('k', 'placed', { order_id = %q })"):format(ours))
    assert.equal(ours, (buy("key = 'k'")))
    assert.equal(2, sold())
  end)

  it("is not placed although a colleague bought something else meanwhile", function()
    faults("orders.create:cut=before,count=1", "orders.list:slow=0.2")
    local out = during(1, ("print(px.try(px.orders.create, { %s, key = 'k' }))"):format(BUY),
      function() colleague_buys(7) end)
    assert.matches("show that nothing was bought", out, 1, true)
    assert.equal("not_placed", entry("k").state)
    assert.equal(1, sold())
  end)

  it("is not taken for a colleague's order whose quantity cannot be read, at half the "
    .. "price", function()
    faults("orders.create:cut=before,count=1", "orders.list:omit=price,say=quantity~1 pcs",
      "account.transactions:omit=order_id+amount")
    during(1, ("print(px.try(px.orders.create, { %s, quantity = 2, key = 'k' }))"):format(
      (BUY:gsub("quantity = 1, ", ""))), function() colleague_buys(1) end)
    local state = entry("k")
    assert.is_nil(state.order_id)
    assert.equal("unknown", state.state)
  end)

  it("is not placed although a colleague bought while its baseline was read", function()
    faults("orders.calc:delay=0.5", "orders.create:cut=before,skip=1,count=1") -- skips the other
    local out = during(1, ("print(px.try(px.orders.create, { %s, key = 'k' }))"):format(BUY),
      function() colleague_buys(1) end, nil, "orders.calc")
    assert.matches("show that nothing was bought", out, 1, true)
    assert.equal("not_placed", entry("k").state)
    assert.equal(1, sold())
  end)

  it("is not taken for what a colleague bought during the pause of a 429", function()
    faults("orders.create:status=429,retry_after=2,count=1",
      "orders.create:cut=before,skip=2,count=1") -- the second request is the colleague's
    local out = during(1, ("print(px.try(px.orders.create, { %s, key = 'k' }))"):format(BUY),
      function() colleague_buys(1) end)
    assert.matches("show that nothing was bought", out, 1, true)
    assert.equal("not_placed", entry("k").state)
    assert.equal(1, sold())
  end)

  it("counts at its quote where the list shows a lower price, such as that of a cancelled order",
    function()
    faults("orders.create:cut=after,count=1", "orders.list:slow=3600", "account.get:slow=3600",
      "orders.get:status=404")
    assert.equal("outcome_unknown", (buy("key = 'k'")))
    faults("orders.list:say=price~0.00")
    assert.matches("^ord_", (buy("key = 'k'")))
    assert.is_nil(entry("k").price)
  end)

  it("is not taken for an order that this program bought under another key", function()
    faults("orders.create:cut=before,count=1", "orders.list:status=403,skip=1,count=99")
    assert.equal("outcome_unknown", (buy("key = 'lost'")))
    faults()
    assert.matches("^ord_", (buy("key = 'other', quantity = 2")))
    assert.matches("^ord_", (buy("key = 'third', type = 'ipv6', country = nil")))
    assert.equal("not_placed", entry("lost").state)
    assert.matches("^ord_", (buy("key = 'lost'")))
    assert.equal(3, sold())
  end)

  it("is looked up on request, and settled if the API shows enough by then", function()
    faults("orders.create:cut=after,count=1", "orders.list:slow=3600",
      "account.transactions:slow=3600")
    assert.equal("outcome_unknown", (buy("key = 'k'")))
    local result = sandbox:run{ "journal", "settle", "k" }
    assert.equal(5, result.code)
    assert.matches("it stays unknown: the balance is .* journal settle k placed", result.err)
    faults()
    result = sandbox:run{ "--json", "journal", "settle", "k" }
    assert.equal(0, result.code, result.err)
    local settled = core.json.decode(result.out)
    assert.same({ "placed", sandbox:look("orders").orders[1].id },
      { settled.state, settled.order_id })
    assert.matches("order ord_%w+ appeared and fits the request", settled.note)
    assert.equal(2, sandbox:run{ "journal", "settle", "k" }.code)
    assert.equal(1, sold())
  end)

  it("holds back what looks the same, and nothing else", function()
    faults("orders.create:cut=after,count=1", "orders.list:slow=3600",
      "account.transactions:slow=3600")
    assert.equal("outcome_unknown", (buy("key = 'k'")))
    local kind, charge, message = buy("key = 'same'")
    assert.same({ "outcome_unknown", "none" }, { kind, charge })
    assert.matches("nothing was sent: an earlier charge that looks the same, with key k", message,
      1, true)
    assert.matches("^ord_", (buy("key = 'more', quantity = 2")))
    assert.equal(2, sold())
  end)

  it("keeps its reservation while it is unknown, and gives it back when nothing came of it",
    function()
    local config = program.write(sandbox.home .. "/config.lua",
      "return { spend = { per_day = 5 } }")
    local env = { PROXYLUA_SPEND = "", PROXYLUA_CONFIG = config }
    faults("orders.create:cut=before,count=1", "orders.list:status=403,skip=1,count=9")
    assert.equal("outcome_unknown", (buy("key = 'k'", env)))
    faults("orders.list:status=403,count=1")
    assert.equal("spend_refused", (buy("key = 'big', quantity = 2", env)))
    faults()
    assert.matches("^ord_", (buy("key = 'big', quantity = 2", env)))
    assert.equal("not_placed", entry("k").state)
  end)

  it("is settled by another key of the same account", function()
    sandbox:change("settings", { keys = core.json.array{ sandbox.key, "sk_live_another_key_0001" },
      faults = core.json.array{ "orders.create:cut=after,count=1",
      "orders.list:status=403,skip=1,count=9" } })
    assert.equal("outcome_unknown", (buy("key = 'k'")))
    faults()
    assert.matches("^ord_", (buy("key = 'k'", { PROXYLUA_API_KEY = "sk_live_another_key_0001" })))
    assert.equal(1, sold())
  end)

  it("is known under any spelling of the base URL", function()
    local id = buy("key = 'k'")
    local upper, dots = sandbox.url:gsub("^http", "HTTP"), sandbox.url:gsub("/api/", "/x/../api/")
    for _, url in ipairs{ upper, dots, sandbox.url .. "/" } do
      assert.equal(id, (buy("key = 'k'", { PROXYLUA_BASE_URL = url })), url)
    end
    assert.equal(1, sold())
  end)

  it("by a path that the table does not know stays unknown until a person settles it", function()
    local code = [[local _, err = px.try(px.request, { method = "POST", path = "/gifts", json = {}, max_price = 3,
      key = "gift", timeout = 5 }) return err.kind, err.charge]]
    faults("*:status=502")
    sandbox:eval("px.try(px.account.get)")
    local kind, charge = sandbox:eval(code, { env = { PROXYLUA_STORE = sandbox.home .. "/x.db" } })
    assert.is_true(kind == "upstream" or kind == "outcome_unknown", kind)
    assert.is_string(charge)
  end)
end)

describe("An extension whose response is lost", function()
  local id
  before_each(function()
    id = sandbox:eval(("return px.orders.create{ %s, key = 'order' }.id"):format(BUY))
  end)

  local function extend(key)
    return sandbox:eval(([[local order, err = px.try(px.orders.extend, %q, { period = 30, key = %q })
      return err and err.kind or order.expires_at, err and err.charge, err and
        err.message]]):format(id, key or "e"))
  end

  local function extensions()
    return sandbox:look("orders").orders[1].extensions
  end

  it("is found by the expiry that moved", function()
    for _, fault in ipairs(CHARGED) do
      local before = extensions()
      faults("orders.extend:" .. fault .. ",count=1")
      local expiry = extend("e" .. before)
      assert.equal(sandbox:look("orders").orders[1].expires_at:sub(1, 10), expiry:sub(1, 10), fault)
      assert.equal(before + 1, extensions())
    end
  end)

  it("is known not to be made where nothing moved, and its key may extend", function()
    for _, fault in ipairs(NOT_CHARGED) do
      local before = extensions()
      faults("orders.extend:" .. fault .. ",count=1")
      local kind, charge = extend("e" .. before)
      assert.not_equal("outcome_unknown", kind, fault)
      assert.equal("none", charge)
      extend("e" .. before)
      assert.equal(before + 1, extensions(), fault)
    end
  end)

  it("is found by its transaction when the API does not show the expiry", function()
    faults("orders.extend:cut=after,count=1", "orders.get:omit=expires_at")
    local kind, charge, message = extend()
    assert.is_nil(charge or nil, message)
    assert.not_equal("outcome_unknown", kind)
    assert.equal("a charge for the order appeared", entry("e").note)
    assert.equal(1, extensions())
  end)

  it("stays unknown when the API shows neither expiry nor transaction", function()
    faults("orders.extend:cut=after,count=1", "orders.get:omit=expires_at",
      "account.transactions:omit=order_id")
    local kind, charge, message = extend()
    assert.same({ "outcome_unknown", "unknown" }, { kind, charge })
    assert.matches("the API does not report the order's expiry date", message, 1, true)
    assert.equal("outcome_unknown", (extend()))
    assert.equal(1, extensions())
  end)

  -- The one before is real, and is on record; its transaction was not in the list yet when this one
  -- began.
  it("is not taken for the one before, whose transaction came up late", function()
    extend("a")
    faults("account.transactions:slow=60,count=1", "orders.extend:status=502,count=1",
      "orders.get:omit=expires_at,skip=1")
    local kind, charge = extend("b")
    assert.same({ "outcome_unknown", "unknown" }, { kind, charge })
    faults()
    extend("b")
    assert.equal(2, extensions())
  end)

  it("is not taken for what was paid for its order before, and came up late", function()
    id = colleague_buys(1) -- not on record
    for number, pause in ipairs{ 5, 100 } do
      extend("a" .. number)
      sandbox:change("clock", { advance = pause })
      faults("account.transactions:slow=200,count=1", "orders.extend:status=502,count=1",
        "orders.get:omit=expires_at,skip=1")
      local kind, charge = extend("b" .. number)
      assert.same({ "outcome_unknown", "unknown" }, { kind, charge })
      faults()
      sandbox:run{ "journal", "settle", "b" .. number, "not_placed" }
    end
  end)

  it("is known not to be made beside one whose transaction came up late", function()
    extend("a")
    faults("account.transactions:slow=60,count=1", "orders.extend:status=502,count=1")
    local kind, charge, message = extend("b")
    assert.same({ "upstream", "none" }, { kind, charge }, message)
    extend("b")
    assert.equal(2, extensions())
  end)

  -- The expiry that it was to move had been moved already, which the order was slow to show.
  it("is not taken for the one before, whose expiry came up late", function()
    extend("a")
    faults("orders.get:slow=60,count=1", "orders.extend:status=502,count=1")
    local kind, charge = extend("b")
    assert.same({ "upstream", "none" }, { kind, charge })
    extend("b")
    assert.equal(2, extensions())
  end)

  it("is not settled by an order that cannot be read", function()
    for number, fault in ipairs{ "empty", "garbage", "html,status=200" } do
      faults("orders.extend:cut=after,count=1", "orders.get:" .. fault .. ",skip=1")
      local key = "e" .. number
      local kind, charge, message = extend(key)
      assert.same({ "outcome_unknown", "unknown" }, { kind, charge }, fault)
      assert.matches("the outcome could not be looked up: the response is not an order",
      message, 1, true)
      faults()
      assert.matches("^%d+%-", (extend(key)), fault)
      assert.equal(number, extensions())
    end
  end)

  it("is counted at its actual cost, which is reported and ends the spending", function()
    faults("orders.extend:drift=3,count=1")
    local result = sandbox:run{ "-e", ([[local px = require "proxylua" local id = %q
      px.orders.extend(id, { period = 30, key = "e" })
      local _, err = px.try(px.orders.extend, id, { period = 30, key = "f" })
      print(px.journal.get("e").price, err.kind)]]):format(id) }
    assert.equal("7.20\tspend_refused\n", result.out, result.err)
    assert.matches("cost 7.20, above its quote of 2.40", result.err, 1, true)
  end)

  it("holds back other extensions of that order, but nothing else", function()
    faults("orders.extend:cut=after,count=1", "orders.get:omit=expires_at",
      "account.transactions:omit=order_id")
    extend()
    local kind = sandbox:eval(
      ("return select(2, px.try(px.orders.extend, %q, { period = 7, key = 'f' })).kind"):format(id))
    assert.equal("outcome_unknown", kind)
    assert.matches("^ord_", (buy("key = 'k'")))
  end)
end)

describe("Two processes", function()
  it("with the same key buy once, and both have the order", function()
    faults("orders.create:delay=0.3")
    local code = ("print(px.orders.create{ %s, key = 'same' }.id)"):format(BUY)
    local other
    local out = during(1, code, function() other = buy("key = 'same'") end)
    assert.matches("^ord_", other)
    assert.equal(other .. "\n0\n", out)
    assert.equal(1, sold())
  end)

  it("cannot both take the last dollar of the day", function()
    local config = program.write(sandbox.home .. "/config.lua",
      "return { spend = { per_day = '2.40' } }")
    local env = { PROXYLUA_SPEND = "", PROXYLUA_CONFIG = config }
    faults("orders.create:delay=0.3")
    local other
    during(1, ("px.orders.create{ %s }"):format(BUY), function()
      other = buy("type = 'isp'", env)
    end, env)
    assert.equal("spend_refused", other)
    assert.equal(1, sold())
  end)
end)
