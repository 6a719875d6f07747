-- src/api/client.c: what is tried again, what never is, and what every answer means.

local core = require "proxylua.core"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"
local servers = require "spec.support.server"

local ACCOUNT = '{"success":true,"data":{"id":"acc_1","balance":"9.30","email":"a@b.example"}}'
local KEY = "sk_live_0123456789abcdef"

-- Runs code against a base URL and returns what it printed, its failure's text and the exit code.
local function run(url, code, env, flags)
  local all = { PROXYLUA_BASE_URL = url, PROXYLUA_API_KEY = KEY, PROXYLUA_LIMITS = "off" }
  for name, value in pairs(env or {}) do all[name] = value end
  local arguments = table.move(flags or {}, 1, #(flags or {}), 1, {})
  arguments[#arguments + 1] = "-e"
  arguments[#arguments + 1] = "local px = require 'proxylua' " .. code
  return program.run(arguments, { env = all })
end

local GET = "local account, err = px.try(px.account.get) print(err and err.kind or "
  .. "account.balance, err and err.status)"

describe("a response", function()
  local server
  after_each(function() server:stop() end)

  local function answered(answer)
    server = servers.start{ ["/account"] = answer }
    return run(server.url, GET).out:match("^(%S+)")
  end

  local function status(number, body)
    return ("HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s"):format(number, #body, body)
  end

  for number, kind in pairs{
    [400] = "invalid", [401] = "auth", [402] = "funds", [403] = "forbidden", [404] = "not_found",
      [409] = "invalid",
    [418] = "invalid", [500] = "upstream", [502] = "upstream", [503] = "upstream",
      [302] = "protocol",
  } do
    for name, body in pairs{ object = '{"success":false,"error":{"message":"no","code":"X"}}',
      plain = '{"error":"no"}',
      html = "<html>no</html>", nothing = "" } do
      it(("of status %d with %s is %s"):format(number, name, kind), function()
        assert.equal(kind, answered{ status(number, body) })
      end)
    end
  end

  for name, body in pairs{
    ["HTML"] = "<!doctype html><title>gateway</title>", ["nothing"] = "",
      ["half a document"] = ACCOUNT:sub(1, 40),
    ["200,000 brackets"] = ("["):rep(200000), ["NUL bytes"] = '{"balance":"9\0"}',
      ["noise"] = "\xFF\xFE\x00\x80",
    ["a string"] = '"hello"', ["a number"] = "7", ["a list"] = "[1,2,3]",
      ["two documents"] = ACCOUNT .. ACCOUNT,
  } do
    it("of status 200 that holds " .. name .. " is a protocol error", function()
      assert.equal("protocol", answered{ servers.ok(body) })
    end)
  end

  it("is read under any content type", function()
    assert.equal("9.30", answered{ servers.ok(ACCOUNT, "Content-Type: text/html\r\n") })
    server:stop()
    assert.equal("9.30", answered{ servers.ok(ACCOUNT,
      "Content-Type: image/png\r\nContent-Encoding: identity\r\n") })
  end)

  it("that never ends is refused at 64 MiB", function()
    server = servers.start{ ["/account"] = { "HTTP/1.1 200 OK\r\n\r\n",
      endless = (" "):rep(65536) } }
    local result = run(server.url, "px.account.get()")
    assert.equal(4, result.code)
    assert.matches("larger than 67108864 bytes", result.err)
    assert.equal(1, #server:requests())
  end)

  it("that redirects is not followed, and the other host never sees the key", function()
    local other = servers.start{ ["/account"] = { servers.ok(ACCOUNT) } }
    server = servers.start{ ["/account"] = "HTTP/1.1 302 Found\r\nLocation: " .. other.url
      .. "/account\r\nContent-Length: 0\r\n\r\n" }
    local result = run(server.url, "px.account.get()")
    assert.equal(4, result.code)
    assert.same({}, other:requests())
    other:stop()
  end)
end)

describe("a request", function()
  local server
  after_each(function() server:stop() end)

  it("carries the key as a bearer, asks for compression and says who asks", function()
    server = servers.start{ ["/account"] = servers.ok(ACCOUNT) }
    run(server.url, GET)
    local text = server:requests()[1]
    assert.matches("Authorization: Bearer " .. KEY, text, 1, true)
    assert.matches("Accept%-Encoding: [^\r]*gzip", text)
    assert.matches("User%-Agent: proxylua/", text)
  end)

  it("uses one connection for many", function()
    server = servers.start{ ["/account"] = servers.ok(ACCOUNT) }
    local trace = program.folder()
    run(server.url, "for _ = 1, 5 do px.account.get() end", nil, { "--trace", trace .. "/t" })
    assert.equal(5, #server:requests())
    program.remove(trace)
  end)

  it("that is safe is tried three times after 5xx, cut connections and truncated bodies", function()
    for name, answer in pairs{ ["5xx"] =
      "HTTP/1.1 503 X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", cut = "",
      truncated = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
      chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{" } do
      server = servers.start{ ["/account"] = { answer } }
      assert.equal(4, run(server.url, "px.account.get()").code, name)
      assert.equal(3, #server:requests(), name)
      server:stop()
      server = servers.start{ ["/account"] = { answer, answer, servers.ok(ACCOUNT) } }
      assert.equal("9.30\n", run(server.url, "print(px.account.get().balance)").out, name)
      assert.equal(3, #server:requests(), name)
      server:stop()
    end
    server = servers.start{}
  end)

  it("is sent again when the kept connection has died meanwhile", function()
    local once = servers.ok(ACCOUNT)
    server = servers.start{ ["/account"] = { { once[1] }, { once[1] }, { once[1] } } }
    local result = run(server.url,
      "for _ = 1, 3 do px.account.get() px.sleep(0.05) end print 'done'")
    assert.equal("done\n", result.out)
  end)

  it("that is not safe is not sent again once it may have arrived", function()
    for _, answer in ipairs{ "", "HTTP/1.1 502 X\r\nContent-Length: 0\r\n\r\n" } do
      server = servers.start{ ["/deposits/addresses"] = { answer } }
      run(server.url, "px.deposits.create_address{ currency = 'BTC' }")
      assert.equal(1, #server:requests())
      server:stop()
    end
    server = servers.start{}
  end)

  it("of any class is tried again when nothing can have left", function()
    server = servers.start{}
    local folder = program.folder()
    local port = server.port
    server:stop()
    local result = run(("http://127.0.0.1:%d"):format(port),
      "px.deposits.create_address{ currency = 'BTC' }", nil,
      { "--trace", folder .. "/t" })
    assert.equal(4, result.code)
    assert.equal(3, select(2, program.read(folder .. "/t"):gsub("\n", "")))
    program.remove(folder)
    server = servers.start{}
  end)

  it("is never sent again after 4xx", function()
    for _, status in ipairs{ 400, 401, 404, 408, 409, 425, 499 } do
      server = servers.start{ ["/account"] =
        { ("HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n"):format(status) } }
      run(server.url, GET)
      assert.equal(1, #server:requests(), status)
      server:stop()
    end
    server = servers.start{}
  end)

  it("waits before each retry, longer each time and with jitter, and reports it once",
    function()
    server = servers.start{ ["/account"] = { { "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n",
      keep = true } } }
    local tasks = 40
    local result = run(server.url, ([[
      local list = {}
      for index = 1, %d do list[index] = index end
      px.map(list, function() px.try(px.account.get) end, { concurrency = #list
        })]]):format(tasks), nil,
      { "--verbose" })
    local waits = { {}, {} }
    for number, seconds in result.err:gmatch(
      "account%.get: [^\n]-; attempt (%d) of 3 in ([%d.]+) s\n") do
      table.insert(waits[tonumber(number) - 1], tonumber(seconds))
    end
    for number, most in ipairs{ 0.5, 1 } do
      assert.equal(tasks, #waits[number], result.err)
      table.sort(waits[number])
      assert.is_true(waits[number][1] < most / 4 and waits[number][tasks] > most / 2
        and waits[number][tasks] <= most)
    end
    assert.equal(3 * tasks, #server:requests())
  end)

  it("takes new slots each time", function()
    server = servers.start{ ["/account"] = { "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n" } }
    local result = run(server.url, "px.try(px.account.get) print(px.limits().general.free)",
      { PROXYLUA_LIMITS = "general=60/60" })
    assert.equal("57\n", result.out, result.err)
  end)

  it("takes new slots when the kept connection has died meanwhile", function()
    local once = servers.ok(ACCOUNT)
    server = servers.start{ ["/account"] = { { once[1] }, { once[1] }, { once[1] } } }
    local result = run(server.url, [[
      for _ = 1, 3 do px.account.get() px.sleep(0.05) end
      print(60 - px.limits().general.free)]], { PROXYLUA_LIMITS = "general=60/60" })
    assert.is_true(tonumber(result.out) >= #server:requests(), result.err)
  end)

  it("has one deadline for all of its tries, in which waits for slots do not count", function()
    server = servers.start{ ["/account"] = { { "", hold = true } } }
    assert.equal(4, run(server.url, "px.account.get()", { PROXYLUA_TIMEOUT = "0.2s" }).code)
    assert.is_true(#server:requests() <= 2) -- of 0.2 s each, in 0.4 s
    server:stop()
    server = servers.start{ ["/account"] = servers.ok(ACCOUNT) }
    local result = run(server.url,
      "for _ = 1, 3 do px.account.get{ timeout = 0.4 } end print 'done'",
      { PROXYLUA_LIMITS = "general=1/0.7" })
    assert.equal("done\n", result.out, result.err)
  end)

  it("ends at its timeout, tries and all", function()
    server = servers.start{ ["/account"] = { { "", hold = true } } }
    local result = run(server.url, "px.account.get{ timeout = 0.3 }")
    assert.equal(4, result.code)
    assert.matches("timeout", result.err)
    assert.equal(1, #server:requests())
  end)

  it("takes no longer for one HTTP request than PROXYLUA_TIMEOUT", function()
    server = servers.start{ ["/account"] = { { "", hold = true } } }
    local result = run(server.url, "px.account.get()", { PROXYLUA_TIMEOUT = "0.2s" })
    assert.equal(4, result.code)
    assert.is_true(#server:requests() >= 1)
  end)
end)

describe("A charge", function()
  for _, fault in ipairs{ "status=503", "cut=before", "cut=after", "truncate", "html" } do
    it("is not sent again after any result: " .. fault, function()
      local sandbox = sandboxes.start{ limits = "off", faults = { "orders.create:" .. fault } }
      sandbox:run{ "-e", "local px = require 'proxylua' "
        .. "px.orders.create{ type = 'isp', quantity = 1, country = 'US', period = 30 }" }
      local sent = sandbox:look("counters").requests["orders.create"]
      sandbox:stop()
      assert.equal(1, sent)
    end)
  end
end)

describe("429", function()
  local sandbox
  before_each(function() sandbox = sandboxes.start{ limits = "off" } end)
  after_each(function() sandbox:stop() end)

  it("is waited for and does not count as an attempt", function()
    sandbox:change("settings",
      { faults = core.json.array{ "account.get:status=429,retry_after=1,count=1" } })
    assert.equal("1000.00", (sandbox:eval("return tostring(px.account.get().balance)")))
    assert.equal(2, sandbox:look("counters").requests["account.get"])
  end)

  it("between failures does not count as an attempt, and is reported once", function()
    local failed = { "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n", keep = true }
    local refused = { "HTTP/1.1 429 X\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", keep = true }
    local server = servers.start{ ["/account"] = { failed, refused, failed, servers.ok(ACCOUNT) } }
    local result = run(server.url, "print(px.account.get().balance)", nil, { "--verbose" })
    assert.same({ "9.30\n", 4 }, { result.out, #server:requests() }, result.err)
    assert.equal(1, select(2, result.err:gsub("responded with 429 and a Retry%-After; the pause "
      .. "is 1 s", "")))
    server:stop()
    server = servers.start{ ["/account"] = { failed, failed, refused, failed,
      servers.ok(ACCOUNT) } }
    assert.equal(4, run(server.url, "px.account.get()").code)
    assert.equal(4, #server:requests())
    server:stop()
  end)

  it("is one too when its body is cut off", function()
    local cut = "HTTP/1.1 429 X\r\nRetry-After: 1\r\nContent-Length: 50\r\n\r\n{"
    local server = servers.start{ ["/account"] = { cut, cut, cut, servers.ok(ACCOUNT) } }
    local result = run(server.url, "print(px.account.get().balance)")
    server:stop()
    assert.same({ "9.30\n", 0 }, { result.out, result.code })
  end)

  it("that never ends is raised", function()
    sandbox:change("settings",
      { faults = core.json.array{ "account.get:status=429,retry_after=1" } })
    local config = program.write(sandbox.home .. "/config.lua", "return { max_wait = '2s' }")
    local env = { PROXYLUA_CONFIG = config }
    local kind = sandbox:eval("local _, e = px.try(px.account.get) return e.kind", { env = env })
    assert.equal("rate_limited", kind)
  end)

  it("raises when its pauses together exceed max_wait, for any Retry-After",
    function()
      local server
      for _, header in ipairs{ "", "Retry-After: -5\r\n", "Retry-After: 3000ms\r\n" } do
        server = servers.start{ ["/account"] = { ("HTTP/1.1 429 X\r\n%sContent-Length: 0\r\n\r\n")
          :format(header), keep = true } }
        local result = run(server.url, "local _, e = px.try(px.account.get, { max_wait = 2.5 }) "
          .. "print(e.kind, e.status, e.retry_after)",
            { PROXYLUA_LIMITS = "general=1000/1" })
        local count = #server:requests()
        server:stop()
        assert.same({ "rate_limited\t429\t1.0\n", 3 }, { result.out, count }, header)
      end
    end)

  it("that asks for more than max_wait is raised at once, with the figure", function()
    sandbox:change("settings",
      { faults = core.json.array{ "account.get:status=429,retry_after=50" } })
    local kind, seconds = sandbox:eval(
      "local _, e = px.try(px.account.get, { max_wait = 5 }) return e.kind, e.retry_after")
    assert.equal("rate_limited", kind)
    assert.is_true(seconds > 5 and seconds <= 51)
    assert.equal(1, sandbox:look("counters").requests["account.get"])
  end)
end)

describe("a file", function()
  local sandbox
  before_each(function() sandbox = sandboxes.start{ limits = "off" } end)
  after_each(function() sandbox:stop() end)

  for _, fault in ipairs{ "type=text/html", "html,status=200", "empty,status=200",
    "empty,status=204" } do
    it("that cannot be used (" .. fault .. ") is refused, and what was there stays", function()
      sandbox:change("settings", { faults = core.json.array{ "orders.download:" .. fault } })
      local path = program.write(sandbox.home .. "/file", "before")
      for _, target in ipairs{ "nil", ("%q"):format(path) } do
        local kind = sandbox:eval(([[
          local order = px.orders.create{ type = "isp", quantity = 1, period = 30 }
          local _, err = px.try(px.orders.download, order.id, { path = %s })
          return err and err.kind or "taken"]]):format(target))
        assert.equal("protocol", kind)
      end
      assert.equal("before", program.read(path))
    end)
  end
end)

describe("the base URL", function()
  for url, why in pairs{
    ["http://api.example.org/v1"] = "neither https nor loopback",
      ["ftp://127.0.0.1/"] = "neither https",
    ["not a url"] = "is not a URL", ["https://me:secret@example.org"] = "credentials",
    ["https://example.org/?a=1"] = "query", ["http://127.0.0.1.example.org/"] = "neither https",
    ["http://localhost.example.org"] = "neither https",
  } do
    it("is refused when it is " .. url, function()
      local result = run(url, "px.account.get()")
      assert.equal(2, result.code)
      assert.matches(why, result.err, 1, true)
    end)
  end
end)

describe("the key", function()
  local server
  before_each(function() server = servers.start{ ["/account"] = servers.ok(ACCOUNT) } end)
  after_each(function() server:stop() end)

  it("that is missing or malformed is a config error before anything is sent", function()
    for _, key in ipairs{ "", "short", "with blank inside it",
      "sk_live_\xC3\xA4\xC3\xB6\xC3\xBC\xC3\xA4" } do
      local result = run(server.url, "px.account.get()", { PROXYLUA_API_KEY = key })
      assert.equal(2, result.code, key)
      if #key > 6 then assert.not_matches(key, result.err, 1, true) end
    end
    assert.same({}, server:requests())
  end)

  it("is in no environment, variable, error or trace", function()
    local folder = program.folder()
    local echo = servers.start{ ["/account"] = "HTTP/1.1 401 X\r\nContent-Length: 60\r\n\r\n"
      .. ('{"error":"the key %s is unknown"}'):format(KEY) .. (" "):rep(60 - 42 - #KEY + 24) }
    local result = run(echo.url, [[
      local environ = io.open("/proc/self/environ") -- root's, since the program is not dumpable
      if environ then print(environ:read("a")) end
      print(os.getenv("PROXYLUA_API_KEY"))
      local _, err = px.try(px.account.get)
      print(tostring(err), px.json.encode(err.details or {}))
      px.account.get()]], nil, { "--verbose", "--trace", folder .. "/t" })
    assert.not_matches(KEY, result.out, 1, true)
    assert.not_matches(KEY, result.err, 1, true)
    assert.not_matches(KEY, program.read(folder .. "/t"), 1, true)
    echo:stop()
    program.remove(folder)
  end)
end)
