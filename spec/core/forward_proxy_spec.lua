-- src/sandbox/forward_proxy.c and src/net/proxy_head.c: the proxies that the sandbox sells, used as
-- any client uses them.

local core = require "proxylua.core"
local program = require "spec.support.program"
local raw = require "spec.support.raw"
local sandboxes = require "spec.support.sandbox"
local servers = require "spec.support.server"

local sandbox

local function api(method, path, json)
  local answer = core.http[method](sandbox.url .. path, {
    headers = { Authorization = "Bearer " .. sandbox.key }, json = json,
  })
  assert(answer.ok, answer.body)
  return answer:json().data
end

local function escape(text)
  return (text:gsub("[^%w]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

local function url_of(proxy)
  return ("http://%s:%s@%s:%d"):format(escape(proxy.username), escape(proxy.password), proxy.host,
    proxy.port)
end

local function buy(order)
  local id = api("post", "/orders", order or { type = "isp", quantity = 3, country = "JP" }).id
  local proxies = api("get", "/orders/" .. id .. "/proxies")
  for _, proxy in ipairs(proxies) do proxy.url = url_of(proxy) end
  return proxies, id
end

local function start(settings)
  settings = settings or {}
  settings.limits = "off"
  sandbox = sandboxes.start(settings)
end

-- The lines of the trace page as seen through a proxy, or the status of its response.
local function trace(proxy)
  local answer = core.http.get(sandbox.trace_url, { proxy = proxy })
  if not answer.ok then return answer.status end
  local lines = {}
  for name, value in answer.body:gmatch("(%w+)=([^\n]*)") do lines[name] = value end
  return lines
end

local function base64(text)
  local pipe = assert(io.popen("printf %s " .. program.quote(text) .. " | base64 -w0"))
  local out = pipe:read("a")
  pipe:close()
  return out
end

local function credentials(proxy)
  return "Proxy-Authorization: Basic " .. base64(proxy.username .. ":" .. proxy.password) .. "\r\n"
end

local function trace_port()
  return tonumber(sandbox.url:match(":(%d+)/"))
end

describe("a forward proxy", function()
  local proxies, id
  before_each(function()
    start()
    proxies, id = buy()
  end)
  after_each(function() sandbox:stop() end)

  it("leaves from an address of its own, in the country that was bought", function()
    local seen = {}
    for _, proxy in ipairs(proxies) do
      local lines = trace(proxy)
      assert.same({ "JP", proxy.username, id }, { lines.loc, lines.proxy, lines.order })
      assert.is_nil(seen[lines.ip])
      seen[lines.ip] = true
    end
    assert.is_nil(seen["127.0.0.1"])
    assert.equal("127.0.0.1", core.http.get(sandbox.trace_url).body:match("ip=([%d.]+)"))
  end)

  it("is one of a few gateways when traffic was bought", function()
    local gateways = buy{ type = "residential", quantity = 2 }
    assert.equal(5, #gateways)
    assert.equal(gateways[5].username, trace(gateways[5]).proxy)
  end)

  it("counts its uses", function()
    trace(proxies[2])
    trace(proxies[2])
    assert.same({ [proxies[2].username] = 2 }, sandbox:look("counters").proxies)
  end)

  local function with(proxy, changes)
    local copy = {}
    for name, value in pairs(proxy) do copy[name] = value end
    for name, value in pairs(changes) do copy[name] = value end
    copy.url = url_of(copy)
    return copy
  end

  it("asks for credentials that are missing or wrong", function()
    assert.equal(407, trace(("http://127.0.0.1:%d"):format(proxies[1].port)))
    local user = proxies[1].username
    for _, changes in ipairs{
      { password = "x" }, { password = "" }, { username = "x" }, { username = proxies[2].username },
      { username = user:gsub("1$", "4") }, { username = user:gsub("1$", "0") },
        { username = ("x"):rep(1000) },
    } do
      assert.equal(407, trace(with(proxies[1], changes)))
    end
    local answer = core.http.get(sandbox.trace_url,
      { proxy = ("http://127.0.0.1:%d"):format(proxies[1].port) })
    assert.equal('Basic realm="proxylua sandbox"', answer.headers["proxy-authenticate"])
  end)

  it("works until its order ends", function()
    sandbox:change("clock", { advance = 31 * 86400 })
    assert.equal(407, trace(proxies[1]))
    local others, other = buy()
    assert.equal("table", type(trace(others[1])))
    sandbox:change("cancel", { id = other })
    assert.equal(407, trace(others[1]))
  end)

  it("forwards to loopback only", function()
    for _, url in ipairs{ "http://192.0.2.1/", "http://example.com/", "http://[2001:db8::1]/",
      "http://10.0.0.1:80/",
      "http://0.0.0.0/", "http://localhost.example/" } do
      assert.equal(403, core.http.get(url, { proxy = proxies[1] }).status)
    end
    assert.equal(200, core.http.get(("http://localhost:%d/_sandbox/trace"):format(trace_port()), {
      proxy = proxies[1],
    }).status)
  end)

  it("says when the origin cannot be reached", function()
    assert.equal(502, core.http.get("http://127.0.0.1:1/", { proxy = proxies[1] }).status)
  end)

  it("opens tunnels", function()
    local connect = ("CONNECT 127.0.0.1:%d HTTP/1.1\r\n"):format(trace_port())
    local inner = "GET /_sandbox/trace HTTP/1.1\r\nConnection: close\r\n\r\n"
    local answer = raw.talk(proxies[1].port, connect .. credentials(proxies[1]) .. "\r\n" .. inner)
    assert.truthy(answer:find("^HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200"))
    assert.truthy(answer:find("proxy=" .. proxies[1].username, 1, true))
    assert.truthy(raw.talk(proxies[1].port, connect .. "Connection: close\r\n\r\n"):find(
      "^HTTP/1.1 407"))
    assert.truthy(raw.talk(proxies[1].port, "CONNECT 192.0.2.1:80 HTTP/1.1\r\n"
      .. credentials(proxies[1]) .. "\r\n")
      :find("^HTTP/1.1 403"))
  end)

  -- The bytes of a request for the trace page through a proxy.
  local function request(proxy, more)
    return ("GET http://127.0.0.1:%d/_sandbox/trace HTTP/1.1\r\n%s%s\r\n"):format(
      trace_port(), credentials(proxy), more or "")
  end

  it("takes several requests on a connection, each with its own credentials", function()
    local answer = raw.talk(proxies[1].port, request(proxies[1]) .. request(proxies[1], "X: y\r\n")
      .. request(with(proxies[1], { password = "x" })) .. request(proxies[1],
      "Connection: close\r\n"))
    local kinds = {}
    for status in answer:gmatch("HTTP/1.1 (%d+)") do kinds[#kinds + 1] = status end
    assert.same({ "200", "200", "407", "200" }, kinds)
  end)

  it("responds to a client that has closed its sending side", function()
    assert.truthy(raw.talk(proxies[1].port, request(proxies[1]), true):find("loc=JP", 1, true))
    assert.truthy(raw.talk(proxies[1].port, "GET / HTTP/1.1\r\n\r\n", true):find("^HTTP/1.1 400"))
    assert.equal("", raw.talk(proxies[1].port, "GET http://127.0", true))
  end)

  for name, lines in pairs{
    ["a path"] = "GET /_sandbox/trace HTTP/1.1\r\n",
      ["another scheme"] = "GET https://127.0.0.1/ HTTP/1.1\r\n",
    ["no host"] = "GET http:///x HTTP/1.1\r\n",
      ["a port that is none"] = "GET http://127.0.0.1:99999/ HTTP/1.1\r\n",
    ["credentials in the address"] = "GET http://a:b@127.0.0.1/ HTTP/1.1\r\n",
    ["a tunnel without a port"] = "CONNECT 127.0.0.1 HTTP/1.1\r\n",
      ["half a literal"] = "CONNECT [::1:80 HTTP/1.1\r\n",
    ["a folded header"] = "GET http://127.0.0.1/ HTTP/1.1\r\nA: b\r\n c\r\n",
    ["bare line feeds"] = "GET http://x/ HTTP/1.1\nA: b\r\n",
    ["two lengths"] =
      "POST http://127.0.0.1/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
    ["a length and chunks"] =
      "POST http://127.0.0.1/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
    ["a negative length"] = "POST http://127.0.0.1/ HTTP/1.1\r\nContent-Length: -1\r\n",
    ["a huge length"] =
      "POST http://127.0.0.1/ HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n",
    ["NUL bytes"] = "GET http://127.0.0.1/\0 HTTP/1.1\r\n",
    ["a space in a name"] = "GET http://127.0.0.1/ HTTP/1.1\r\nA : b\r\n",
    ["noise"] = "\xFF\xFE\x00\x01\r\n", ["an empty line"] = "\r\n",
  } do
    it("refuses " .. name, function()
      assert.truthy(raw.talk(proxies[1].port, lines .. credentials(proxies[1])
        .. "\r\n"):find("^HTTP/1.1 400"))
      assert.equal("JP", trace(proxies[1]).loc)
    end)
  end

  it("refuses a head without end, and other versions", function()
    assert.truthy(raw.talk(proxies[1].port, "GET http://127.0.0.1/" .. ("x"):rep(100000)):find(
      "^HTTP/1.1 431"))
    assert.truthy(raw.talk(proxies[1].port, "GET http://127.0.0.1/ HTTP/2.0\r\n\r\n"):find(
      "^HTTP/1.1 505"))
    assert.equal("JP", trace(proxies[1]).loc)
  end)

  it("can be asked to fail", function()
    sandbox:change("settings",
      { faults = { "forward:status=503,count=1", "forward:country=FR,skip=1,count=1" } })
    assert.equal(503, trace(proxies[1]))
    assert.equal("FR", trace(proxies[1]).loc)
    assert.equal("JP", trace(proxies[1]).loc)
    sandbox:change("settings", { faults = { "forward:cut=before,count=1", "forward:delay=0.01" } })
    assert.equal("", raw.talk(proxies[1].port, request(proxies[1])))
    assert.equal("JP", trace(proxies[1]).loc)
  end)

  it("ends with the sandbox, in each state of a connection", function()
    local function await(count)
      repeat local forwarded = sandbox:look("counters").forwarded until forwarded == count
    end
    local connect = ("CONNECT 127.0.0.1:%d HTTP/1.1\r\n%s\r\n"):format(trace_port(),
      credentials(proxies[1]))
    local tunnel = raw.send(proxies[1].port, connect)
    await(1)
    sandbox:change("settings", { faults = { "forward:delay=600" } })
    local paused = raw.send(proxies[1].port, request(proxies[1]))
    await(2)
    core.sandbox.stop()
    assert.equal("", paused())
    tunnel() -- raises when its connection does not end
  end)
end)

describe("through a forward proxy", function()
  local server, proxies
  before_each(function()
    start()
    proxies = buy()
  end)
  after_each(function()
    sandbox:stop()
    if server then server:stop() end
    server = nil
  end)

  it("the origin sees the request, and nothing of the proxy", function()
    server = servers.start{ ["/x"] = servers.ok("hello") }
    local answer = core.http.post(server.url .. "/x?a=1", {
      proxy = proxies[1], body = "some\0bytes", headers = { A = "b" },
    })
    assert.same({ 200, "hello" }, { answer.status, answer.body })
    local seen = server:requests()[1]
    assert.truthy(seen:find("^POST /x%?a=1 HTTP/1.1\r\n"))
    assert.truthy(seen:find("\r\nHost: 127.0.0.1:" .. server.port .. "\r\n", 1, true))
    assert.truthy(seen:find("\r\nA: b\r\n", 1, true))
    assert.equal("some\0bytes", seen:match("\r\n\r\n(.*)"))
    assert.is_nil(seen:lower():find("proxy-", 1, true))
  end)

  it("bodies of a megabyte come through as they were", function()
    local body = ("\0\1\xFF\r\nabc"):rep(150000)
    server = servers.start{ ["/x"] = servers.ok(body) }
    local answer = core.http.post(server.url .. "/x", { proxy = proxies[1], body = body })
    assert.is_true(answer.body == body)
    assert.is_true(server:requests()[1]:match("\r\n\r\n(.*)") == body)
  end)

  it("a body in chunks is passed on, and the last thing on its connection", function()
    server = servers.start{ ["/x"] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" }
    local head = "POST %s/x HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n"
    local bytes = head:format(server.url, credentials(proxies[1])) .. "2\r\nab\r\n0\r\n\r\n"
    local answer = raw.talk(proxies[1].port, bytes)
    assert.truthy(answer:find("hello$"))
    local seen = server:requests()[1]
    assert.truthy(seen:find("\r\nTransfer-Encoding: chunked\r\n", 1, true))
    assert.truthy(seen:find("\r\nConnection: close\r\n", 1, true))
  end)

  it("two origins can be reached on one connection", function()
    server = servers.start{ ["/x"] = servers.ok("from the server") }
    local function request(url)
      return ("GET %s HTTP/1.1\r\n%s\r\n"):format(url, credentials(proxies[1]))
    end
    local bytes = request(sandbox.trace_url:gsub("/trace", "/none")) .. request(server.url .. "/x")
    local answer = raw.talk(proxies[1].port, bytes .. request("http://192.0.2.1/"))
    assert.truthy(answer:find("from the server", 1, true))
    assert.truthy(answer:find("HTTP/1.1 403", 1, true))
  end)

  it("a truncated response stays truncated", function()
    server = servers.start{ ["/x"] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort" }
    local ok, err = pcall(core.http.get, server.url .. "/x", { proxy = proxies[1] })
    assert.same({ false, "network" }, { ok, err.kind })
    assert.truthy(raw.talk(proxies[1].port, ("GET %s/x HTTP/1.1\r\n%s\r\n"):format(server.url,
      credentials(proxies[1])))
      :find("short$"))
  end)

  it("a response without a length ends with its connection", function()
    server = servers.start{ ["/x"] = "HTTP/1.1 200 OK\r\n\r\n" .. ("x"):rep(300000) }
    assert.equal(300000, #core.http.get(server.url .. "/x", { proxy = proxies[1] }).body)
  end)
end)

it("passwords full of characters to escape open the proxies all the same", function()
  start{ passwords = "hard" }
  local all = {}
  for _, proxy in ipairs((buy{ type = "ipv6", quantity = 40 })) do
    assert.equal(proxy.username, trace(proxy).proxy)
    all[#all + 1] = proxy.password
  end
  for _, letter in ipairs{ ":", "@", "/", "%", '"', "'", "#", " ", "\\" } do
    assert.truthy(table.concat(all):find(letter, 1, true))
  end
  sandbox:stop()
end)

it("a client that does not read holds up its origin, and the proxy stays small", function()
  local home, size = program.folder(), 64 << 20
  local words = { "sandbox", "--json", "--quiet", "--limits", "off", "--fault",
    "orders.download:size=" .. size }
  -- freed memory counts
  local env = { ASAN_OPTIONS = (os.getenv("ASAN_OPTIONS") or "") .. ":quarantine_size_mb=1" }
  local pipe = assert(io.popen("echo $$; exec " .. program.command(home, words, env)))
  local pid, place = pipe:read("l", "l")
  finally(function() -- a failure must not leave a pipe whose collection waits for ever
    os.execute("kill " .. pid)
    pipe:close()
    program.remove(home)
  end)
  sandbox = core.json.decode(place)
  local proxies, id = buy()
  local function peak()
    return tonumber(program.read("/proc/" .. pid .. "/status"):match("VmHWM:%s+(%d+) kB"))
  end
  -- What waits in the sockets to and from the API and the proxy (/proc/PID/io is root's: the
  -- program is not dumpable).
  local ports = { [tonumber(sandbox.url:match(":(%d+)/"))] = true, [proxies[1].port] = true }
  local function waiting()
    local bytes = 0
    for line in io.lines("/proc/net/tcp") do
      local from, to, out, come = line:match(":(%x+) %x+:(%x+) %x%x (%x+):(%x+)")
      if from and (ports[tonumber(from, 16)] or ports[tonumber(to, 16)]) then
        bytes = bytes + tonumber(out, 16) + tonumber(come, 16)
      end
    end
    return bytes
  end
  local before = peak()
  local head = "GET %s/orders/%s/download HTTP/1.1\r\n%sAuthorization: Bearer %s\r\n\r\n"
  local bytes = head:format(sandbox.url, id, credentials(proxies[1]), sandbox.key)
  local read = raw.send(proxies[1].port, bytes)
  local last, same = 0, 0
  repeat -- until it has begun, and nothing moves any more
    core.task.sleep(0.005)
    local now = waiting()
    same, last = now == last and same + 1 or 0, now
  until last > 100000 and same >= 40
  local body = read():match("\r\n\r\n(.*)")
  local grown = peak() - before
  assert.equal(size, #body)
  assert.is_true(body == ("0123456789abcdef"):rep(size // 16))
  assert.is_true(grown < 8192, ("it grew by %d KiB"):format(grown))
end)
