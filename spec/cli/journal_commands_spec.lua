-- src/bind/journal.c, lua/proxylua/api/journal.lua and `proxylua journal`: reading the journal, and
-- settling entries of unknown outcome.

local children = require "spec.support.children"
local core = require "proxylua.core"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"

-- The one that is lost looks like no other: what looks like it would have to wait for it.
local QUANTITIES = { two = 1 }
local function buying(key)
  return ("{ type = 'isp', quantity = %d, country = 'US', period = 30, key = %q }"):format(
    QUANTITIES[key] or 2, key)
end
local SECOND_KEY = "sk_sandbox_rotated_00000001"
-- Seconds in which no run settles an unknown outcome by itself.
local LONG = { PROXYLUA_SETTLE = "3600s" }

describe("the journal", function()
  local sandbox
  before_each(function() sandbox = sandboxes.start() end)
  after_each(function() sandbox:stop() end)

  local function faults(...)
    sandbox:change("settings", { faults = core.json.array{ ... } })
  end

  local function buy(key, env)
    return sandbox:eval(("local o, err = px.try(px.orders.create, %s) "):format(buying(key))
      .. "return err and err.kind or o.id, err and err.message", { env = env or LONG })
  end

  -- A purchase whose response is lost. Its outcome is unknown: the lists and the balance cannot be
  -- read.
  local function lose(key, fault)
    local last = sandbox:eval("local s for e in px.journal.each() do s = e.state end return s")
    local baseline = last == "placed" and 0 or 1 -- a purchase just made leaves its own
    faults("orders.create:" .. (fault or "cut=after") .. ",count=1",
      "orders.list:status=403,skip=" .. baseline)
    local kind, message = buy(key, { PROXYLUA_SETTLE = "0.1s" })
    faults()
    assert.equal("outcome_unknown", kind)
    return message
  end

  local function sold()
    local orders = sandbox:eval(
      "local ids = {} for o in px.orders.each() do ids[#ids + 1] = o.id end "
      .. "return px.json.array(ids)")
    return orders
  end

  local function journal(arguments, code, env)
    local result = sandbox:run({ "journal", table.unpack(arguments) }, { env = env })
    assert.equal(code or 0, result.code, result.err)
    return result.out, result.err
  end

  local function json(...)
    return core.json.decode((journal{ "--json", ... }))
  end

  local function states(...)
    local found = {}
    for at, entry in ipairs(json("list", ...)) do found[at] = entry.key .. " " .. entry.state end
    return found
  end

  local function refused(arguments, pattern, code)
    local out, err = journal(arguments, code or 2)
    assert.equal("", out)
    assert.matches(pattern, err)
  end

  describe("export and prune", function()
    it("write settled entries to a file, and make them smaller", function()
      local placed = buy("one")
      lose("two")
      faults("orders.create:status=400,count=1")
      buy("three")
      local path = sandbox.home .. "/old.jsonl"
      journal{ "export", path }
      local first, second, third = program.read(path):match("^([^\n]+)\n([^\n]+)\n(.*)$")
      assert.same({ "one", "placed", placed }, { core.json.decode(first).key,
        core.json.decode(first).state, core.json.decode(first).order_id })
      assert.matches(placed, core.json.decode(first).answer, 1, true)
      assert.same({ "three", "" }, { core.json.decode(second).key, third })
      assert.equal("", (journal{ "export", "-", "--before", "1d" }))

      local _, err = journal{ "prune", "--before", "1d" }
      assert.matches("0 entries shrunk, 0 removed", err, 1, true)
      assert.same({ pruned = 1, removed = 1 },
        core.json.decode((journal{ "--json", "prune", "--before", "0s" })))
      assert.same({ "two unknown" }, states())
      assert.same({ "one placed", "two unknown" }, states("--all"))
      assert.is_true(json("show", "one").pruned)
    end)

    it("keep the keys protected", function()
      local placed = buy("one")
      journal{ "prune", "--before", "0s" }
      assert.equal(placed, (buy("one")))
      assert.equal("key_reused", (sandbox:eval(
        "local _, err = px.try(px.orders.create, { type = 'isp', quantity = 3, country = 'US', "
        .. "period = 30, key = 'one' }) return err.kind")))
      assert.equal(1, #sold())
    end)

    it("refuse what is not a time", function()
      refused({ "prune", "--before", "90" }, "%-%-before must be a duration with a unit")
      refused({ "prune", "--before", "yesterday" }, "must be a duration such as")
      refused({ "prune" }, "before")
    end)
  end)

  describe("list", function()
    it("shows all entries, oldest first, or those of a state", function()
      assert.same({}, json("list"))
      local placed = buy("one")
      lose("two")
      faults("orders.create:status=400,count=1")
      buy("three")
      assert.same({ "one placed", "two unknown", "three not_placed" }, states())
      assert.same({ "two unknown" }, states("--state", "unknown"))
      assert.same({ "two unknown" }, states("--state", "open"))
      assert.same({ "one placed" }, states("--state", "placed"))
      local first = json("list")[1]
      assert.equal(placed, first.order_id)
      assert.same({ "4.80", "4.80", "orders.create" },
        { ("%.2f"):format(first.quote), ("%.2f"):format(first.price), first.endpoint })
    end)

    it("prints columns in a pipe, and names open entries on standard error", function()
      lose("two")
      local out, err = journal{ "list" }
      local head, line = out:match("^([^\n]*)\n([^\n]*)\n$")
      assert.equal("id\tkey\tendpoint\tstate\tquote\tprice\torder_id\tcreated_at", head)
      assert.matches("^1\ttwo\torders.create\tunknown\t2.40\t", line)
      assert.matches("proxylua journal settle", err, 1, true)
    end)

    it("names the nearest state", function()
      refused({ "list", "--state", "unknwon" }, "did you mean unknown")
    end)

    it("shows the newest 50, the newest last, and says how many are hidden", function()
      sandbox:eval([[for i = 1, 53 do
        px.orders.create{ type = "datacenter", quantity = 1, period = 30, key = "k" .. i } end]],
        { env = { PROXYLUA_LIMITS = "off" } })
      local out, err = journal{ "--jsonl", "list" }
      local keys = {}
      for line in out:gmatch("[^\n]+") do keys[#keys + 1] = core.json.decode(line).key end
      assert.same({ 50, "k4", "k53" }, { #keys, keys[1], keys[50] })
      assert.matches("3 older entries are not shown; --all shows them", err, 1, true)
      local all, silent = journal{ "--jsonl", "list", "--all" }
      assert.equal(53, select(2, all:gsub("\n", "")))
      assert.equal("", silent)
    end)

    it("belongs to the base URL: another API's journal is empty", function()
      buy("one")
      local url = sandbox.url:gsub("/api/v1$", "/other")
      assert.not_equal(sandbox.url, url)
      assert.equal("[]\n", (journal({ "list", "--json" }, 0, { PROXYLUA_BASE_URL = url })))
    end)

    it("shows a key that has not bought yet what other keys of this base URL have", function()
      sandbox:change("settings", { keys = core.json.array{ sandbox.key, SECOND_KEY } })
      lose("two")
      local env = { PROXYLUA_API_KEY = SECOND_KEY }
      assert.matches('"key":"two"', (journal({ "list", "--json" }, 0, env)), 1, true)
      assert.matches('"state":"unknown"', (journal({ "show", "two", "--json" }, 0, env)), 1, true)
    end)

    it("iterates over more entries than one look brings", function()
      local count, sum = sandbox:eval([[
        for i = 1, 103 do px.orders.create{ type = "datacenter", quantity = 1, period = 30, key = "k" .. i } end
        local count, sum = 0, 0
        for entry in px.journal.each{ state = "placed" } do count, sum = count + 1, sum + entry.id end
        return count, sum]])
      assert.same({ 103, 103 * 104 // 2 }, { count, sum })
    end)
  end)

  describe("show", function()
    it("prints all fields of an entry, by its key or its number", function()
      lose("two", "status=502,when=after")
      local entry = json("show", "two")
      assert.same({ 1, "two", "unknown", true }, { entry.id, entry.key, entry.state, entry.open })
      assert.is_nil(entry.running)
      assert.matches("isp", entry.params, 1, true)
      assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$", entry.created_at)
      assert.equal(entry.created_at:sub(1, 10), entry.day)
      assert.same(entry, json("show", "--id", "1"))
      local _, err = journal{ "show", "two" }
      assert.matches("proxylua journal settle two", err, 1, true)
    end)

    it("has the same in columns", function()
      lose("two", "status=502,when=after")
      local entry = json("show", "two")
      local head, line = journal{ "show", "two" }:match("^([^\n]*)\n([^\n]*)\n$")
      local values, next_value = {}, (line .. "\t"):gmatch("([^\t]*)\t")
      for name in head:gmatch("[^\t]+") do values[name] = next_value() end
      for name, value in pairs(entry) do
        local shown = name == "quote" and ("%.2f"):format(value) or tostring(value):gsub("[\t\r\n]",
          " ")
        assert.equal(shown, values[name], name)
      end
      assert.matches("could not be looked up", values.note, 1, true)
    end)

    it("prints a saved response that contains any bytes", function()
      lose("two", "garbage")
      assert.equal("two", json("show", "two").key)
      assert.matches("two", (journal{ "show", "two" }), 1, true)
    end)

    it("says what there is not", function()
      buy("one")
      refused({ "show", "1" }, "no entry with the key 1; proxylua journal list", 3)
      refused({ "show", "--id", "7" }, "no entry with the id 7", 3)
      refused({ "show", "--id", "x" }, "%-%-id takes the id")
      refused({ "show" }, "KEY is missing")
      assert.are.equal("not_found",
        sandbox:eval("return select(2, px.try(px.journal.get, 'none')).kind"))
    end)
  end)

  describe("settle", function()
    it("as placed makes the key return the order", function()
      assert.matches("proxylua journal settle two", lose("two"), 1, true)
      local id = sold()[1]
      local entry = json("settle", "two", "placed", "--order-id", id)
      assert.same({ "placed", false, id, "2.40" }, { entry.state, entry.open, entry.order_id,
        ("%.2f"):format(entry.price) })
      assert.equal(id, (buy("two")))
      local quantity, status = sandbox:eval(
        ("local o = px.orders.create%s return o.quantity, o.status"):format(buying("two")))
      assert.same({ 1, "active" }, { quantity, status })
      assert.same({ id }, sold())
    end)

    it("as not placed lets the key buy again", function()
      lose("two", "cut=before")
      assert.same({}, sold())
      local entry = json("settle", "two", "not_placed", "--note", "no transaction")
      assert.same({ "not_placed", false }, { entry.state, entry.open })
      assert.equal("no transaction", entry.note)
      local id = buy("two")
      assert.same({ id }, sold())
      assert.same({ "two placed" }, states())
    end)

    it("without a word looks it up, and says why it stays unknown and what can be done", function()
      lose("two")
      faults("orders.list:status=403")
      local out, err = journal({ "settle", "two", "--json" }, 5, { PROXYLUA_SETTLE = "0.1s" })
      assert.equal("unknown", core.json.decode(out).state)
      assert.matches("stays unknown: the outcome could not be looked up: .*403", err)
      assert.matches("proxylua journal settle two placed --order-id ID, or not_placed", err, 1,
        true)
      faults()
      out, err = journal({ "settle", "two", "--json" }, 0, { PROXYLUA_SETTLE = "0.1s" })
      assert.equal("placed", core.json.decode(out).state)
      assert.matches("from now on, key two returns order " .. sold()[1], err, 1, true)
    end)

    it("gives back what was reserved, or keeps it", function()
      local path = program.write(sandbox.home .. "/config.lua",
        "return { spend = { per_day = 5 } }")
      local env = { PROXYLUA_SPEND = "", PROXYLUA_CONFIG = path, PROXYLUA_SETTLE = "3600s" }
      lose("two", "cut=before")
      assert.equal("spend_refused", (buy("three", env)))
      journal{ "settle", "two", "not_placed" }
      assert.matches("^ord_", (buy("three", env)))
      assert.equal("spend_refused", (buy("four", env)))
    end)

    it("works from a script", function()
      lose("two")
      local id = sold()[1]
      local before, after, answered = sandbox:eval(([[
        local before
        for entry in px.journal.each{ state = "unknown" } do before = entry.state end
        local entry = px.journal.settle("two", "placed", { order_id = %q, price = "2.30" })
        assert(px.money.is(entry.price) and entry.price == px.money("2.30") and px.journal.get(entry.id).key == "two")
        return before, px.journal.get("two").state, px.orders.create%s.id]]):format(id,
          buying("two")))
      assert.same({ "unknown", "placed", id }, { before, after, answered })
    end)

    it("as placed without an order id needs a note, and the key never buys again",
      function()
      lose("two")
      refused({ "settle", "two", "placed" }, "needs the id of the bought order %(%-%-order%-id%)")
      local entry = json("settle", "two", "placed", "--note", "seen as a charge alone")
      assert.equal("placed", entry.state)
      assert.equal("seen as a charge alone", entry.note)
      local ok, id = pcall(buy, "two")
      assert.is_true(not ok or not id or not id:find("^ord_"), tostring(id))
      assert.equal(1, #sold())
    end)

    it("keeps the saved response of the server", function()
      lose("two", "html,when=after")
      local before = json("show", "two").answer
      assert.matches("<", before, 1, true)
      local answer = core.json.decode(json("settle", "two", "placed", "--order-id",
        sold()[1]).answer)
      assert.equal(before, answer.answered)
    end)

    it("refuses what is settled, and what makes no sense", function()
      local first = buy("one")
      lose("two")
      refused({ "settle", "one", "not_placed" },
        "entry 1 %(key one%) is already placed %(order ord_.*only open")
      refused({ "settle", "none", "not_placed" }, "no entry none", 3)
      refused({ "settle", "two", "sent" }, "must be one of 'placed', 'not_placed'")
      refused({ "settle", "two", "not_placed", "--order-id", first }, "has no order")
      refused({ "settle", "two", "placed", "--order-id", "ord_nowhere" },
        "order ord_nowhere does not exist")
      refused({ "settle", "two", "placed", "--order-id", first }, "belongs to entry 1 %(key one%)")
      refused({ "settle", "two", "placed", "--order-id", sold()[2] or first, "--price", "x" }, "x")
      assert.same({ "one placed", "two unknown" }, states())
    end)

    it("leaves alone what a process is at work on; once it is killed it can be settled", function()
      faults("orders.create:hold=600,count=1")
      local script = program.write(sandbox.home .. "/buy.lua",
        ("require('proxylua').orders.create" .. buying("two")))
      local group = children.start(1, sandbox.home, { script }, { PROXYLUA_BASE_URL = sandbox.url,
        PROXYLUA_API_KEY = sandbox.key, PROXYLUA_LIMITS = "off", PROXYLUA_SPEND = "1000" })
      while (sandbox:look("counters").requests["orders.create"] or 0) == 0 do
        core.task.sleep(0.005)
      end
      assert.is_true(json("show", "two").running)
      refused({ "settle", "two", "not_placed" }, "process %d+ on .* still works on it")
      group:kill(1)
      group:join()
      assert.is_nil(json("show", "two").running)
      assert.equal("not_placed", json("settle", "two", "not_placed").state)
    end)

    it("happens once, however many say it at the same time", function()
      lose("two")
      local env = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
        PROXYLUA_LIMITS = "off" }
      local group = children.start(4, sandbox.home, { "journal", "settle", "two", "not_placed" },
        env)
      local well = 0
      for _, result in ipairs(group:join()) do
        if result.code == 0 then well = well + 1 else assert.matches("is already not_placed",
          result.err, 1, true) end
      end
      assert.equal(1, well)
    end)
  end)

  it("is read while others write", function()
    local env = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
      PROXYLUA_LIMITS = "off",
      PROXYLUA_SPEND = "1000" }
    local writer = program.write(sandbox.home .. "/write.lua", [[
      local px = require "proxylua"
      for i = 1, 20 do
        px.orders.create{ type = "datacenter", quantity = 1, period = 30, key = ("%s-%d"):format(..., i) }
      end]])
    local reader = program.write(sandbox.home .. "/read.lua", [[
      local px = require "proxylua"
      local looks, before = 0, 0
      repeat
        local count, placed, last = 0, 0, 0
        for entry in px.journal.each() do
          assert(entry.id > last and entry.key:find("^[ab]%-%d+$"))
          count, last = count + 1, entry.id
          if entry.state == "placed" then placed = placed + 1 end
        end
        assert(count >= before, "an entry has gone")
        looks, before = looks + 1, count
      until placed == 40
      print(looks)]])
    local readers = children.start(2, sandbox.home, { reader }, env)
    local a = children.start(1, sandbox.home, { writer, "a" }, env)
    local b = children.start(1, sandbox.home, { writer, "b" }, env)
    for _, group in ipairs{ a, b, readers } do
      for _, result in ipairs(group:join()) do assert.equal(0, result.code, result.err) end
    end
    assert.equal(40, #json("list", "--state", "placed"))
  end)

  it("can be asked by many tasks at once, and by one that is cancelled", function()
    buy("one")
    local found, kind, again = sandbox:eval([[
      local found = 0
      local ids = px.map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function(n)
        return px.journal.get(n % 2 == 0 and "one" or 1).id
      end, { concurrency = 8 })
      for _, id in ipairs(ids) do found = found + id end
      local task = px.spawn(function() return px.journal.get("one") end)
      px.sleep(0)
      task:cancel()
      local _, err = px.try(task.join, task)
      assert(err.kind == "cancelled" and task:status() == "cancelled")
      task = px.spawn(px.limits)
      px.sleep(0)
      task:cancel()
      _, err = px.try(task.join, task)
      local sorted = { 2, 1 }
      table.sort(sorted, function(a, b) return px.journal.get("one").id and a < b end)
      return found, err and err.kind or "done", px.journal.get("one").key]])
    assert.same({ 8, "one" }, { found, again })
    assert.equal("cancelled", kind)
  end)

  it("has help with examples", function()
    for _, words in ipairs{ { "journal" }, { "journal", "list" }, { "journal", "show" },
      { "journal", "settle" } } do
      local result = program.run{ "help", table.unpack(words) }
      assert.equal(0, result.code, result.err)
      assert.matches("Example:\n  proxylua journal ", result.out, 1, true)
    end
  end)
end)
