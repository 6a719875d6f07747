-- lua/proxylua/report/: days, sums, forecast, labels, csv. Arithmetic alone, without requests.

local core = require "proxylua.core"
local csv = require "proxylua.report.csv"
local days = require "proxylua.report.days"
local forecast = require "proxylua.report.forecast"
local labels = require "proxylua.report.labels"
local summary = require "proxylua.report.summary"
local sums = require "proxylua.report.totals"

local money = core.money
local NOW = core.record.date("2026-11-25T12:00:00Z")

local function window(since, till, now)
  return days.window(since, till, now or NOW)
end

local function refused(pattern, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal("usage", err.kind)
  assert.has.match(pattern, err.message)
end

local function span(since, till)
  local found = window(since, till)
  return days.text(found.from) .. " " .. days.text(found.to)
end

describe("the window of a report", function()
  it("is 30 days, so many days, or from one date to another, the last day included", function()
    assert.equal("2026-10-27 2026-11-25", span())
    assert.equal("2026-11-19 2026-11-25", span("7d"))
    assert.equal("2026-11-25 2026-11-25", span("1h"))
    assert.equal("2026-11-24 2026-11-25", span("25h"))
    assert.equal("2026-02-01 2026-02-28", span("2026-02-01", "2026-02-28"))
    assert.equal("2024-01-31 2024-02-29", span(nil, "2024-02-29"))
    assert.equal("2026-11-01 2026-11-18", span("2026-11-01", "7d"))
  end)

  it("is refused when invalid", function()
    refused("since takes a date such as", window, "soon")
    refused("until: 2026%-02%-30 is not a date", window, nil, "2026-02-30")
    refused("until: 2026%-1%-1 is not a date", window, nil, "2026-1-1")
    refused("is after until", window, "2026-11-02", "2026-11-01")
    refused("since takes a date", window, {})
  end)

  it("has days that begin at midnight UTC, for times with any offset", function()
    local midnight = days.of("2026-11-25")
    for text, day in pairs{ ["2026-11-24T23:59:59Z"] = -1, ["2026-11-25T00:00:00Z"] = 0,
      ["2026-11-25T23:59:59.999Z"] = 0,
      ["2026-11-26T00:00:00Z"] = 1, ["2026-11-25T00:30:00+01:00"] = -1,
        ["2026-11-25T23:30:00-01:00"] = 1,
      ["1795564800"] = 0, ["1795564800000"] = 0 } do
      assert.equal(midnight + day, days.of(text), text)
    end
    assert.is_nil(days.of("yesterday"))
    assert.is_nil(days.of(nil))
  end)
end)

-- Sums of a list of transactions; the places are by order id.
local function add_up(list, over, places)
  local all = sums.new(over, function(id) return places and id and places[id] or {} end)
  for _, transaction in ipairs(list) do all:add(transaction) end
  return all
end

local function charge(amount, at, id, kind)
  return { type = kind or "charge", amount = amount and money(amount), created_at = at
    or "2026-11-25T10:00:00Z",
    order_id = id }
end

describe("the sums of a report", function()
  -- Random transactions at the borders of days, with places of which parts are unknown.
  local function random_case(seed)
    math.randomseed(seed)
    local places, list = {}, {}
    for id = 1, 12 do
      places[id] = { type = ({ "isp", "mobile" })[math.random(3)], country = ({ "US", "DE",
        "unknown" })[math.random(4)],
        pool = ({ "a", "b" })[math.random(3)] }
    end
    for at = 1, 300 do
      local day = days.of("2026-11-25") - math.random(0, 40)
      local time = ({ "00:00:00", "23:59:59", "23:59:59.999", "12:00:00" })[math.random(4)]
      local units = ("%d.%08d"):format(math.random(0, 9999), math.random(0, 99999999))
      list[at] = charge(math.random(2) == 1 and units or "-" .. units,
        ("%sT%sZ"):format(days.text(day), time),
        math.random(14),
        ({ "charge", "refund", "CHARGE", "deposit", "partial_refund" })[math.random(5)])
    end
    return list, places
  end

  it("are the whole in any grouping, as adding one by one says", function()
    for seed = 1, 20 do
      local list, places = random_case(seed)
      local over = window(("%dd"):format(math.random(1, 45)))
      local all = add_up(list, over, places)
      local charges, refunds, count = money(0), money(0), 0
      for _, one in ipairs(list) do
        local day, size = one.created_at:sub(1, 10), one.amount < 0 and -one.amount or one.amount
        if day >= days.text(over.from) and day <= days.text(over.to) and one.type ~= "deposit" then
          count = count + 1
          if one.type:lower() == "charge" then charges = charges + size else refunds = refunds
            + size end
        end
      end
      local totals = all:totals()
      assert.same({ tostring(charges), tostring(refunds), tostring(charges - refunds), count },
        { tostring(totals.charges), tostring(totals.refunds), tostring(totals.spent),
          totals.charge_count + totals.refund_count })
      for _, grouping in ipairs(sums.GROUPINGS) do
        local whole = { charges = money(0), refunds = money(0), spent = money(0), transactions = 0 }
        for _, row in ipairs(all:rows(grouping)) do
          for field, value in pairs(whole) do whole[field] = value + row[field] end
          assert.equal(tostring(row.charges - row.refunds), tostring(row.spent))
        end
        assert.same({ tostring(charges), tostring(refunds), count },
          { tostring(whole.charges), tostring(whole.refunds), whole.transactions }, grouping)
      end
    end
  end)

  it("do not depend on the order of the transactions", function()
    local list, places = random_case(7)
    local function told(of)
      local all, out = add_up(of, window(), places), {}
      for _, grouping in ipairs(sums.GROUPINGS) do out[grouping] = all:rows(grouping) end
      return core.json.encode(out)
    end
    local backwards = {}
    for at, one in ipairs(list) do backwards[#list + 1 - at] = one end
    assert.equal(told(list), told(backwards))
  end)

  it("separate refunds, and count neither chargebacks nor unknown types as charges or "
    .. "refunds", function()
    local all = add_up({ charge("10"), charge("-2.50", nil, nil, "refund"),
      charge("7", nil, nil, "chargeback"),
      charge("1", nil, nil, "adjustment"), charge("1", nil, nil, "adjustment"),
        charge("100", nil, nil, "Deposit") },
        window())
    local totals = all:totals()
    assert.same({ "10.00", "2.50", "7.50", "100.00" },
      { tostring(totals.charges), tostring(totals.refunds),
      tostring(totals.spent), tostring(totals.deposits) })
    local others = all:strangers()
    assert.same({ "adjustment", 2, "2.00", "chargeback", 1 },
      { others[1].type, others[1].transactions,
      tostring(others[1].amount), others[2].type, others[2].transactions })
  end)

  it("count what lacks a date or an amount, and put it nowhere", function()
    local all = add_up({ charge("10", "once"), charge(nil),
      { type = "charge", amount = money(3) } }, window())
    assert.same({ 2, 1, "0.00" }, { all.undated, all.amountless, tostring(all:totals().spent) })
    assert.same({}, all:rows("day"))
  end)

  it("separate a pool named \"unknown\" from unknown values", function()
    local rows = add_up({ charge("1", nil, 1), charge("2", nil, 2) }, window(),
      { { country = "unknown" }, {} }):rows("country")
    assert.same({ "unknown", false, "2.00" }, { rows[1].name, rows[1].known,
      tostring(rows[1].spent) })
    assert.same({ "unknown", true, "1.00" }, { rows[2].name, rows[2].known,
      tostring(rows[2].spent) })
  end)

  it("come in periods that hold all of the window once", function()
    for _, case in ipairs{ { "30d", 31, 30, 1 }, { "31d", 31, 31, 1 }, { "32d", 31, 5, 7 },
      { "2020-01-01", 31, 28, 91 },
      { "1d", 31, 1, 1 }, { "0001-01-01", 31, 31 } } do
      local over = window(case[1])
      local list = { charge("1", days.text(over.from) .. "T00:00:00Z"),
        charge("2", days.text(over.to) .. "T23:59:59Z") }
      local periods = sums.periods(add_up(list, over):rows("day"), over, case[2])
      assert.equal(case[3], #periods)
      if case[4] then
        assert.equal(case[4], math.min(case[4], periods[1].to - periods[1].from + 1))
      end
      local next_day, whole = over.from, money(0)
      for _, period in ipairs(periods) do
        assert.equal(next_day, period.from)
        next_day, whole = period.to + 1, whole + period.charges
      end
      assert.same({ over.to + 1, "3.00" }, { next_day, tostring(whole) })
    end
  end)

  it("keep their whole when the smaller rows are put together", function()
    local list, places = {}, {}
    for id = 1, 40 do list[id], places[id] = charge(tostring(id), nil, id), { pool = "p" .. id } end
    local rows = add_up(list, window(), places):rows("pool")
    local top, whole = summary.top(rows, 12), money(0)
    for _, row in ipairs(top) do whole = whole + row.spent end
    assert.same({ 12, "29 others", "820.00", "p40" }, { #top, top[12].name, tostring(whole),
      top[1].name })
    assert.equal(40, #rows)
  end)
end)

describe("the burn rate", function()
  local function burn(spent, first, since, till)
    return forecast.burn(money(spent), window(since, till), first and days.of(first))
  end

  it("is over the window, or from the first transaction on", function()
    local found = burn("29.50", "2026-01-01")
    assert.same({ "1.00", 29.5 }, { tostring(found.per_day), found.days })
    found = burn("9", "2026-11-21")
    assert.same({ "2.00", 4.5, "2026-11-21" }, { tostring(found.per_day), found.days,
      days.text(found.from) })
    found = burn("28", "2020-01-01", "2026-02-01", "2026-02-28")
    assert.same({ "1.00", 28.0 }, { tostring(found.per_day), found.days })
  end)

  it("covers at least a day, and is absent without charges", function()
    assert.equal("3.00", tostring(burn("3", "2026-11-25", "1d").per_day))
    local found = burn("9", "2026-11-21", "2026-11-01", "2026-12-31")
    assert.same({ "2.00", 4.5, "2026-11-25" }, { tostring(found.per_day), found.days,
      days.text(found.to) })
    assert.is_nil(burn("0", "2026-11-21", "2026-12-01", "2026-12-31"))
    assert.is_nil(burn("0", nil))
    assert.is_nil(burn("0", "2026-11-25", "2026-01-01", "2026-01-31"))
  end)

  it("says how long the balance lasts, unless nothing is spent or nothing is known", function()
    assert.equal(20.0, forecast.lasts_at(money(20), { per_day = money(1) }))
    assert.equal(0, forecast.lasts_at(money(-5), { per_day = money(1) }))
    assert.is_nil(forecast.lasts_at(money(20), { per_day = money(0) }))
    assert.is_nil(forecast.lasts_at(money(20), { per_day = money(-1) }))
    assert.is_nil(forecast.lasts_at(nil, { per_day = money(1) }))
    assert.is_nil(forecast.lasts_at(money(20), nil))
  end)
end)

describe("the renewals that come", function()
  local today = days.of("2026-11-25")

  local function order(id, expires_at, price, period, status)
    return { id = id, expires_at = expires_at, price = price and money(price), period = period,
      status = status }
  end

  local function renewals(...)
    return forecast.renewals({ ... }, NOW, function(one)
      return one.price, one.period, one.price and "order"
    end)
  end

  it("are of active orders that end later, the earliest first", function()
    local list, endless, late = renewals(order("b", "2026-11-26T00:00:00Z", "1", 1, "active"),
      order("a", "2026-11-25T13:00:00Z", "1", 1), order("c", "2026-11-25T11:00:00Z", "1", 1,
      "active"),
      order("d", nil, "1", 1, "active"), order("e", "2027-01-01", "1", 1, "expired"),
        order("f", "soon", "1", 1, "active"))
    assert.same({ "a", "b" }, { list[1].order_id, list[2].order_id })
    assert.same({ 2, 2, 1, "c" }, { #list, #endless, #late, late[1].id })
  end)

  it("make a calendar whose prices are those that are known", function()
    local rows = forecast.calendar((renewals(order("a", "2026-11-26T01:00:00Z", "1.50", 30),
      order("b", "2026-11-26T02:00:00Z"),
      order("c", "2026-12-01", "2"))))
    assert.same({ { 2, 1, "1.50", today + 1 }, { 1, 0, "2.00", today + 6 } }, {
      { rows[1].orders, rows[1].unpriced, tostring(rows[1].price), rows[1].day },
      { rows[2].orders, rows[2].unpriced, tostring(rows[2].price), rows[2].day } })
    assert.same({ "a", "b" }, rows[1].ids)
  end)

  -- Day by day and order by order, as slowly as can be.
  local function plain(balance, list)
    local next_day = {}
    for at, one in ipairs(list) do next_day[at] = one.day end
    for day = today, today + forecast.HORIZON do
      for at, one in ipairs(list) do
        if one.price and next_day[at] == day then
          balance = balance - one.price
          next_day[at] = one.period and day + one.period or nil
        end
      end
      if balance < 0 then return day - today, balance end
    end
    return nil, balance
  end

  it("bring the balance down as renewing each order each time does", function()
    for seed = 1, 40 do
      math.randomseed(seed)
      local list = {}
      for at = 1, math.random(0, 30) do
        list[at] = order("o" .. at, days.text(today + math.random(0, 400)) .. "T23:00:00Z",
          math.random(5) > 1 and ("%d.%02d"):format(math.random(0, 9), math.random(0, 99)) or nil,
          math.random(6) > 1 and math.random(1, 90) or nil)
      end
      local coming = renewals(table.unpack(list))
      local balance = money(math.random(0, 500))
      local path, lasts = forecast.path(balance, coming, today)
      local expected, left = plain(balance, coming)
      assert.equal(expected, lasts)
      assert.equal(tostring(left), tostring(path[#path] and path[#path].balance or balance))
      for at = 2, #path do
        assert.equal(tostring(path[at - 1].balance - path[at].due), tostring(path[at].balance))
        assert.is_true(path[at].day > path[at - 1].day)
      end
    end
  end)
end)

describe("labels", function()
  it("hold nothing that a terminal obeys or that turns a text around", function()
    assert.equal("a?b?[31mc", labels.clean("a\nb\27[31mc"))
    assert.equal("?x?", labels.clean("\u{202E}x\u{200B}"))
    assert.equal("a?b", labels.clean("a\xFFb"))
    assert.equal("a?b", labels.clean("a\u{85}b"))
    assert.equal("Ünï", labels.clean("Ünï"))
    assert.equal("?n?", labels.ascii("Ünï"))
    assert.equal("??", labels.clean("\u{FFFE}\u{1FFFF}"))
  end)

  it("are cut to the columns there are", function()
    for width = 1, 12 do
      for _, text in ipairs{ "abcdefghij", "日本語日本語", "ab", "" } do
        local cut = labels.cut(text, width, "…")
        assert.is_true(core.text.width(cut) <= width)
        if core.text.width(text) <= width then assert.equal(text, cut) end
      end
    end
  end)
end)

describe("the CSV of a report", function()
  local report = { by = { day = {}, type = {}, country = {}, pool = {} } }
  for _, name in ipairs{ 'a "b", c', "=1+1", "-x", "plain", "two\nlines" } do
    table.insert(report.by.pool, { name = name, charges = money(1), refunds = money(3),
      spent = money(-2),
      transactions = 1 })
  end

  it("quotes what has to be, and hands no formula to a spreadsheet", function()
    assert.equal(table.concat({ "by,name,charges,refunds,spent,transactions",
      'pool,"a ""b"", c",1.00,3.00,-2.00,1',
      "pool,'=1+1,1.00,3.00,-2.00,1", "pool,'-x,1.00,3.00,-2.00,1", "pool,plain,1.00,3.00,-2.00,1",
      'pool,"two\nlines",1.00,3.00,-2.00,1', "" }, "\r\n"), csv.text(report))
    assert.equal("by,name,charges,refunds,spent,transactions\r\n", csv.text(report, { "day" }))
  end)

  it("names the nearest grouping", function()
    refused("unknown grouping contry, did you mean country", csv.text, report, { "contry" })
  end)
end)
