-- A proxy as one text: scheme://user:password@host:port with percent-encoding, or as sellers write
-- it, with the credentials as they are: host:port:user:password, user:password@host:port.

local core = require "proxylua.core"

local M = {}

local encode = core.quote.percent

-- What protocols are called, by all the names that they go by.
local protocols = {
  http = "http", https = "https", socks4 = "socks4", socks4a = "socks4a", socks5 = "socks5",
    socks5h = "socks5h",
  socks = "socks5",
}

--- A text in which only letters, digits and - . _ ~ stand for themselves.
M.encode = core.quote.percent

--- What was encoded.
function M.decode(text)
  if not text:find("%", 1, true) then return text end
  return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

--- A host as it stands before a colon: IPv6 in brackets.
function M.host(host)
  return host:find(":", 1, true) and "[" .. host .. "]" or host
end

--- The protocol of one of its names, in lower case; nil for one that is not known.
function M.protocol(name)
  return type(name) == "string" and protocols[name:lower()] or nil
end

--- The URL of a proxy's record.
function M.url(proxy)
  local user, password, host = proxy.username or "", proxy.password or "", proxy.host
  if host:find(":", 1, true) then host = "[" .. host:gsub("%%", "%%25") .. "]" end
  if password ~= "" then
    return proxy.protocol .. "://" .. encode(user) .. ":" .. encode(password) .. "@" .. host .. ":"
      .. proxy.port
  end
  return proxy.protocol .. "://" .. (user ~= "" and encode(user) .. "@" or "") .. host .. ":"
    .. proxy.port
end

-- What cannot be a host would be taken for something else by whoever reads it.
local function is_host(host)
  if host:find(":", 1, true) then
    return host:find("^[%x:.]+%%?[%w._-]*$") and select(2, host:gsub(":", "")) >= 2
  end
  return host:find("^[%w_][%w._-]*$") ~= nil
end

--- Completes a record and looks whether it can be one.
-- @param proxy table: host, port, and perhaps username, password, protocol; changed in place
-- @return the record; or nil and why it is none
function M.complete(proxy)
  local host = type(proxy.host) == "string" and (proxy.host:match("^%[(.*)%]$") or proxy.host) or ""
  local port, protocol = math.tointeger(tonumber(proxy.port)), M.protocol(proxy.protocol or "http")
  if not is_host(host) then
    return nil, ("%q is neither the name nor the address of a host"):format(host)
  end
  if not port or port < 1 or port > 65535 then
    return nil, ("%s is no port from 1 to 65535"):format(proxy.port == nil and "what is absent"
      or tostring(proxy.port))
  end
  if not protocol then
    return nil, ("the protocol %s is not known"):format(tostring(proxy.protocol))
  end
  proxy.host, proxy.port, proxy.protocol = host, port, protocol
  if proxy.username == "" and (proxy.password or "") == "" then
    proxy.username, proxy.password = nil, nil
  end
  proxy.url = M.url(proxy)
  return proxy
end

local function split(login)
  local user, password = login:match("^([^:]*):(.*)$")
  return user or login, password
end

-- The last @ is the one before the host: nothing after it can hold another.
local function parse_url(scheme, rest, protocol)
  local login, place = rest:match("^(.*)@([^@]*)$")
  local host, port = (place or rest):match("^(.*):(%d+)/?$")
  if not host then return nil, "the URL has no port" end
  local user, password
  if login then user, password = split(login) end
  return M.complete{
    protocol = scheme or protocol, host = M.decode(host), port = port,
    username = user and M.decode(user), password = password and M.decode(password),
  }
end

-- Host and port are a pair, wherever they are.
local shapes = {
  { "^([^:@%s]+):(%d+)$" },
  { "^(%[[^%]%s]+%]):(%d+)$" },
  { "^([^:@%s]+):(%d+):(.*)$" },
  { "^(%[[^%]%s]+%]):(%d+):(.*)$" },
  { "^(.*)@([^:@%s]+):(%d+)$", login_first = true },
  { "^(.*)@(%[[^%]%s]+%]):(%d+)$", login_first = true },
  { "^([^:@%s]+):(%d+)@(.*)$" },
}

--- The record of a proxy that is written as one text.
-- @param text string
-- @param protocol where the text does not say ("http")
-- @return record; or nil and why it is none
function M.parse(text, protocol)
  local scheme, rest = text:match("^(%a[%w+.-]*)://(.*)$")
  if scheme then return parse_url(scheme, rest) end
  for _, shape in ipairs(shapes) do
    local host, port, login = text:match(shape[1])
    if host and shape.login_first then host, port, login = port, login, host end
    if host then
      local user, password
      if login then user, password = split(login) end
      return M.complete{ host = host, port = port, username = user, password = password,
        protocol = protocol }
    end
  end
  return nil, "it is no proxy, such as host:port:user:password or scheme://user:password@host:port"
end

return M
