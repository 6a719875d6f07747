-- sing-box, and Xray, whose outbounds are read too.

local document = require "proxylua.formats.document"
local fields = require "proxylua.formats.fields"
local text = require "proxylua.formats.common"

local M = { name = "sing-box", extension = "json", summary = "sing-box" }

local versions = { socks4 = "4", socks4a = "4a", socks5 = "5" }

-- The fields are those of SagerNet/sing-box, option/simple.go. It sends no credentials where the
-- username is blank (SagerNet/sing, protocol/http/client.go and protocol/socks/handshake.go).
local function record(proxy, index, before)
  local version = versions[proxy.protocol]
  if proxy.protocol == "socks5h" then return nil, text.no_protocol("sing-box", proxy) end
  local lost = text.lost_login("sing-box", proxy)
  if lost then return nil, lost end
  local login, why = text.login_pairs(proxy)
  if not login then return nil, why end
  return before .. '{"type":"' .. (version and "socks" or "http") .. '","tag":"proxy-' .. index
    .. '","server":"' .. proxy.host
    .. '","server_port":' .. proxy.port .. (version and ',"version":"' .. version .. '"' or "")
    .. login
    .. (proxy.protocol == "https" and ',"tls":{"enabled":true}' or "") .. "}"
end

-- Without proxies all traffic is refused, not sent directly.
local function tail(count, emit)
  if count == 0 then return emit('],\n"route":{"rules":[{"action":"reject"}]}}\n') end
  emit(',\n{"type":"selector","tag":"proxies","outbounds":[\n')
  text.emit_names(count - 1, emit, '"proxy-%d",\n')
  emit(('"proxy-%d"]}],\n"route":{"final":"proxies"}}\n'):format(count))
end

function M.new()
  local writer = text.between(
    '{"inbounds":[{"type":"mixed","listen":"127.0.0.1","listen_port":2080}],\n"outbounds":[\n',
    record)
  writer.tail = tail
  return writer
end

document.root(function(object)
  if fields.is_list(object.outbounds) then return { "outbounds" } end
end)

-- {"address":…,"port":…,"users":[{"user":…,"pass":…}]}, of which users may be several.
local function take_server(walk, server, path, key, protocol, tls)
  local given = fields.gather(server)
  local users = fields.is_list(given.users) and #given.users > 1 and given.users or { false }
  for _, user in ipairs(users) do
    local one = {}
    for name, value in pairs(given) do one[name] = value end
    if user then one.users = { user } end
    one.protocol, one.tls = protocol, tls
    walk:take(path, key, server[0], fields.resolve(one))
  end
end

-- Xray: {"protocol":"socks","settings":{"servers":[…]},"streamSettings":{"security":"tls"}}
document.special("settings", function(object, walk, path, key)
  local settings, protocol = object.settings, object.protocol
  if type(protocol) ~= "string" or not fields.is_mapping(settings) then return false end
  local stream = fields.is_mapping(object.streamSettings) and object.streamSettings or {}
  local tls = stream.security == "tls"
  if fields.is_list(settings.servers) then
    for _, server in ipairs(settings.servers) do
      if fields.is_mapping(server) then take_server(walk, server, path, key, protocol, tls) end
    end
    return true
  end
  if settings.address ~= nil and settings.port ~= nil then
    take_server(walk, settings, path, key, protocol, tls)
    return true
  end
  return false
end)

return M
