-- lua/proxylua/formats: the fields of programs that are not installed here, by their sources. What
-- is written has these fields alone, of these types; what has any of them is read as what it says.

local address = require "proxylua.proxies.address"
local core = require "proxylua.core"
local px = require "proxylua"
local yaml = require "lyaml"

local logins = { {}, { "u", "p" }, { "u:v@w", 'p"\\/ #x' } }
local protocols = { "http", "https", "socks4", "socks4a", "socks5", "socks5h" }
local hosts = { "10.1.2.3", "proxy.example", "2001:db8::1" }

local function proxy(protocol, host, login)
  return { protocol = protocol, host = host, port = 8080, username = login[1],
    password = login[2] }
end

-- Fields by their types; with "!" they are required. Values of each type, for fields that say
-- nothing of the address.
local samples = { text = "x", flag = true, number = 7, map = { x = "y" }, list = { "x" } }

-- mihomo: HttpOption, Socks5Option and BasicOption of MetaCubeX/mihomo, adapter/outbound/http.go,
-- socks5.go and base.go
local basic = { tfo = "flag", mptcp = "flag", ["interface-name"] = "text",
  ["routing-mark"] = "number", ["ip-version"] = "text", ["dialer-proxy"] = "text" }
local function mihomo(more)
  local fields = { name = "text!", type = "text!", server = "text!", port = "number!",
    username = "text", password = "text", tls = "flag", ["skip-cert-verify"] = "flag",
    fingerprint = "text" }
  for _, list in ipairs{ basic, more } do
    for name, kind in pairs(list) do fields[name] = kind end
  end
  return fields
end

-- sing-box: SOCKSOutboundOptions and HTTPOutboundOptions of SagerNet/sing-box, option/simple.go;
-- ServerOptions and DialerOptions of option/outbound.go
local function sing_box(more)
  local fields = { type = "text!", tag = "text!", server = "text!", server_port = "number!",
    username = "text", password = "text", detour = "text", bind_interface = "text",
    routing_mark = "number", reuse_addr = "flag", connect_timeout = "text",
    tcp_fast_open = "flag", domain_strategy = "text", fallback_delay = "text" }
  for name, kind in pairs(more) do fields[name] = kind end
  return fields
end

local programs = {
  clash = {
    list = function(document) return document.proxies end,
    kind = function(object) return object.type end,
    kinds = { http = mihomo{ sni = "text", headers = "map" }, socks5 = mihomo{ udp = "flag" } },
    reading = {
      { { type = "http", tls = true }, "https" }, { { type = "http", tls = false }, "http" },
      { { type = "socks5" }, "socks5" }, { { type = "socks5", tls = true }, nil },
      { { type = "ss" }, nil },
    },
    object = { name = "a", server = "10.1.2.3", port = 8080, username = "u", password = "p" },
    wrap = function(object) return { mode = "rule", proxies = { object } } end,
  },
  ["sing-box"] = {
    list = function(document)
      local list = {}
      for _, one in ipairs(document.outbounds) do
        if one.type ~= "selector" then list[#list + 1] = one end
      end
      return list
    end,
    kind = function(object) return object.type end,
    kinds = { socks = sing_box{ version = "text", network = "text", udp_over_tcp = "flag" },
      http = sing_box{ tls = "map", path = "text", headers = "map" } },
    reading = {
      { { type = "socks" }, "socks5" }, { { type = "socks", version = "5" }, "socks5" },
      { { type = "socks", version = "4" }, "socks4" },
      { { type = "socks", version = "4a" }, "socks4a" },
      { { type = "socks", version = "6" }, nil }, { { type = "http" }, "http" },
      { { type = "http", tls = { enabled = true, server_name = "x" } }, "https" },
      { { type = "http", tls = { enabled = false } }, "http" }, { { type = "vless" }, nil },
    },
    object = { tag = "a", server = "10.1.2.3", server_port = 8080, username = "u",
      password = "p" },
    wrap = function(object) return { outbounds = { object } } end,
  },
  -- NodeConfig, ConnectorConfig and DialerConfig of go-gost/x, config/config.go, whose defaults are
  -- in config/parsing/node/parse.go
  gost = {
    list = function(document) return document.chains[1].hops[1].nodes end,
    kind = function() return "node" end,
    kinds = { node = { name = "text!", addr = "text!", network = "text", bypass = "text",
      resolver = "text", hosts = "text", interface = "text", connector = "map", dialer = "map",
      metadata = "map", http = "map", tls = "map" } },
    reading = {
      { { connector = { type = "http" } }, "http" },
      { { connector = { type = "socks5" } }, "socks5" },
      { { connector = { type = "socks" } }, "socks5" },
      { { connector = { type = "socks4" } }, "socks4" },
      { { connector = { type = "http" }, dialer = { type = "tls" } }, "https" },
      { { dialer = { type = "tls" } }, "https" }, { { dialer = { type = "tcp" } }, "http" },
      { { connector = { type = "http" }, dialer = { type = "ws" } }, nil },
      { { connector = { type = "socks5" }, dialer = { type = "tls" } }, nil },
      { { connector = { type = "relay" } }, nil },
    },
    object = { name = "a", addr = "10.1.2.3:8080" },
    no_login = true,
    wrap = function(object)
      return { chains = { { name = "c", hops = { { name = "h", nodes = { object } } } } } }
    end,
  },
  -- getProxyDetails of foxyproxy/browser-extension, src/content/options-proxies.js
  foxyproxy = {
    list = function(document) return document.data end,
    kind = function() return "proxy" end,
    kinds = { proxy = { active = "flag!", title = "text!", type = "text!", hostname = "text!",
      port = "text!", username = "text!", password = "text!", cc = "text", city = "text",
      color = "text", pac = "text", pacString = "text", proxyDNS = "flag!", include = "list!",
      exclude = "list!", tabProxy = "list" } },
    fixed = { proxyDNS = true },
    reading = {
      { { type = "http" }, "http" }, { { type = "https" }, "https" },
      { { type = "socks4", proxyDNS = false }, "socks4" },
      { { type = "socks4", proxyDNS = true }, "socks4a" },
      { { type = "socks5", proxyDNS = false }, "socks5" },
      { { type = "socks5", proxyDNS = true }, "socks5h" }, { { type = "quic" }, nil },
      { { type = "pac" }, nil }, { { type = "direct" }, nil },
    },
    object = { active = true, title = "a", hostname = "10.1.2.3", port = "8080", username = "u",
      password = "p" },
    wrap = function(object) return { mode = "disable", data = { object } } end,
  },
  -- FixedProfile of zero-peak/ZeroOmega, omega-pac/src/profiles.coffee
  switchyomega = {
    list = function(document)
      local list = {}
      for name, one in pairs(document) do
        if name:find("^%+") then list[#list + 1] = one end
      end
      return list
    end,
    kind = function(object) return object.profileType end,
    kinds = { FixedProfile = { name = "text!", profileType = "text!", color = "text",
      revision = "text", bypassList = "list", fallbackProxy = "map!", auth = "map" } },
    reading = {
      { { fallbackProxy = { scheme = "http", host = "10.1.2.3", port = 8080 } }, "http" },
      { { fallbackProxy = { scheme = "https", host = "10.1.2.3", port = 8080 } }, "https" },
      { { fallbackProxy = { scheme = "socks4", host = "10.1.2.3", port = 8080 } }, "socks4" },
      { { proxyForHttp = { scheme = "socks5", host = "10.1.2.3", port = 8080 } }, "socks5" },
    },
    object = { name = "a", profileType = "FixedProfile",
      auth = { all = { username = "u", password = "p" } } },
    wrap = function(object) return { ["+a"] = object, schemaVersion = 2 } end,
  },
}

local function type_of(value)
  if type(value) == "table" then return (#value > 0 or next(value) == nil) and "list" or "map" end
  return ({ string = "text", boolean = "flag", number = "number" })[type(value)]
end

local function decode(format, text)
  return format == "clash" and yaml.load(text) or core.json.decode(text)
end

local function read(text)
  local urls, parts = {}, { text }
  local _, err = pcall(function()
    for one in px.proxies.each({ read = function() return table.remove(parts) end },
      { on_bad = function() end }) do
      urls[#urls + 1] = one.url
    end
  end)
  assert(err == nil or core.error.is(err), tostring(err))
  return urls
end

for format, program in pairs(programs) do
  describe(format, function()
    it("is written with fields of the program alone", function()
      local written = 0
      for _, protocol in ipairs(protocols) do
        for _, host in ipairs(hosts) do
          for _, login in ipairs(logins) do
            local text = px.try(px.export.text, proxy(protocol, host, login), { format = format })
            for _, object in ipairs(text and program.list(decode(format, text)) or {}) do
              written = written + 1
              local fields = assert(program.kinds[program.kind(object)])
              for name, value in pairs(object) do
                assert(fields[name], format .. " has no field " .. name)
                local kind = fields[name]:gsub("!", "")
                if kind ~= "list" or next(value) then assert.equal(kind, type_of(value), name) end
              end
              for name, kind in pairs(fields) do
                if kind:find("!") then assert(object[name] ~= nil, name .. " is required") end
              end
            end
          end
        end
      end
      assert.is_true(written >= 12, written)
    end)

    it("is read by what its fields say", function()
      local login = program.no_login and "" or "u:p@"
      for _, case in ipairs(program.reading) do
        local object = {}
        for _, part in ipairs{ program.object, case[1] } do
          for name, value in pairs(part) do object[name] = value end
        end
        local text = core.json.encode(program.wrap(object))
        local expected = case[2] and { ("%s://%s10.1.2.3:8080"):format(case[2], login) } or {}
        assert.same(expected, read(text), text)
        if format == "clash" then assert.same(expected, read(yaml.dump{ program.wrap(object) })) end
        -- Other fields change nothing of that.
        for name, kind in pairs(program.kinds[program.kind(object)] or {}) do
          if object[name] == nil and not (program.fixed or {})[name] and name ~= "tls"
            and name ~= "version" and name ~= "username" and name ~= "password"
            and not ({ connector = true, dialer = true, auth = true, fallbackProxy = true })[name]
          then
            object[name] = samples[kind:gsub("!", "")]
            local more = core.json.encode(program.wrap(object))
            assert.same(expected, read(more), more)
            object[name] = nil
          end
        end
      end
    end)
  end)
end

-- redirs of 3proxy/3proxy, src/conf.c; an s behind a type is TLS.
describe("3proxy", function()
  local read_as = { http = "http", connect = "http", ["connect+"] = "http", https = "https",
    connects = "https", ["connect+s"] = "https", socks4 = "socks4", socks4b = "socks4",
    ["socks4+"] = "socks4a", socks5 = "socks5", socks5b = "socks5", ["socks5+"] = "socks5h" }

  it("is written with types of parents of the program alone", function()
    for _, protocol in ipairs(protocols) do
      local list = proxy(protocol, "10.1.2.3", { "u", "p" })
      local text = px.try(px.export.text, list, { format = "3proxy" })
      local kind = text and text:match("\nparent 1000 (%S+) 10.1.2.3 8080 \"u\" \"p\"\n")
      assert.equal(protocol ~= "https" and protocol or nil, kind and read_as[kind])
    end
  end)

  it("is read by the types of its parents", function()
    for kind, protocol in pairs(read_as) do
      assert.same({ address.complete(proxy(protocol, "10.1.2.3", { "u", "p" })).url },
        read(("parent 1000 %s 10.1.2.3 8080 u p\n"):format(kind)), kind)
    end
    for _, kind in ipairs{ "tcp", "pop3", "imap", "smtp", "ftp", "admin", "extip", "tls", "ha",
      "dns", "socks5s", "socks4+s", "socks9" } do
      assert.same({ "http://10.1.2.4:80" }, read(
        ("parent 1000 %s 10.1.2.3 8080\nparent 1000 http 10.1.2.4 80\n"):format(kind)), kind)
    end
  end)
end)
