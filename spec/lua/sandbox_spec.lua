-- src/sandbox and lua/proxylua/sandbox: the emulated API, asked as any client asks it.

local core = require "proxylua.core"
local faults = require "proxylua.sandbox.faults"
local limits = require "proxylua.sandbox.limits"
local program = require "spec.support.program"
local raw = require "spec.support.raw"
local sandboxes = require "spec.support.sandbox"

local sandbox

local function start(settings)
  settings = settings or {}
  settings.limits = settings.limits or "off"
  sandbox = sandboxes.start(settings)
end

-- One request to the API with the key; returns the response.
local function ask(method, path, json, headers)
  headers = headers or {}
  headers.Authorization = headers.Authorization or "Bearer " .. sandbox.key
  return core.http[method](sandbox.url .. path, { headers = headers, json = json })
end

local function port()
  return tonumber(sandbox.url:match(":(%d+)/"))
end

-- The bytes of a request that closes its connection.
local function request(method, path, body)
  return (
    "%s /api/v1%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nConnection: close\r\n"
    .. "Content-Length: %d\r\n\r\n%s"):format(method, path, sandbox.key, #(body or ""), body or "")
end

local function get(path)
  return ask("get", path)
end

local function post(path, json)
  return ask("post", path, json)
end

local ISP = { type = "isp", quantity = 2, country = "US", period = 30 }

local function buy(order)
  local answer = post("/orders", order or ISP)
  assert.equal(201, answer.status)
  return answer:json().data
end

local function fault(text)
  sandbox:change("settings", { faults = text and { text } or core.json.array{} })
end

local function sold()
  return sandbox:look("counters").sold
end

describe("the sandbox", function()
  before_each(function() start() end)
  after_each(function() sandbox:stop() end)

  it("begins with an account of 1000.00", function()
    assert.equal(1000, get("/account"):json().data.balance)
  end)

  it("quotes without charging", function()
    local quote = post("/orders/calc", { type = "isp", quantity = 10, country = "US",
      period = 30 }):json().data
    assert.equal(24, quote.price)
    assert.equal("1000.00", sandbox:look("counters").balance)
  end)

  it("charges an order once, and books it", function()
    local order = buy()
    assert.equal("995.20", sandbox:look("counters").balance)
    local entries = get("/account/transactions"):json()
    assert.same({ "charge", "deposit" }, { entries.data[1].type, entries.data[2].type })
    assert.same({ 4.8, order.id }, { entries.data[1].amount, entries.data[1].order_id })
    assert.equal(2, entries.meta.total)
  end)

  it("keeps the idempotency key that an order came with", function()
    ask("post", "/orders", ISP, { ["Idempotency-Key"] = "restock-1" })
    assert.equal("restock-1", sandbox:look("orders").orders[1].key)
    ask("post", "/orders", ISP, { ["Idempotency-Key"] = "restock-1" })
    assert.equal(2, sold())
  end)

  it("lists orders newest first, by pages, type and status", function()
    local ids = {}
    for index = 1, 5 do
      ids[index] = buy{ type = index == 3 and "mobile" or "isp", quantity = 1 }.id
    end
    local page = get("/orders?limit=2&page=2"):json()
    assert.same({ ids[3], ids[2] }, { page.data[1].id, page.data[2].id })
    assert.same({ page = 2, perPage = 2, total = 5, totalPages = 3 }, page.meta)
    assert.equal(ids[3], get("/orders?type=mobile"):json().data[1].id)
    sandbox:change("cancel", { id = ids[1] })
    assert.equal(ids[1], get("/orders?status=cancelled"):json().data[1].id)
    assert.equal(4, get("/orders?status=active"):json().meta.total)
    assert.same({}, get("/orders?page=9"):json().data)
  end)

  it("gives back what a cancelled order cost", function()
    sandbox:change("cancel", { id = buy().id })
    assert.equal("1000.00", sandbox:look("counters").balance)
    assert.equal("refund", get("/account/transactions"):json().data[1].type)
  end)

  it("lets orders expire, and extends active ones only", function()
    local order = buy()
    local longer = post("/orders/" .. order.id .. "/extend", { period = 7 })
    assert.same({ 200, 37, 1.12 }, { longer.status, longer:json().data.period,
      longer:json().data.charged })
    sandbox:change("clock", { advance = 36 * 86400 })
    assert.equal("active", get("/orders/" .. order.id):json().data.status)
    sandbox:change("clock", { advance = 86400 })
    assert.equal("expired", get("/orders/" .. order.id):json().data.status)
    assert.equal(400, post("/orders/" .. order.id .. "/extend", { period = 7 }).status)
    assert.equal("994.08", sandbox:look("counters").balance)
  end)

  it("hands out the proxies of an order in every format", function()
    local path = "/orders/" .. buy().id
    local first = get(path .. "/proxies"):json().data[1]
    local line = ("%s:%d:%s:%s\n"):format(first.host, first.port, first.username, first.password)
    assert.equal(line, get(path .. "/download").body:match("^[^\n]*\n"))
    assert.equal("host,port,username,password,protocol",
      get(path .. "/download?format=csv").body:match("^[^\n]*"))
    assert.same(first, get(path .. "/download?format=json"):json()[1])
    assert.equal(400, get(path .. "/download?format=xml").status)
  end)

  it("streams a large download whole", function()
    local body = get("/orders/" .. buy{ type = "ipv6", quantity = 4321 }.id .. "/download").body
    local count = select(2, body:gsub("127%.0%.0%.1:%d+:%w+%-%d+:%w+\n", ""))
    assert.equal(4321, count)
    fault("orders.download:size=3000000")
    assert.equal(3000000, #get("/orders/" .. buy().id .. "/download").body)
  end)

  it("makes one more deposit address each time", function()
    local first = post("/deposits/addresses", { currency = "USDT", network = "TRC20" })
    assert.same({ 201, "TRC20" }, { first.status, first:json().data.network })
    local second = post("/deposits/addresses", { currency = "USDT", network = "TRC20" })
    assert.not_equal(first:json().data.address, second:json().data.address)
    assert.equal(2, #get("/deposits/addresses"):json().data)
    assert.equal(400, post("/deposits/addresses", { currency = "USDT", network = "X" }).status)
    assert.equal(400, post("/deposits/addresses", { currency = "XMR" }).status)
  end)

  for name, field in pairs{ countries = "code", ["proxy-types"] = "type", periods = "days" } do
    it("has reference data: " .. name, function()
      for _, row in ipairs(get("/reference/" .. name):json().data) do assert.truthy(row[field]) end
      assert.equal(404, get("/reference/" .. name .. "x").status)
    end)
  end

  it("goes back to its start when it is asked to", function()
    buy()
    fault("*:status=502")
    sandbox:change("reset")
    assert.equal(1000, get("/account"):json().data.balance)
    assert.equal(0, sold())
  end)

  it("responds with the date of its clock", function()
    sandbox:change("clock", { advance = 400 * 86400 })
    local year = get("/account").headers.date:match("%a+, %d+ %a+ (%d+)")
    assert.equal(buy().created_at:sub(1, 4), year)
  end)

  it("takes settings by name only, and all or a clear refusal", function()
    for _, wrong in ipairs{ { balanc = "1" }, { balance = "x" }, { dialect = "x" },
      { limits = "general=1" },
      { faults = { "orders.crate:cut=after" } }, { faults = { "orders.create:cut=later" } },
        { account = "x" },
      { faults = "*:cut=after" }, { passwords = "x" }, { state = "x" } } do
      local answer = core.http.post(sandbox.admin_url .. "/settings", {
        headers = { ["X-Sandbox-Key"] = sandbox.key }, json = wrong,
      })
      assert.equal(400, answer.status)
      assert.truthy(answer:json().error)
    end
  end)

  it("keeps its admin interface to those who have the key", function()
    assert.equal(401, core.http.get(sandbox.admin_url .. "/counters").status)
    assert.equal(200, core.http.get(sandbox.trace_url).status)
  end)
end)

describe("an error of the sandbox", function()
  before_each(function() start{ balance = "5" } end)
  after_each(function() sandbox:stop() end)

  local BAD = { type = "x", quantity = 0, country = "XX", period = 0.5 }
  local cases = {
    { "400", function() return post("/orders", BAD) end, "VALIDATION_ERROR" },
    { "400 of a list", function() return get("/orders?limit=101&page=0") end, "VALIDATION_ERROR" },
    { "401 without a key", function()
      return core.http.get(sandbox.url .. "/account")
    end, "UNAUTHORIZED" },
    { "401 for another key", function()
      return ask("get", "/account", nil, { Authorization = "Bearer sk_live_x" })
    end, "INVALID_API_KEY" },
    { "402", function()
      return post("/orders", { type = "mobile", quantity = 1 })
    end, "INSUFFICIENT_BALANCE" },
    { "403 when banned", function()
      sandbox:change("settings", { account = "banned" })
      return get("/account")
    end, "BANNED" },
    { "403 when unverified", function()
      sandbox:change("settings", { account = "unverified" })
      return get("/account")
    end, "UNVERIFIED" },
    { "404", function() return get("/orders/ord_none") end, "ORDER_NOT_FOUND" },
    { "404 of a path", function() return get("/nothing/here") end, "NOT_FOUND" },
    { "429", function()
      sandbox:change("settings", { limits = "general=1/60" })
      get("/account")
      return get("/account")
    end, "RATE_LIMITED" },
    { "502", function()
      fault("account.get:status=502")
      return get("/account")
    end, "UPSTREAM_ERROR" },
  }

  for _, case in ipairs(cases) do
    it("says " .. case[1] .. " in both dialects", function()
      local answer = case[2]()
      assert.equal(tonumber(case[1]:match("%d+")), answer.status)
      assert.equal(case[3], answer:json().error.code)
      sandbox:change("reset")
      sandbox:change("settings", { dialect = "bare", balance = "5" })
      assert.equal("string", type(case[2]():json().error))
      assert.equal(0, sold())
    end)
  end

  it("names every field that is wrong", function()
    local details = post("/orders", BAD):json().error.details
    for _, name in ipairs{ "type", "quantity", "country", "period" } do
      assert.equal("string", type(details[name]))
    end
  end)

  it("has a Retry-After", function()
    sandbox:change("settings", { limits = "general=1/30" })
    get("/account")
    assert.equal("30", get("/account").headers["retry-after"])
  end)
end)

describe("a dialect", function()
  before_each(function() start() end)
  after_each(function() sandbox:stop() end)

  local function speak(dialect)
    sandbox:change("settings", { dialect = dialect })
  end

  it("called bare returns an id for an order, other names, and numbers as texts", function()
    speak "bare"
    local created = post("/orders", ISP):json()
    assert.same({ "orderId" }, { next(created), next(created, "orderId") })
    local list = get("/orders"):json()
    local order = list.orders[1]
    assert.same({ created.orderId, "2", "4.80" }, { order.orderId, order.quantity, order.total })
    assert.same({ 1, 20, 1 }, { list.page, list.limit, list.total })
    local proxy = get("/orders/" .. created.orderId .. "/proxies"):json()[1]
    assert.same({ "127.0.0.1", "string", "string" },
      { proxy.ip, type(proxy.port), type(proxy.pass) })
  end)

  it("called snake has a third set of names", function()
    speak "snake"
    local order = post("/orders", ISP):json()
    assert.same({ "4.80", 2 }, { order.cost, order.quantity })
    assert.truthy(get("/orders/" .. order.order_id .. "/proxies"):json().proxies[1].login)
  end)

  it("called mixed changes with every request", function()
    speak "mixed"
    local shapes = {}
    for _ = 1, 6 do
      local order = post("/orders", ISP):json()
      shapes[order.data and "envelope" or order.orderId and "bare" or "snake"] = true
    end
    assert.same({ envelope = true, bare = true, snake = true }, shapes)
  end)
end)

describe("a fault", function()
  before_each(function() start() end)
  after_each(function() sandbox:stop() end)

  for text, case in pairs{
    ["status=502"] = { 502, 0 }, ["status=502,when=after"] = { 502, 1 },
      ["html"] = { 502, 0, "<html>" },
    ["status=503,html"] = { 503, 0, "<html>" }, ["empty"] = { 201, 1, "^$" },
    ["garbage"] = { 200, 1, "[\x80-\xFF]" }, ["nul"] = { 201, 1, "\0" },
      ["nested"] = { 201, 1, "^%[%[%[" },
    ["refund"] = { 502, 1 }, ["drift=2"] = { 201, 1, "9.6" },
    ["type=text/html"] = { 201, 1 }, ["redirect=http://127.0.0.1:1/x,when=after"] = { 302, 1 },
  } do
    it(("%s happens once when it is asked for once"):format(text), function()
      fault("orders.create:" .. text .. ",count=1")
      local answer = core.http.post(sandbox.url .. "/orders", {
        headers = { Authorization = "Bearer " .. sandbox.key }, json = ISP, redirects = 0,
      })
      assert.equal(case[1], answer.status)
      if case[3] then assert.truthy(answer.body:find(case[3])) end
      assert.equal(case[2], sold())
      buy()
    end)
  end

  -- What a connection of its own brings; libcurl would try again on another one.
  local function send_order()
    return raw.send(port(), request("POST", "/orders", core.json.encode(ISP)))
  end

  for text, case in pairs{ ["cut=before"] = { 0, "^$" }, ["cut=after"] = { 1, "^$" },
    ["truncate"] = { 1, "}$" } } do
    it(text .. " ends the connection", function()
      fault("orders.create:" .. text .. ",count=1")
      local answer = send_order()()
      assert.truthy(answer:find(case[2]))
      assert.is_true(#answer < tonumber(answer:match("Content%-Length: (%d+)") or "1"))
      assert.equal(case[1], sold())
    end)
  end

  it("can charge an order and take it back", function()
    fault("orders.create:refund")
    post("/orders", ISP)
    local counters = sandbox:look("counters")
    assert.same({ "1000.00", 1, "4.80", "4.80" }, {
      counters.balance, counters.refunds, counters.charged, counters.refunded,
    })
    assert.equal("cancelled", sandbox:look("orders").orders[1].status)
  end)

  it("can hide a new order until time has passed", function()
    sandbox:change("settings", {
      faults = { "orders.list:slow=60", "account.transactions:slow=60", "account.get:slow=60" },
    })
    buy()
    assert.same({}, get("/orders"):json().data)
    assert.equal(1, get("/account/transactions"):json().meta.total)
    assert.equal(1000, get("/account"):json().data.balance)
    sandbox:change("clock", { advance = 61 })
    assert.equal(1, get("/orders"):json().meta.total)
    assert.equal(995.2, get("/account"):json().data.balance)
  end)

  it("can leave fields out", function()
    fault("orders.get:omit=price+period")
    local order = get("/orders/" .. buy().id):json().data
    assert.same({}, { order.price, order.period })
    assert.equal("isp", order.type)
  end)

  it("can say something else in fields", function()
    fault("orders.get:say=country~us+quantity~2%20IPs")
    local order = get("/orders/" .. buy().id):json().data
    assert.same({ "us", "2 IPs", "isp" }, { order.country, order.quantity, order.type })
  end)

  it("can skip requests, and strike by chance", function()
    fault("account.get:skip=2,status=500")
    assert.same({ 200, 200, 500 }, { get("/account").status, get("/account").status,
      get("/account").status })
    fault("account.get:chance=0,status=500")
    assert.equal(200, get("/account").status)
  end)

  for name, count in pairs{ hold = 0, delay = 1 } do
    it(
      ("called %s keeps a request waiting, while others are served, until the sandbox "
        .. "stops"):format(name), function()
      fault(("orders.create:%s=600"):format(name))
      local finish = send_order()
      repeat local requests = sandbox:look("counters").requests until requests["orders.create"]
      assert.equal(200, get("/account").status)
      assert.equal(count, sold())
      core.sandbox.stop()
      assert.equal("", finish())
    end)
  end

  it("can keep a request waiting and let it go", function()
    fault("*:hold=0.01-0.02,delay=0.01")
    assert.equal(200, get("/account").status)
  end)

  it("can send a body without end, which the client ends", function()
    fault("account.get:huge")
    local ok, err = pcall(core.http.get, sandbox.url .. "/account", {
      headers = { Authorization = "Bearer " .. sandbox.key }, max_body = 1 << 20,
    })
    assert.same({ false, "protocol" }, { ok, err.kind })
    fault()
    assert.equal(200, get("/account").status)
  end)

  it("can give any Retry-After", function()
    fault("account.get:status=429,retry_after=Wed%2C 21 Oct 2015 07:28:00 GMT")
    assert.equal("Wed, 21 Oct 2015 07:28:00 GMT", get("/account").headers["retry-after"])
    fault("account.get:status=429,retry_after=none")
    assert.is_nil(get("/account").headers["retry-after"])
  end)

  for _, text in ipairs{
    "", "x", "x:", "orders.create:cut=maybe", "*:status=99", "*:chance=x", "*:delay=2-1", "*:no=1",
  } do
    it(("'%s' is refused"):format(text), function()
      assert.has_error(function() faults.parse(text) end)
    end)
  end
end)

describe("a hostile client", function()
  before_each(function() start() end)
  after_each(function() sandbox:stop() end)

  for name, bytes in pairs{
    ["noise"] = ("\xFF\0\x80\r\n"):rep(100), ["a head without end"] = "GET /" .. ("x"):rep(100000),
    ["headers without end"] = "GET / HTTP/1.1\r\n" .. ("A: b\r\n"):rep(10000),
    ["a body larger than it may be"] =
      "POST /api/v1/orders HTTP/1.1\r\nContent-Length: 99999999\r\n\r\nx",
    ["a negative length"] = "POST /api/v1/orders HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ["half a request"] = "POST /api/v1/orders HTTP/1.1\r\nContent-Length: 100\r\n\r\n{",
    ["a method nobody knows"] = "BREW /api/v1/account HTTP/1.1\r\n\r\n", ["nothing"] = "",
  } do
    it("that sends " .. name .. " gets no answer of value, and harms nobody", function()
      local answer = raw.talk(port(), bytes, true)
      assert.truthy(answer == "" or answer:find("^HTTP/1.1 [45]"))
      assert.equal(200, get("/account").status)
    end)
  end

  for name, head in pairs{
    ["two lengths"] = "Content-Length: 2\r\nContent-Length: 40", ["a list of lengths"] =
      "Content-Length: 2, 40", ["a length with a sign"] = "Content-Length: +2",
    ["an unknown coding"] = "Transfer-Encoding: gzip", ["two codings"] =
      "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip", ["a length and a coding"] =
      "Content-Length: 2\r\nTransfer-Encoding: chunked",
  } do
    -- Some versions of libevent respond with 413, or close the connection at once.
    it("that frames a body with " .. name .. " gets an error or nothing, and no second response",
      function()
      local inner = "{}GET /api/v1/account HTTP/1.1\r\nHost: x\r\n\r\n"
      local answer = raw.talk(port(),
        ("POST /api/v1/orders HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n%s"):format(head, inner), true)
      assert.truthy(answer == "" or answer:find("^HTTP/1.1 4"))
      assert.is_nil(answer:find("HTTP/1.1", 9, true))
    end)
  end

  it("that asks for the head alone gets the status of GET and no body", function()
    local answer = raw.talk(port(), request("HEAD", "/account"), true)
    assert.truthy(answer:find("^HTTP/1.1 200 OK\r\n.*Content%-Length: %d+\r\n.*\r\n\r\n$"))
  end)

  it("that uses another method gets 405 and the methods that the path has", function()
    for path, methods in pairs{ ["/account"] = "GET, HEAD", ["/orders"] = "GET, HEAD, POST",
      ["/orders/x/extend"] = "POST", ["/orders/x"] = "GET, HEAD" } do
      local answer = raw.talk(port(), request("DELETE", path), true)
      assert.truthy(answer:find("^HTTP/1.1 405 Method Not Allowed\r\n"))
      assert.truthy(answer:find("\r\nAllow: " .. methods .. "\r\n", 1, true))
    end
    assert.truthy(raw.talk(port(), request("DELETE", "/none"), true):find("^HTTP/1.1 404"))
  end)

  it("that names the whole URL, as to a proxy, gets the response", function()
    local whole = request("GET", "/account"):gsub("GET ", "GET http://127.0.0.1")
    assert.truthy(raw.talk(port(), whole, true):find("^HTTP/1.1 200"))
  end)

  it("that misses the API gets JSON that is called so", function()
    local answer = raw.talk(port(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n", true)
    assert.truthy(answer:find("\r\nContent-Type: application/json", 1, true))
  end)

  for name, body in pairs{
    ["brackets"] = ("["):rep(200000), ["no JSON"] = "{", ["a list"] = "[1]", ["a text"] = '"x"',
    ["NUL bytes"] = '{"type":"\0"}', ["nothing"] = "", ["numbers that are none"] =
      '{"type":"isp","quantity":1e999}',
    ["objects inside"] = '{"type":{},"quantity":[]}',
  } do
    it("that orders with " .. name .. " gets 400", function()
      assert.truthy(raw.talk(port(), request("POST", "/orders", body)):find("^HTTP/1.1 400"))
      assert.equal(0, sold())
    end)
  end
end)

describe("the sandbox's limits", function()
  -- Hammers counters with a clock of its own; returns the times of admitted requests.
  local function hammer(text, steps, step)
    local counters, passed, now = limits.open(limits.parse(text)), {}, 1000.0
    for _ = 1, steps do
      now = now + step
      if not limits.take(counters, { "general" }, now) then passed[#passed + 1] = now end
    end
    return passed
  end

  -- The most that passed in any stretch of `window` seconds.
  local function densest(passed, window)
    local most, first = 0, 1
    for at, time in ipairs(passed) do
      while passed[first] <= time - window do first = first + 1 end
      most = math.max(most, at - first + 1)
    end
    return most
  end

  it("as a sliding log let N through in any window, and as many as that", function()
    local passed = hammer("general=10/1", 10000, 0.001)
    assert.equal(10, densest(passed, 1 - 1e-9))
    assert.equal(100, #passed)
  end)

  it("as fixed windows let 2 N through around a border, and N in each", function()
    local passed = hammer("general=10/1,algorithm=fixed,phase=0.5", 10000, 0.001)
    assert.is_true(densest(passed, 1 - 1e-9) <= 20)
    assert.is_true(#passed >= 100 and #passed <= 110)
  end)

  it("as a bucket let the burst through at once, then N in each window", function()
    assert.equal(10, #hammer("general=10/1,algorithm=bucket", 10, 1e-6))
    assert.equal(3, #hammer("general=10/1,algorithm=bucket,burst=3", 10, 1e-6))
    local passed = hammer("general=10/1,algorithm=bucket,burst=3", 10000, 0.001)
    assert.is_true(#passed >= 102 and #passed <= 103)
  end)

  it("as a weighted counter remember the window before", function()
    local counters = limits.open(limits.parse("general=10/1,algorithm=weighted,phase=0.5"))
    local function take(now) return limits.take(counters, { "general" }, now) end
    for _ = 1, 10 do assert.is_nil(take(0.9)) end
    assert.is_truthy(take(1.49))
    local wait = take(1.51) -- 1 % of the new window has passed, so 9.9 of the old ten still count
    assert.is_near(0.09, wait, 1e-9)
    assert.is_nil(take(1.51 + wait + 1e-9))
    assert.is_truthy(take(1.51 + wait + 1e-9))
  end)

  for _, algorithm in ipairs{ "fixed", "sliding", "bucket", "weighted" } do
    it("report how long to wait: " .. algorithm, function()
      local counters, now = limits.open(limits.parse("general=5/1,algorithm=" .. algorithm)), 0.0
      for _ = 1, 200 do
        local wait = limits.take(counters, { "general" }, now)
        if wait then
          assert.is_truthy(limits.take(counters, { "general" }, now + wait * 0.98))
          now = now + wait + 1e-6
          assert.is_nil(limits.take(counters, { "general" }, now))
        end
      end
      assert.is_true(now > 20)
    end)
  end

  it("count an order in both scopes or in neither", function()
    start{ limits = "general=4/60,orders=2/60" }
    local statuses = {}
    for at = 1, 4 do statuses[at] = post("/orders", ISP).status end
    assert.same({ 201, 201, 429, 429 }, statuses)
    assert.same({ 200, 200, 429 }, { get("/account").status, get("/account").status,
      get("/account").status })
    assert.same({ "orders.create", "orders.create", "account.get", "account.get" },
      sandbox:look("counted").names)
    assert.equal(3, sandbox:look("counters").limited)
    sandbox:stop()
  end)

  it("are each key's own", function()
    start{ limits = "general=1/60", keys = { "sk_one", "sk_two" } }
    local function with(key)
      return ask("get", "/account", nil, { Authorization = "Bearer " .. key }).status
    end
    assert.same({ 200, 429, 200 }, { with "sk_one", with "sk_one", with "sk_two" })
    sandbox:stop()
  end)
end)

describe("the sandbox's state", function()
  local folder, path
  before_each(function()
    folder = program.folder()
    path = folder .. "/state.json"
  end)
  after_each(function()
    core.sandbox.stop()
    program.remove(folder)
  end)

  it("outlives it, proxies and all", function()
    start{ state = path, balance = "50" }
    local order = buy()
    local proxies = get("/orders/" .. order.id .. "/download").body:gsub(":%d+:", ":")
    post("/deposits/addresses", { currency = "BTC" })
    sandbox:change("clock", { advance = 100.5 })
    sandbox:stop()
    start{ state = path, balance = "70" }
    assert.same(order, get("/orders/" .. order.id):json().data)
    assert.equal(proxies, (get("/orders/" .. order.id .. "/download").body:gsub(":%d+:", ":")))
    assert.equal(45.2, get("/account"):json().data.balance)
    assert.equal(1, #get("/deposits/addresses"):json().data)
    sandbox:stop()
  end)

  it("is on disk before the response leaves: a kill loses nothing", function()
    local words = { "sandbox", "--json", "--quiet", "--limits", "off", "--state", path }
    local pipe = assert(io.popen("echo $$; exec " .. program.command(folder, words)))
    local pid, place = pipe:read("l", "l")
    sandbox = core.json.decode(place)
    local order = buy()
    os.execute("kill -KILL " .. pid)
    pipe:close()
    start{ state = path }
    assert.same(order, get("/orders/" .. order.id):json().data)
    sandbox:stop()
  end)

  for name, damage in pairs{
    ["is cut short"] = function(text) return text:sub(1, 200) end,
    ["is of a newer version"] = function(text) return (text:gsub('"version":1', '"version":2')) end,
    ["has a field of another type"] = function(text)
      return (text:gsub('"quantity":2', '"quantity":"x"'))
    end,
    ["is something else"] = function() return '{"a":1}' end,
    ["is empty"] = function() return "" end,
    ["is noise"] = function() return "\0\1\2" end,
  } do
    it("that " .. name .. " is refused and left alone", function()
      start{ state = path }
      buy()
      sandbox:stop()
      local text = damage(program.read(path))
      program.write(path, text)
      local ok, err = pcall(start, { state = path })
      assert.same({ false, "store" }, { ok, err.kind })
      assert.truthy(err.message:find(path, 1, true))
      assert.equal(text, program.read(path))
    end)
  end

  it("that cannot be written is an error of the server, and it goes on", function()
    start{ state = path }
    program.remove(folder)
    assert.equal(500, post("/orders", ISP).status)
    assert(os.execute("mkdir " .. program.quote(folder)))
    assert.equal(200, get("/account").status)
    assert.equal("file", core.system.kind(path))
    sandbox:stop()
  end)
end)

describe("proxylua sandbox", function()
  local home, pipe, pid

  -- Starts it with its standard error in home/log; returns its first lines, up to one that matches.
  local function launch(words, last)
    table.insert(words, 1, "sandbox")
    pipe = assert(io.popen("echo $$; exec " .. program.command(home, words) .. " 2>" .. home
      .. "/log"))
    pid = pipe:read("l")
    local text = ""
    repeat
      local line = pipe:read("L")
      text = text .. (line or "")
    until not line or line:find(last)
    return text
  end

  local function stop(signal)
    os.execute(("kill -%s %s"):format(signal, pid))
    local ok, how, code = pipe:close()
    pipe = nil
    return ok and 0 or how .. code
  end

  before_each(function() home = program.folder() end)
  after_each(function()
    if pipe then stop "TERM" end
    program.remove(home)
  end)

  it("says how it is used, logs each request, and ends well on a signal", function()
    local text, env = launch({}, "address of its client"), {}
    for name, value in text:gmatch("export (%S+)=(%S+)") do env[name] = value end
    local url, key = env.PROXYLUA_BASE_URL, env.PROXYLUA_API_KEY
    local words = { "--spend", "25", "orders", "create", "--type", "isp", "--quantity", "2" }
    assert.equal(0, program.run(words, { home = home, env = env }).code)
    local result = program.run({ "check", "--exit-code" }, { home = home, env = env })
    assert.equal(0, result.code, result.err)
    assert.matches("2 of 2 work", result.err)
    local answer = core.http.get(url .. "/account",
      { headers = { Authorization = "Bearer " .. key } })
    assert.equal(200, answer.status)
    assert.equal(0, stop "TERM")
    assert.truthy(program.read(home .. "/log"):find("GET /api/v1/account 200 account.get", 1, true))
    assert.is_nil(program.read(home .. "/log"):find(key, 1, true))
  end)

  it("is set by its options, and quiet when asked to be", function()
    sandbox = core.json.decode(launch({
      "--json", "--quiet", "--balance", "7.50", "--dialect", "bare", "--limits", "general=1/60",
        "--key", "sk_mine",
      "--fault", "account.get:status=503,count=1", "--fault", "orders.list:status=500",
    }, "}"))
    assert.equal("sk_mine", sandbox.key)
    assert.equal(503, get("/account").status)
    assert.equal(429, get("/account").status)
    assert.equal(0, stop "INT")
    assert.equal("", program.read(home .. "/log"))
  end)

  for _, words in ipairs{
    { "--balance", "x" }, { "--port", "99999" }, { "--fault", "x" },
      { "--state", "/nonexistent/state.json" },
  } do
    it("refuses " .. table.concat(words, " "), function()
      local result = program.run({ "sandbox", words[1], words[2] })
      assert.equal(words[1] == "--state" and 4 or 2, result.code)
      assert.truthy(result.err:find(words[2], 1, true))
    end)
  end

  it("refuses a port that is taken", function()
    start()
    local result = program.run{ "sandbox", "--port", tostring(port()) }
    assert.equal(2, result.code)
    assert.truthy(result.err:find(tostring(port()), 1, true))
    sandbox:stop()
  end)
end)
