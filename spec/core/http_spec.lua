local px = require "proxylua"
local program = require "spec.support.program"
local servers = require "spec.support.server"

local server

-- A request to the server, past any proxy of the environment.
local function ask(method, path, options)
  local all = { proxy = "", timeout = 20 }
  for name, value in pairs(options or {}) do all[name] = value end
  return px.http[method](server.url .. path, all)
end

local function get(path, options)
  return ask("get", path, options)
end

-- The error of a call that fails.
local function failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_true(px.error.is(err), tostring(err))
  return err
end

local function last_request()
  local list = server:requests()
  return list[#list]
end

local function answer(status, body, headers)
  return ("HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s"):format(status, #body, headers or "",
    body)
end

describe("px.http", function()
  setup(function()
    local pipe = io.popen("printf packed | gzip -n")
    local packed = pipe:read("a")
    pipe:close()
    server = servers.start{
      ["/"] = servers.ok("hello"),
      ["/json"] = servers.ok('{"n":3,"list":[1,2]}', "Content-Type: application/json\r\n"),
      ["/bytes"] = servers.ok("a\0b\255"),
      ["/missing"] = answer("404 Not Found", "gone"),
      ["/broken"] = answer("503 Service Unavailable", ""),
      ["/headers"] = answer("200 OK", "", "X-One: 1\r\nx-one:2  \r\nX-Two:\r\nSet-Cookie: a=b\r\n"),
      ["/to"] = answer("302 Found", "", "Location: /there\r\nConnection: close\r\n"),
      ["/there"] = servers.ok("there"),
      ["/circle"] = answer("302 Found", "", "Location: /circle\r\nConnection: close\r\n"),
      ["/still"] = answer("302 Found", packed, "Content-Encoding: gzip\r\n"),
      ["/nowhere"] = answer("302 Found", packed, "Content-Encoding: gzip\r\nLocation:\r\n"),
      ["/cut-head"] = "HTTP/1.1 200 OK\r\nContent-",
      ["/only-head"] = "HTTP/1.1 200 OK\r\n",
      ["/folded"] = "HTTP/1.1 200 OK\r\n " .. ("x"):rep(500) .. "\r\nContent-Length: 0\r\n\r\n",
      ["/silent"] = { "", hold = true },
      ["/stalled"] = { "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", hold = true },
      ["/cut"] = "",
      ["/short"] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc",
      ["/noise"] = "SSH-2.0-OpenSSH_9.2\r\n\r\n",
      ["/endless"] = { "HTTP/1.1 200 OK\r\n\r\n", endless = ("x"):rep(65536) },
      ["/endless-head"] = { "HTTP/1.1 200 OK\r\n",
        endless = ("X-A: " .. ("y"):rep(1000) .. "\r\n"):rep(60) },
      ["/trailers"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"
        .. ("X-Line: " .. ("x"):rep(1000) .. "\r\n"):rep(1000) .. "\r\n",
      ["/nested"] = servers.ok(("["):rep(200000)),
      ["/zipped"] = answer("200 OK", "abcde", "Content-Encoding: gzip\r\n"),
    }
  end)
  teardown(function() server:stop() end)

  it("refuses a response whose trailers are larger than a head may be", function()
    local _, err = px.try(px.http.get, server.url .. "/trailers")
    assert.are.equal("protocol", err.kind)
  end)

  it("returns status, body, headers and time", function()
    local got = get("/")
    assert.are.equal(200, got.status)
    assert.are.equal("hello", got.body)
    assert.is_true(got.ok)
    assert.is_true(got.time >= 0)
    assert.are.equal("5", got.headers["content-length"])
    assert.are.equal("a\0b\255", get("/bytes").body)
    assert.are.same({ n = 3, list = { 1, 2 } }, get("/json"):json())
    local headers = get("/headers").headers
    assert.are.equal("1, 2", headers["x-one"])
    assert.are.equal("", headers["x-two"])
    assert.are.equal("a=b", headers["set-cookie"])
  end)

  it("takes no status for an error", function()
    local got = get("/missing")
    assert.are.same({ 404, false, "gone" }, { got.status, got.ok, got.body })
    assert.are.equal(503, get("/broken").status)
  end)

  it("sends every method", function()
    for _, method in ipairs{ "get", "head", "post", "put", "patch", "delete" } do
      local got = ask(method, "/")
      assert.are.equal(200, got.status)
      assert.are.equal(method == "head" and "" or "hello", got.body)
      assert.has.match("^" .. method:upper() .. " / HTTP/1%.1\r\n", last_request())
    end
  end)

  it("sends bodies, headers and queries", function()
    ask("post", "/", { body = "a\0b", headers = { ["X-Test"] = "yes", ["X-Empty"] = "",
      ["X-Number"] = 5 } })
    assert.has.match("\r\nContent%-Length: 3\r\n", last_request())
    assert.has.match("\r\nX%-Test: yes\r\n", last_request())
    assert.has.match("\r\nX%-Empty:\r\n", last_request())
    assert.has.match("\r\nX%-Number: 5\r\n", last_request())
    assert.are.equal("a\0b", last_request():sub(-3))
    ask("put", "/", { json = { price = px.money("9.30"), list = px.json.array{} } })
    assert.has.match("\r\nContent%-Type: application/json\r\n", last_request())
    assert.has.match('\r\n\r\n{"list":%[%],"price":9%.30?}$', last_request())
    get("/", { query = { q = "a b&c=ä" } })
    assert.has.match("^GET /%?q=a%%20b%%26c%%3D%%C3%%A4 ", last_request())
    get("/?x=1", { query = { y = true } })
    assert.has.match("^GET /%?x=1&y=true ", last_request())
  end)

  it("asks for compressed responses", function()
    get("/")
    assert.has.match("\r\nAccept%-Encoding: [^\r]*gzip", last_request())
    assert.are.equal("protocol", failure(get, "/zipped").kind)
  end)

  it("follows redirects, as many as it may", function()
    assert.are.equal("there", get("/to").body)
    local got = get("/to", { redirects = 0 })
    assert.are.same({ 302, "/there" }, { got.status, got.headers.location })
    local before = #server:requests()
    assert.are.equal("protocol", failure(get, "/circle", { redirects = 3 }).kind)
    assert.are.equal(4, #server:requests() - before)
  end)

  it("takes a redirect without a place to go to for the response", function()
    for _, path in ipairs{ "/still", "/nowhere" } do
      local got = get(path)
      assert.are.same({ 302, "packed" }, { got.status, got.body })
    end
  end)

  it("takes no response that ends within its head", function()
    for _, path in ipairs{ "/cut-head", "/only-head" } do
      local err = failure(get, path)
      assert.are.same({ "network", "closed" }, { err.kind, err.code })
      assert.has.match("within the head", err.message)
    end
  end)

  -- libcurl 7.83 to 8.0 appends such a line to a header of an earlier response that it has freed.
  it("refuses a head that begins with the continuation of a header, after other responses",
    function()
      local result = program.run({ "-e", ([[
        local px = require "proxylua"
        for _ = 1, 20 do
          assert(px.http.get(%q).ok)
          local _, err = px.try(px.http.get, %q)
          assert(err == nil or err.kind == "protocol", err)
        end
        print "done"]]):format(server.url .. "/headers", server.url .. "/folded") })
      assert.are.same({ 0, "done\n" }, { result.code, result.out }, result.err)
    end)

  it("never carries the key", function()
    local secret = "sk_live_" .. ("0123456789abcdef"):rep(2)
    local result = program.run({ "-e", ([[
      local px = require "proxylua"
      for _, method in ipairs{ "get", "post", "put" } do px.http[method](%q, { proxy = "" }) end
      px.http.get("http://api.example/", { proxy = %q })
      print "done"
    ]]):format(server.url .. "/to", server.url) }, {
      env = { PROXYLUA_API_KEY = secret, PROXYLUA_BASE_URL = server.url },
    })
    assert.are.same({ 0, "done\n" }, { result.code, result.out })
    for _, request in ipairs(server:requests()) do
      assert.is_nil(request:find(secret, 1, true))
      assert.is_nil(request:lower():find("authorization: bearer", 1, true))
    end
  end)

  it("goes through a proxy, given by its URL or as a record", function()
    local url = ("http://user:p%%40ss%%3A%%2F@127.0.0.1:%d"):format(server.port)
    for _, proxy in ipairs{ url, { url = url, host = "ignored" } } do
      local got = px.http.get("http://far.example/there", { proxy = proxy })
      assert.are.equal("there", got.body)
      assert.has.match("^GET http://far.example/there HTTP/1.1\r\n", last_request())
      assert.has.match("\r\nProxy%-Authorization: Basic dXNlcjpwQHNzOi8=\r\n", last_request())
    end
  end)

  it("never goes directly to the target when libcurl refuses the proxy", function()
    local before = #server:requests()
    local proxy = ("http://%s:80"):format(("a"):rep(8000001)) -- longer than libcurl accepts
    for _ = 1, 2 do
      local _, err = px.try(px.http.get, server.url .. "/there", { proxy = proxy })
      assert.are.equal("usage", err and err.kind)
    end
    assert.are.equal(before, #server:requests())
    assert.are.equal("there", px.http.get(server.url .. "/there").body)
  end)

  it("keeps the environment's proxy away from loopback", function()
    local result = program.run({ "-e", ([[
      print(require("proxylua").http.get(%q).body)
    ]]):format(server.url .. "/there") }, {
      env = { http_proxy = "http://127.0.0.1:1", all_proxy = "http://127.0.0.1:1" },
    })
    assert.are.same({ 0, "there\n" }, { result.code, result.out })
  end)

  it("says what is wrong with a connection", function()
    local err = failure(px.http.get, "http://127.0.0.1:1/", { proxy = "" })
    assert.are.equal("network", err.kind)
    assert.has.match("^GET http://127.0.0.1:1/: ", err.message)
    assert.are.equal("network", failure(px.http.get, "http://nowhere.invalid/",
      { proxy = "" }).kind)
    assert.are.equal("network", failure(px.http.get, "http://far.example/",
      { proxy = "http://127.0.0.1:1" }).kind)
    assert.are.equal("network", failure(get, "/cut").kind)
    assert.are.equal("network", failure(get, "/short").kind)
    assert.are.equal("protocol", failure(get, "/noise").kind)
    assert.are.equal("protocol", failure(get, "/endless-head").kind)
    for _, url in ipairs{ "", "nonsense", "nonsense://x", "http://a b/", "http://127.0.0.1:99999/",
      "http://x\0y/" } do
      assert.has.match("^usage$", failure(px.http.get, url).kind)
    end
  end)

  it("bounds time", function()
    assert.are.equal("timeout", failure(get, "/silent", { timeout = 0.05 }).kind)
    assert.are.equal("timeout", failure(get, "/stalled", { timeout = 0.05 }).kind)
  end)

  it("bounds size", function()
    local err = failure(get, "/endless", { max_body = 1000 })
    assert.are.equal("protocol", err.kind)
    assert.has.match("larger than 1000 bytes", err.message)
    assert.are.equal("hello", get("/", { max_body = 5 }).body)
    assert.are.equal("protocol", failure(get, "/", { max_body = 4 }).kind)
  end)

  it("bounds the depth of JSON", function()
    local got = get("/nested")
    assert.are.equal("protocol", failure(got.json, got).kind)
    got = get("/")
    assert.are.equal("protocol", failure(got.json, got).kind)
  end)

  it("asks for different URLs at once", function()
    local numbers = {}
    for i = 1, 100 do numbers[i] = i end
    local got = px.map(numbers, function(i)
      return get("/there?" .. i).body
    end, { concurrency = 50 })
    for i = 1, 100 do assert.are.equal("there", got[i]) end
  end)

  it("sends again when a kept connection has died, however often that happens", function()
    for _ = 1, 30 do
      assert.are.equal(404, get("/missing").status) -- the server closes behind it without a word
      assert.are.equal(200, get("/").status)
    end
  end)

  it("writes a body to a file, whole or not at all", function()
    local folder = program.folder()
    local function files()
      local pipe = io.popen("ls -A " .. program.quote(folder))
      local list = pipe:read("a")
      pipe:close()
      return list
    end
    local got = get("/", { path = folder .. "/there" })
    assert.are.equal(200, got.status)
    assert.are.equal("", got.body)
    assert.are.equal("hello", program.read(folder .. "/there"))
    for _, path in ipairs{ "/short", "/stalled" } do
      failure(get, path, { path = folder .. "/there", timeout = 0.2 })
      assert.are.equal("hello", program.read(folder .. "/there"))
      assert.are.equal("there\n", files())
    end
    assert.are.equal(404, get("/missing", { path = folder .. "/there" }).status)
    assert.are.equal("hello", program.read(folder .. "/there"))
    local err = failure(get, "/", { path = folder .. "/no/such" })
    assert.are.equal("store", err.kind)
    assert.has.match("No such file or directory", err.message)
    program.remove(folder)
  end)

  it("refuses what it does not know", function()
    local function usage(options)
      local err = failure(px.http.get, server.url, options)
      assert.are.equal("usage", err.kind)
      return err.message
    end
    assert.has.match("has no option \"headrs\", did you mean headers", usage{ headrs = {} })
    assert.has.match("has no option \"1\"", usage{ "x" })
    assert.has.match("give body or json, not both", usage{ body = "x", json = {} })
    assert.has.match("a header cannot hold a line end", usage{ headers = { A = "x\r\nB: c" } })
    for _, name in ipairs{ "A\nB", "Host ", " A", "A\t", "A:B", "", "é" } do
      assert.has.match("is no name of a header", usage{ headers = { [name] = "x" } })
    end
    assert.has.match("cannot hold a NUL", usage{ headers = { A = "x\0y" } })
    assert.has.match("cannot hold a NUL", usage{ path = "x\0y" })
    assert.has.match("cannot hold a NUL", usage{ proxy = "http://x\0y" })
    assert.has.match("headers must be a table", usage{ headers = "A: b" })
    assert.has.match("the proxy has no url", usage{ proxy = {} })
    assert.has.match("timeout must be a duration", usage{ timeout = 0 })
    assert.has.match("timeout must be a duration", usage{ timeout = 0 / 0 })
    assert.has.match("redirects must be an integer from 0 to 50", usage{ redirects = -1 })
    assert.has.match("query must be a table", usage{ query = "a=b" })
    assert.has.match("names and of strings", usage{ query = { a = {} } })
    assert.has_error(function() px.http.get() end)
    assert.has_error(function() px.http.get(server.url, 5) end)
  end)

  it("carries two thousand requests, five hundred at a time", function()
    local list = {}
    for index = 1, 2000 do list[index] = index % 2 == 0 and "/there" or "/bytes" end
    local bodies = px.map(list, function(path) return get(path).body end, { concurrency = 500 })
    for index, body in ipairs(bodies) do
      assert.are.equal(index % 2 == 0 and "there" or "a\0b\255", body)
    end
  end)

  it("stops the requests of a cancelled task, and goes on", function()
    for _ = 1, 50 do
      local tasks = {}
      for index = 1, 10 do
        tasks[index] = px.spawn(get, index % 2 == 0 and "/silent" or "/there")
      end
      px.sleep(0)
      for _, task in ipairs(tasks) do task:cancel() end
      for _, task in ipairs(tasks) do
        local got, err = px.try(task.join, task)
        assert.is_true(got and got.body == "there" or err.kind == "cancelled")
      end
    end
    assert.are.equal("hello", get("/").body)
  end)
end)
