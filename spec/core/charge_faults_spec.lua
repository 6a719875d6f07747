-- src/charge/charge*.c: what an answer says, what it only seems to say, and what is done when the
-- store fails in between.

local core = require "proxylua.core"
local crash = require "spec.support.crash"
local sandboxes = require "spec.support.sandbox"

local BUY = "type = 'isp', quantity = 1, country = 'US', period = 30"

describe("a charge", function()
  local sandbox
  before_each(function() sandbox = sandboxes.start{ limits = "off" } end)
  after_each(function() sandbox:stop() end)

  local function faults(...)
    sandbox:change("settings", { faults = core.json.array{ ... } })
  end

  -- Runs code that has an order `o`; what it returns.
  local function with_order(code)
    return sandbox:eval(("local o = px.orders.create{ %s, key = 'o' } "):format(BUY) .. code)
  end

  for _, fault in ipairs{ "garbage", "html,status=200", "nul,status=200", "nested,status=200",
    "empty,status=200" } do
    it("that extends and receives status 200 without an order (" .. fault
      .. ") is not taken for made", function()
      faults("orders.extend:when=before,count=1," .. fault)
      local kind =
        with_order[[local _, e = px.try(px.orders.extend, o.id, { period = 30, key = "e" }) return
          e.kind]]
      assert.equal("protocol", kind)
      assert.equal(0, sandbox:look("counters").extended)
      with_order[[px.orders.extend(o.id, { period = 30, key = "e" }) return 1]]
      assert.equal(1, sandbox:look("counters").extended)

      faults("orders.extend:when=after,count=1," .. fault)
      local period = with_order[[return px.orders.extend(o.id, { period = 30, key = "f" }).period]]
      assert.equal(90, period)
      assert.equal(2, sandbox:look("counters").extended)
    end)
  end

  it("that extends is not quoted from a response that is not an order", function()
    with_order "return 1"
    faults("orders.get:garbage")
    local kind, charge = with_order[[
      local _, e = px.try(px.orders.extend, o.id, { period = 30 })
      return e.kind, e.charge]]
    assert.same({ "protocol", "none" }, { kind, charge })
  end)

  local function buy(key)
    return sandbox:eval(("local o, e = px.try(px.orders.create, { %s, key = '%s' }) "):format(BUY,
      key)
      .. "return o and o.id, e and e.kind, e and e.message")
  end

  it("is not sent without a balance to look back to", function()
    -- The account is known by now, and no baseline of the type is left.
    sandbox:eval("px.orders.create{ type = 'ipv6', quantity = 1, key = 'first' }")
    for _, fault in ipairs{ "garbage", "html,status=200", "omit=balance" } do
      faults("account.get:" .. fault)
      local _, kind = buy("k")
      assert.equal("protocol", kind)
      assert.equal(1, sandbox:look("counters").sold)
    end
  end)

  it("is looked up if the response names a smaller and cheaper order than was requested", function()
    faults("orders.create:say=id~ord_of_another+quantity~1+price~2.40,count=1")
    local id = sandbox:eval(
      "return px.orders.create{ type = 'isp', quantity = 2, country = 'US', period = 30 }.id")
    assert.equal(sandbox:look("orders").orders[1].id, id)
    assert.equal(1, sandbox:look("counters").sold)
  end)

  it("is believed if its order is smaller while it is being set up, at the full price", function()
    faults("orders.create:say=quantity~0,count=1")
    local id, note = sandbox:eval([[local px = require "proxylua"
      local id = px.orders.create{ type = "isp", quantity = 2, country = "US", period = 30,
        key = "k" }.id
      return id, px.journal.get("k").note or ""]])
    assert.same({ sandbox:look("orders").orders[1].id, "" }, { id, note })
  end)

  it("that was cancelled stays open until the transactions show whether it was refunded", function()
    faults("orders.create:refund,count=1", "account.transactions:omit=order_id",
      "orders.list:omit=price")
    local _, kind, message = buy("k")
    assert.equal("outcome_unknown", kind)
    assert.matches("the API does not show whether it was refunded", message, 1, true)
    faults()
    assert.matches("^ord_", (buy("k")))
    local counters = sandbox:look("counters")
    assert.same({ 2, 1 }, { counters.sold, counters.refunds })
  end)
end)

describe("a charge whose response was lost", function()
  local server, store
  before_each(function()
    server = crash.server()
    store = server.folder .. "/state.db"
  end)
  after_each(function() server:stop() end)

  it("is not kept in doubt by an order that was cancelled and refunded, whosever it was", function()
    local client = crash.start(server, store, { key = "k", type = "isp", quantity = 1 },
      { PROXYLUA_CRASH = "sending=stop" })
    assert.is_true(client:stopped())
    local answer = core.http.post(server.url .. "/orders",
      { headers = { Authorization = "Bearer " .. server.key },
      json = { type = "isp", quantity = 3 } })
    server:change("cancel", { id = answer:json().data.id })
    server:faults("orders.create:cut=before")
    client:signal("CONT")
    local result = client:join()
    assert.same({ "network", "none" }, { result.kind, result.charge }, result.err)
  end)
end)

describe("with the limits off, after a pause that the server asked for", function()
  local sandbox
  before_each(function() sandbox = sandboxes.start{ limits = "off" } end)
  after_each(function() sandbox:stop() end)

  it("the waiting requests go on when the first one has its response", function()
    sandbox:change("settings",
      { faults = core.json.array{ "account.get:status=429,retry_after=1,count=1" } })
    assert.equal("4", tostring(sandbox:eval[[
      local first = px.spawn(px.account.get)
      px.sleep(0.3)
      local answers = px.all{ px.account.get, px.account.get, px.account.get }
      return first:join().balance and #answers + 1]]))
  end)
end)
