-- lua/proxylua/check: the reason names the party that failed, with real proxies.

local nginx = require "spec.support.nginx"
local program = require "spec.support.program"
local proxies = require "spec.support.proxies"
local px = require "proxylua"
local servers = require "spec.support.server"

local page, secure

setup(function()
  page = servers.start{ ["/trace"] = servers.ok("ip=127.0.0.1\nloc=US\n") }
  secure = nginx.start{ ["/trace"] = "ip=127.0.0.1\nloc=US\n" }
end)
teardown(function()
  page:stop()
  secure:stop()
end)

local kept = {}

-- Stops a proxy after the spec.
local function keep(proxy)
  kept[#kept + 1] = proxy
  return proxy
end

after_each(function()
  for _, proxy in ipairs(kept) do proxy:stop() end
  kept = {}
end)

-- The reasons of proxies, in their order.
local function reasons(list, url, options)
  local all, found = { url = url or page.url .. "/trace", history = false, timeout = 10,
    concurrency = 1 }, {}
  for name, value in pairs(options or {}) do all[name] = value end
  all.each = function(result)
    found[#found + 1] = result.works and "works" or result.reason
    found.message = result.message
  end
  px.check.run(list, all)
  return found
end

describe("the reason of a proxy", function()
  it("is its own, however the proxies before it failed", function()
    local socks = keep(proxies.microsocks())
    local list, wanted = {}, {}
    for at = 1, 8 do
      list[2 * at - 1], wanted[2 * at - 1] = socks:url("socks5", "bob:wrong"), "auth"
      list[2 * at], wanted[2 * at] = "http://127.0.0.1:1", "refused"
    end
    wanted.message = reasons{ list[16] }.message
    assert.are.same(wanted, reasons(list))
    assert.are.same({ "works" }, reasons{ socks:url("socks5h", "bob:s3c") })
  end)

  it("is rules for what a SOCKS proxy does not allow", function()
    local dante = proxies.dante()
    if not dante then return pending("dante is not installed: Debian 13 has no package of it") end
    assert.are.equal("rules", reasons{ keep(dante):url("socks5h") }[1])
  end)

  it("is proxy for what a SOCKS proxy cannot reach", function()
    local socks = keep(proxies.microsocks())
    assert.are.equal("proxy", reasons({ socks:url("socks5h", "bob:s3c") },
      "http://127.0.0.1:1/")[1])
  end)

  it("is dns where this machine looks up the page, and resolve for the proxy's name", function()
    local socks = keep(proxies.microsocks())
    assert.are.equal("dns", reasons({ socks:url("socks5", "bob:s3c") },
      "http://nowhere.invalid/")[1])
    assert.are.equal("resolve", reasons{ "http://nowhere.invalid:1" }[1])
  end)

  it("is auth for tinyproxy's 401, in the open and in a tunnel", function()
    local tiny = keep(proxies.tinyproxy())
    local list = { tiny:url("http", "bob:wrong"), tiny:url("http"), tiny:url("http", "bob:s3c") }
    assert.are.same({ "auth", "auth", "works" }, { table.unpack(reasons(list)) })
    assert.are.same({ "auth", "auth", "tls" }, { table.unpack(reasons(list,
      secure.http1_url .. "/trace")) })
  end)

  for _, scheme in ipairs{ "digest", "ntlm" } do
    it("does not come from " .. scheme .. ", which is spoken", function()
      local squid = keep(proxies.squid(scheme))
      local list = { squid:url("http", "bob:s3c"), squid:url("http") }
      local found = reasons(list)
      assert.are.same({ "works", "auth" }, { table.unpack(found) })
      assert.matches(scheme, found.message:lower())
      assert.are.equal("tls", reasons(list, secure.http1_url .. "/trace")[1])
    end)
  end

  it("is auth for wrong Digest credentials", function()
    local squid = keep(proxies.squid("digest"))
    assert.are.same({ "auth" }, { table.unpack(reasons{ squid:url("http", "bob:wrong") }) })
  end)

  it("is proxy for another status than 2xx to CONNECT, also 100", function()
    for _, head in ipairs{ "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
      "HTTP/1.1 503 No\r\n\r\n" } do
      local odd = keep(servers.start{ ["127.0.0.1:9"] = head })
      assert.are.equal("proxy", reasons({ odd.url }, "https://127.0.0.1:9/")[1])
    end
  end)
end)

describe("CA certificates", function()
  local function run(env, settings)
    local folder = program.folder()
    local config = program.write(folder .. "/config.lua", "return {" .. (settings or "") .. "}")
    env.PROXYLUA_CONFIG = config
    return program.run({ "check", "--from", "-", "--url", page.url .. "/trace", "--no-history" },
      { stdin = secure.http1_url .. "\n", env = env })
  end

  it("come from SSL_CERT_FILE or ca_file for https proxies too", function()
    assert.matches("\tfalse\ttls\t", run({}).out)
    -- nginx returns its page to every path: it plays the https proxy
    for _, result in ipairs{ run{ SSL_CERT_FILE = secure.ca },
      run({}, ("ca_file = %q"):format(secure.ca)) } do
      assert.matches("\ttrue\t", result.out)
    end
  end)

  it("that cannot be read end the check, and the message says so", function()
    for _, result in ipairs{ run{ SSL_CERT_FILE = "/nowhere.pem" },
      run({}, 'ca_file = "/nowhere.pem"') } do
      assert.are.equal(2, result.code)
      assert.matches("no CA certificates can be read from /nowhere.pem", result.err, 1, true)
    end
  end)
end)
