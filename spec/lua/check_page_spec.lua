-- lua/proxylua/check: a proxy works only if the expected page came through it. The proxies here are
-- servers that respond with pages of their own to everything.

local program = require "spec.support.program"
local px = require "proxylua"
local servers = require "spec.support.server"

local URL = "http://page.example/trace"
local TRACE = "h=page.example\nip=192.0.2.7\nts=1\nloc=DE\n"

local function response(status, body)
  return ("HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s"):format(status, #body, body)
end

-- Checks through a proxy that responds with these bytes; returns the result.
local function check(bytes, options, user)
  local proxy = servers.start{ ["/trace"] = bytes }
  finally(function() proxy:stop() end)
  local all, found = { url = URL, history = false, timeout = 5 }, nil
  for name, value in pairs(options or {}) do all[name] = value end
  all.each = function(result) found = result end
  px.check.run({ ("http://%s127.0.0.1:%d"):format(user or "", proxy.port) }, all)
  return found
end

local function reason(bytes, options, user)
  local result = check(bytes, options, user)
  return result.works and "works" or result.reason, result.message
end

describe("a check", function()
  it("passes a trace page, also with CRLF", function()
    for _, body in ipairs{ TRACE, (TRACE:gsub("\n", "\r\n")), "ip=2001:db8::1\nloc=DE\n" } do
      local result = check(response("200 OK", body), { country = "DE" })
      assert.is_true(result.works, result.message)
      assert.are.equal("DE", result.country)
    end
  end)

  it("fails every other page with status 2xx", function()
    for wanted, bytes in pairs{
      empty = response("200 OK", ""), ["status 204"] = "HTTP/1.1 204 No Content\r\n\r\n",
      page = response("200 OK", "<html><title>Blocked by policy</title></html>"),
      ["page "] = response("200 OK", "hello"), ["page  "] = response("200 OK", "ip=nowhere\n"),
      ["page   "] = response("200 OK", "<pre>\nip=192.0.2.7\nloc=DE\n</pre>"),
      ["page    "] = response("200 OK", TRACE .. ("x=1\n"):rep(1 << 17)),
    } do
      assert.are.equal((wanted:gsub(" +$", "")), (reason(bytes)))
    end
    local _, message = reason(response("200 OK", "<html><title>Blocked by policy</title></html>"))
    assert.matches("Blocked by policy", message, 1, true)
  end)

  it("compares another page with a text, a pattern or a status", function()
    local page = response("200 OK", "<h1>Example Domain</h1>")
    for expect, wanted in pairs{ ["Example Domain"] = "works", ["/<h1>%a+ [A-Z]/"] = "works",
      ["200"] = "works", [200] = "works", Other = "page", ["/^Example/"] = "page",
      ["204"] = "status 200" } do
      assert.are.equal(wanted, (reason(page, { expect = expect })), expect)
    end
    assert.are.equal("works", (reason("HTTP/1.1 204 None\r\n\r\n", { expect = 204 })))
    assert.are.equal("status 403", (reason(response("403 No", "Example"), { expect = "Example" })))
    assert.are.equal("empty", (reason(response("200 OK", ""), { expect = "x" })))
  end)

  it("fails where a country or an address that was asked for cannot be seen", function()
    local hidden, other = response("200 OK", "ip=192.0.2.7\n"), response("200 OK", "text")
    assert.are.equal("works", (reason(hidden)))
    assert.are.equal("country", (reason(hidden, { country = "DE" })))
    assert.are.equal("country", (reason(other, { country = "DE", expect = "text" })))
    assert.are.equal("address", (reason(other, { address = "192.0.2.7", expect = "text" })))
    assert.are.equal("address", (reason(hidden, { address = "192.0.2.8" })))
    assert.are.equal("works", (reason(hidden, { address = "192.0.2.7" })))
  end)

  it("fails proxies that take longer than max_latency", function()
    assert.are.equal("latency", (reason(response("200 OK", TRACE), { max_latency = 0.000001 })))
    assert.are.equal("works", (reason(response("200 OK", TRACE), { max_latency = "1m" })))
  end)

  it("takes a 401 without a challenge as the proxy's, and another as the page's", function()
    assert.are.equal("auth", (reason(response("401 Unauthorized", "no"), nil, "a:b@")))
    assert.are.equal("status 401", (reason(
      "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n", nil,
      "a:b@")))
    assert.are.equal("status 401", (reason(response("401 Unauthorized", "no"))))
  end)

  it("refuses expectations that cannot be, before the first request", function()
    for _, options in ipairs{ { expect = "" }, { expect = "/(x)/" }, { expect = {} },
      { expect = 42 }, { address = "here" }, { max_latency = "soon" } } do
      options.url = "http://127.0.0.1:1/"
      local _, err = px.try(px.check.run, { "http://127.0.0.1:1" }, options)
      assert.are.equal("usage", err and err.kind)
    end
    local result = program.run({ "check", "--from", "-", "--url", "http://127.0.0.1:1/", "--expect",
      "/%b()/" }, { stdin = "127.0.0.1:1\n" })
    assert.are.equal(2, result.code)
    assert.matches("not supported", result.err)
  end)

  it("takes what the page of check_url must have from the configuration", function()
    local proxy = servers.start{ ["/trace"] = response("200 OK", "our page") }
    finally(function() proxy:stop() end)
    local folder = program.folder()
    local config = program.write(folder .. "/config.lua",
      ('return { check_url = %q, check_expect = "our page" }'):format(URL))
    local result = program.run({ "check", "--exit-code", "--from", "-" }, {
      stdin = ("127.0.0.1:%d\n"):format(proxy.port), env = { PROXYLUA_CONFIG = config } })
    assert.are.equal(0, result.code, result.out .. result.err)
  end)
end)
