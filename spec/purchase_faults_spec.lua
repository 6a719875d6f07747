-- src/core/purchase*.c: what an answer says, what it only seems to say, and what is done when the store fails in between.

local core = require "proxylua.core"
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

  for _, fault in ipairs{ "garbage", "html,status=200", "nul,status=200", "nested,status=200", "empty,status=200" } do
    it("that extends, and is answered with status 200 and what is no order (" .. fault .. "), is not taken for made", function()
      faults("orders.extend:when=before,count=1," .. fault)
      local kind = with_order[[local _, e = px.try(px.orders.extend, o.id, { period = 30, key = "e" }) return e.kind]]
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

  it("that extends is not quoted from an answer that is no order", function()
    with_order "return 1"
    faults("orders.get:garbage")
    local kind, charge = with_order[[local _, e = px.try(px.orders.extend, o.id, { period = 30 }) return e.kind, e.charge]]
    assert.same({ "protocol", "none" }, { kind, charge })
  end)
end)
