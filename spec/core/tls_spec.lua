-- TLS in src/net/http.c: certificates are checked, HTTP/2 and HTTP/1.1 both work, and responses
-- come compressed.

local nginxes = require "spec.support.nginx"
local program = require "spec.support.program"

local ACCOUNT = '{"success":true,"data":{"id":"acc_1","balance":"9.30","note":"' .. ("x"):rep(4000)
  .. '"}}'
local KEY = "sk_live_0123456789abcdef"

describe("over TLS", function()
  local server
  setup(function()
    server = nginxes.start{ ["/v1/account"] = ACCOUNT, ["/page"] = ("page "):rep(1000) }
  end)
  teardown(function() server:stop() end)

  local function run(code, env, flags)
    local all = { SSL_CERT_FILE = server.ca, PROXYLUA_API_KEY = KEY, PROXYLUA_BASE_URL = server.url
      .. "/v1",
      PROXYLUA_LIMITS = "off", URL = server.url, HTTP1_URL = server.http1_url }
    for name, value in pairs(env or {}) do all[name] = value end
    local arguments = table.move(flags or {}, 1, #(flags or {}), 1, {})
    table.move({ "-e", "local px = require 'proxylua' " .. code }, 1, 2, #arguments + 1, arguments)
    return program.run(arguments, { env = all })
  end

  it("a certificate of no known CA is refused, and nothing is sent", function()
    local result = run("px.account.get()", { SSL_CERT_FILE = "/etc/ssl/certs/ca-certificates.crt" })
    assert.equal(4, result.code)
    assert.matches("certificate", result.err)
    assert.not_matches("/v1/account", server:log(), 1, true)
  end)

  it("a certificate for another host is refused", function()
    local url = server.url:gsub("127%.0%.0%.1", "localhost")
    local result = run("px.http.get('" .. url .. "/page')")
    assert.equal(4, result.code)
  end)

  it("the API is reached", function()
    assert.equal("9.30\n", run("print(px.account.get().balance)").out)
  end)

  it("HTTP/2 is spoken where the server offers it, HTTP/1.1 elsewhere", function()
    local result = run([[for _, name in ipairs{ "URL", "HTTP1_URL" } do
      local answer = px.http.get(os.getenv(name) .. "/page")
      print(answer.status, #answer.body, answer.head:match("^HTTP/[%d.]+")) end]])
    assert.equal("200\t5000\tHTTP/2\n200\t5000\tHTTP/1.1\n", result.out)
  end)

  it("responses arrive compressed and complete", function()
    local result = run([[local answer = px.http.get(os.getenv("HTTP1_URL") .. "/v1/account")
      print(answer.headers["content-encoding"], #answer.body)]])
    assert.equal("gzip\t" .. #ACCOUNT .. "\n", result.out)
  end)

  it("many requests at once share connections", function()
    local result = run([[local sizes = {}
      for i = 1, 200 do sizes[i] = i end
      local got = px.map(sizes, function() return #px.http.get(os.getenv("URL") .. "/page").body end, { concurrency = 50 })
      local sum = 0
      for _, size in ipairs(got) do sum = sum + size end
      print(sum)]])
    assert.equal("1000000\n", result.out)
  end)
end)
