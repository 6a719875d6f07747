-- src/gateway: a gateway as its clients see it, in front of real proxies and of bad ones.

local core = require "proxylua.core"
local gateways = require "spec.support.gateways"
local nginx = require "spec.support.nginx"
local program = require "spec.support.program"
local proxies = require "spec.support.proxies"
local raw = require "spec.support.raw"
local sandboxes = require "spec.support.sandbox"
local servers = require "spec.support.server"
local tcp = require "spec.support.tcp"

local LOCAL <const> = { "--allow", "127.0.0.1", "--allow", "localhost" }

local running = {}

local function keep(one)
  running[#running + 1] = one
  return one
end

local function gateway(list, arguments, options)
  local words = { table.unpack(LOCAL) }
  table.move(arguments or {}, 1, #(arguments or {}), #words + 1, words)
  return keep(gateways.start(list, words, options))
end

local function fake(mode, bytes)
  return keep(tcp.start(mode, bytes))
end

local function url_of(server)
  return "http://127.0.0.1:" .. server.port
end

-- Runs curl; returns its output and its exit code.
local function curl(...)
  local words = { "curl", "--silent", "--max-time", "20", "--noproxy", "''" }
  for _, word in ipairs{ ... } do words[#words + 1] = program.quote(word) end
  local pipe = assert(io.popen(table.concat(words, " ")))
  local text = pipe:read("a")
  local _, _, code = pipe:close()
  return text, code or 0
end

local OK <const> = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: x\r\nConnection: X-Hop\r\n"
  .. "X-Hop: 1\r\nX-End: 2\r\n\r\nok"

describe("a gateway", function()
  local origin, tiny, micro

  setup(function()
    tiny, micro = proxies.tinyproxy(), proxies.microsocks()
  end)
  teardown(function()
    tiny:stop()
    micro:stop()
  end)
  before_each(function()
    origin = keep(servers.start{ ["/"] = { OK, keep = true } })
  end)
  after_each(function()
    for at = #running, 1, -1 do running[at]:stop() end
    running = {}
  end)

  local function page() return ("http://127.0.0.1:%d/"):format(origin.port) end

  for _, kind in ipairs{ "http", "socks5" } do
    local function upstream()
      return kind == "http" and tiny:url("http", "bob:s3c") or micro:url("socks5", "bob:s3c")
    end

    it("takes HTTP, CONNECT and SOCKS 5 to " .. kind .. " proxies", function()
      local g = gateway{ upstream() }
      local socks = g.url:gsub("^http", "socks5h")
      assert.equal("ok", (curl("-x", g.url, page())))
      assert.equal("ok", (curl("-p", "-x", g.url, page())))
      assert.equal("ok", (curl("-x", socks, page())))
      assert.equal("ok", (curl("-x", (socks:gsub("//", "//me-session-a:x@")), page())))
      local stats = g:stats()
      assert.same({ 4, 0, 0 }, { stats.requests, stats.failed, stats.retried })
      assert.equal(4, stats.proxies[1].requests)
    end)
  end

  it("leaves out the headers of a hop, in both directions", function()
    local g = gateway{ micro:url("socks5", "bob:s3c") }
    local text = curl("-i", "-x", g.url, "-H", "Connection: X-Secret", "-H", "X-Secret: 1", "-H",
      "X-Kept: 1", "-H", "TE: trailers", "-H", "Keep-Alive: 5", "-U", "me:pw", page())
    local seen = origin:requests()[1]
    assert.has.match("\r\nX-Kept: 1\r\n", seen, 1, true)
    for _, name in ipairs{ "X-Secret", "TE:", "Keep-Alive", "Proxy-", "Connection" } do
      assert.is_nil(seen:find(name, 1, true), name)
    end
    assert.has.match("X-End: 2", text, 1, true)
    assert.is_nil(text:find("X-Hop", 1, true))
    assert.is_nil(text:find("Keep-Alive", 1, true))
  end)

  it("serves many requests of a client over one connection to the proxy", function()
    local g = gateway{ micro:url("socks5", "bob:s3c") }
    local connects = curl("-x", g.url, page(), page(), page(), "-w", "%{num_connects} ")
    assert.equal("ok1 ok0 ok0 ", connects)
    assert.equal(3, g:stats().proxies[1].requests)
    assert.equal(1, g:stats().proxies[1].open)
  end)

  it("passes on bodies of both kinds", function()
    local long = ("x"):rep(300000)
    local g = gateway{ micro:url("socks5", "bob:s3c") }
    local file = program.write(program.folder() .. "/body", long)
    assert.equal("ok", (curl("-x", g.url, "--data-binary", "@" .. file, page())))
    assert.equal(long, origin:requests()[1]:match("\r\n\r\n(.*)"))
    local echo = fake("echo") -- its response is the request, which is not valid as one
    assert.has.match("502", (curl("-i", "-x", g.url, "-H", "Transfer-Encoding: chunked", "-H",
      "Expect:", "--data-binary", "@" .. file, url_of(echo) .. "/")))
    assert.is_true(g:stats().sent > 300000) -- the second may have been cut off by its response
  end)

  local refused = {
    ["both a length and chunks"] = "POST http://h/ HTTP/1.1\r\nContent-Length: 4\r\n"
      .. "Transfer-Encoding: chunked\r\n\r\n",
    ["two lengths"] = "POST http://h/ HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n",
    ["a list of lengths"] = "POST http://h/ HTTP/1.1\r\nContent-Length: 4, 4\r\n\r\n",
    ["a signed length"] = "POST http://h/ HTTP/1.1\r\nContent-Length: +4\r\n\r\n",
    ["another transfer coding"] = "POST http://h/ HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n"
      .. "\r\n",
    ["chunks in HTTP/1.0"] = "POST http://h/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    ["a folded header"] = "GET http://h/ HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
    ["a bare LF"] = "GET http://h/ HTTP/1.1\nA: b\r\n\r\n",
    ["lines that end in LF alone"] = "GET http://h/ HTTP/1.1\nHost: h\n\n",
    ["a bare CR"] = "GET http://h/ HTTP/1.1\r\nA: b\rC: d\r\n\r\n",
    ["a NUL"] = "GET http://h/ HTTP/1.1\r\nA: b\0\r\n\r\n",
    ["a blank before the colon"] = "GET http://h/ HTTP/1.1\r\nContent-Length : 4\r\n\r\n",
    ["a relative URL"] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    ["credentials in the URL"] = "GET http://me@h/ HTTP/1.1\r\n\r\n",
    ["a port that is none"] = "GET http://h:0/ HTTP/1.1\r\n\r\n",
    ["bytes of another protocol"] = "\22\3\1\0\5hello\r\n\r\n",
  }
  it("reaches https proxies, whose certificate must fit", function()
    local secure = keep(nginx.start{ ["/page"] = "from nginx" }) -- takes absolute URLs too
    local place = secure.http1_url
    local g = gateway({ place }, nil, { env = { SSL_CERT_FILE = secure.ca } })
    assert.equal("from nginxfrom nginx", (curl("-x", g.url, "http://127.0.0.1/page",
      "http://127.0.0.1/page")))
    assert.equal(1, g:stats().proxies[1].open)
    for name, list in pairs{ tls_certificate_error = { place },
      tls_protocol_error = { "https://127.0.0.1:" .. fake("say", "garbage").port } } do
      g = gateway(list)
      assert.has.match("^HTTP/1.1 502 .*error=" .. name, (curl("-i", "-x", g.url,
        "http://127.0.0.1/page")))
    end
  end)

  it("refuses requests that can be read in two ways, and sends nothing of them", function()
    local g = gateway{ url_of(fake("echo")) }
    for what, text in pairs(refused) do
      assert.has.match("^HTTP/1.1 400 ", raw.talk(g.port, text), 1, false, what)
    end
    assert.has.match("^HTTP/1.1 431 ", raw.talk(g.port, "GET http://h/ HTTP/1.1\r\nA: "
      .. ("x"):rep(40000)))
    assert.equal(0, g:stats().sent)
  end)

  it("breaks off a request whose chunks are not valid", function()
    local g = gateway{ url_of(fake("silent")) }
    for _, chunks in ipairs{ "5\nhello", "-1\r\n", "0x5\r\nhello\r\n", "5;a\nb\r\n", "5\r\nhelloX",
      ("f"):rep(17) .. "\r\n" } do
      assert.has.match("^HTTP/1.1 400 ", raw.talk(g.port, "POST http://127.0.0.1/ HTTP/1.1\r\n"
        .. "Transfer-Encoding: chunked\r\n\r\n" .. chunks), 1, false, chunks)
    end
  end)

  local bad_replies = {
    "HTTP/1.1 200 OK\\nA: b\\r\\n\\r\\n", "HTTP/1.1 200 OK\\r\\nContent-Length: 1\\r\\n"
      .. "Transfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n",
    "HTTP/1.1 200 OK\\r\\nContent-Length: 1\\r\\nContent-Length: 2\\r\\n\\r\\nxx",
    "HTTP/1.1 200 OK\\r\\nA: b\\r\\n c\\r\\n\\r\\n", "SSH-2.0-x\\r\\n\\r\\n",
    "HTTP/1.1 101 Go\\r\\n\\r\\n",
  }
  it("refuses responses that can be read in two ways", function()
    for _, bytes in ipairs(bad_replies) do
      local g = gateway{ url_of(fake("say", bytes)) }
      local text = curl("-i", "-x", g.url, "http://127.0.0.1/")
      assert.has.match("^HTTP/1.1 502 ", text, 1, false, bytes)
      assert.has.match("error=http_protocol_error", text, 1, true)
      g:stop()
    end
  end)

  local faults = {
    { "refuse", nil, "connection_refused" },
    { "close", nil, "connection_terminated" },
    { "silent", nil, "_timeout" },
    { "say", "HTTP/1.1 407 No\\r\\nContent-Length: 0\\r\\n\\r\\n", "proxy_configuration_error" },
    { "say", "garbage\\r\\n\\r\\n", "http_protocol_error" },
    { "say", "HTTP/1.1 200 OK\\r\\nA: b", "connection_terminated" },
  }
  for _, fault in ipairs(faults) do
    local mode, bytes, word = table.unpack(fault, 1, 3)
    local name = bytes and mode .. " " .. bytes:sub(1, 12) or mode

    it("costs one silent retry when a proxy fails: " .. name, function()
      local bad = fake(mode, bytes)
      local g = gateway({ url_of(bad), micro:url("socks5", "bob:s3c") }, { "--proxy-timeout",
        "0.3s" })
      for _, way in ipairs{ { "-x", g.url }, { "-p", "-x", g.url } } do
        way[#way + 1] = page()
        assert.equal("ok", (curl(table.unpack(way))))
        assert.equal("ok", (curl(table.unpack(way))))
      end
      if word == "http_protocol_error" then -- which the origin may have sent
        assert.is_true(g:stats().retried >= 1)
      else
        assert.equal(1, g:stats().retried)
      end
      assert.equal("ok", (curl("-x", g.url, page())))
    end)

    it("gives the reason when all fail: " .. name, function()
      local bad = fake(mode, bytes)
      local g = gateway({ url_of(bad) }, { "--proxy-timeout", "0.3s" })
      local text = curl("-i", "-x", g.url, page())
      assert.has.match("^HTTP/1.1 50[24] .*\r\nProxy%-Status: proxylua; error=[%w_]*"
        .. word:gsub("%p", "%%%0"), text)
      assert.has.match("\r\n\r\nproxylua gateway: .+%(proxy 127.0.0.1:" .. bad.port .. "%)\n$",
        text)
      assert.equal(1, g:stats().failed)
    end)
  end

  it("does not repeat a POST that has left, and repeats one that has not", function()
    local bad = fake("close")
    local g = gateway{ url_of(bad), micro:url("socks5", "bob:s3c") }
    assert.has.match("^HTTP/1.1 502 ", (curl("-i", "-x", g.url, "-d", "x", page())))
    assert.equal(0, #origin:requests())
    g = gateway{ url_of(fake("refuse")), micro:url("socks5", "bob:s3c") }
    assert.equal("ok", (curl("-x", g.url, "-d", "x", page())))
    assert.equal(1, #origin:requests())
  end)

  it("does not blame a proxy for a target that refuses", function()
    local g = gateway{ micro:url("socks5", "bob:s3c") }
    local text = curl("-i", "-x", g.url, url_of(fake("refuse")) .. "/")
    assert.has.match("^HTTP/1.1 502 .*error=connection_refused", text)
    assert.equal(0, g:stats().proxies[1].quarantine)
  end)

  it("keeps the proxy of a session, and picks by country", function()
    local g = gateway{ tiny:url("http", "bob:s3c"), micro:url("socks5", "bob:s3c") }
    local function use(user)
      return curl("-x", (g.url:gsub("//", "//" .. user .. ":x@")), page())
    end
    for _ = 1, 6 do assert.equal("ok", use("me-session-a")) end
    local rows = g:stats().proxies
    assert.same({ 0, 6 }, { math.min(rows[1].requests, rows[2].requests),
      math.max(rows[1].requests, rows[2].requests) })
    assert.has.match("no proxy of this country", use("me-country-de"), 1, true)
    assert.has.match("400", curl("-i", "-x", (g.url:gsub("//", "//me-country-germany:x@")),
      page()))
  end)

  -- microsocks and tinyproxy end both directions; the sandbox's proxies do not.
  local function sandbox_proxy()
    local sandbox = keep(sandboxes.start())
    local function call(method, path, json)
      return core.http[method](sandbox.url .. path, {
        headers = { Authorization = "Bearer " .. sandbox.key }, json = json }):json().data
    end
    local id = call("post", "/orders", { type = "isp", quantity = 1, country = "US" }).id
    local proxy = call("get", "/orders/" .. id .. "/proxies")[1]
    return ("http://%s:%s@%s:%d"):format(proxy.username, proxy.password, proxy.host, proxy.port)
  end

  it("ends one direction of a tunnel and keeps the other", function()
    local count = fake("count")
    local g = gateway{ sandbox_proxy() }
    local text = ("CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n"):format(count.port)
    local answer = raw.talk(g.port, text .. ("x"):rep(500000), true)
    assert.has.match("^HTTP/1.1 200 [^\r]*\r\n\r\nreceived 500000\n$", answer)
  end)

  it("holds a bounded number of bytes for a client that does not read", function()
    local endless = keep(servers.start{ ["/"] = { "HTTP/1.1 200 OK\r\n\r\n",
      endless = ("y"):rep(65536) } })
    local g = gateway{ micro:url("socks5", "bob:s3c") }
    local before = g:memory()
    local pipes = {}
    for at = 1, 8 do -- curl stops reading when its output is not read
      pipes[at] = io.popen(("exec curl -sN -x %s http://127.0.0.1:%d/"):format(g.url, endless.port))
    end
    local last
    repeat -- until nothing moves any more
      last = g:stats().received
      core.task.sleep(0.3)
    until last > 1000000 and g:stats().received == last
    assert.is_true(g:memory() - before < 8 * 256 + 2048, g:memory() - before)
    g:stop("KILL")
    for _, pipe in ipairs(pipes) do pipe:close() end
  end)

  it("cuts off a client whose proxy dies in the middle, rather than end its body", function()
    local g = gateway{ micro:url("socks5", "bob:s3c") }
    local part = fake("say", "HTTP/1.1 200 OK\\r\\nContent-Length: 100\\r\\n\\r\\n0123456789")
    local _, code = curl("-x", g.url, url_of(part) .. "/")
    assert.is_true(code == 18 or code == 56, code)
    local chunk = fake("say", "HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n"
      .. "5\\r\\nabc")
    _, code = curl("-x", g.url, url_of(chunk) .. "/")
    assert.is_true(code == 18 or code == 56, code)
    local cut = fake("cut")
    local answer = raw.talk(g.port, ("CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n%s"):format(cut.port,
      ("x"):rep(2000)))
    assert.has.match("^HTTP/1.1 200 ", answer)
    assert.equal(0, g:await(function(stats) return stats.open <= 1 end).failed)
  end)

  it("refuses targets on this machine and in private networks unless a rule names them", function()
    local g = keep(gateways.start{ micro:url("socks5", "bob:s3c") })
    for _, host in ipairs{ "127.0.0.1", "localhost", "LOCALHOST.", "a.localhost", "10.1.2.3",
      "192.168.1.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "[fd00::1]", "0.0.0.0",
      "2130706433", "0x7f000001", "127.1", "printer.local", "metadata.google.internal" } do
      local text = raw.talk(g.port, ("CONNECT %s:80 HTTP/1.1\r\n\r\n"):format(host))
      assert.has.match("^HTTP/1.1 403 ", text, 1, false, host)
    end
    local socks = raw.talk(g.port, "\5\1\0\5\1\0\1\10\1\2\3\0\80")
    assert.equal("\5\0\5\2", socks:sub(1, 4))
    assert.equal(0, g:stats().proxies[1].requests)
  end)

  it("follows --allow and --deny", function()
    local g = keep(gateways.start({ micro:url("socks5", "bob:s3c") }, { "--allow",
      "127.0.0.1:" .. origin.port, "--allow", "*.example.com", "--deny", "bad.example.com" }))
    assert.equal("ok", (curl("-x", g.url, page())))
    for _, place in ipairs{ "127.0.0.1:1", "example.org:80", "bad.example.com:80",
      "example.com:1" } do
      local text = raw.talk(g.port, ("CONNECT %s HTTP/1.1\r\n\r\n"):format(place))
      assert.has.match("^HTTP/1.1 403 ", text, 1, false, place)
    end
  end)

  it("judges names by their addresses with --resolve local", function()
    local g = keep(gateways.start({ micro:url("socks5", "bob:s3c") }, { "--resolve", "local",
      "--allow", "localhost" }))
    local text = curl("-i", "-x", g.url, ("http://localhost:%d/"):format(origin.port))
    assert.has.match("^HTTP/1.1 403 .*destination_ip_prohibited", text)
    g = gateway({ micro:url("socks5", "bob:s3c") }, { "--resolve", "local", "--allow", "::1" })
    assert.equal("ok", (curl("-x", g.url, ("http://localhost:%d/"):format(origin.port))))
  end)

  it("asks for the credentials of --users", function()
    local users = program.write(program.folder() .. "/users", "# who\nme:s3c:ret\n")
    assert(os.execute("chmod 600 " .. users))
    local g = gateway({ micro:url("socks5", "bob:s3c") }, { "--users", users })
    assert.has.match("^HTTP/1.1 407 .*\r\nProxy%-Authenticate: Basic", (curl("-i", "-x", g.url,
      page())))
    assert.has.match("407", (curl("-i", "-x", g.url, "-U", "me:wrong", page())))
    assert.equal("ok", (curl("-x", g.url, "-U", "me:s3c:ret", page())))
    assert.equal("ok", (curl("-x", g.url, "-U", "me-session-x:s3c:ret", page())))
    local socks = g.url:gsub("^http", "socks5h")
    assert.equal(97, select(2, curl("-x", socks, page())))
    assert.equal(97, select(2, curl("-x", socks, "-U", "me:no", page())))
    assert.equal("ok", (curl("-x", socks, "-U", "me:s3c:ret", page())))
  end)

  it("serves 1,000 tunnels at once", function()
    local echo = fake("echo")
    local g = gateway{ micro:url("socks5", "bob:s3c") }
    local folder = program.folder()
    program.write(folder .. "/script", [[
      use IO::Socket::INET;
      my ($port, $target) = @ARGV;
      my @all = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $port) or die $! }
        1 .. 1000;
      syswrite $_, "CONNECT 127.0.0.1:$target HTTP/1.1\r\n\r\nhello" for @all;
      my $good = 0;
      for my $socket (@all) {
        my ($text, $piece) = ("", "");
        while ($text !~ /hello$/) { sysread $socket, $piece, 4096 or last; $text .= $piece }
        $good++ if $text =~ /^HTTP.1.1 200 .*hello$/s;
      }
      print $good;
    ]])
    local pipe = io.popen(("perl %s/script %d %d"):format(folder, g.port, echo.port))
    assert.equal("1000", pipe:read("a"))
    pipe:close()
    g:await(function(stats) return stats.open <= 1 end)
  end)

  it("pauses when descriptors are out, and goes on when there are some again", function()
    local g = gateway({ micro:url("socks5", "bob:s3c") }, { "--connections", "1000" }, {
      before = "ulimit -n 40" })
    local folder = program.folder()
    program.write(folder .. "/script", [[
      use IO::Socket::INET;
      $| = 1;
      my @all = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) }
        1 .. 60;
      print "$$\n";
      sleep;
    ]])
    local holder = io.popen(("exec perl %s/script %d"):format(folder, g.port))
    local pid = holder:read("n")
    local function ticks()
      local text = program.read(("/proc/%d/stat"):format(g.pid)):match(".*%) (.*)")
      local used = 0
      local at = 0
      for word in text:gmatch("%S+") do
        at = at + 1
        if at == 12 or at == 13 then used = used + tonumber(word) end
      end
      return used
    end
    local function held() -- how many descriptors it has
      local pipe = io.popen(("ls /proc/%d/fd | wc -l"):format(g.pid))
      local count = pipe:read("n")
      pipe:close()
      return count
    end
    while held() < 40 do core.task.sleep(0.01) end
    local before, began = ticks(), core.task.clock()
    core.task.sleep(0.5)
    local used = (ticks() - before) / 100
    assert.is_true(used < (core.task.clock() - began) / 2, used) -- it does not spin
    os.execute(("kill -KILL %d"):format(pid))
    holder:close()
    assert.equal("ok", (curl("--retry", "9", "--retry-all-errors", "-x", g.url, page())))
    assert.is_true(g:stats().connections >= 30)
    g:stop("KILL") -- a search for leaks at its end would want descriptors
  end)

  it("ends on SIGTERM when what is under way has ended", function()
    local g = gateway({ micro:url("socks5", "bob:s3c") }, { "--drain", "20s" })
    local hold = fake("hold", "HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\nab")
    local finish = raw.send(g.port, "GET " .. url_of(hold) .. "/ HTTP/1.1\r\n\r\n")
    local idle = raw.send(g.port, "")
    g:await(function(stats) return stats.received > 0 and stats.open >= 3 end)
    os.execute(("kill -TERM %d"):format(g.pid))
    assert.equal("", idle())
    while os.execute(("bash -c '</dev/tcp/127.0.0.1/%d' 2>/dev/null"):format(g.port)) do
      core.task.sleep(0.01)
    end
    hold:stop() -- its client is the last one
    assert.has.match("\r\n\r\nab$", finish())
    assert.equal(0, g:stop(0))
  end)
end)
