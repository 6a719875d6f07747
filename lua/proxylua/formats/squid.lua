-- Squid: cache_peer lines.

local address = require "proxylua.proxies.address"
local names = require "proxylua.util.names"
local text = require "proxylua.formats.common"
local txt = require "proxylua.formats.txt"

local M = { name = "squid", extension = "conf", summary = "cache_peer lines for squid.conf" }

-- bytes of "user:password": Squid's buffer; 5.7 aborts at its first request from 139 on
local MAX_LOGIN <const> = 128

local function login_of(proxy)
  local user, password = text.login(proxy)
  if not user then return "" end
  local holder = text.holder(proxy, "\0")
  if holder then return nil, holder .. " holds a NUL, which ends it in Squid" end
  if user:find("^%*") or user:find("^NEGOTIATE") then
    return nil, "a username that begins with * or NEGOTIATE has a meaning of its own in Squid"
  end
  if user:find(":", 1, true) then
    return nil, "the username holds a colon, which ends it in Squid"
  end
  if #user + 1 + #password > MAX_LOGIN then
    return nil, ("Squid takes at most %d bytes of user:password"):format(MAX_LOGIN)
  end
  return " login=" .. address.encode(user) .. ":" .. address.encode(password)
end

local function record(proxy, index)
  if proxy.protocol ~= "http" and proxy.protocol ~= "https" then
    return nil, text.no_protocol("Squid", proxy)
  end
  local login, why = login_of(proxy)
  if not login then return nil, why end
  return "cache_peer " .. proxy.host .. " parent " .. proxy.port
    .. " 0 no-query no-digest proxy-only round-robin name=proxy-" .. index
    .. (proxy.protocol == "https" and " tls" or "") .. login .. "\n"
end

-- A connection that stays open is used for other logins at the same host and port too.
function M.new()
  return { head = "never_direct allow all\nserver_persistent_connections off\n", record = record }
end

--- Whether a line is one of squid.conf that has a proxy, or that the program writes.
function M.is_sign(line)
  return line:find("^%s*cache_peer%s") ~= nil or line:find("^%s*never_direct%s") ~= nil
end

local ours = { never_direct = true, server_persistent_connections = true }
local peer = { cache_peer = true }
local passing = { PASS = true, PASSTHRU = true, PROXYPASS = true, NEGOTIATE = true }

local function parse_login(value)
  local user, password = value:match("^([^:]*):(.*)$")
  if not user or passing[user] or user:find("^%*") or user:find("^NEGOTIATE") then
    return nil, nil, ("login=%s is not a username with a password"):format(value:sub(1, 20))
  end
  return address.decode(user), address.decode(password)
end

local function parse(line)
  local words = {}
  for word in line:gmatch("%S+") do words[#words + 1] = word end
  if words[1] ~= "cache_peer" then
    if ours[words[1]] then return nil end
    if words[1] ~= "cache_peer_access" and names.nearest(words[1], peer) then
      return nil, ("%s is not a directive of Squid; did you mean cache_peer?"):format(words[1])
    end
    return nil, nil, "other directive"
  end
  local host, kind, port, icp = table.unpack(words, 2, 5)
  if not icp or not icp:find("^%d+$") then
    return nil, "expected: cache_peer HOST parent PORT 0 [options]"
  end
  if kind ~= "parent" then return nil, nil, kind end
  local user, password, why
  local tls = false
  for at = 6, #words do
    local login = words[at]:match("^login=(.*)$")
    if login then user, password, why = parse_login(login) end
    tls = tls or words[at] == "tls" or words[at] == "ssl"
  end
  if why then return nil, why end
  return address.complete{ protocol = tls and "https" or "http", host = host, port = port,
    username = user, password = password }
end

function M.read(reader)
  return txt.each_line(reader, parse)
end

return M
