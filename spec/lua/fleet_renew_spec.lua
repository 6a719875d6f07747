-- px.renew and `proxylua renew`: what ends soon is extended, once from one end on, and nothing
-- else.

local children = require "spec.support.children"
local core = require "proxylua.core"
local crash = require "spec.support.crash"
local program = require "spec.support.program"
local px = require "proxylua"
local sandboxes = require "spec.support.sandbox"

describe("renewal", function()
  local sandbox, ids

  -- Orders of the type isp but for the last: two that end within three days, one that does not, one
  -- of another type.
  local orders = [[
    local ids = {}
    for at, row in ipairs{ { "US", 2, 2 }, { "DE", 1, 1 }, { "US", 9, 5 }, { "US", 1, 3,
      "datacenter" } } do
      ids[at] = px.orders.create{ country = row[1], period = row[2], quantity = row[3],
        type = row[4] or "isp" }.id
    end
    return ids]]

  setup(function() sandbox = sandboxes.start() end)
  teardown(function() sandbox:stop() end)
  before_each(function()
    sandbox:change("reset")
    sandbox:change("settings", { faults = core.json.array{}, balance = "1000.00" })
    os.execute("rm -rf " .. sandbox.home .. "/state")
    ids = sandbox:eval(orders)
  end)

  local function faults(...)
    sandbox:change("settings", { faults = core.json.array{ ... } })
  end

  local function renew(...)
    return sandbox:run{ "--json", "renew", "--within", "3d", ... }
  end

  local function extended(...)
    local result = renew(...)
    assert.equal(0, result.code, result.err)
    local list = {}
    for at, action in ipairs(core.json.decode(result.out).done) do list[at] = action.order end
    return list, core.json.decode(result.out)
  end

  it("extends what ends within the duration, the nearest end first, once", function()
    local list, report = extended()
    assert.same({ [ids[2]] = true, [ids[4]] = true, [ids[1]] = true },
      { [list[1]] = true, [list[2]] = true,
      [list[3]] = true })
    assert.equal(ids[1], list[3])
    assert.same({ 4.8 + 2.52 + 2.7, 4.8 + 2.52 + 2.7 }, { report.spent, report.plan.total })
    assert.same({}, (extended()))
    assert.equal(3, sandbox:look("counters").extended)
  end)

  it("goes by the clock of the API", function()
    sandbox:change("clock", { advance = 7 * 86400 })
    assert.same({ ids[3] }, (extended()))
  end)

  it("is quoted first, once for each kind of thing, and shown", function()
    local result = sandbox:run{ "--dry-run", "renew", "--within", "3d", "--period", "7" }
    assert.equal(0, result.code, result.err)
    assert.matches("  ~ extend  " .. ids[2] .. ", 1 until %S+ %S+ %(in [^)]+%) by 7 days +0%.59\n",
      result.out)
    assert.matches("total 2.34; balance ", result.out, 1, true)
    assert.matches("would extend " .. ids[2], result.out, 1, true)
    assert.equal(0, sandbox:look("counters").extended)
  end)

  it("takes only those of a type, a country or a pool", function()
    assert.same({ ids[4] }, (extended("--type", "datacenter", "--period", "7")))
    assert.same({ ids[2] }, (extended("--country", "de", "--period", "7")))
    sandbox:eval(("px.fleet.adopt('mine', %q)"):format(ids[1]))
    assert.same({ ids[1] }, (extended("--pool", "mine", "--period", "7")))
  end)

  it("refuses an unknown pool, and accepts one whose orders have expired", function()
    sandbox:eval(("px.fleet.adopt('office', %q)"):format(ids[1]))
    local result = renew("--pool", "ofice")
    assert.equal(2, result.code)
    assert.matches("unknown pool ofice, did you mean office?", result.err, 1, true)
    assert.equal(2, renew("--pool", "other").code)
    sandbox:change("cancel", { id = ids[1] })
    assert.same({}, (extended("--pool", "office")))
  end)

  it("extends only the orders that a function accepts, and names the others", function()
    local done, why = sandbox:eval(([[
      local report = px.renew{ within = "3d", type = "isp",
        only = function(order) return order.id == %q end }
      return report.done[1].order, report.skipped[1].why]]):format(ids[1]))
    assert.same({ ids[1], "unwanted" }, { done, why })
  end)

  it("names the orders whose end it cannot read, also with --quiet, and ends with 4", function()
    sandbox:eval(("px.fleet.adopt('mine', %q)"):format(ids[1]))
    os.execute("rm -rf " .. sandbox.home .. "/state") -- which knows the orders to be new
    sandbox:eval(("px.fleet.adopt('mine', %q)"):format(ids[1]))
    for _, case in ipairs{ { "omit=expires_at", "has no expiry date" },
      { "say=expires_at~soon", "has an unreadable expiry date (soon)" } } do
      faults("orders.list:" .. case[1])
      local result = sandbox:run{ "--quiet", "renew", "--within", "3d" }
      assert.equal(4, result.code, result.err)
      for _, id in ipairs(ids) do
        assert.matches(("order %s %s and is not extended"):format(id, case[2]), result.err, 1, true)
      end
    end
    local result = renew("--country", "de")
    local report = core.json.decode(result.out)
    assert.same({ 4, { ids[2] }, {} }, { result.code, report.endless, report.done })
    result = renew("--pool", "mine")
    assert.matches("order " .. ids[1] .. " has an unreadable expiry date", result.err, 1, true)
    assert.is_nil(result.err:find(ids[2], 1, true))
    assert.same({}, sandbox:eval("return px.renew{ within = '3d', only = function() end }.endless"))
  end)

  it("has a note of orders that have no expiry date, and of new ones", function()
    faults("orders.list:omit=expires_at")
    local result = sandbox:run{ "renew", "--within", "3d" }
    assert.equal(0, result.code, result.err)
    assert.matches("4 active orders have no expiry date, and are not extended: ord_",
      result.err, 1, true)
    sandbox:eval("px.orders.create{ type = 'residential', quantity = 1 }")
    os.execute("rm -rf " .. sandbox.home .. "/state")
    result = renew("--type", "residential")
    assert.equal(0, result.code, result.err)
    assert.matches("1 active order has no expiry date", result.err, 1, true)
  end)

  it("names what else keeps it from extending an order that ends soon", function()
    for fault, text in pairs{
      ["say=country~Germania"] = "has an unreadable country (Germania)",
      ["omit=quantity"] = "cannot be priced",
      ["omit=id"] = "record 4 cannot be used: id is missing" } do
      faults("orders.list:" .. fault)
      local result = sandbox:run{ "--quiet", "renew", "--within", "3d", "--country", "DE" }
      assert.equal(4, result.code, result.err)
      assert.matches(text, result.err, 1, true)
    end
    assert.equal(0, sandbox:look("counters").extended)
  end)

  it("takes only those whose proxies work, when asked", function()
    local checked = { "--checked", "--check-url", sandbox.trace_url, "--type", "isp" }
    faults("forward:status=403,count=1")
    local list, report = extended("--country", "DE", table.unpack(checked))
    assert.same({}, list)
    assert.same({ ids[2], "failed", "failed the check: 0 of 1 proxies work" },
      { report.plan.skipped[1].order, report.plan.skipped[1].why, report.plan.skipped[1].text })
    faults("forward:status=403,count=1")
    assert.same({}, (extended("--country", "US", "--checked", "51", table.unpack(checked, 2))))
    faults("forward:status=403,count=1")
    assert.same({ ids[1] }, (extended("--country", "US", table.unpack(checked))))
    assert.same({ ids[2] }, (extended(table.unpack(checked))))
  end)

  it("is refused as a whole when balance or allowance do not cover it", function()
    sandbox:change("settings", { balance = "10.01" })
    local result = renew()
    assert.equal(3, result.code)
    assert.matches("the total is 10.02, but the balance is 10.01", result.err, 1, true)
    sandbox:change("settings", { balance = "100" })
    result = sandbox:run{ "--spend", "10", "renew", "--within", "3d" }
    assert.equal(6, result.code)
    assert.equal(0, sandbox:look("counters").extended)
  end)

  it("is refused where a quote has no price", function()
    faults("orders.calc:omit=price")
    local result = renew()
    assert.equal(4, result.code)
    assert.matches("has no readable field .\"price", result.err)
  end)

  it("does nothing twice where the API does not show the new end yet, or the same was done by a "
    .. "fleet", function()
    extended("--country", "DE")
    local entries = sandbox:eval("local n = 0 for e in px.journal.each() do n = n + 1 end return n")
    sandbox:eval(([[
      local key = ("renew/%%s/%%d"):format(%q, px.time(px.orders.get(%q).expires_at))
      px.fleet.adopt("us", %q)
      px.orders.extend(%q, { period = 30, key = key })]]):format(ids[1], ids[1], ids[1], ids[1]))
    assert.same({ ids[4] }, (extended()))
    assert.equal(entries + 2,
      sandbox:eval("local n = 0 for e in px.journal.each() do n = n + 1 end return n"))
    assert.equal(3, sandbox:look("counters").extended)
  end)

  describe("of an order whose extension the API does not show", function()
    local POOL = [[
return { { name = "mine", type = "isp", country = "DE", quantity = 1, period = 30 } }]]
    local LAG = { "orders.list:slow=3600", "orders.get:slow=3600" }

    -- Ways in which an order may have been extended, with a fault of the response.
    local extensions = {
      ["by renew"] = { run = { "renew", "--within", "3d", "--country", "DE" } },
      ["by orders extend"] = { run = { "orders", "extend", "ID", "--period", "30" } },
      ["by orders extend with a key"] = {
        run = { "orders", "extend", "ID", "--period", "30", "--key", "by-hand" } },
      ["by renew of an earlier version"] = { key = 0 },
      ["by renew of an earlier version, from an end a second off"] = { key = 1 },
      ["by orders extend, and a response without an end"] = {
        run = { "orders", "extend", "ID", "--period", "30" },
        fault = "orders.extend:omit=expires_at" },
      ["by renew, and a response with the id alone"] = {
        run = { "renew", "--within", "3d", "--country", "DE" },
        fault = "orders.extend:omit=expires_at+status+type" },
    }

    -- The order itself is older than what the lists do not show yet.
    local function extend(how)
      sandbox:change("clock", { advance = 7200 })
      if how.fault then faults(how.fault) end
      if how.key then
        sandbox:eval(([[
          local id = %q
          local key = ("renew/%%s/%%d"):format(id, px.time(px.orders.get(id).expires_at) + %d)
          px.orders.extend(id, { period = 30, key = key })]]):format(ids[2], how.key))
      else
        local words = {}
        for at, word in ipairs(how.run) do words[at] = word == "ID" and ids[2] or word end
        local result = sandbox:run(words)
        assert.equal(0, result.code, result.err)
      end
      faults()
      assert.equal(1, sandbox:look("counters").extended)
    end

    local function each_command(check, env)
      local file = program.write(sandbox.home .. "/pool.lua", POOL)
      sandbox:eval(("px.fleet.adopt('mine', %q)"):format(ids[2]))
      for _, words in ipairs{ { "renew", "--within", "3d", "--country", "DE" },
        { "fleet", "apply", file }, { "renew", "--within", "3d", "--country", "DE" } } do
        check(sandbox:run(words, { env = env }), words[1])
      end
      assert.equal(1, sandbox:look("counters").extended)
    end

    for name, how in pairs(extensions) do
      for shift = 0, 2 do
        local title = ("reports it with exit code 4, made %s, the end %d s off"):format(name, shift)
        it(title, function()
          extend(how)
          local lag = { table.unpack(LAG) }
          for at = 1, #lag do lag[at] = ("%s,shift=%d"):format(lag[at], shift) end
          faults(table.unpack(lag))
          each_command(function(result, command)
            assert.equal(4, result.code, command .. result.err)
            assert.matches(("order %s was extended "):format(ids[2]), result.err, 1, true)
            assert.matches("proxylua orders extend " .. ids[2], result.err, 1, true)
          end, { PROXYLUA_SETTLE = "0.001s" })
        end)
      end

      it("waits for the settling time with exit code 0, made " .. name, function()
        extend(how)
        faults(table.unpack(LAG))
        each_command(function(result, command)
          assert.equal(0, result.code, command .. result.err)
          assert.matches("was extended; the API does not show it yet", result.out, 1,
            true)
        end, { PROXYLUA_SETTLE = "60s" })
      end)

      it("takes the end from the order where only lists lag, made " .. name, function()
        extend(how)
        faults("orders.list:slow=3600")
        each_command(function(result, command)
          assert.equal(0, result.code, command .. result.err)
        end)
      end)
    end

    it("extends again from the new expiry date, at any second of it", function()
      for round = 1, 3 do
        faults(("orders.list:shift=%d"):format(round % 2), ("orders.get:shift=%d"):format(round))
        assert.same({ ids[2] }, (extended("--country", "DE")))
        assert.same({}, (extended("--country", "DE")))
        sandbox:change("clock", { advance = 30 * 86400 })
      end
      assert.equal(3, sandbox:look("counters").extended)
    end)
  end)

  it("is made once by processes that see the end a second apart", function()
    faults("orders.list:shift=1,skip=1,count=1", "orders.list:shift=2,skip=2,count=1")
    local env = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
      PROXYLUA_LIMITS = "off", PROXYLUA_SPEND = "1000", PROXYLUA_SETTLE = "0.1s" }
    local group = children.start(4, sandbox.home, { "renew", "--within", "3d" }, env)
    for _, result in ipairs(group:join()) do assert.equal(0, result.code, result.err) end
    assert.equal(3, sandbox:look("counters").extended)
  end)

  it("refuses a period that is not longer than within, which would extend in every run", function()
    for words, pattern in pairs{
      ["--within 3d --period 1"] = "--within (3d) must be shorter than --period (1 day)",
      ["--within 3d --period 3"] = "--period (3 days)", ["--within 30d"] = "--period (30 days)" } do
      local arguments = { "renew" }
      for word in words:gmatch("%S+") do arguments[#arguments + 1] = word end
      local result = sandbox:run(arguments)
      assert.equal(2, result.code, result.err)
      assert.matches(pattern, result.err, 1, true)
    end
    local _, err = px.try(px.renew, { within = "3d", period = 3 })
    assert.same({ "usage", "px.renew: within (3d) must be shorter than period (3 days), or each "
      .. "run extends the same orders again" }, { err.kind, err.message })
    assert.equal(0, sandbox:look("counters").extended)
  end)

  it("leaves an order alone that may be the result of a purchase of unknown outcome", function()
    local words = { "orders", "create", "--type", "isp", "--quantity", "1", "--country", "FR",
      "--period", "1", "--key", "lost" }
    faults("orders.create:cut=after,count=1", "orders.list:slow=3600",
      "account.transactions:slow=3600")
    assert.equal(5, sandbox:run(words).code)
    faults()
    assert.equal(0, sandbox:run(words, { home = program.folder() }).code)
    local could_be = {}
    for _, order in ipairs(sandbox:look("orders").orders) do
      could_be[#could_be + 1] = order.key == "lost" and order.id or nil
    end
    local result = renew()
    local report = core.json.decode(result.out)
    assert.same({ 5, 3 }, { result.code, #report.done })
    for _, id in ipairs(could_be) do
      assert.matches(("order %s may belong to a purchase of unknown outcome"):format(id),
        result.err, 1, true)
    end
    assert.equal(0, sandbox:run{ "journal", "settle", "lost", "placed", "--order-id",
      could_be[1] }.code)
    assert.equal(2, #extended())
  end)

  it("names and settles what a run that died has extended, also where it is not due any more",
    function()
    local env = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
      PROXYLUA_LIMITS = "off", PROXYLUA_SPEND = "1000", PROXYLUA_SETTLE = "0.1s",
      PROXYLUA_CRASH = "answered:1" }
    local died = program.run({ "renew", "--within", "3d", "--country", "DE" },
      { home = sandbox.home, env = env, program = crash.path })
    assert.equal(137, died.code, died.err)
    local result = sandbox:run{ "renew", "--within", "3d", "--country", "FR" }
    assert.equal(0, result.code, result.err)
    assert.matches(("order %s was extended by an earlier, interrupted run (key renew/"):format(
      ids[2]), result.out, 1, true)
    assert.same({}, select(2, extended("--country", "FR")).settled)
    assert.equal(1, sandbox:look("counters").extended)
  end)

  it("that the API refuses for one order goes on with the others, and reports it", function()
    faults("orders.extend:status=404,count=1")
    local result = renew("--type", "isp")
    assert.equal(3, result.code)
    assert.matches("1 of 2 actions done, [%d.]+ spent; the API refused renew/" .. ids[2],
      result.err)
    local report = core.json.decode(result.out)
    assert.same({ ids[1], 0, ids[2] }, { report.done[1].order, #report.left, report.failed.order })
    faults()
    assert.same({ ids[2] }, (extended("--type", "isp")))
    faults("orders.extend:status=402,count=1")
    assert.matches("0 of 1 actions done, 0.00 spent; stopped at renew/" .. ids[4], renew().err)
  end)

  it("whose response was lost is looked up by the next run, and sent once", function()
    faults("orders.extend:cut=after,count=1", "orders.get:status=403,skip=2")
    local code = renew("--country", "DE").code
    faults()
    assert.is_true(code == 5 or code == 0)
    assert.equal(2, #extended())
    assert.equal(3, sandbox:look("counters").extended)
  end)

  it("of unknown outcome does not hold up the others, and ends with exit code 5", function()
    faults("orders.extend:cut=before,count=1", "account.transactions:status=403")
    assert.equal(5, renew().code)
    local result = renew()
    assert.equal(5, result.code)
    assert.matches("the outcome of renew/ord_", result.err, 1, true)
    local report = core.json.decode(result.out)
    assert.same({ 2, "unknown", "outcome_unknown" }, { #report.done, report.skipped[1].why,
      report.error.kind })
    faults()
    assert.same({ report.skipped[1].order }, (extended()))
    assert.equal(3, sandbox:look("counters").extended)
  end)

  for step, number in pairs{ intent = 2, answered = 1, leaving = 3 } do
    it("that is killed at a step is made once by the next run: " .. step, function()
      local env = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
        PROXYLUA_LIMITS = "off",
        PROXYLUA_SPEND = "1000", PROXYLUA_SETTLE = "0.3s", PROXYLUA_CRASH = ("%s:%d"):format(step,
          number) }
      local options = { home = sandbox.home, env = env, program = crash.path }
      local result = program.run({ "renew", "--within", "3d" }, options)
      assert.equal(137, result.code, result.err)
      extended()
      assert.equal(3, sandbox:look("counters").extended)
    end)
  end

  it("says what is wrong with its options", function()
    for words, pattern in pairs{ [""] = "--within is missing",
      ["--within soon"] = "--within must be a duration such as",
      ["--within 3"] = "--within must be a duration with a unit, such as 3s (seconds) or 3d (days)",
      ["--within 3d --country germany"] = "a code of two letters",
      ["--within 3d --period x"] = "--period takes a number of days, got x",
        ["--within 3d --period 0"] = "got 0",
      ["--within 3d --checked 101"] =
        "--checked must be a percentage above 0 and up to 100, got 101" } do
      local arguments = { "renew" }
      for word in words:gmatch("%S+") do arguments[#arguments + 1] = word end
      local result = sandbox:run(arguments)
      assert.equal(2, result.code, result.err)
      assert.matches(pattern, result.err, 1, true)
    end
    local wrong = { 7, {}, { within = "3d", only = 1 }, { within = "3d", pool = 1 },
      { within = "3d", pol = "x" } }
    for at = 1, #wrong do
      local _, err = px.try(px.renew, wrong[at])
      assert.equal("usage", err and err.kind)
    end
  end)
end)
