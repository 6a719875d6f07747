-- lua/proxylua/alerts.lua and `proxylua alerts`: a problem is reported once, and again when it
-- comes back.

local children = require "spec.support.children"
local core = require "proxylua.core"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"
local servers = require "spec.support.server"

local sandbox, server, home

setup(function() sandbox = sandboxes.start() end)
teardown(function() sandbox:stop() end)
before_each(function()
  sandbox:change("reset")
  home = program.folder()
  server = servers.start{ ["/hook"] = servers.ok("ok") }
end)
after_each(function()
  server:stop()
  program.remove(home)
end)

local function texts()
  local list = {}
  for at, request in ipairs(server:requests()) do
    list[at] = core.json.decode(request:match("\r\n\r\n(.*)$")).text
  end
  return list
end

local function environment()
  return { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
    PROXYLUA_LIMITS = "off" }
end

-- Runs the command with the URL in its environment, and returns its output and the messages.
local function alerts(...)
  local env = { PROXYLUA_NOTIFY_URL = server.url .. "/hook" }
  local result = sandbox:run({ "alerts", ... }, { home = home, env = env })
  assert.are.equal(0, result.code, result.err)
  return result.out, result.err
end

local function eval(code)
  return sandbox:eval(code, { home = home })
end

local function buy(quantity, period, key)
  local code =
    'return px.orders.create{ type = "isp", quantity = %d, period = %d, country = "US", key = %q }'
  return eval(code:format(quantity, period, key or "k")).id
end

describe("a message", function()
  it("is sent by proxylua notify and by alerts --test, without the key of the API", function()
    local env = { PROXYLUA_NOTIFY_URL = server.url .. "/hook" }
    local result = program.run({ "notify", "hello\nyou" }, { home = home, env = env })
    assert.equal(0, result.code, result.err)
    assert.equal("proxylua: sent (json)\n", result.err)
    assert.equal(0, sandbox:run({ "alerts", "--test" }, { home = home, env = env }).code)
    assert.are.same({ "hello\nyou", "1001Proxy: this is a test of proxylua alerts" }, texts())
    result = program.run({ "notify", "hello" }, { home = home })
    assert.equal(2, result.code)
    assert.matches("PROXYLUA_NOTIFY_URL", result.err, 1, true)
    assert.equal(3, program.run({ "notify", "x", "--url", server.url .. "/none" },
      { home = home }).code)
  end)
end)

describe("an alert", function()
  it("is reported once, and again only after it was gone and has come back", function()
    sandbox:change("settings", { balance = "19.99" })
    for _ = 1, 3 do alerts("--balance", "20") end
    assert.are.same({ "1001Proxy: the balance is 19.99, below 20.00" }, texts())
    sandbox:change("settings", { balance = "20.00" })
    alerts("--balance", "20")
    assert.are.equal(1, #texts())
    sandbox:change("settings", { balance = "5.00" })
    alerts("--balance", "20.00")
    assert.are.same({ "1001Proxy: the balance is 5.00, below 20.00" }, { texts()[2] })
  end)

  it("reports orders that expire soon, until they are extended", function()
    local soon, later = buy(2, 2, "a"), buy(1, 30, "b")
    alerts("--within", "3d")
    alerts("--within", "3d")
    assert.are.equal(1, #texts())
    assert.has.match("^1001Proxy: order " .. soon
      .. " %(2 isp US%) expires in [12]d[^,]*, at %d+%-%d+%-%S+$", texts()[1])
    assert.is_nil(texts()[1]:find(later, 1, true))
    eval(("px.orders.extend(%q, { period = 30, key = 'x' })"):format(soon))
    alerts("--within", "3d")
    assert.are.equal(1, #texts())
    assert.are.equal("", eval[[
      local list = ""
      for name in require("proxylua.api.notes").each("alert", { api = true }) do list = list .. name end
      return list]])
  end)

  it("goes by the clock of the API", function()
    local id = buy(1, 30)
    sandbox:change("clock", { advance = 29 * 86400 })
    alerts("--within", "3d")
    assert.has.match("^1001Proxy: order " .. id .. " %(1 isp US%) expires in ", texts()[1])
  end)

  it("reports orders whose proxies do not work, and why", function()
    local id = buy(10, 30)
    alerts("--failing", "0", "--check-url", sandbox.trace_url)
    assert.are.equal(0, #texts())
    sandbox:change("settings",
      { faults = { "forward:status=403,count=2", "forward:cut=before,count=1,skip=2" } })
    alerts("--failing", "20", "--check-url", sandbox.trace_url)
    assert.has.match("^1001Proxy: 3 of 10 proxies of order " .. id .. " %(10 isp US%) do not work: "
      .. "closed 1, status 403 2$", texts()[1])
    sandbox:change("settings", { faults = { "forward:status=403,count=2" } })
    alerts("--failing", "20", "--check-url", sandbox.trace_url)
    sandbox:change("settings", { faults = { "forward:status=403" } })
    alerts("--failing", "20", "--check-url", sandbox.trace_url)
    sandbox:change("settings", { faults = {} })
    assert.has.match("10 of 10 proxies", texts()[2])
    assert.are.equal(2, #texts())
  end)

  it("goes with others in one message, as long as there is room", function()
    eval[[for at = 1, 30 do px.orders.create{ type = "isp", quantity = 1, period = 1, key = "k" ..
      at } end]]
    alerts("--within", "3d", "--balance", "100000")
    local list, lines = texts(), 0
    assert.is_true(#list >= 2 and #list <= 4, #list)
    for _, text in ipairs(list) do
      assert.is_true(#text <= 2000)
      for line in text:gmatch("[^\n]+") do
        assert.has.match("^1001Proxy: ", line)
        lines = lines + 1
      end
    end
    assert.are.equal(31, lines)
  end)

  it("is left for the next run if it could not be sent", function()
    server:stop()
    server = servers.start{ ["/hook"] = { { "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n" },
      servers.ok("ok") } }
    local env = { PROXYLUA_NOTIFY_URL = server.url .. "/hook" }
    local result = sandbox:run({ "alerts", "--balance", "2000" }, { home = home, env = env })
    assert.are.equal(3, result.code)
    assert.has.match("HTTP 404", result.err)
    alerts("--balance", "2000")
    alerts("--balance", "2000")
    assert.are.equal(2, #texts())
  end)

  it("is left for the next run where it could not be written", function()
    for _, form in ipairs{ "--json", "--quiet" } do
      local result = sandbox:run({ form, "alerts", "--balance", "2000" },
        { home = home, to = "/dev/full" })
      assert.are.equal(4, result.code)
      assert.has.match("No space left", result.err)
    end
    local run = { home = home }
    assert.has.match("the balance is", sandbox:run({ "alerts", "--balance", "2000" }, run).out)
    assert.are.equal("", sandbox:run({ "alerts", "--balance", "2000" }, run).out)
  end)

  it("is left for the next run where one message of several could not be sent", function()
    server:stop()
    server = servers.start{ ["/hook"] = { servers.ok("ok"),
      { "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n" },
      servers.ok("ok") } }
    eval[[for at = 1, 30 do px.orders.create{ type = "isp", quantity = 1, period = 1, key = "k" ..
      at } end]]
    local env = { PROXYLUA_NOTIFY_URL = server.url .. "/hook" }
    assert.are.equal(3, sandbox:run({ "alerts", "--within", "3d" },
      { home = home, env = env }).code)
    alerts("--within", "3d")
    local list, seen = texts(), {}
    table.remove(list, 2) -- it was not read
    for id in table.concat(list, "\n"):gmatch("order (%S+)") do
      assert.is_nil(seen[id])
      seen[id] = true
      seen[#seen + 1] = id
    end
    assert.are.equal(30, #seen)
  end)

  it("is reported by one of several simultaneous processes", function()
    local script = program.write(home .. "/watch.lua", ([[
      local px = require "proxylua"
      for _ = 1, 3 do px.alerts{ balance = 2000, within = "3d", url = %q } end]]):format(server.url
        .. "/hook"))
    buy(1, 1)
    local group = children.start(3, home, { script }, environment())
    for _, child in ipairs(group:join()) do
      assert.are.same({ 0, "" }, { child.code, child.err })
    end
    local all = table.concat(texts(), "\n")
    assert.are.equal(1, select(2, all:gsub("the balance is", "")), all)
    assert.are.equal(1, select(2, all:gsub("expires in", "")), all)
  end)

  it("is reported by another process if the one that claimed it has died", function()
    local code = [[
      local notes = require "proxylua.api.notes"
      for name, text in notes.each("alert", { api = true }) do
        notes.put("alert", { [name] = ("telling %d"):format(px.time() // 1 - ...) }, { api = true })
      end]]
    alerts("--balance", "2000")
    eval(code:gsub("%.%.%.", "60"))
    alerts("--balance", "2000")
    assert.are.equal(1, #texts())
    eval(code:gsub("%.%.%.", "3600"))
    alerts("--balance", "2000")
    alerts("--balance", "2000")
    assert.are.equal(2, #texts())
  end)

  it("of one watch is nothing to another", function()
    alerts("--balance", "2000")
    alerts("--balance", "3000")
    alerts("--balance", "500")
    alerts("--balance", "2000", "--name", "boss")
    for _, least in ipairs{ "2000", "3000" } do alerts("--balance", least) end
    alerts("--balance", "2000", "--name", "boss")
    assert.are.equal(3, #texts())
  end)
end)

describe("px.alerts", function()
  it("reports orders with any bytes in them", function()
    local api = servers.start{
      ["/account"] = servers.ok('{"balance":"5.00","email":"\xFF@example.org"}'),
      ["/orders"] = servers.ok(
        '[{"id":"ord_\xFF","type":"isp\\u001b[2J","status":"active","quantity":1,'
        .. '"expires_at":"2026-01-01T00:00:00Z"}]'),
    }
    local run = { home = home, env = { PROXYLUA_BASE_URL = api.url } }
    local code = "return px.alerts{ within = '3d' }"
    assert.are.same({ { kind = "within", is_new = true,
      text = "order ord_? (1 isp?[2J) has expired, at 2026-01-01T00:00:00Z" } },
      (sandbox:eval(code, run)))
    assert.is_false(sandbox:eval(code, run)[1].is_new)
    api:stop()
  end)

  it("returns all problems, and which of them are new", function()
    local id = buy(1, 1)
    local first, again = eval[[
      local watch = { balance = "2000", within = "3d" }
      return px.alerts(watch), px.alerts(watch)]]
    assert.are.same({ "balance", "within" }, { first[1].kind, first[2].kind })
    assert.are.same({ true, true, false, false },
      { first[1].is_new, first[2].is_new, again[1].is_new, again[2].is_new })
    assert.are.equal(first[1].text, again[1].text)
    assert.has.match(id, first[2].text)
    assert.are.equal(0, #texts())
  end)

  it("refuses unknown parameters, and a URL that it cannot send to", function()
    assert.are.equal("usage usage usage usage usage usage usage usage usage ", (eval[[
      local kinds = ""
      for _, params in ipairs{ {}, { balance = "much" }, { within = "soon" }, { failing = 100 }, { failing = "x" },
        { balance = 1, name = "a b" }, { balance = 1, balanse = 2 }, { balance = 2000, url = "http://example.org/" },
        { balance = 1, tell = "me" } } do
        kinds = kinds .. select(2, px.try(px.alerts, params)).kind .. " "
      end
      return kinds]]))
  end)
end)

describe("proxylua alerts", function()
  it("writes new problems to standard output without a URL, and nothing when there are "
    .. "none", function()
    local function run(...)
      local result = sandbox:run({ "--quiet", "alerts", ... }, { home = home })
      assert.are.same({ 0, "" }, { result.code, result.err })
      return result.out
    end
    assert.are.equal("", run("--balance", "20"))
    assert.are.equal("the balance is 1000.00, below 2000.00\n", run("--balance", "2000"))
    assert.are.equal("", run("--balance", "2000"))
    assert.are.equal("the balance is 1000.00, below 2000.00\n", run("--balance", "2000", "--all"))
    assert.are.equal("[]\n", run("--json", "--balance", "2000"))
    local list = core.json.decode(run("--json", "--all", "--balance", "2000"))
    assert.are.same({ { kind = "balance", text = "the balance is 1000.00, below 2000.00",
      is_new = false } }, list)
  end)

  it("is silent but for notes where there is one", function()
    local out, err = alerts("--balance", "2000")
    assert.are.same({ "", "proxylua: 1 problem reported\n" }, { out, err })
    out, err = alerts("--balance", "2000")
    assert.are.same({ "", "proxylua: 1 reported before; --all shows them\n" }, { out, err })
    assert.are.same({ "", "proxylua: no problems found\n" }, { alerts("--balance", "20") })
  end)

  it("lists the orders without an expiry date", function()
    local id = buy(1, 1)
    for _, fault in ipairs{ "orders.list:omit=expires_at", "orders.list:say=expires_at~soon" } do
      sandbox:change("settings", { faults = { fault } })
      assert.are.same({ "",
        "proxylua: no problems found\nproxylua: 1 active order has no expiry date, and is "
        .. "not watched for that: " .. id .. "\n" }, { alerts("--within", "3d") })
    end
    assert.are.same({ "", "proxylua: no problems found\n" }, { alerts("--balance", "20") })
  end)

  it("refuses an invalid receiver although it has no problem to report", function()
    for message, options in pairs{
      ["must be https or loopback"] = { "--url", "http://example.org/" },
      ["--kind must be"] = { "--url", "https://example.org/", "--kind", "fax" },
      ["chat"] = { "--url", "https://api.telegram.org/bot1:a" },
    } do
      local result = sandbox:run({ "alerts", "--balance", "20", table.unpack(options) },
        { home = home })
      assert.are.equal(2, result.code)
      assert.has.match(message, result.err, 1, true)
    end
  end)

  it("needs something to watch", function()
    local result = sandbox:run({ "alerts" }, { home = home })
    assert.are.equal(2, result.code)
    assert.has.match("%-%-balance, %-%-within or %-%-failing", result.err)
  end)
end)
