local program = require "spec.support.program"
local px = require "proxylua"
local sandboxes = require "spec.support.sandbox"

local function usage(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_true(px.error.is(err), tostring(err))
  assert.are.equal("usage", err.kind)
  return err.message
end

describe("px", function()
  it("names the nearest field where one is misspelt", function()
    assert.are.equal("there is no px.order, did you mean px.orders?", usage(function()
      return px.order.list
    end))
    assert.are.equal("there is no px.orders.lits, did you mean px.orders.list?", usage(function()
      px.orders.lits()
    end))
    assert.are.equal("there is no px.json.enocde, did you mean px.json.encode?", usage(function()
      px.json.enocde{}
    end))
    assert.are.equal("there is no px.http.gte, did you mean px.http.get?", usage(function()
      px.http.gte()
    end))
    assert.are.equal("there is no px.nothing_like_it", usage(function()
      return px.nothing_like_it
    end))
    assert.is_nil(px[1])
  end)

  it("holds a function for every endpoint", function()
    for _, row in ipairs(require("proxylua.core").endpoints()) do
      local group, name = row.name:match("^(.-)%.(.+)$")
      assert.are.equal("function", type(px[group][name]), row.name)
    end
  end)

  it("works when a script overwrites standard globals", function()
    local result = program.run{ "--sandbox", "-e", [[
      px = require "proxylua"
      type, next, select, error, pcall, table, string, io, os = "isp", 1, 2, 3, 4, {}, {}, {}, {}
      setmetatable(_G, { __index = function(_, name) px.error.raise{ kind = "usage", message = name } end })
      for order in px.orders.each{ type = type } do print(order.id) end
      print(px.export.text({ "http://a:b@c.x:1" }, { format = "txt" }), px.try(px.orders.get, "x"))
    ]] }
    assert.are.equal("", result.err)
    assert.matches("^c%.x:1:a:b\n\tnil\tnot_found: ", result.out)
  end)

  it("has a version", function()
    assert.has.match("^%d+%.%d+%.%d+$", px.version)
  end)

  it("has no sandbox functions outside the sandbox", function()
    assert.is_nil(px.sandbox())
  end)
end)

describe("px.try", function()
  it("returns results", function()
    assert.are.same({ n = 3, 1, nil, 3 }, table.pack(px.try(function(...)
      return ...
    end, 1, nil, 3)))
    assert.are.same({ n = 0 }, table.pack(px.try(function() end)))
  end)

  it("returns errors of px", function()
    local result, err = px.try(px.error.raise, { kind = "not_found", message = "gone",
      status = 404 })
    assert.is_nil(result)
    assert.are.equal("not_found", err.kind)
    assert.are.equal(404, err.status)
  end)

  it("lets all other errors pass as they are", function()
    local ok, err = pcall(px.try, function() local t = nil; return t.x end)
    assert.is_false(ok)
    assert.has.match("module_spec.lua:%d+: attempt to index a nil value", err)
    local value = {}
    ok, err = pcall(px.try, error, value)
    assert.is_false(ok)
    assert.are.equal(value, err)
  end)

  it("does not hide that its own task was cancelled", function()
    local passed = false
    local task
    task = px.spawn(function()
      px.try(px.sleep, 1e6)
      passed = true
    end)
    px.sleep(0)
    task:cancel()
    local result, err = px.try(task.join, task)
    assert.is_nil(result)
    assert.are.equal("cancelled", err.kind)
    assert.is_false(passed)
  end)
end)

describe("px.error", function()
  it("makes, raises and knows error values", function()
    local err = px.error.new{ kind = "funds", message = "no money", charge = "none" }
    assert.is_true(px.error.is(err))
    assert.is_false(px.error.is{ kind = "funds" })
    assert.is_false(px.error.is("funds: no money"))
    local ok, raised = pcall(px.error.raise, err)
    assert.is_false(ok)
    assert.are.equal(err, raised)
    assert.has.match("^funds: no money", tostring(err))
  end)
end)

describe("endpoint functions", function()
  it("refuse a colon", function()
    assert.has.match("^px.orders.list was called with a colon; write px.orders.list%({page=, "
      .. "limit=, type=, status=, ",
      usage(px.orders.list, px.orders, {}))
    assert.has.match("with a colon; write px.orders.get%(id", usage(px.orders.get, px.orders,
      "ord_1"))
  end)

  it("refuse a value that is not a table of parameters", function()
    assert.has.match(
      "^account.get takes its parameters as a table, got a string; write px.account.get%(",
      usage(px.account.get, "me"))
    assert.has.match("got a number; write px.orders.extend%(id, {period=, ",
      usage(px.orders.extend, "ord_1", 30))
    assert.has.match("^orders.get takes id first, got a table; write",
      usage(px.orders.get, { id = "ord_1" }))
  end)

  it("refuse too many arguments and a parameter given twice", function()
    assert.has.match("^orders.list got 2 arguments", usage(px.orders.list, {}, {}))
    assert.has.match("^orders.get: id is given twice",
      usage(px.orders.get, "ord_1", { id = "ord_2" }))
  end)

  it("refuse misspelt and missing parameters before anything is sent", function()
    local message = usage(px.orders.list, { sattus = "x" })
    assert.has.match('orders.list has no parameter "sattus", did you mean "status"', message)
    assert.has.match("orders.get: id is missing", usage(px.orders.get))
    assert.has.match("orders.create: type is missing", usage(px.orders.create, { quantity = 1 }))
    assert.has.match("orders.list: limit is 101", usage(px.orders.list, { limit = 101 }))
  end)
end)

describe("endpoint functions, called,", function()
  local sandbox

  setup(function() sandbox = sandboxes.start() end)
  teardown(function() sandbox:stop() end)

  for _, dialect in ipairs{ "envelope", "bare", "snake" } do
    it("return canonical records in the dialect " .. dialect, function()
      sandbox:change("settings", { dialect = dialect })
      local seen = sandbox:eval([[
        local account = px.account.get()
        local quote = px.orders.calc{ type = "isp", quantity = 3, country = "US", period = 30 }
        local order = px.orders.create{ type = "isp", quantity = 3, country = "US", period = 30, max_price = quote.price }
        local longer = px.orders.extend(order.id, { period = 7, max_price = 100 })
        local same = px.orders.get(order.id)
        local list = px.orders.list{ status = "active", limit = 1 }
        local proxies = px.orders.proxies(order.id)
        local text = px.orders.download(order.id, { format = "csv" })
        local entries = px.account.transactions{ limit = 2 }
        local address = px.deposits.create_address{ currency = "USDT", network = "TRC20" }
        local addresses = px.deposits.addresses()
        local seen = {
          balance = tostring(account.balance), email = account.email, price = tostring(quote.price),
          is_money = px.money.is(account.balance) and px.money.is(quote.price) and px.money.is(order.price)
            and px.money.is(entries[1].amount),
          order = order, same = same, longer = longer.id == order.id, period = same.period, listed = list[1].id,
          page = list.page, limit = list.limit, total = list.total, count = #proxies, proxy = proxies[1],
          lines = select(2, text:gsub("\n", "\n")), entry = entries[1], address = address.address == addresses[1].address,
          currency = address.currency, network = address.network,
          countries = #px.reference.countries() > 0, types = #px.reference.proxy_types() > 0,
          periods = #px.reference.periods() > 0,
        }
        return seen
      ]], { env = { PROXYLUA_STORE = ("%s/%s.db"):format(sandbox.home, dialect) } })
      assert.are.equal("string", type(seen.order.id))
      for name, value in pairs{
        email = seen.email, listed = seen.order.id, longer = true, is_money = true, period = 37,
          page = 1,
        limit = 1, count = 3,
        lines = 4, address = true, currency = "USDT", network = "TRC20", countries = true,
          types = true, periods = true,
      } do
        assert.are.equal(value, seen[name], name)
      end
      assert.are.equal(seen.price, ("%.2f"):format(seen.order.price))
      assert.are.equal("isp", seen.order.type)
      assert.are.equal(3, seen.order.quantity)
      assert.are.equal("active", seen.order.status)
      assert.are.equal(seen.order.id, seen.same.id)
      assert.are.equal("integer", math.type(seen.proxy.port))
      assert.has.match("^http://.+:.+@127%.0%.0%.1:%d+$", seen.proxy.url)
      assert.are.equal("charge", seen.entry.type)
      assert.are.equal(seen.order.id, seen.entry.order_id)
      sandbox:change("reset")
    end)
  end

  it("raise errors that name the endpoint, and px.request reaches the rest", function()
    local kind, endpoint, status, text, data = sandbox:eval([[
      local _, err = px.try(px.orders.get, "ord_nowhere")
      return err.kind, err.endpoint, err.status, tostring(err), px.request{ path = "/account" }
    ]])
    assert.are.equal("not_found", kind)
    assert.are.equal("orders.get", endpoint)
    assert.are.equal(404, status)
    assert.has.match("orders.get", text)
    assert.is_not_nil(data.balance)
  end)

  it("download to a file", function()
    local path = sandbox.home .. "/proxies.txt"
    local answer, text, whole = sandbox:eval(([[
      local order = px.orders.create{ type = "datacenter", quantity = 5, period = 30 }
      local answer = px.orders.download(order.id, { path = %q })
      return answer, px.orders.download(order.id), io.open(%q):read("a")
    ]]):format(path, path))
    assert.are.equal(path, answer)
    assert.are.equal(text, whole)
    assert.are.equal(5, select(2, text:gsub("\n", "\n")))
  end)

  it("return what is free under the limits", function()
    local env = { PROXYLUA_LIMITS = "general=60/60,orders=10/60" }
    local limits = sandbox:eval("px.account.get() return px.limits()", { env = env })
    assert.are.equal(60, limits.general.requests)
    assert.are.equal(59, limits.general.free)
    assert.are.equal(10, limits.orders.free)
  end)
end)
