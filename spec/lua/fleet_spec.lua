-- px.fleet and `proxylua fleet` against the emulated API: what is planned is bought, once, and
-- nothing else.

local core = require "proxylua.core"
local program = require "spec.support.program"
local px = require "proxylua"
local sandboxes = require "spec.support.sandbox"

local POOLS = [[return {
  { name = "us", type = "isp", country = "US", quantity = 3, period = 30, batch = 2 },
  { name = "de", type = "datacenter", country = "DE", quantity = 4, period = 7 },
}]]

describe("a fleet", function()
  local sandbox, file

  setup(function() sandbox = sandboxes.start() end)
  teardown(function() sandbox:stop() end)
  before_each(function()
    sandbox:change("reset")
    sandbox:change("settings", { faults = core.json.array{}, balance = "1000.00" })
    os.execute("rm -rf " .. program.quote(sandbox.home .. "/state"))
    file = program.write(sandbox.home .. "/fleet.lua", POOLS)
  end)

  local function faults(...)
    sandbox:change("settings", { faults = core.json.array{ ... } })
  end

  local function fleet(...)
    return sandbox:run{ "fleet", ... }
  end

  local function done(...)
    local result = fleet(...)
    assert.equal(0, result.code, result.err)
    return result
  end

  local function json(...)
    return core.json.decode(done("--json", ...).out)
  end

  local function refused(code, pattern, ...)
    local before = sandbox:look("counters")
    local result = fleet(...)
    assert.equal(code, result.code, result.err)
    assert.matches(pattern, result.err, 1, true)
    local after = sandbox:look("counters")
    assert.equal(before.charged, after.charged)
    return result
  end

  local function buy(quantity, period, key)
    local code = "return px.orders.create{ type = 'isp', country = 'US', quantity = %d, period = "
      .. "%d, key = %q }.id"
    return sandbox:eval(code:format(quantity, period, key))
  end

  describe("is planned", function()
    it("with real prices and what would be left, in words and as data, and buys nothing", function()
      local out = done("plan", file).out
      assert.matches(
        "pool us: 0 of 3 isp in US for 30 days\n  %+ buy     2 isp in US for 30 days +4.80\n", out)
      assert.matches("pool de: 0 of 4 datacenter in DE for 7 days\n  %+ buy     4 datacenter "
        .. "[^\n]+ +0.89\n", out)
      assert.matches("extend 0.00, buy 8.09, total 8.09; balance 1000.00, 991.91 after\n$", out)
      local plan = json("plan", file)
      assert.same({ 8.09, 991.91, 2 }, { plan.total, plan.balance_after, #plan.pools })
      assert.equal(0, sandbox:look("counters").sold)
    end)

    it("with one quote for each kind of thing", function()
      program.write(file, [[return { { name = "a", type = "isp", quantity = 90, period = 30,
        batch = 10 },
        { name = "b", type = "isp", quantity = 20, period = 30, batch = 10 } }]])
      assert.equal(9 * 24 + 48, json("plan", file).total)
      assert.equal(1, sandbox:look("counters").requests["orders.calc"])
    end)

    it("and says by its exit code whether there is work, when asked", function()
      assert.equal(10, fleet("plan", file, "--exit-code").code)
      done("apply", file)
      assert.matches("nothing to do\n", done("plan", file, "--exit-code").out, 1, true)
      assert.matches("nothing to do\n", done("apply", file).out, 1, true)
    end)

    it("into a file, whole and for its owner alone", function()
      local path = sandbox.home .. "/plan.json"
      local result = done("plan", file, "-o", path)
      assert.matches("proxylua fleet apply " .. path .. " --spend 8.09", result.err, 1, true)
      assert.equal(384, core.system.status(path).mode)
      assert.equal(4, fleet("plan", file, "-o", sandbox.home .. "/none/plan.json").code)
      refused(2, "expected pools, got a plan", "plan", path)
    end)

    it("replaces the file of an earlier plan, and no other file", function()
      local path = program.write(sandbox.home .. "/plan.json", "")
      done("plan", file, "-o", path)
      done("plan", file, "-o", path)
      refused(2, "the file exists and is not a saved plan", "plan", file, "-o", file)
      assert.equal(POOLS, program.read(file))
      refused(2, "is not a regular file", "plan", file, "-o", "/dev/full")
    end)
  end)

  describe("is applied", function()
    it("as planned, and reports what was done", function()
      local report = json("apply", file)
      assert.same({ 3, 0, 8.09, 8.09 }, { #report.done, #report.left, report.spent,
        report.plan.total })
      assert.equal("fleet/us/1", report.done[1].key)
      local counters = sandbox:look("counters")
      assert.same({ 3, "8.09" }, { counters.sold, counters.charged })
      local rows = json("status")
      local pools = {}
      for _, row in ipairs(rows) do pools[row.pool] = (pools[row.pool] or 0) + row.quantity end
      assert.same({ us = 3, de = 4 }, pools)
    end)

    it("from a plan, once", function()
      local path = sandbox.home .. "/plan.json"
      done("plan", file, "-o", path)
      assert.equal(3, #json("apply", path).done)
      local again = json("apply", path)
      assert.same({ 0, 0 }, { #again.done, again.spent })
      assert.equal(3, sandbox:look("counters").sold)
    end)

    it("again when an order is over or was let go, and when more is wanted", function()
      done("apply", file)
      local id = json("status")[1].id
      sandbox:change("cancel", { id = id })
      local report = json("apply", file)
      assert.same({ 1, "fleet/de/2" }, { #report.done, report.done[1].key })
      program.write(file, (POOLS:gsub("quantity = 3", "quantity = 6")))
      report = json("apply", file)
      assert.same({ 2, "fleet/us/3", "fleet/us/4" }, { #report.done, report.done[1].key,
        report.done[2].key })
    end)

    it("not at all in a dry run, which prints what it would do", function()
      local result = sandbox:run{ "--dry-run", "fleet", "apply", file }
      assert.equal(0, result.code, result.err)
      assert.matches("  + would buy 2 isp in US for 30 days", result.out, 1, true)
      assert.matches("dry run: nothing was bought", result.err, 1, true)
      assert.equal(0, sandbox:look("counters").sold)
    end)

    it("by extending what ends, once", function()
      local id = buy(3, 1, "old")
      done("adopt", "us", id)
      local report = json("apply", file)
      assert.same({ "extend", id, 7.2 }, { report.done[1].action, report.done[1].order,
        report.done[1].price })
      assert.equal(2, #report.done)
      assert.equal(0, #json("apply", file).done)
      assert.equal(1, sandbox:look("counters").extended)
    end)

    it("in all pools but those that are too dear, and ends with 6", function()
      program.write(file, (POOLS:gsub("batch = 2", "max_unit_price = '2.39'")))
      local result = fleet("apply", file)
      assert.equal(6, result.code)
      assert.matches("3 isp in US for 30 days cost 7.20, 2.40 each, above max_unit_price 2.39",
        result.err, 1, true)
      assert.equal("0.89", sandbox:look("counters").charged)
    end)
  end)

  describe("is refused before anything is spent", function()
    it("when balance or allowance do not cover all of it, with figures", function()
      sandbox:change("settings", { balance = "8.08" })
      refused(3, "the total is 8.09, but the balance is 8.08", "apply", file)
      sandbox:change("settings", { balance = "100" })
      refused(6, "the total is 8.09, but only 8.00 may be spent", "--spend", "8", "apply", file)
      local result = sandbox:run({ "fleet", "apply", file }, { env = { PROXYLUA_SPEND = "" } })
      assert.same({ 6, 0 }, { result.code, sandbox:look("counters").sold })
      assert.matches("0.00 may be spent; nothing was bought. Use --spend 8.09 to allow it",
        result.err, 1,
        true)
    end)

    it("when a plan is out of date, saying what", function()
      local path, id = sandbox.home .. "/plan.json", buy(1, 60, "old")
      sandbox:eval(([[
        px.fleet.adopt("us", %q) px.fleet.save(px.fleet.plan(%q), %q)
        px.fleet.release(%q)]]):format(id, file, path, id))
      refused(6, "pool us: order " .. id .. " has ended", "apply", path)
      sandbox:eval((
        "px.fleet.adopt('us', %q) px.orders.extend(%q, { period = 30, key = 'x' })"):format(id, id))
      local result = refused(6, "pool us: the expiry date of order " .. id .. " was ", "--json",
        "apply", path)
      local said = core.json.decode(result.out)
      assert.same({ 1, "spend_refused" }, { #said.moved, said.error.kind })
    end)

    it("when another user has bought part of the plan since it was made, and not before",
      function()
      local path = sandbox.home .. "/plan.json"
      buy(1, 30, "before")
      done("plan", file, "--ignore-existing", "-o", path)
      local id = buy(2, 30, "by-hand")
      local result = refused(6,
        ("pool us: order %s is new, fits and belongs to no pool; assign it with "
        .. "proxylua fleet adopt us %s"):format(id, id), "apply", path)
      assert.is_nil(result.err:find("pool de", 1, true))
      done("plan", file, "--ignore-existing", "-o", path)
      assert.matches("3 of 3 done", done("apply", path).out, 1, true)
      local other = program.write(sandbox.home .. "/other.lua",
        (POOLS:gsub("quantity = 4", "quantity = 5")))
      done("plan", other, "-o", path)
      buy(1, 30, "of-no-concern")
      assert.matches("1 of 1 done", done("apply", path).out, 1, true)
    end)

    it("when the prices of a plan have moved", function()
      local path = sandbox.home .. "/plan.json"
      done("plan", file, "-o", path)
      program.write(path, (program.read(path):gsub("4%.80", "4.79")))
      refused(6, "+ buy 2 isp in US for 30 days cost 4.79, now it costs 4.80", "apply", path)
    end)

    it("when the plan was to be kept where it is shown", function()
      refused(2, "use proxylua --json fleet plan", "plan", file, "-o", "-")
      local path = program.write(sandbox.home .. "/plan.json", done("--json", "plan", file).out)
      done("apply", path)
    end)

    it("when the API takes no part of it, saying which", function()
      program.write(file, [[return { { name = "a", type = "isp", quantity = 1, period = 30 },
        { name = "b", type = "isp", country = "ZZ", quantity = 2, period = 30 } }]])
      refused(3, "no quote for 2 isp in ZZ for 30 days: ", "apply", file)
    end)

    it("when a quote has no price, naming it", function()
      faults("orders.calc:omit=price")
      for _, command in ipairs{ "plan", "apply" } do
        refused(4, 'has no readable field "price"; nothing was bought (orders.calc)',
          command, file)
      end
    end)

    it("when what came of an earlier charge is not known, and ends with 5 in every command",
      function()
      program.write(file, POOLS:gsub("  { name = \"de\"[^\n]+\n", ""))
      faults("orders.create:cut=after,count=1", "orders.list:status=403,skip=2")
      assert.equal(5, fleet("apply", file).code)
      faults()
      local id = sandbox:look("orders").orders[1].id
      local alike = { "orders", "create", "--type", "isp", "--country", "US", "--quantity", "2",
        "--period", "30" }
      assert.equal(0, sandbox:run(alike, { home = program.folder() }).code)
      for _, words in ipairs{ { "plan", file }, { "apply", file } } do
        local before = sandbox:look("counters").charged
        local result = fleet(table.unpack(words))
        assert.equal(5, result.code, result.err .. result.out)
        assert.matches("the outcome of fleet/us/1 is unknown", result.out, 1, true)
        assert.equal(before, sandbox:look("counters").charged)
      end
      assert.equal(0, sandbox:run{ "journal", "settle", "fleet/us/1", "placed", "--order-id",
        id }.code)
      done("apply", file)
      assert.equal(3, sandbox:look("counters").sold)
    end)
  end)

  it("goes by the clock of the API", function()
    done("apply", file)
    sandbox:change("clock", { advance = 6 * 86400 })
    assert.matches("  ~ extend  ord_%w+, 4 until %S+ %S+ %(in [^)]+%) by 7 days +0%.89\n",
      done("plan", file).out)
    sandbox:change("clock", { advance = 2 * 86400 })
    assert.matches("+ buy     4 datacenter in DE for 7 days", done("apply", file).out, 1, true)
    assert.equal(0, sandbox:look("counters").extended)
  end)

  it("stops at the first action that fails, reports what was done and what was not, and goes on "
    .. "later", function()
    faults("orders.create:status=402,skip=1")
    local result = fleet("--json", "apply", file)
    assert.equal(3, result.code, result.err)
    assert.matches("1 of 3 actions done, 4.80 spent; stopped at fleet/us/2", result.err, 1, true)
    local report = core.json.decode(result.out)
    assert.same({ 1, 1, 4.8 }, { #report.done, #report.left, report.spent })
    assert.same({ "fleet/us/2", "funds" }, { report.failed.key, report.error.kind })
    result = fleet("apply", file)
    assert.matches("  ! not done: buy 4 datacenter", result.out, 1, true)
    assert.matches("0 of 2 done, 0.00 spent", result.out, 1, true)
    faults()
    done("apply", file)
    assert.equal(3, sandbox:look("counters").sold)
  end)

  it("takes in a lost order that the next run finds, and buys the rest", function()
    faults("orders.create:cut=after,skip=1,count=1", "orders.list:status=502,skip=3,count=9")
    fleet("apply", file)
    faults()
    done("apply", file)
    local counters = sandbox:look("counters")
    assert.same({ 3, "8.09" }, { counters.sold, counters.charged })
  end)

  describe("has orders that", function()
    it("are adopted by one pool, and let go", function()
      local id = buy(2, 60, "old")
      assert.matches("orders that would fit but belong to no pool: 1 (" .. id,
        done("plan", file).out, 1, true)
      local script = [[
        local id, file = %q, %q
        local function have() return px.fleet.plan(file).pools[1].have end
        local function kind(...) return select(2, px.try(...)).kind end
        px.fleet.adopt("us", id)
        px.fleet.adopt("us", id)
        local counts = { have() }
        local kinds = { kind(px.fleet.adopt, "de", id), kind(px.fleet.adopt, "us", "ord_nowhere"),
          kind(px.fleet.adopt, "a/b", id), kind(px.fleet.adopt, "us", 7) }
        local before = { px.fleet.release(id), px.fleet.release(id) }
        counts[2] = have()
        px.fleet.adopt("de", id)
        return counts, kinds, before, px.fleet.owners()[id] ]]
      local counts, kinds, before, owner = sandbox:eval((script:format(id, file):gsub("\n", " ")))
      assert.same({ { 2, 0 }, { "usage", "not_found", "usage", "usage" }, { "us" }, "de" },
        { counts, kinds, before, owner })
      assert.matches("order " .. id .. " is 2 isp in US", done("plan", file).out, 1, true)
      refused(2, "order " .. id .. " belongs to pool de. Run proxylua fleet release", "adopt",
        "us", id)
    end)

    it("are printed as JSON, also those that were done before a failure", function()
      local first, second = buy(2, 60, "first"), buy(1, 60, "second")
      assert.same({ { id = first, pool = "us" }, { id = second, pool = "us" } },
        json("adopt", "us", first, second))
      assert.same({ { id = first, pool = "us" } }, json("release", first))
      local result = fleet("--json", "release", second, first)
      assert.same({ 2, { { id = second, pool = "us" } } },
        { result.code, core.json.decode(result.out) })
    end)

    it("belong to the pool that bought them until they are let go", function()
      done("apply", file)
      local id = json("status")[1].id
      refused(2, "belongs to pool de", "adopt", "us", id)
      done("release", id)
      assert.equal(10, fleet("plan", file, "--exit-code").code)
      done("adopt", "de", id)
      done("plan", file, "--exit-code")
    end)

    it("count as the product that was ordered, under any later name of the API", function()
      done("apply", file)
      for _, said in ipairs{ "country~us", "country~United States", "type~ISP", "type~Static",
        "quantity~2 IPs", "quantity~0", "quantity~1" } do
        faults("*:say=" .. said)
        assert.equal(0, #json("apply", file).done, said)
        assert.equal(3, json("plan", file).pools[1].have, said)
      end
      assert.equal(3, sandbox:look("counters").sold)
    end)

    it("are neither active nor expired count, which is reported", function()
      done("apply", file)
      faults("orders.list:say=status~canceled")
      assert.matches("has status canceled; it counts until you run proxylua fleet release",
        done("apply", file).out,
        1, true)
      assert.equal(3, sandbox:look("counters").sold)
    end)

    it("were adopted count in the API's words, as far as these can be compared", function()
      program.write(file, POOLS:gsub("  { name = \"de\"[^\n]+\n", ""))
      local id = buy(3, 60, "old")
      done("adopt", "us", id)
      for _, said in ipairs{ "country~us", "country~United States", "type~ISP", "quantity~2.75" } do
        faults("*:say=" .. said)
        assert.equal(3, json("plan", file).pools[1].have, said)
      end
      faults("*:say=quantity~some")
      refused(2, "order " .. id .. " cannot be assigned: the API does not report", "adopt", "us",
        id)
    end)

    it("count though no list shows them", function()
      done("apply", file)
      faults("orders.list:slow=3600")
      assert.equal(0, #json("apply", file).done)
      faults("orders.list:slow=3600", "orders.get:status=404")
      assert.equal(0, #json("apply", file).done)
      assert.matches("was bought, but the API does not show it yet; it counts",
        done("plan", file).out, 1, true)
    end)

    it("are reported when their pool is not in the file", function()
      done("apply", file)
      program.write(file, (POOLS:gsub('"us"', '"us-new"')))
      assert.matches("pool us is not in the file; its orders (quantity: 3) are left alone",
        done("plan", file).out, 1,
        true)
    end)
  end)

  describe("with one order", function()
    local HOUR <const> = 3600
    local ids

    -- One order of three, of a pool that wants three.
    local function buy_all()
      program.write(file, POOLS:gsub("  { name = \"de\"[^\n]+\n", ""):gsub(", batch = 2", ""))
      local report = json("apply", file)
      ids = { report.done[1].order }
      return ids[1]
    end

    local function sold()
      return sandbox:look("counters").sold
    end

    local function buys_nothing(pattern)
      local result = done("apply", file)
      assert.equal(1, sold(), result.out)
      assert.matches(pattern, result.out, 1, true)
    end

    it("counts the ordered quantity while the order is set up", function()
      local id = buy_all()
      for _, shown in ipairs{ "quantity~0", "quantity~1", "quantity~2" } do
        faults("orders.list:say=" .. shown)
        buys_nothing(("order %s: 3 proxies were bought, %s are set up so far; all 3 "
          .. "count"):format(id,
          shown:match("%d")))
      end
      faults("orders.list:slow=3600", "orders.get:say=status~pending+quantity~0,omit=expires_at")
      buys_nothing("has status pending; it counts")
    end)

    it("counts what was bought with another command and assigned", function()
      program.write(file, POOLS:gsub("  { name = \"de\"[^\n]+\n", ""))
      done("adopt", "us", buy(3, 60, "by-hand"))
      for _, shown in ipairs{ "quantity~0", "quantity~1" } do
        faults("orders.list:say=" .. shown)
        buys_nothing("keep")
      end
    end)

    it("counts an order of an unlisted status, with a note, and does not extend it", function()
      local id = buy_all()
      sandbox:change("clock", { advance = 29 * 24 * HOUR })
      faults("orders.list:slow=9999999", "orders.get:say=status~suspended")
      buys_nothing(("order %s has status suspended; it counts until you run proxylua fleet "
        .. "release"):format(id))
      assert.equal(0, sandbox:look("counters").extended)
    end)

    for name, fault in pairs{ ["a page of a gateway"] = "orders.get:status=404,html",
      ["an error of the provider"] = "orders.get:status=502,count=3" } do
      it("counts an order that it cannot read because of " .. name .. ", however often", function()
        local id = buy_all()
        for _ = 1, 4 do
          sandbox:change("clock", { advance = 2 * 24 * HOUR })
          faults("orders.list:slow=9999999", fault)
          buys_nothing(("order %s cannot be read ("):format(id))
        end
      end)
    end

    it("counts an order that the API denies until it denies it again an hour later", function()
      local id = buy_all()
      sandbox:change("clock", { advance = 2 * 24 * HOUR })
      local denied = { "orders.list:slow=9999999", "orders.get:status=404" }
      faults(table.unpack(denied))
      for _ = 1, 3 do
        buys_nothing(("order %s is currently unknown to the API; it counts"):format(id))
      end
      faults()
      done("apply", file)
      sandbox:change("clock", { advance = 2 * HOUR })
      faults(table.unpack(denied))
      buys_nothing("is currently unknown to the API") -- it was there meanwhile
      sandbox:change("clock", { advance = HOUR + 10 })
      done("apply", file)
      assert.equal(2, sold())
    end)

    it("counts an assigned order that cannot be found as it was, or buys nothing", function()
      program.write(file, POOLS:gsub("  { name = \"de\"[^\n]+\n", ""))
      sandbox:run({ "orders", "create", "--type", "isp", "--country", "US", "--quantity", "3",
        "--period", "60" }, { home = program.folder() })
      local id = sandbox:look("orders").orders[1].id
      done("adopt", "us", id)
      faults("orders.list:slow=9999999", "orders.get:status=404")
      buys_nothing(("order %s is currently unknown to the API; it counts"):format(id))
      local forget = [[require("proxylua.api.notes").put("fleet.order", { [%q] = false }, %s)]]
      sandbox:eval(forget:format(id, "{ api = true }"))
      local result = fleet("apply", file)
      assert.same({ 6, 1 }, { result.code, sold() })
      assert.matches("so its quantity is unknown; nothing is bought for the pool meanwhile",
        result.err, 1,
        true)
    end)

    for _, status in ipairs{ "failed", "rejected", "Cancelled" } do
      it(("stops the purchases of the pool when the order comes back %s"):format(status), function()
        program.write(file, POOLS:gsub("  { name = \"de\"[^\n]+\n", ""):gsub(", batch = 2", ""))
        faults("*:say=status~" .. status)
        local result = fleet("apply", file)
        local id = sandbox:look("orders").orders[1].id
        assert.same({ 4, 1 }, { result.code, sold() }, result.err)
        assert.matches(("order %s has status %s and does not count"):format(id, status:lower()),
          result.err, 1, true)
        for _ = 1, 3 do
          result = fleet("apply", file)
          assert.same({ 6, 1 }, { result.code, sold() }, result.err)
          assert.matches(("order %s has status %s, and 7.20 of its price was not refunded"):format(
            id, status:lower()), result.err, 1, true)
        end
        faults("*:say=status~" .. status, "account.transactions:omit=order_id")
        result = fleet("apply", file)
        assert.same({ 6, 1 }, { result.code, sold() }, result.err)
        assert.matches("do not show whether it was refunded", result.err, 1, true)
        sandbox:change("cancel", { id = id }) -- which refunds it
        faults("orders.get:say=status~" .. status)
        local wanted = ("order %s has status %s and was not charged, or was refunded"):format(id,
          status:lower())
        for _ = 1, status == "Cancelled" and 0 or 2 do
          result = fleet("apply", file)
          assert.same({ 6, 1 }, { result.code, sold() }, result.err)
          assert.matches(wanted .. "; another one is bought in 1", result.err, 1, true)
        end
        sandbox:change("clock", { advance = 12 * 3600 })
        assert.matches(wanted, done("apply", file).out, 1, true)
        assert.equal(2, sold())
        faults()
        done("plan", file, "--exit-code")
      end)
    end

    it("buys again once the user has released a failed order", function()
      local id = buy_all()
      faults("*:say=status~failed")
      assert.equal(6, fleet("apply", file).code)
      faults()
      done("release", id)
      done("apply", file)
      assert.equal(2, sold())
    end)

    it("does not extend an order that may be the result of a purchase of unknown "
      .. "outcome", function()
      program.write(file, POOLS:gsub("  { name = \"de\"[^\n]+\n", ""))
      local words = { "orders", "create", "--type", "isp", "--quantity", "3", "--country", "US",
        "--period", "1", "--key", "lost" }
      faults("orders.create:cut=after,count=1", "orders.list:status=403,skip=1")
      assert.equal(5, sandbox:run(words).code)
      faults()
      sandbox:run(words, { home = program.folder() })
      local lost = sandbox:look("orders").orders[1].id
      done("adopt", "us", lost)
      local result = sandbox:run{ "--quiet", "fleet", "apply", file }
      assert.equal(5, result.code, result.err)
      assert.matches(("order %s may belong to purchase lost, whose outcome is "
        .. "unknown"):format(lost),
        result.err, 1, true)
      assert.equal(0, sandbox:look("counters").extended)
      assert.equal(0, sandbox:run{ "journal", "settle", "lost", "placed", "--order-id", lost }.code)
      done("apply", file)
      assert.same({ 2, 1 }, { sold(), sandbox:look("counters").extended })
    end)

    it("names an order whose end cannot be read, also with --quiet, and ends with 4", function()
      local id = buy_all()
      faults("*:say=expires_at~soon")
      for _, command in ipairs{ "plan", "apply" } do
        local result = sandbox:run{ "--quiet", "fleet", command, file }
        assert.equal(4, result.code, result.err)
        assert.matches(("order %s has an unreadable expiry date (soon)"):format(id),
          result.err .. result.out, 1, true)
      end
      assert.equal(1, sold())
    end)
  end)

  describe("whose store was lost", function()
    local function lose_store()
      os.execute("rm -rf " .. program.quote(sandbox.home .. "/state"))
    end

    it("is not bought again beside active orders that would fit it", function()
      done("apply", file)
      local sold = sandbox:look("counters").sold
      lose_store()
      local result = done("plan", file)
      assert.matches("! refused: the store has no record of this fleet, but the account has 2 "
        .. "active orders that would fit pool us (ord_", result.out, 1, true)
      assert.equal(10, fleet("plan", file, "--exit-code").code)
      for _ = 1, 2 do
        refused(6, "proxylua fleet adopt us ORDER", "apply", file)
        refused(6, "--ignore-existing", "apply", file)
      end
      local kind = sandbox:eval(("return select(2, px.try(px.fleet.apply, %q)).kind"):format(file))
      assert.equal("spend_refused", kind)
      for _, order in ipairs(sandbox:look("orders").orders) do
        done("adopt", order.type == "isp" and "us" or "de", order.id)
      end
      done("apply", file)
      assert.equal(sold, sandbox:look("counters").sold)
    end)

    for name, run in pairs{
      ["from the pools"] = function() done("apply", file, "--ignore-existing") end,
      ["from a plan made with it"] = function()
        local path = sandbox.home .. "/plan.json"
        done("plan", file, "-o", path)
        refused(6, "the store has no record of this fleet", "apply", path)
        done("plan", file, "--ignore-existing", "-o", path)
        done("apply", path)
      end,
      ["in Lua"] = function()
        local spent = sandbox:eval(([[
          local plan = px.fleet.plan(%q, { ignore_existing = true })
          assert(plan.refused == nil)
          return px.fleet.apply(%q, { ignore_existing = true }).spent]]):format(file, file))
        assert.equal(8.09, spent)
      end,
    } do
      it("is bought with --ignore-existing, " .. name .. ", and known from then on", function()
        buy(3, 60, "others")
        lose_store()
        refused(6, "1 active order that would fit pool us", "apply", file)
        run()
        assert.equal(4, sandbox:look("counters").sold)
        program.write(file, (POOLS:gsub("quantity = 3", "quantity = 4")))
        done("apply", file)
        assert.equal(5, sandbox:look("counters").sold)
      end)
    end

    it("is bought where no order fits it, or the pool wants none", function()
      sandbox:eval[[px.orders.create{ type = "isp", country = "DE", quantity = 1, period = 30 }]]
      lose_store()
      done("apply", file)
      lose_store()
      program.write(file, [[return { { name = "us", type = "isp", country = "US", quantity = 0,
        period = 30 } }]])
      done("apply", file)
    end)

    it("takes its options as a table of booleans", function()
      for _, code in ipairs{ "7", "{ ignore_existing = 1 }", "{ ignore_exist = true }" } do
        local kind = sandbox:eval(("return select(2, px.try(px.fleet.plan, {}, %s)).kind"):format(
          code))
        assert.equal("usage", kind, code)
      end
    end)
  end)

  it("is coloured at a terminal alone", function()
    local line = ("script -qec %s /dev/null"):format(program.quote(program.command(sandbox.home,
      { "fleet", "plan", file }, { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
        PROXYLUA_LIMITS = "off", TERM = "xterm" })))
    local pipe = io.popen(line)
    local text = pipe:read("a")
    pipe:close()
    assert.matches("\27[32m  + buy     2 isp", text, 1, true)
    assert.is_nil(done("plan", file).out:find("\27", 1, true))
  end)

  it("reaches the desired state from any starting state, at the planned total",
    function()
    local seed = tonumber(os.getenv("FLEET_SEED")) or os.time()
    math.randomseed(seed)
    local script = [[
      local px, seed = require "proxylua", tonumber(arg[1])
      math.randomseed(seed)
      for round = 1, 4 do
        local pools = {}
        for at = 1, math.random(3) do
          local period = math.random(2, 40)
          pools[at] = { name = "p" .. round .. at, type = ({ "isp", "ipv6" })[math.random(2)],
            quantity = math.random(0, 9),
            country = ({ "US", "DE" })[math.random(3)], period = period, batch = math.random(4),
            renew_before = math.random(0, period * 86400 - 1) .. "s" }
        end
        for at = 1, math.random(0, 6) do
          local pool = pools[math.random(#pools)]
          local order = px.orders.create{ type = pool.type, country = pool.country,
            quantity = math.random(4),
            period = math.random(40), key = round .. "-" .. at }
          if math.random(4) > 1 then px.fleet.adopt(pool.name, order.id) end
        end
        local plan, before = px.fleet.plan(pools), px.account.get().balance
        local report = px.fleet.apply(math.random(2) == 1 and plan or pools,
          { ignore_existing = true })
        assert(report.spent == plan.total and before - px.account.get().balance == plan.total,
          "total")
        local after = px.fleet.plan(pools)
        for _, part in ipairs(after.pools) do assert(#part.actions == 0 and part.have >= part.pool.quantity, "rest") end
      end]]
    local result = sandbox:run({ "-", tostring(seed) }, { stdin = script })
    assert.equal(0, result.code, "FLEET_SEED=" .. seed .. " " .. result.err)
  end)

  it("is there for scripts, with the errors of px", function()
    local kind, left, code = sandbox:eval([[
      local _, err = px.try(px.fleet.apply, { { name = "a", type = "isp", quantity = 1,
        period = 30, max_total = 1 } })
      local _, usage = px.try(px.fleet.plan, 7)
      return err.kind, #err.details.left, usage.kind]])
    assert.same({ "spend_refused", 0, "usage" }, { kind, left, code })
    assert.is_function(px.fleet.load)
  end)
end)
