-- The record of a proxy: its protocol, its URL, and the check that it can be one.

local core = require "proxylua.core"
local hosts = require "proxylua.proxies.address.host"

local M = {}

local encode, url = core.quote.percent, core.quote.url
local find, lower = string.find, string.lower

-- The names of protocols.
local protocols = {
  http = "http", https = "https", socks4 = "socks4", socks4a = "socks4a", socks5 = "socks5",
    socks5h = "socks5h",
  socks = "socks5",
}

-- What configurations list beside proxies, and is not one that proxylua can use.
local others = {}
for name in ([[ss ssr shadowsocks shadowsocksr vmess vless trojan hysteria hysteria2 hy2 tuic
  wireguard wg ssh snell mieru anytls shadowtls naive naive+https naive+quic juicity brook tor
  socks5+tls direct reject reject-drop block blackhole freedom loopback dns pass compatible relay
  selector urltest url-test select fallback load-balance pac wpad system none tun redirect tproxy
  mixed sudoku masque tailscale dns-out h2 quic kcp udp]]):gmatch("%S+") do
  others[name] = true
end

--- The protocol of one of its names, in any case; nil for one that is not known.
function M.protocol(name)
  return type(name) == "string" and (protocols[name] or protocols[lower(name)]) or nil
end

--- Whether this is the name of something that stands beside proxies in configurations, such as ss.
function M.is_other(name)
  return others[lower(name)] == true
end

--- A text in which only letters, digits and - . _ ~ stand for themselves.
M.encode = encode

--- What was encoded.
M.decode = core.quote.unpercent

--- What a text stands for in base64, if that is a text too.
function M.unpack_text(text)
  if #text < 4 or not find(text, "^[%w+/_-]+=*$") then return nil end
  local plain = core.decode.base64(text)
  return plain and find(plain, "^[!-~]+$") and plain or nil
end

-- Whether a username alone would be taken for base64 of user:password.
local function looks_packed(user)
  local text = M.unpack_text(user)
  return text and find(text, ":", 1, true) ~= nil
end

--- The URL of a proxy's record.
function M.url(proxy)
  local host, user, password = proxy.host, proxy.username or "", proxy.password or ""
  if find(host, ":", 1, true) then host = "[" .. host:gsub("%%", "%%25") .. "]" end
  local text = url(proxy.protocol, user, password, host, proxy.port)
  if password == "" and user ~= "" and looks_packed(user) then text = text:gsub("@", ":@", 1) end
  return text
end

-- What a value is called in a message.
local function shown(value)
  if type(value) ~= "table" then return tostring(value) end
  return value[0] ~= nil and "an object" or "a list"
end

--- Completes a record and checks that it can be a proxy.
-- @param proxy table: host, port, and perhaps username, password, protocol; changed in place
-- @return the record; or nil and why it is not one
function M.complete(proxy)
  local host = proxy.host
  if host ~= nil and type(host) ~= "string" then
    return nil, ("the host is %s, not a text"):format(shown(host))
  end
  host = hosts.without_brackets(host or "")
  local ok, why = hosts.is_host(host)
  if not ok then return nil, why end
  local port = hosts.port(proxy.port)
  if not port then
    if proxy.port == nil or proxy.port == "" then return nil, "the port is missing" end
    return nil, ("%s is not a port from 1 to 65535"):format(shown(proxy.port))
  end
  local protocol = M.protocol(proxy.protocol or "http")
  if not protocol then
    return nil, ("the protocol %s is not known"):format(shown(proxy.protocol))
  end
  proxy.host, proxy.port, proxy.protocol = host, port, protocol
  if proxy.username == "" and (proxy.password or "") == "" then
    proxy.username, proxy.password = nil, nil
  end
  proxy.url = M.url(proxy)
  return proxy
end

return M
