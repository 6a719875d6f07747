-- A proxy without a scheme and without blanks, with the credentials as they are:
-- host:port:user:password, user:password@host:port and the like. A text that has two meanings is
-- refused.

local hosts = require "proxylua.proxies.address.host"
local records = require "proxylua.proxies.address.record"
local remarks = require "proxylua.proxies.address.remark"

local find, match, sub = string.find, string.match, string.sub

local is_place, is_port, port_of = hosts.is_place, hosts.is_port, hosts.port
local split_place, protocol_of = remarks.split_place, records.protocol

local bare

-- --- with colons alone ---

local function ambiguous(first, second)
  return nil, ("%s or %s: both are possible here; write it as scheme://user:password@host:port")
    :format(first, second)
end

local function with_login(host, port, user, password)
  local ok, why = remarks.check_login(user, password)
  if not ok then return nil, why end
  return { host = host, port = port, username = user, password = password }
end

local by_colons

-- protocol:host:port…
local function behind_protocol(protocol, rest)
  local record, why = by_colons(rest)
  if record then record.protocol = record.protocol or protocol end
  return record, why
end

-- Why neither the first two fields nor the last two are host:port.
local function why_no_place(text, first, second, rest, has_four)
  local bare_ipv6 = hosts.why_bare_ipv6(text)
  if bare_ipv6 then return bare_ipv6 end
  local _, why = is_place(first)
  if why and not has_four then return why end
  return why or ("neither %q nor %q is the address of a host and a port"):format(
    first .. ":" .. second, rest)
end

-- host:port, perhaps with a slash or a remark behind it.
local function pair(first, second)
  local port, remark = match(second, "^(%d+)/?(#.*)$")
  if not is_place(first) then return nil, hosts.why_not_place(first) end
  return { host = first, port = remark and port or match(second, "^(.-)/?$") }
end

-- host:port, host:port:protocol, host:port:user:password, user:password:host:port.
function by_colons(text)
  local first, second, rest = match(text, "^([^:]*):([^:]*):?(.*)$")
  if not first then return nil, "the port is missing" end
  if match(text, "^[^:]*:[^:]*$") then return pair(first, second) end
  local third, fourth = match(rest, "^([^:]*):(.*)$")
  if protocol_of(first) and is_place(second) then
    return behind_protocol(protocol_of(first), second .. ":" .. rest)
  end
  local is_first = is_place(first) and is_port(second)
  local is_last = fourth and is_place(third) and is_port(fourth)
  if is_first and is_last then
    return ambiguous("host:port:user:password", "user:password:host:port")
  end
  if is_last then return with_login(third, fourth, first, second) end
  if not is_first then return nil, why_no_place(text, first, second, rest, fourth) end
  if third then return with_login(first, second, third, fourth) end
  if rest == "" then return { host = first, port = second } end
  if protocol_of(rest) then return { host = first, port = second, protocol = protocol_of(rest) } end
  return nil, ("after host:port comes %q alone; the password is missing"):format(rest)
end

local function by_brackets(text)
  local host, port, rest = match(text, "^(%[[^%]]*%]):(%d+)(.*)$")
  if not host then
    return nil, find(text, "^%[[^%]]*%]$") and "the port is missing" or "host:port is not there"
  end
  host = hosts.of_text(host)
  if rest == "" then return { host = host, port = port } end
  local user, password = match(rest, "^:([^:]*):(.*)$")
  if user then return with_login(host, port, user, password) end
  local protocol = protocol_of(match(rest, "^:(.*)$") or "")
  if protocol then return { host = host, port = port, protocol = protocol } end
  if remarks.is_tail(rest) then return { host = host, port = port } end
  return nil, ("after host:port comes %q; the password is missing"):format(rest)
end

-- Whether host:port:user:… stands at the beginning.
local function begins_with_pair(text)
  local host, port = match(text, "^(%[[^%]]*%]):(%d+):[^:]*:")
  if not host then host, port = match(text, "^([^:@]*):(%d+):[^:]*:") end
  return host and port_of(port) and is_place(hosts.without_brackets(host)) and true or false
end

-- user:password:[host]:port
local function before_brackets(text)
  local user, password, host, port = match(text, "^([^:]*):(.*):(%[[%x:.%%%w]*%]):(%d+)$")
  if not user then return nil end
  return with_login(hosts.of_text(host), port, user, password)
end

local function without_at(text)
  if sub(text, 1, 1) == "[" then return by_brackets(text) end
  if find(text, "]:%d+$") then
    local record, why = before_brackets(text)
    if record and begins_with_pair(text) then
      return ambiguous("host:port:user:password", "user:password:host:port")
    end
    if record or why then return record, why end
  end
  return by_colons(text)
end

-- --- with an @ ---

local function login_at(place, login)
  local host, port = split_place(place)
  local user, password = match(login, "^([^:]*):(.*)$")
  return { host = hosts.of_text(host), port = port, username = user or login, password = password }
end

-- Whether one of the parts between @ begins with an address.
local function has_pair(text)
  for part in text:gmatch("[^@]+") do
    local host, port = match(part, "^([^:]*):(%d+)%f[%D]")
    if host and is_place(host) and port_of(port) then return true end
  end
  return false
end

-- Whether a text ends with host:port behind another field.
local function ends_with_pair(text)
  local host, port = match(text, ":([^:@]*):(%d+)$")
  return host and is_place(host) and port_of(port)
end

-- host:port@user:password
local function login_behind(place, login)
  local user, password = match(login, "^([^:]*):(.*)$")
  if not user then
    return nil, ("after host:port@ comes %q alone; the password is missing"):format(login)
  end
  if user == "" or find(user, "^%[") or has_pair(login) or ends_with_pair(login) then
    return ambiguous("host:port@user:password", "an address behind the @")
  end
  local ok, why = remarks.check_login(user, password)
  if not ok then return nil, why end
  return login_at(place, login)
end

local function by_at(text)
  local at, first_at = match(text, ".*()@"), find(text, "@", 1, true)
  local before, after = sub(text, 1, at - 1), sub(text, at + 1)
  if protocol_of(after) then
    local record, why = bare(before)
    if record and record.protocol then return nil, "the protocol is there twice" end
    if record then record.protocol = protocol_of(after) end
    return record, why
  end
  local host, port = split_place(after)
  local is_after = host and is_place(host) and port_of(port)
  local is_before = remarks.is_pair(sub(text, 1, first_at - 1))
  if is_after and ends_with_pair(after) then
    return ambiguous("user@host:port with a remark", "user:password:host:port")
  end
  if is_after and (is_before or begins_with_pair(text)) then
    return ambiguous("user:password@host:port", "host:port with credentials behind it")
  end
  if is_after then return login_at(after, before) end
  if is_before then
    return login_behind(sub(text, 1, first_at - 1), sub(text, first_at + 1))
  end
  if begins_with_pair(text) or ends_with_pair(text) then return without_at(text) end
  if not host then return nil, port end
  local _, why = is_place(host)
  return nil, why or ("%q is not the address of a host and a port"):format(after)
end

--- The parts of a text without a scheme and without blanks.
-- @return table of host, port, username, password, protocol as far as they are there; or nil and
--   why it is not a proxy
function bare(text)
  if find(text, "://", 1, true) then
    return nil, "a URL must begin the line; in credentials, write :// percent-encoded"
  end
  if find(text, "@", 1, true) then return by_at(text) end
  return without_at(text)
end

return bare
