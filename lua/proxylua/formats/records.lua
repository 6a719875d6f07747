-- Proxies as objects: which fields of which programs say what, and finding them in a document
-- however deep they lie.

local address = require "proxylua.proxies.address"

local M = {}

local aliases = {
  host = { "host", "ip", "server", "hostname", "address" },
  port = { "port", "server_port" },
  username = { "username", "login", "user" },
  password = { "password", "pass" },
  protocol = { "protocol", "scheme", "type" },
}

--- The names that fields go by, with what they are called here.
M.names = { url = "url", proxy = "url" }
for name, list in pairs(aliases) do
  for _, alias in ipairs(list) do M.names[alias] = name end
end

local function field(object, name)
  for _, alias in ipairs(aliases[name]) do
    local value = object[alias]
    if type(value) == "string" or type(value) == "number" then return value end
  end
end

local function text(value)
  return value ~= nil and tostring(value) or nil
end

-- An order's type, such as isp, is no protocol, and goes on as what it is.
local function protocol_of(object)
  local given = object.protocol or object.scheme
  local known = address.protocol(given) or not given and address.protocol(object.type)
  local tls = object.tls == true or type(object.tls) == "table" and object.tls.enabled == true
  if known == "http" and tls then return "https" end
  if object.type == "socks" and object.version then return "socks" .. tostring(object.version) end
  if known == "socks5" and object.proxyDNS == true then return "socks5h" end
  return known or given
end

-- {"addr":"host:port","connector":{"type":"http","auth":{…}},"dialer":{"type":"tls"}}
local function from_node(object)
  local connector, dialer = object.connector, object.dialer
  if type(object.addr) ~= "string" or type(connector) ~= "table" then return nil end
  local host, port = object.addr:match("^(.*):(%d+)$")
  local auth = type(connector.auth) == "table" and connector.auth or {}
  local tls = type(dialer) == "table" and dialer.type == "tls"
  return {
    host = host, port = port, username = text(auth.username), password = text(auth.password),
    protocol = connector.type == "http" and tls and "https" or connector.type,
  }
end

-- {"fallbackProxy":{"scheme":…,"host":…,"port":…},"auth":{"fallbackProxy":{…}}}
local function from_profile(object)
  local proxy, auth = object.fallbackProxy, object.auth
  if type(proxy) ~= "table" or not proxy.host then return nil end
  auth = type(auth) == "table" and type(auth.fallbackProxy) == "table" and auth.fallbackProxy or {}
  return {
    host = proxy.host, port = proxy.port, protocol = proxy.scheme,
    username = text(auth.username), password = text(auth.password),
  }
end

local function from_fields(object)
  local host, port = field(object, "host"), field(object, "port")
  if not host or not port then return nil end
  return {
    host = host, port = port, username = text(field(object, "username")),
      password = text(field(object, "password")),
    protocol = protocol_of(object), country = text(object.country),
      order_id = text(object.order_id),
  }
end

local function from_url(object)
  local url = object.url or object.proxy
  return type(url) == "string" and url:find("://", 1, true) and address.parse(url) or nil
end

--- The record of an object.
-- @param protocol where the object does not say
-- @return record; nil when it is no proxy at all; nil and why when it is one that cannot be
function M.record(object, protocol)
  local proxy = from_node(object) or from_profile(object) or from_fields(object)
  if not proxy then return from_url(object) end
  proxy.protocol = proxy.protocol or protocol
  return address.complete(proxy)
end

local function walk(value, found, protocol, depth)
  if type(value) ~= "table" or depth > 16 then return end
  local proxy, why = M.record(value, protocol)
  if proxy or why then
    found(proxy, why)
  elseif #value > 0 then
    for _, item in ipairs(value) do
      if type(item) == "string" then
        found(address.parse(item, protocol))
      else
        walk(item, found, protocol, depth + 1)
      end
    end
  else
    local keys = {}
    for key in pairs(value) do keys[#keys + 1] = key end
    table.sort(keys)
    for _, key in ipairs(keys) do walk(value[key], found, protocol, depth + 1) end
  end
end

--- Calls found(record) or found(nil, why) for each proxy in a document, in the order of lists and
-- of names.
function M.walk(document, found, protocol)
  walk(document, found, protocol, 0)
end

return M
