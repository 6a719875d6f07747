-- lua/proxylua/pool.lua: pools of the sandbox's own forward proxies, among real ports that refuse,
-- stay silent or know no such user.

local core = require "proxylua.core"
local px = require "proxylua"
local sandboxes = require "spec.support.sandbox"
local servers = require "spec.support.server"

local REFUSED = "http://127.0.0.1:1"

describe("a pool", function()
  local sandbox, good

  local function call(method, path, json)
    local answer = core.http[method](sandbox.url .. path, {
      headers = { Authorization = "Bearer " .. sandbox.key }, json = json,
    })
    assert(answer.ok, answer.body)
    return answer:json().data
  end

  setup(function()
    sandbox = sandboxes.start()
    local order = call("post", "/orders", { type = "isp", quantity = 4, country = "US" })
    good = {}
    for index, proxy in ipairs(call("get", "/orders/" .. order.id .. "/proxies")) do
      good[index] = ("http://%s:%s@%s:%d"):format(proxy.username, proxy.password, proxy.host,
        proxy.port)
    end
  end)
  teardown(function() sandbox:stop() end)

  local function user(pool, options)
    local all = { proxy = pool, timeout = 9 }
    for name, value in pairs(options or {}) do all[name] = value end
    return px.http.get(sandbox.trace_url, all).body:match("proxy=([^\n]*)")
  end

  it("rotates evenly, in many tasks at once", function()
    local pool = px.pool(good)
    local list = {}
    for index = 1, 40 do list[index] = index end
    px.map(list, function() return user(pool) end, { concurrency = 8 })
    for _, one in ipairs(pool:stats().proxies) do assert.equal(10, one.requests) end
  end)

  it("keeps the proxy of a key while it works", function()
    local pool = px.pool(good, { strategy = "sticky" })
    local first = user(pool, { key = "a" })
    for _ = 1, 5 do
      user(pool)
      assert.equal(first, user(pool, { key = "a" }))
    end
    pool:report(pool:next("a"), false)
    local second = user(pool, { key = "a" })
    assert.not_equal(first, second)
    assert.equal(second, user(pool, { key = "a" }))
  end)

  it("sets aside what refuses, is silent or does not know the user, and goes elsewhere", function()
    local silent = servers.start{ ["/_sandbox/trace"] = { "", hold = true } }
    local wrong = good[1]:gsub(":[^:@]*@", ":wrong@")
    for _, bad in ipairs{ REFUSED, wrong, silent.url } do
      local pool = px.pool{ bad, good[2] }
      assert.is_string(user(pool, { timeout = 2 }))
      local stats = pool:stats()
      assert.same({ 2, 1, 1 }, { stats.requests, stats.failures, stats.quarantined })
      assert.is_true(stats.proxies[1].quarantined_until > px.time())
      assert.is_true(stats.proxies[2].latency > 0)
    end
    silent:stop()
  end)

  it("sends a POST elsewhere only when nothing left", function()
    local url = sandbox.trace_url
    local pool = px.pool{ REFUSED, good[1] }
    assert.is_number(px.http.post(url, { proxy = pool, body = "x" }).status)
    assert.equal(2, pool:stats().requests)
    local closing = servers.start{ ["/_sandbox/trace"] = "" }
    pool = px.pool{ closing.url, good[1] }
    local answer, err = px.try(px.http.post, url, { proxy = pool, body = "x" })
    assert.is_nil(answer)
    assert.equal("network", err.kind)
    assert.equal(1, pool:stats().requests)
    closing:stop()
  end)

  it("tries at most three, and the soonest free when all are set aside", function()
    local ports = {}
    for port = 1, 5 do ports[port] = "http://127.0.0.1:" .. port end
    local pool = px.pool(ports)
    local _, err = px.try(px.http.get, sandbox.trace_url, { proxy = pool })
    assert.equal("network", err.kind)
    assert.equal(3, pool:stats().failures)
    pool = px.pool(good)
    for _, index in ipairs{ 3, 1, 2, 4 } do pool:report(good[index], false) end
    assert.equal(good[3], pool:next())
  end)

  it("does not count a response of the site against the proxy", function()
    local pool = px.pool(good)
    assert.equal(404, px.http.get((sandbox.trace_url:gsub("/_sandbox.*", "/none")),
      { proxy = pool }).status)
    assert.equal(0, pool:stats().failures)
  end)

  it("finds the working proxy of several, with any strategy", function()
    for _ = 1, 30 do
      local list = { good[math.random(4)] }
      for port = 1, math.random(0, 2) do
        table.insert(list, math.random(#list + 1), "http://127.0.0.1:" .. port)
      end
      local strategies = { "round_robin", "random", "least_latency", "sticky" }
      local pool = px.pool(list, { strategy = strategies[math.random(4)] })
      for _ = 1, 3 do assert.is_string(user(pool)) end
    end
  end)

  it("refuses a list that is not valid", function()
    for _, arguments in ipairs{ { {} }, { 1 }, { { 1 } }, { good, { strategy = "x" } },
      { good, { misspelt = 1 } } } do
      local _, err = px.try(px.pool, table.unpack(arguments))
      assert.equal("usage", err.kind)
    end
  end)
end)

it("a pool changes its list while it is used", function()
  local a, b = "http://10.0.0.1:80", { url = "http://10.0.0.2:80" }
  local pool = px.pool{ a }
  assert.is_true(pool:add(b))
  assert.is_false(pool:add(b.url))
  local first = pool:next("k")
  assert.equal(a, first)
  assert.is_true(pool:remove(a))
  assert.is_false(pool:remove(a))
  assert.equal(b, pool:next("k"))
  assert.equal(b, pool:stats().proxies[1].proxy)
  assert.is_true(pool:remove(b))
  local ok, err = pcall(pool.next, pool)
  assert.same({ false, "usage" }, { ok, err.kind })
end)
