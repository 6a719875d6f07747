-- px.report and `proxylua report` against the sandbox: the numbers, their sources, and the forms of
-- output.

local core = require "proxylua.core"
local program = require "spec.support.program"
local px = require "proxylua"
local sandboxes = require "spec.support.sandbox"
local terminals = require "spec.support.terminal"

local DAY = 86400

local function encode(...)
  return ("px.json.decode(%q)"):format(core.json.encode(...))
end

-- The rows of a grouping as "name spent transactions".
local function told(report, grouping)
  local list = {}
  for at, row in ipairs(report.by[grouping]) do list[at] = ("%s %.2f %d"):format(row.name,
    row.spent,
    row.transactions) end
  return list
end

local function has(list, text)
  for _, item in ipairs(list) do
    if item:find(text, 1, true) then return true end
  end
  return false
end

it("a report goes by the clock of the API", function()
  local sandbox = sandboxes.start()
  sandbox:change("clock", { advance = DAY })
  local code =
    "px.orders.create{ type = 'ipv6', quantity = 1 } return px.report.build{ since = '1d' }"
  local report = sandbox:eval(code)
  sandbox:stop()
  assert.same({ os.date("!%F", os.time() + DAY), 1 },
    { report["until"], report.totals.charge_count })
end)

describe("a report", function()
  local sandbox, ids

  -- Twenty days ago a pool's order, ten days ago one that was cancelled and one that was adopted,
  -- today one that was extended.
  local function live_through()
    local function buy(key, params)
      params.key = key
      return (sandbox:eval(("return px.orders.create(%s).id"):format(encode(params))))
    end
    sandbox:change("clock", { advance = -20 * DAY })
    local found = { buy("fleet/web/1", { type = "isp", quantity = 2, country = "US",
      period = 60 }) }
    sandbox:change("clock", { advance = 10 * DAY })
    found[2] = buy("b", { type = "mobile", quantity = 1, country = "DE", period = 30 })
    found[3] = buy("c", { type = "datacenter", quantity = 5, country = "DE", period = 30 })
    sandbox:change("cancel", { id = found[2] })
    sandbox:change("clock", { advance = 10 * DAY })
    found[4] = buy("d", { type = "isp", quantity = 1, period = 3 })
    sandbox:eval(("return px.orders.extend(%q, { period = 5, key = 'e' }).id"):format(found[4]))
    sandbox:eval(("require('proxylua.api.notes').put('fleet', { [%q] = 'crawl' }, { api = true }) "
      .. "return 1"):format(
      found[3]))
    return found
  end

  local function build(options)
    return (sandbox:eval(("return px.report.build(%s)"):format(encode(options or {}))))
  end

  local function run(...)
    local result = sandbox:run{ ... }
    assert.equal(0, result.code, result.err)
    return result.out, result.err
  end

  setup(function()
    sandbox = sandboxes.start()
    ids = live_through()
  end)
  teardown(function() sandbox:stop() end)
  before_each(function()
    sandbox:change("settings", { dialect = "envelope", faults = core.json.array{} })
  end)

  it("has the account's own sums in every grouping", function()
    local report, counters = build(), sandbox:look("counters")
    assert.equal(counters.charged, ("%.2f"):format(report.totals.charges))
    assert.equal(counters.refunded, ("%.2f"):format(report.totals.refunds))
    assert.same({ 5, 1 }, { report.totals.charge_count, report.totals.refund_count })
    for _, rows in pairs(report.by) do
      local spent = core.money(0)
      for _, row in ipairs(rows) do spent = spent + row.spent end
      assert.equal(("%.2f"):format(report.totals.spent), tostring(spent))
    end
    assert.equal(counters.balance, ("%.2f"):format(report.balance))
  end)

  it("joins transactions to orders, and orders to pools by the journal and the notes", function()
    local report = build()
    local of = {}
    for _, row in ipairs(report.by.pool) do of[row.name] = row.transactions end
    assert.same({ web = 1, crawl = 1, ["no pool"] = 4 }, of)
    local mobile
    for _, row in ipairs(report.by.type) do mobile = row.name == "mobile" and row or mobile end
    assert.same({ 0, 2 }, { math.tointeger(mobile.spent), mobile.transactions })
    assert.equal(mobile.charges, mobile.refunds)
    assert.is_true(has(report.gaps, "of an unknown country"))
    assert.is_false(has(report.gaps, "of an unknown type"))
    local today = os.date("!%Y-%m-%d")
    assert.equal(today, report.by.day[#report.by.day].name)
    assert.equal(3, #report.by.day)
  end)

  it("takes a pool's order that was let go out of its pool", function()
    local note =
      "require('proxylua.api.notes').put('fleet', { [%q] = %s }, { api = true }) return 1"
    sandbox:eval(note:format(ids[1], "'-'"))
    assert.is_false(has(told(build(), "pool"), "web"))
    sandbox:eval(note:format(ids[1], "false"))
    assert.is_true(has(told(build(), "pool"), "web"))
  end)

  it("knows from the journal what the API no longer lists", function()
    local report = build{ orders = core.json.array{} }
    assert.same(told(build(), "type"), told(report, "type"))
    assert.same({}, report.calendar)
  end)

  it("reads the same in every dialect", function()
    local function all()
      local report = build{ now = 4e9, since = "2020-01-01" }
      report.generated_at = nil
      return core.json.encode(report)
    end
    local expected = all()
    for _, dialect in ipairs{ "bare", "snake", "mixed" } do
      sandbox:change("settings", { dialect = dialect })
      assert.equal(expected, all(), dialect)
    end
  end)

  it("prices renewals by what was paid last, and by quotes when asked", function()
    local by, quoted = {}, {}
    for _, renewal in ipairs(build().renewals) do by[renewal.order_id] = renewal end
    for _, renewal in ipairs(build{ quote = true }.renewals) do
      quoted[renewal.order_id] = renewal
    end
    assert.is_nil(by[ids[2]])
    assert.same({ "order", 60 }, { by[ids[1]].priced_by, by[ids[1]].period })
    assert.same({ "extension", 5 }, { by[ids[4]].priced_by, by[ids[4]].period })
    assert.same({ "quote", 8 }, { quoted[ids[4]].priced_by, quoted[ids[4]].period })
    local price = sandbox:eval(
      "return px.orders.calc{ type = 'isp', quantity = 1, period = 8 }.price")
    assert.equal(price, quoted[ids[4]].price)
  end)

  it("says when the balance ends with the renewals that come", function()
    -- The extended order ends in 8 days, and is renewed for 5 days at 0.40 each time.
    local report = build{ balance = 1 }
    assert.same({ 18, 18, 3 }, { report.lasts_with_renewals, report.path[#report.path].in_days,
      #report.path })
    assert.equal("-0.20", ("%.2f"):format(report.path[3].balance))
    assert.is_nil(build{ balance = 100000 }.lasts_with_renewals)
  end)

  it("leaves out values that the API does not report", function()
    sandbox:change("settings", { faults = { "account.get:omit=balance" } })
    local report = build{ since = "2020-01-01", till = "2020-01-31", orders = core.json.array{},
      transactions = core.json.array{} }
    assert.same({ 0, {}, {} }, { math.tointeger(report.totals.spent), report.by.day,
      report.calendar })
    for _, field in ipairs{ "burn", "lasts_at_burn", "lasts_with_renewals",
      "path" } do assert.is_nil(report[field],
      field) end
    for _, gap in ipairs{ "no charges, refunds or deposits", "the API does not report the balance",
      "the spending per day is unknown" } do
      assert.is_true(has(report.gaps, gap), gap)
    end
  end)

  it("leaves out values that are not amounts, and reports that", function()
    sandbox:change("settings",
      { faults = { "account.transactions:say=amount~lots", "orders.list:say=price~cheap",
      "account.get:say=balance~lots" } })
    local report = build{}
    assert.equal("0.00", tostring(px.money(report.totals.spent)))
    assert.is_nil(report.balance)
    assert.is_true(has(report.gaps,
      #px.json.decode(sandbox:run{ "--json", "account", "transactions" }.out)
      .. " transactions without an amount: not counted"), table.concat(report.gaps, "; "))
    report = build{ transactions = { { type = "charge", amount = "1.25",
      created_at = os.date("!%FT%TZ") } } }
    assert.equal("1.25", tostring(px.money(report.totals.spent)))
  end)

  it("says what it leaves out", function()
    local now = os.date("!%Y-%m-%dT%H:%M:%SZ")
    local report = build{ orders = { { id = "o1", status = "active" },
      { id = "o2", status = "active",
      expires_at = "2020-01-01" },
      { id = "o3", status = "active", expires_at = "2999-01-01" } },
        transactions = { { type = "charge",
        created_at = now },
      { type = "charge" }, { type = "voucher", created_at = now } } }
    for _, gap in ipairs{ "1 transaction without a date", "2 transactions without an amount",
      "1 active order without an expiry date",
      "1 active order whose expiry date has passed", "1 renewal without a price" } do
      assert.is_true(has(report.gaps, gap), gap .. " is not in " .. table.concat(report.gaps, "; "))
    end
    report = build{ transactions = { { type = "a\27[2Jb", amount = 1, created_at = now },
      { type = {}, amount = 2, created_at = now } } }
    assert.is_true(has(report.gaps, '1 transaction of the type "a?[2Jb" (1.00)'),
      table.concat(report.gaps, "; "))
    assert.is_true(has(report.gaps, '1 transaction of the type "" (2.00)'),
      table.concat(report.gaps, "; "))
    local once = { id = "t", type = "charge", amount = 1, created_at = now }
    local other = { id = "t", type = "charge", amount = 2, created_at = now }
    report = build{ transactions = { once, other, once } }
    assert.equal("3.00", tostring(px.money(report.totals.spent)))
    assert.is_true(has(report.gaps, "1 transaction occurring twice: counted once"),
      table.concat(report.gaps, "; "))
    assert.is_true(has(report.gaps,
      "1 transaction with the id of another but different data: counted"))
    report = build{ transactions = { { type = "charge", amount = 1, created_at = now,
      order_id = "elsewhere" } } }
    assert.is_true(has(report.gaps, "5 charges of the journal"), table.concat(report.gaps, "; "))
    assert.same({ "unknown 1.00 1" }, told(report, "type"))
  end)

  it("names charges of unknown outcome, and does not count them", function()
    sandbox:change("settings",
      { faults = { "orders.create:cut=before,count=1", "orders.list:status=403,skip=1" } })
    local kind = sandbox:eval(
      "local _, err = px.try(px.orders.create, { type = 'ipv6', quantity = 7, period = 30, "
      .. "key = 'lost' }) return err.kind")
    assert.equal("outcome_unknown", kind)
    sandbox:change("settings", { faults = core.json.array{} })
    assert.is_true(has(build().gaps, "1 charge with an unknown outcome"))
    run("journal", "settle", "lost", "not_placed")
    assert.is_false(has(build().gaps, "unknown outcome"))
  end)

  it("refuses unknown options and invalid values", function()
    for _, case in ipairs{ { "build", { untill = 1 }, "no option \"untill\", did you mean till" },
      { "build", 1, "as a table" },
      { "build", { since = "x" }, "since takes a date" },
        { "build", { orders = 1 }, "orders must be a path" },
      { "build", { orders = {}, balance = "much" }, "balance must be an amount" },
      { "build", { now = "x" }, "now must be a number" },
        { "build", { progress = 1 }, "progress must be a function" } } do
      local _, err = px.try(px.report[case[1]], case[2])
      assert.equal("usage", err.kind)
      assert.has.match(case[3], err.message)
    end
    for _, name in ipairs{ "html", "csv", "text" } do
      local _, err = px.try(px.report[name])
      assert.has.match("px.report." .. name .. " takes a report of px.report.build, got a nil",
        err.message, 1, true)
    end
    for _, case in ipairs{ { { width = "x" }, "width must be an integer" },
      { { colour = true }, "did you mean color" },
      { 1, "as a table" } }
    do
      local _, err = px.try(px.report.text, { totals = {}, by = {} }, case[1])
      assert.equal("usage", err.kind)
      assert.has.match(case[2], err.message)
    end
  end)

  describe("of files", function()
    local function write(name, ...)
      return program.write(sandbox.home .. "/" .. name, (run("--jsonl", ...)))
    end

    it("is that of the API", function()
      local transactions = write("t.jsonl", "account", "transactions", "--all")
      local orders = write("o.jsonl", "orders", "list", "--all")
      local function told_of(...)
        local report = core.json.decode((run("--json", "report", ...)))
        report.generated_at, report.lasts_at_burn, report.burn = nil, nil, nil
        return report
      end
      assert.same(told_of(), told_of("--transactions", transactions, "--orders", orders))
      local arrays = {}
      for at, words in ipairs{ { "account", "transactions" }, { "orders", "list" } } do
        local text = run("--json", words[1], words[2], "--all")
        arrays[at] = program.write(sandbox.home .. "/array" .. at, "\n" .. text:gsub("},", "},\n"))
      end
      assert.same(told_of(), told_of("--transactions", arrays[1], "--orders", arrays[2]))
      local piped = sandbox:run({ "report", "--transactions", "-", "--csv" },
        { stdin = program.read(transactions) })
      assert.equal((run("report", "--csv")), piped.out)
    end)

    it("counts once what is in two of them, and says so", function()
      local twice = {}
      for at, words in ipairs{ { "account", "transactions" }, { "orders", "list" } } do
        local text = run("--jsonl", words[1], words[2], "--all")
        twice[at] = program.write(sandbox.home .. "/twice" .. at, text .. text)
      end
      local report = core.json.decode((run("--json", "report", "--transactions", twice[1],
        "--orders", twice[2])))
      local once = core.json.decode((run("--json", "report")))
      assert.same({ once.totals, once.by, once.calendar },
        { report.totals, report.by, report.calendar })
      assert.is_true(has(report.gaps, "7 transactions occurring twice: counted once"),
        table.concat(report.gaps, "; "))
      assert.is_true(has(report.gaps, "4 orders occurring twice: the last record is used"),
        table.concat(report.gaps, "; "))
    end)

    it("names the line that is wrong", function()
      for text, pattern in pairs{ ['{"type":"charge"}\n\nnonsense\n'] =
          "t:3: it is not a JSON object",
        ['{}\n{"amount":"x"}'] = "t:2: amount is not an amount such as 9.30",
        ["7"] = "t:1: it is not a JSON object",
        ['"x"'] = "t:1: it is not a JSON object", ["{}\n[{}]"] = "t:2: it is not a JSON object",
        ["[1]"] = "t: record 1: it is not a JSON object",
          ["[{},[{}]]"] = "t: record 2: it is not a JSON object",
        ['[{},\n{"amount":"x"}]'] = "t: record 2: amount is not an amount such as 9.30",
        ["[{}"] = "t: it begins like a JSON array" } do
        local path = program.write(sandbox.home .. "/t", text)
        local result = sandbox:run{ "report", "--transactions", path }
        assert.equal(2, result.code)
        assert.has.match(pattern, result.err)
        assert.equal("", result.out)
      end
      assert.has.match("cannot read /nowhere", sandbox:run{ "report", "--transactions",
        "/nowhere" }.err)
    end)
  end)

  describe("at the shell", function()
    it("is columns in a pipe, by day by default, and names the gaps on standard error",
      function()
      local out, err = run("report")
      assert.has.match("^by\tname\tcharges\trefunds\tspent\ttransactions\nday\t%d%d%d%d%-", out)
      assert.has.match("proxylua: .*unknown country", err)
      out = run("report", "--by", "pool", "--by", "type", "-q")
      assert.has.match("\npool\tcrawl\t", out)
      assert.has.match("\ntype\tisp\t", out)
      assert.is_nil(out:find("\nday", 1, true))
    end)

    it("is a page in a file, which JSON names, and has no JSON where it is CSV or a page",
      function()
      local path = sandbox.home .. "/page.html"
      assert.same({ file = path }, core.json.decode((run("--json", "report", "--html", path))))
      for _, words in ipairs{ { "--csv" }, { "--html", "-" } } do
        local result = sandbox:run{ "--json", "report", table.unpack(words) }
        assert.same({ 2, "" }, { result.code, result.out })
        assert.has.match("cannot be printed as JSON; ", result.err, 1, true)
      end
    end)

    it("is CSV or a JSON value", function()
      assert.has.match("^by,name,charges,refunds,spent,transactions\r\ncountry,",
        (run("report", "--csv", "--by", "country")))
      local report = core.json.decode((run("report", "--json", "--since", "15d")))
      assert.equal(2, #report.by.day)
    end)

    it("writes a page whole, or leaves what is there", function()
      local path = sandbox.home .. "/page.html"
      assert.equal("", (run("report", "--html", path)))
      assert.has.match("^<!DOCTYPE html>.*</html>\n$", program.read(path))
      local result = sandbox:run{ "report", "--html", sandbox.home .. "/nowhere/page.html" }
      assert.equal(4, result.code)
      assert.has.match("^<!DOCTYPE html>", (run("report", "--html", "-")))
    end)

    it("refuses what it does not know", function()
      for words, pattern in pairs{ [{ "--by", "contry" }] = "did you mean country",
        [{ "--since", "x" }] = "since takes a date",
        [{ "--csv", "--html", "x" }] = "can not be used together" } do
        local result = sandbox:run{ "report", table.unpack(words) }
        assert.equal(2, result.code, result.out)
        assert.has.match(pattern, result.err)
      end
    end)

    local function env(more)
      local all = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
        PROXYLUA_LIMITS = "off" }
      for name, value in pairs(more) do all[name] = value end
      return all
    end

    it("fits the terminal, in blocks or in ASCII as the locale has it", function()
      for _, case in ipairs{ { 44, "C.UTF-8", "█" }, { 100, "C", "#" } } do
        local terminal = terminals.open({ "report" }, { width = case[1], height = 90,
          home = sandbox.home,
          env = env{ LC_ALL = case[2] } })
        local screen = terminal:await("exit 0")
        terminal:close()
        assert.is_truthy(screen:find(case[3], 1, true), screen)
        assert.is_truthy(screen:find("Spent by pool", 1, true))
        if case[2] == "C" then assert.is_nil(screen:find("[\x80-\xFF]")) end
      end
    end)
  end)

  it("fits any width, with any names of pools", function()
    local lines = sandbox:eval([[
      local now, transactions, orders = px.time(), {}, {}
      for at, name in ipairs{ ("W"):rep(300), ("日本"):rep(90), "\27[2J", "a\nb", "", "\u{202E}x", ("word "):rep(80) } do
        orders[at] = { id = at, type = name, country = name, status = "active", price = px.money("99999999.12345678"), period = 30,
          quantity = 1, expires_at = now + at * 86400 }
        transactions[at] = { type = at == 1 and name or "charge", amount = orders[at].price, created_at = now, order_id = at }
      end
      local report, count = px.report.build{ transactions = transactions, orders = orders }, 0
      local width = require("proxylua.core").text.width
      for _, ascii in ipairs{ true, false } do
        for _, columns in ipairs{ 20, 33, 80, 200 } do
          for line in px.report.text(report, { width = columns, ascii = ascii }):gmatch("[^\n]*") do
            assert(width(line) <= columns, line)
            assert(not line:find("%c"), line)
            assert(not ascii or not line:find("[\x80-\xFF]"), line)
            count = count + 1
          end
        end
      end
      return count]])
    assert.is_true(lines > 100, lines)
  end)

  it("script sums up by pool, and writes the page", function()
    local path = sandbox.home .. "/script.html"
    local out = run(core.system.real_path("scripts/report.lua"), "30", path)
    assert.has.match("^%S+ to %S+: %S+ spent, %S+ charged and %S+ refunded\n", out)
    assert.has.match("\ncrawl\t", out)
    assert.has.match("\nmissing: ", out)
    assert.equal("file", core.system.kind(path))
  end)
end)
