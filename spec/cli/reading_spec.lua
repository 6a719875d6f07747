local sandboxes = require "spec.support.sandbox"
local servers = require "spec.support.server"

local sandbox, server

-- Runs a command against a server that sends these bodies: path -> body, or list of bodies.
local function run(bodies, ...)
  local responses = {}
  for path, list in pairs(bodies) do
    responses[path] = {}
    for at, body in ipairs(type(list) == "table" and list or { list }) do
      responses[path][at] = servers.ok(body, "Content-Type: application/json\r\n")
    end
  end
  server = servers.start(responses)
  return sandbox:run({ ... }, { env = { PROXYLUA_BASE_URL = server.url } })
end

local account = '{"id":"acc_1","balance":"5.00","email":"a@b.example"}'
local orders = '{"orders":[{"id":"ord_1","type":"isp","status":"active","quantity":1,'
  .. '"expires_at":"2099-01-01T00:00:00Z","note":"\\ud800"},'
  .. '{"id":"ord_\\udfff","type":"isp","status":"active"},'
  .. '{"id":"ord_3","type":"isp","status":"active","quantity":1,'
  .. '"expires_at":"2099-01-01T00:00:00Z"}],"total":3}'
local fault = "record 2 cannot be used: id is not valid Unicode text"
local proxies = '[{"host":"10.0.0.1","port":1,"username":"u","password":"p"},'
  .. '{"host":"10.0.0.2","port":2,"username":"u","password":"\\ud800"}]'

describe("reading responses of the API", function()
  setup(function() sandbox = sandboxes.start{ balance = "1000" } end)
  teardown(function() sandbox:stop() end)
  after_each(function()
    if server then server:stop() end
    server = nil
  end)

  for _, words in ipairs{ { "orders", "list" }, { "orders", "list", "--all" },
    { "--quiet", "orders", "list", "--all" }, { "--jsonl", "orders", "list" } } do
    it("shows all other orders, and names the one with a bad id: " .. table.concat(words, " "),
    function()
      local result = run({ ["/orders"] = orders }, table.unpack(words))
      assert.are.equal(4, result.code)
      assert.matches("ord_1", result.out, 1, true)
      assert.matches("ord_3", result.out, 1, true)
      assert.matches(fault, result.err, 1, true)
    end)
  end

  it("exports and checks the proxies that can be used, and names the others", function()
    local bodies = { ["/orders"] = orders, ["/orders/ord_1/proxies"] = proxies,
      ["/orders/ord_3/proxies"] = '[{"host":"10.0.0.3","port":3}]' }
    local result = run(bodies, "export", "--quiet")
    assert.are.equal(4, result.code)
    assert.are.equal("http://u:p@10.0.0.1:1\nhttp://10.0.0.3:3\n", result.out)
    assert.matches(fault, result.err, 1, true)
    assert.matches("order ord_1: proxy 2 cannot be used: password is not valid Unicode text",
      result.err, 1, true)
    server:stop()
    result = run(bodies, "--jsonl", "check", "--timeout", "1s", "--url", server.url .. "/none")
    assert.are.equal(4, result.code)
    assert.matches('"host":"10.0.0.1"', result.out, 1, true)
    assert.matches("order ord_1: proxy 2 cannot be used", result.err, 1, true)
  end)

  it("never exports a proxy without its bad password, and checks it as one that fails", function()
    local result = run({ ["/orders/o/proxies"] = proxies }, "-e", [[
      local px = require "proxylua"
      local list = px.orders.proxies("o")
      print(list[2].unreadable, list[2].password, list[2].url)
      print(select(2, pcall(px.export.text, list, { format = "url" })))
      local summary = px.check.run({ list[2] }, { url = "http://127.0.0.1:1/", history = false })
      print(summary.total, summary.works)
    ]])
    assert.matches("^password is not valid Unicode text\tnil\tnil\n", result.out)
    assert.matches("proxy 2 cannot be used: password is not valid Unicode text", result.out, 1,
      true)
    assert.matches("1\t0\n$", result.out)
  end)

  it("lets alerts and report go on without an order that cannot be used", function()
    local bodies = { ["/account"] = account, ["/orders"] = orders,
      ["/account/transactions"] = '{"transactions":[{"type":"charge","amount":"1.00",'
        .. '"created_at":"2026-11-29T00:00:00Z"}],"total":1}' }
    local result = run(bodies, "alerts", "--balance", "100", "--within", "100000d")
    assert.are.equal(4, result.code)
    assert.matches("the balance is 5.00, below 100.00", result.out, 1, true)
    assert.matches("order ord_3", result.out, 1, true)
    assert.matches(fault, result.err, 1, true)
    server:stop()
    result = run(bodies, "--json", "report", "--since", "2026-11-29", "--until", "2026-11-29")
    assert.are.equal(4, result.code)
    assert.matches('"charges":1.00', result.out, 1, true)
    assert.matches(fault, result.out, 1, true)
    assert.matches(fault, result.err, 1, true)
  end)

  it("ends with the reason of an error document, and with 4 where nothing is what it should be",
  function()
    for body, expected in pairs{ ['{"error":"maintenance until noon"}'] = { 4, "maintenance" },
      ['{"error":{"message":"who are you","code":"UNAUTHORIZED"}}'] = { 3, "who are you" },
      ["{}"] = { 4, "balance is missing" }, ['{"error":null}'] = { 4, "balance is missing" } } do
      local result = run({ ["/account"] = body }, "account", "get")
      assert.are.equal(expected[1], result.code, body)
      assert.are.equal("", result.out)
      assert.matches(expected[2], result.err, 1, true)
      server:stop()
    end
  end)

  it("sums up 250 identical transactions without ids", function()
    local function page(count)
      return '{"transactions":[' .. ('{"type":"charge","amount":"1.00","created_at":'
        .. '"2026-11-29T00:00:00Z"},'):rep(count):sub(1, -2) .. '],"total":250}'
    end
    local bodies = { ["/account"] = account, ["/orders"] = '{"orders":[],"total":0}',
      ["/account/transactions"] = { page(100), page(100), "[]", page(50) } }
    local result = run(bodies, "--json", "report", "--since", "2026-11-29", "--until",
      "2026-11-29")
    assert.are.equal(0, result.code, result.err)
    assert.matches('"charges":250.00', result.out, 1, true)
  end)
end)

describe("a list that is documented without pages", function()
  setup(function() sandbox = sandboxes.start{ balance = "1000" } end)
  teardown(function() sandbox:stop() end)
  after_each(function()
    if server then server:stop() end
    server = nil
  end)

  for turn, dialect in ipairs{ "envelope", "snake" } do
    it("is read whole where it comes in pages, in the dialect " .. dialect, function()
      sandbox:change("settings", { dialect = dialect, faults = { "orders.proxies:most=20",
        "reference.countries:most=7", "deposits.addresses:most=1" } })
      local count, hosts, countries, addresses, has_more = sandbox:eval[[
        local order = px.orders.create{ type = "datacenter", quantity = 42, period = 1 }
        local list, hosts, different = px.orders.proxies(order.id), {}, 0
        for _, proxy in ipairs(list) do
          if not hosts[proxy.url] then different = different + 1 end
          hosts[proxy.url] = true
        end
        for _, currency in ipairs{ "BTC", "LTC", "ETH" } do
          px.deposits.create_address{ currency = currency }
        end
        return #list, different, #px.reference.countries(), #px.deposits.addresses(), list.has_more
      ]]
      assert.are.same({ 42, 42, 3 * turn, false }, { count, hosts, addresses, has_more })
      sandbox:change("settings", { dialect = dialect, faults = {} })
      assert.are.equal(sandbox:eval"return #px.reference.countries()", countries)
      sandbox:change("settings", { dialect = "envelope" })
    end)
  end

  it("fails where the server reports more than it sends", function()
    local page = '{"success":true,"data":[{"host":"h","port":1},{"host":"i","port":1}],'
      .. '"meta":{"page":1,"perPage":2,"total":5,"totalPages":3}}'
    for _, list in ipairs{ { page }, { page, '{"success":true,"data":[]}' },
      { page, '{"success":true,"data":[{"host":"j","port":1}],"meta":{"page":2,"total":5}}' } } do
      local result = run({ ["/orders/o/proxies"] = list }, "orders", "proxies", "o")
      assert.are.equal(4, result.code)
      assert.are.equal("", result.out)
      assert.matches("the API reports 5, but its pages have %d", result.err)
      server:stop()
    end
  end)
end)
