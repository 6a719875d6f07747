local px = require "proxylua"
local sandboxes = require "spec.support.sandbox"

-- A function that raises these errors, one a call, and then returns what follows; and a table with
-- the number of its calls.
local function failing(errors, ...)
  local seen, results = { calls = 0 }, table.pack(...)
  return function()
    seen.calls = seen.calls + 1
    local err = errors[seen.calls]
    if err then px.error.raise(err) end
    return table.unpack(results, 1, results.n)
  end, seen
end

local function error_of(kind, charge)
  return { kind = kind, message = "it failed", charge = charge }
end

-- The waits of a call, in seconds, which it does not spend.
local function waits_of(fn, options)
  local core, waits = require "proxylua.core", {}
  local sleep = core.task.sleep
  core.task.sleep = function(seconds) waits[#waits + 1] = seconds end
  local ok, err = pcall(px.retry, fn, options)
  core.task.sleep = sleep
  return waits, ok, err
end

describe("px.retry", function()
  it("returns all results of a call that succeeds, and makes no other", function()
    local fn, seen = failing({}, 1, nil, 3)
    assert.are.same({ n = 3, 1, nil, 3 }, table.pack(px.retry(fn)))
    assert.are.equal(1, seen.calls)
  end)

  it("calls again for the named kinds only", function()
    for _, kind in ipairs{ "network", "timeout", "upstream", "protocol", "rate_limited", "store",
      "not_found", "funds" } do
      local fn, seen = failing({ error_of(kind), error_of(kind) }, "done")
      assert.are.equal("done", px.retry(fn, { on = { kind }, wait = 0 }))
      assert.are.equal(3, seen.calls)
      fn, seen = failing({ error_of("auth") }, "done")
      assert.are.equal("auth", select(2, px.try(px.retry, fn, { on = { kind }, wait = 0 })).kind)
      assert.are.equal(1, seen.calls)
    end
  end)

  it("raises the last error after the last attempt", function()
    local fn, seen = failing{ error_of("network"), error_of("timeout"), error_of("network") }
    local _, err = px.try(px.retry, fn, { attempts = 2, wait = 0 })
    assert.are.equal("timeout", err.kind)
    assert.are.equal(2, seen.calls)
    fn, seen = failing{ error_of("network") }
    assert.are.equal("network", select(2, px.try(px.retry, fn, { attempts = 1 })).kind)
    assert.are.equal(1, seen.calls)
  end)

  it("raises an error with a charge at once, of any kind", function()
    for _, kind in ipairs{ "network", "timeout", "upstream", "outcome_unknown" } do
      for _, charge in ipairs{ "made", "unknown" } do
        local fn, seen = failing({ error_of(kind, charge) }, "done")
        local _, err = px.try(px.retry, fn, { attempts = 5, wait = 0 })
        assert.are.equal(charge, err.charge)
        assert.are.equal(1, seen.calls)
      end
    end
  end)

  it("does not repeat mistakes of the script", function()
    local calls = 0
    local ok, err = pcall(px.retry, function()
      calls = calls + 1
      error("mistake")
    end)
    assert.is_false(ok)
    assert.matches("retry_spec.lua:%d+: mistake$", err)
    assert.are.equal(1, calls)
  end)

  it("doubles the wait up to five minutes, and honours retry_after", function()
    local errors = {}
    for at = 1, 12 do errors[at] = error_of("network") end
    local waits, ok = waits_of(failing(errors, "done"), { attempts = 13 })
    assert.is_true(ok)
    assert.are.same({ 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300 }, waits)
    waits = waits_of(failing{ error_of("network"), error_of("network"), error_of("network") },
      { wait = "10m" })
    assert.are.same({ 600, 600 }, waits)
    local paused = error_of("rate_limited")
    paused.retry_after = 7
    waits = waits_of(failing({ paused, error_of("rate_limited") }, "done"),
      { on = { "rate_limited" } })
    assert.are.same({ 7, 2 }, waits)
  end)

  it("is cancelled while it waits", function()
    local calls = 0
    local task = px.spawn(px.retry, function()
      calls = calls + 1
      px.error.raise(error_of("network"))
    end, { wait = "1h", attempts = 9 })
    repeat px.sleep(0) until calls == 1
    task:cancel()
    assert.are.equal("cancelled", select(2, px.try(task.join, task)).kind)
    assert.are.equal(1, calls)
  end)

  it("refuses options that are not valid, before the first call", function()
    local fn, seen = failing({}, "done")
    for text, options in pairs{
      ["has no option \"attemps\", did you mean attempts"] = { attemps = 3 },
      ["attempts must be an integer"] = { attempts = 0 },
      ["attempts must be an integer of at least 1, got 1.5"] = { attempts = 1.5 },
      ["on must be a list"] = { on = "network" },
      ["on must be a list of kinds of errors, got the field network"] = { on = { network = true } },
      ["on cannot have netwrk, did you mean network"] = { on = { "netwrk" } },
      ["on cannot have usage"] = { on = { "usage" } },
      ["on cannot have cancelled"] = { on = { "cancelled" } },
      ["on cannot have outcome_unknown; px.retry never repeats what concerns money"] =
        { on = { "network", "outcome_unknown" } },
      ["wait must be a duration"] = { wait = "5" },
      ["options as a table, got a number"] = 5,
    } do
      local _, err = px.try(px.retry, fn, options)
      assert.are.equal("usage", err and err.kind, text)
      assert.is_truthy(err.message:find(text, 1, true), err.message)
    end
    assert.are.equal(0, seen.calls)
    assert.are.equal("usage", select(2, px.try(px.retry, "x")).kind)
  end)

  it("does not repeat a purchase whose outcome is unknown", function()
    local sandbox = sandboxes.start()
    sandbox:change("settings", { faults = { "orders.create:cut=after,count=1",
      "orders.list:status=403,skip=1" } })
    local calls, kind, charge = sandbox:eval([[
      local calls = 0
      local _, err = px.try(px.retry, function()
        calls = calls + 1
        return px.orders.create{ type = "isp", quantity = 1, country = "US", period = 30 }
      end, { attempts = 3, on = { "network", "timeout", "upstream", "protocol" }, wait = 0 })
      return calls, err and err.kind, err and err.charge
    ]])
    local orders = sandbox:look("orders")
    sandbox:stop()
    assert.are.same({ 1, "outcome_unknown", "unknown" }, { calls, kind, charge })
    assert.are.equal(1, #(orders.orders or orders))
  end)
end)
