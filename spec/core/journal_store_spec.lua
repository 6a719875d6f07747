-- src/charge/journal_store.c: the jobs of the journal do the same on both stores.

local jobs = require "spec.support.journal_jobs"
local old_store = require "spec.support.old_store"
local stores = require "spec.support.stores"

local DAY = 86400
local MANY = 5000 -- entries

for _, place in ipairs(stores.all) do
  describe("the journal's jobs in " .. place.name, function()
    local store
    setup(place.start)
    teardown(place.stop)
    before_each(function() store = place.fresh() end)

    -- What each of the jobs printed; of a reservation only the word.
    local function run(...)
      local lines = jobs.run(store, { ... })
      for at, line in ipairs(lines) do lines[at] = line:gsub("^(reserved) .*", "%1") end
      return lines
    end

    -- Entries of today and of the same run.
    local function fill(key)
      local columns = "'A', " .. (key or "'k' || n") .. ", 'orders.create', '{}', 'h', 1, 2, "
        .. "'o' || n, 1, 1, 'r', '2026-11-29', %d, %d, 1, ''"
      columns = columns:format(os.time() * 1000000, os.time() * 1000000)
      local series = place.server and ("SELECT %s FROM generate_series(1, %d) AS n"):format(columns,
        MANY) or ("WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < %d) "
        .. "SELECT %s FROM s"):format(MANY, columns)
      place.query("INSERT INTO charges (account, key, endpoint, params, params_hash, quote, state, "
        .. "order_id, pid, started, run_id, day, created_at, updated_at, period, purse) " .. series
        .. "; ANALYZE")
    end

    -- How many rows PostgreSQL has read since pg_stat_reset().
    local function rows_read()
      return tonumber(place.query("SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) "
        .. "FROM pg_stat_user_tables WHERE schemaname = 'proxylua'"))
    end

    it("amend the price of a placed entry, and with it what is counted as spent", function()
      assert.same({ "reserved", "changed", "refused per_day 3", "changed", "refused per_day 7",
        "refused per_run 7", "changed", "reserved" }, run(
        "reserve key=a quote=3",
        "settle id=1 order=o answer=first",
        "reserve key=b quote=1 per_day=3",
        "amend id=1 price=7 answer=more",
        "reserve key=b quote=1 per_day=7",
        "reserve key=b quote=1 per_run=7",
        "amend id=1 price=2",
        "reserve key=b quote=1 per_run=3"))
      assert.matches("^placed order=o answer=more ", run("find key=a")[1])
    end)

    it("amend placed entries only", function()
      assert.same({ "reserved", "not changed", "changed", "not changed", "not changed" }, run(
        "reserve", "amend id=1 price=7", "settle id=1 state=not_placed", "amend id=1 price=7",
        "amend id=99 price=7"))
    end)

    it("review the open entries, and those settled lately, newest first", function()
      assert.same({ "open; settled", "reserved", "reserved", "reserved", "changed", "changed",
        "open a:intent; settled b:not_placed c:placed:5", "open a:intent; settled" }, run(
        "review", "reserve key=a", "reserve key=b", "reserve key=c", "settle id=3 price=5",
        "settle id=2 state=not_placed", "review", "review within=-60"))
    end)

    it("keep one baseline an account, from settling to sending", function()
      assert.same({
        "locked", "reserved", "changed", "changed", "open; settled k:placed; baseline one of 1",
        "changed", "open; settled k:placed:5; baseline two of 1", "open; settled",
        "reserved", "open l:intent; settled k:placed:5; baseline two of 1",
        "changed", "open l:sent; settled k:placed:5",
      }, run(
        "lock account=A", "reserve", "settle id=1 state=sent", "settle id=1 baseline=one", "review",
        "amend id=1 price=5 baseline=two", "review", "review account=B",
        "reserve key=l", "review",
        "settle id=2 state=sent", "review"))
    end)

    it("drop a baseline that was seen under a right that has been lost", function()
      assert.same({ "locked", "reserved", "changed", "not locked", "changed",
        "open; settled k:placed" }, run(
        "lock account=A", "reserve", "settle id=1 state=sent", "lock",
        "settle id=1 baseline=one", "review"))
    end)

    it("clear the snapshot of an entry when it is settled", function()
      local lines = run("reserve snapshot=before", "settle id=1 state=unknown", "find key=k",
        "settle id=1 state=placed", "find key=k")
      assert.matches("snapshot=before", lines[3])
      assert.matches("snapshot= ", lines[5])
    end)

    it("keep the end that an extension began from", function()
      run("reserve key=k")
      place.query("UPDATE charges SET snapshot = 'balance 9.30\nexpires_at 2026-12-01\nwhole'")
      assert.matches("snapshot=expires_at 2026%-12%-01 ", run("settle id=1", "find key=k")[2])
    end)

    it("count a budget of its own", function()
      assert.same({ "reserved", "reserved", "refused per_day 3", "reserved", "refused per_run 4",
        "changed", "reserved" }, run(
        "reserve key=plugin:a:1 quote=3 purse=9 purse_day=4",
        "reserve key=plugin:b:1 quote=3 purse=9 purse_day=4",
        "reserve key=plugin:a:2 quote=2 purse=9 purse_day=4",
        "reserve key=plugin:a:3 quote=1 purse=9 purse_day=4",
        "reserve key=plugin:a:4 quote=1 purse=9 purse_run=4",
        "settle id=1 state=not_placed",
        "reserve key=plugin:a:4 quote=1 purse=9 purse_run=4"))
    end)

    it("admit nothing above a sum that does not fit", function()
      assert.same({ "reserved", "reserved", "refused per_day 9223372036854775807",
        "changed", "changed" }, run(
        "reserve key=a quote=9223372036854775807 per_order=-1 per_day=9223372036854775807",
        "reserve key=b quote=5 per_order=5", "reserve key=c quote=0 per_day=9223372036854775806",
        "settle id=2 price=7", "settle id=1 state=not_placed"))
    end)

    it("list the newest first, and those of a prefix in the order of their keys", function()
      assert.same({ "reserved", "reserved", "reserved", "reserved", "reserved",
        "entries f/p/2:intent f/p/1:intent of 5", "entries a:intent f/p/10:intent of 5",
        "entries f/p/1:intent f/p/10:intent", "entries f/p/2:intent", "entries" }, run(
        "reserve key=f/p/10", "reserve key=a", "reserve key=g", "reserve key=f/p/1",
        "reserve key=f/p/2",
        "list newest=1 limit=2", "list newest=1 after=3", "list prefix=f/p/ limit=2",
        "list prefix=f/p/ after_key=f/p/10", "list prefix=f/p/ account=B"))
    end)

    it("prune old settled entries, and keep keys, open entries and what was spent", function()
      assert.same({ "reserved", "reserved", "reserved", "changed", "changed",
        "pruned 0, removed 0", "pruned 1, removed 1", "pruned 0, removed 0",
        "entries c:intent a:placed:5 of 2", "entries c:intent of 1", "exists placed",
        "refused per_day 8", "refused per_run 8", "changed", "refused per_day 5" }, run(
        "reserve key=a quote=4", "reserve key=b quote=2", "reserve key=c quote=3",
        "settle id=1 order=o answer=long price=5", "settle id=2 state=not_placed",
        "prune before=-60", "prune before=60", "prune before=60",
        "list newest=1", "list newest=1 hide_pruned=1", "reserve key=a",
        "reserve key=d per_day=8", "reserve key=d per_run=8",
        "settle id=3 state=not_placed", "reserve key=d per_day=5"))
      assert.matches('^placed order=o answer={"id":"o"} hash=h ', run("find key=a")[1])
    end)

    -- What jobs printed, and how much work they were: steps of SQLite's programs, or rows that
    -- PostgreSQL has read.
    local function measure(...)
      if place.server then place.query("SELECT pg_stat_reset()") end
      local wanted = { ... }
      wanted[#wanted + 1] = "steps"
      local result = jobs.run(store, wanted)
      local steps = table.remove(result)
      return result, place.server and rows_read() or tonumber(steps)
    end

    it("read no other keys for a prefix", function()
      run("reserve key=fleet/p/1")
      fill()
      local result, work = measure("list prefix=fleet/", "review within=0")
      assert.equal("entries fleet/p/1:intent", result[1])
      assert.is_true(work < 2000, work)
    end)

    it("list the placed entries of orders", function()
      assert.same({ "reserved", "reserved", "reserved", "changed", "changed",
        "entries a:placed b:placed", "entries b:placed", "entries", "entries" }, run(
        "reserve key=a", "reserve key=b", "reserve key=c",
        "settle id=1 order=o", "settle id=2 order=o",
        'list orders=["x","o"]', 'list orders=["o"] after=1', "list orders=[]",
        'list orders=["o"] account=B'))
    end)

    it("list the stock of stems, and their last entries", function()
      run("reserve key=f/p/2", "reserve key=f/p/9", "reserve key=f/p/10", "reserve key=f/p/11",
        "reserve key=f/q/1", "reserve key=f/pp/1",
        "settle id=1 order=o1", "settle id=2 order=o2", "settle id=3 order=o3")
      assert.same({ "retired", "entries f/p/9:placed f/p/10:placed f/p/11:intent",
        "retired", "entries f/p/10:placed f/p/11:intent f/q/1:intent", "entries",
        "entries f/p/11:intent f/q/1:intent" }, run(
        'retire orders=["o1"]', 'list stems=["f/p/"]',
        'retire orders=["o2","o3"]', 'list stems=["f/p/","f/q/"]', 'list stems=["f/","f"]',
        'list stems=["f/p/","f/q/"] after=3'))
    end)

    local look_up = { 'list stems=["fleet/p/"]', 'list orders=["o7"]', 'retire orders=["o8"]' }

    it("read no other entries of a pool for its stock, its last number and its orders", function()
      run("reserve key=fleet/p/7", "settle id=1 order=o7")
      local _, before = measure(table.unpack(look_up))
      place.query("DELETE FROM charges")
      fill("'fleet/p/' || n")
      place.query("UPDATE charges SET retired = true WHERE id % 1000 != 8; ANALYZE")
      local result, after = measure(table.unpack(look_up))
      assert.equal("entries fleet/p/7:placed", result[2])
      assert.matches(("entries fleet/p/7:placed fleet/p/1007:placed .*fleet/p/%d:placed$"):format(
        MANY), result[1])
      assert.is_true(after < before + 400, ("%d before, %d after"):format(before, after))
    end)

    -- --- the day ---

    local function spend(ahead, extra)
      return jobs.run(store, { ("reserve key=%d quote=310 per_day=400 %s"):format(
        math.random(1 << 40), extra or "") }, ahead)[1]
    end

    -- As if so much time had passed by the monotonic clock.
    local function pass(seconds)
      place.query(("UPDATE ledgers SET read_at = read_at - %d"):format(seconds * 1000000))
    end

    it("count one day at any setting of the wall clock", function()
      assert.matches("^reserved", spend(0))
      for _, ahead in ipairs{ -os.time(), 400 * DAY, -DAY, DAY } do
        assert.equal("refused per_day 310", spend(ahead))
      end
    end)

    it("begin a new day when midnight has passed", function()
      local first = spend(0):match("^reserved %d+ (%S+)")
      pass(DAY)
      local second = spend(-400 * DAY):match("^reserved %d+ (%S+)")
      assert.is_true(second > first, second)
      assert.equal("refused per_day 310", spend(0))
    end)

    it("take the server's date, and go on from it while the server's time is not known", function()
      local now = os.time()
      assert.equal(os.date("!%Y-%m-%d", now + 9 * DAY),
        spend(0, "server=" .. now + 9 * DAY):match("^reserved %d+ (%S+)"))
      assert.equal("refused per_day 310", spend(0))
      pass(DAY)
      assert.equal(os.date("!%Y-%m-%d", now + 10 * DAY),
        spend(0, "server=" .. now + 10 * DAY):match("^reserved %d+ (%S+)"))
    end)

    it("put a date that ran far ahead right by the server's, without a new allowance", function()
      local now = os.time()
      assert.matches("^reserved", spend(0, "server=" .. now + 400 * DAY))
      assert.equal("refused per_day 310", spend(0, "server=" .. now))
      pass(DAY)
      assert.equal(os.date("!%Y-%m-%d", now + DAY),
        spend(0, "server=" .. now + DAY):match("^reserved %d+ (%S+)"))
    end)

    it("begin one new day where two servers' clocks differ around midnight", function()
      local midnight = (os.time() // DAY + 9) * DAY
      assert.matches("^reserved", spend(0, "server=" .. midnight - 10))
      assert.matches("^reserved", spend(0, "server=" .. midnight + 30))
      for _, by in ipairs{ -1, 40, -20, 50 } do
        assert.equal("refused per_day 310", spend(0, "server=" .. midnight + by))
      end
    end)

    it("begin a new day after a restart at a later date only", function()
      assert.matches("^reserved", spend(0))
      place.query("UPDATE ledgers SET clock = 'another'")
      assert.equal("refused per_day 310", spend(-DAY))
      place.query(("UPDATE ledgers SET day = day - 1, time = time - %d"):format(DAY * 1000000))
      assert.matches("^reserved", spend(0))
    end)

    -- --- volume ---

    local charge = { "review within=0", "reserve key=new per_day=1000000 per_run=1000000 dry_run=1",
      "reserve key=new per_day=1000000 per_run=1000000", "settle id=%d state=sent",
      "settle id=%d order=o", "amend id=%d price=2", "find key=new" }

    -- How much work a charge is.
    local function work_of_charge(id)
      local wanted = {}
      for at, line in ipairs(charge) do wanted[at] = line:format(id) end
      local result, work = measure(table.unpack(wanted))
      assert.matches("^placed order=o", result[#result])
      return work
    end

    it("do the same work for a charge at any size of the journal", function()
      run("reserve key=first")
      local before = work_of_charge(2)
      place.query("DELETE FROM charges WHERE key = 'new'")
      fill()
      local after = work_of_charge(MANY + 3)
      assert.is_true(after < before + 100, ("%d before, %d after"):format(before, after))
    end)

    -- --- stores of the version before ---

    it("migrate a store of the version before", function()
      old_store.make(place)
      for _, entry in ipairs{
        { key = "a", state = 2, quote = 3, price = 5, snapshot = "s", order_id = "o" },
        { key = "b", state = 4, quote = 2, snapshot = "s" },
        { key = "c", state = 3, quote = 9, snapshot = "s" },
        { key = "renew/ord_1/1795905000", state = 2, quote = 20, age = 3 * DAY,
          order_id = "ord_1" },
        { key = "plugin:x:1", state = 2, quote = 4 },
      } do place.query(old_store.insert(entry)) end
      place.query("DELETE FROM charges WHERE key = 'c'")
      local lines = run("find key=a", "find key=b", "find key=renew/ord_1/1795905000",
        "reserve key=n per_day=11", "reserve key=plugin:x:2 purse=9 purse_day=4",
        "settle id=2 state=not_placed", "reserve key=n per_day=10")
      assert.matches("^placed order=o answer={} hash=h snapshot= ", lines[1])
      assert.matches("^unknown .* snapshot=s ", lines[2])
      assert.matches("^placed order=ord_1 ", lines[3])
      assert.same({ "refused per_day 11", "refused per_day 4", "changed", "reserved" },
        { lines[4], lines[5], lines[6], lines[7] })
      assert.matches("^reserved 7 ", jobs.run(store, { "reserve key=m" })[1]) -- no id comes twice
    end)

    it("find the entries of a store of the version before by their orders", function()
      old_store.make(place)
      local extend = { endpoint = "orders.extend", state = 2, quote = 2 }
      for _, entry in ipairs{
        { key = "fleet/p/1", state = 2, quote = 3, order_id = "ord_1" },
        { key = "fleet/p/2", state = 2, quote = 3, order_id = "ord_2" },
        { key = "renew/ord_1/1795905000", order_id = "ord_1", params = "ord_1" },
        { key = "settled", params = "ord_1" }, { key = "escaped", params = "ord%3A1" },
      } do
        if entry.params then
          entry.params = ("POST /orders/%s/extend {}"):format(entry.params)
          setmetatable(entry, { __index = extend })
        end
        place.query(old_store.insert(entry))
      end
      assert.same({ "entries fleet/p/1:placed renew/ord_1/1795905000:placed settled:placed",
        "entries escaped:placed", "entries fleet/p/1:placed fleet/p/2:placed" }, run(
        'list orders=["ord_1"]', 'list orders=["ord:1"]', 'list stems=["fleet/p/"]'))
    end)

    it("leave out the orders that a store of the version before knew to be over", function()
      old_store.make(place)
      place.query(old_store.insert{ key = "fleet/p/1", state = 2, quote = 3, order_id = "ord_1" })
      place.query(old_store.insert{ key = "fleet/p/2", state = 2, quote = 3, order_id = "ord_2" })
      place.query("UPDATE charges SET account = 'http://a A'")
      place.query("INSERT INTO notes VALUES ('http://a', 'fleet.ended', 'ord_1', '1', 1), "
        .. "('http://b', 'fleet.ended', 'ord_2', '1', 1)")
      run("find key=a")
      assert.matches("^ord_1%s*$", place.query("SELECT order_id FROM charges WHERE retired"))
    end)

    it("stop a program of the version before from buying in a store that was migrated", function()
      old_store.make(place)
      run("find key=a")
      local ok, text = pcall(place.query, old_store.insert{ key = "a", state = 0, quote = 1 })
      assert.matches(place.server and "null value in column" or "NOT NULL constraint failed", text)
      assert.equal(place.server ~= nil, ok)
    end)
  end)
end
