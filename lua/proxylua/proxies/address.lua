-- A proxy as one text: scheme://user:password@host:port with percent-encoding, or as sellers write
-- it, with the credentials as they are: host:port:user:password, user:password@host:port, or in
-- columns. A text that has two meanings is refused. All patterns are linear in the text.

local core = require "proxylua.core"
local country_code = require "proxylua.util.country"

local M = {}

local encode = core.quote.percent
local find, match, sub, lower = string.find, string.match, string.sub, string.lower

local MAX_TEXT <const> = 8192 -- bytes of an address

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

--- A text in which only letters, digits and - . _ ~ stand for themselves.
M.encode = core.quote.percent

--- What was encoded.
function M.decode(text)
  if not find(text, "%", 1, true) then return text end
  return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

--- A host as it stands before a colon: IPv6 in brackets.
function M.host(host)
  return find(host, ":", 1, true) and "[" .. host .. "]" or host
end

--- The protocol of one of its names, in lower case; nil for one that is not known.
function M.protocol(name)
  return type(name) == "string" and protocols[lower(name)] or nil
end

--- Whether this is the name of something that stands beside proxies in configurations, such as ss.
function M.is_other(name)
  return others[lower(name)] == true
end

--- The URL of a proxy's record.
function M.url(proxy)
  local user, password, host = proxy.username or "", proxy.password or "", proxy.host
  if find(host, ":", 1, true) then host = "[" .. host:gsub("%%", "%%25") .. "]" end
  if password ~= "" then
    return proxy.protocol .. "://" .. encode(user) .. ":" .. encode(password) .. "@" .. host .. ":"
      .. proxy.port
  end
  return proxy.protocol .. "://" .. (user ~= "" and encode(user) .. "@" or "") .. host .. ":"
    .. proxy.port
end

local is_ipv4 = core.decode.is_ipv4

-- The 16-bit groups that a part of an IPv6 address has; nil for an invalid one.
local function groups(part)
  if part == "" then return 0 end
  local count, ends = 0, false
  for group in (part .. ":"):gmatch("([^:]*):") do
    if ends then return nil end
    if find(group, ".", 1, true) then
      if not is_ipv4(group) then return nil end
      count, ends = count + 2, true
    elseif find(group, "^%x%x?%x?%x?$") then
      count = count + 1
    else
      return nil
    end
  end
  return count
end

local function is_ipv6(host)
  if #host > 100 then return false end
  local plain, zone = match(host, "^([^%%]*)%%?(.*)$")
  if find(host, "%", 1, true) and not find(zone, "^[%w._-]+$") then return false end
  local left, right = match(plain, "^(.-)::(.*)$")
  if not left then return groups(plain) == 8 end
  local before, after = groups(left), groups(right)
  return before and after and before + after < 8 and not find(left, ".", 1, true)
end

local function is_name(host)
  if #host > 253 then return false end
  for label in (host:gsub("%.$", "") .. "."):gmatch("([^.]*)%.") do
    if #label > 63 or not find(label, "^[%w_][%w_-]*$") then return false end
  end
  return true
end

-- Whether a host can be one; else false and why.
local function check_host(host)
  if is_ipv4(host) then return true end
  if find(host, ":", 1, true) then
    if is_ipv6(host) then return true end
    return false, ("%q is not an IPv6 address"):format(host)
  end
  if find(host, "^[%d.]+$") then
    return false, ("%q is not an IPv4 address (four numbers from 0 to 255 without leading zeros)")
      :format(host)
  end
  if not is_name(host) then
    return false, host == "" and "the host is missing"
      or ("%q is not the name or the address of a host"):format(host)
  end
  if find(host, "%f[^.\0]%d+%.?$") and find(host, ".", 1, true) then
    return false, ("%q is not the name or the address of a host"):format(host)
  end
  return true
end

--- Whether a text without brackets can be a host.
M.is_host = check_host

-- A word without a dot is rarely a host, and often a title, a user or a country.
local function is_place(host)
  if find(host, ".", 1, true) or find(host, ":", 1, true) or lower(host) == "localhost" then
    return check_host(host)
  end
  return false
end

-- Why a text is not the host of a line.
local function why_not_place(host)
  local _, why = is_place(host)
  if why then return why end
  if find(host, "^[%w_-]+$") then
    return ("%q is a word without a dot; if it is a host, write a URL, such as http://%s:PORT")
      :format(host, host)
  end
  return ("%q is not the address of a host"):format(host)
end

local function port_of(value)
  if math.type(value) == "integer" then return value > 0 and value < 65536 and value or nil end
  local text = tostring(value)
  local digits = match(text, "^([1-9]%d?%d?%d?%d?)$") or match(text, "^([1-9]%d?%d?%d?%d?)%.0$")
  local port = digits and math.tointeger(tonumber(digits))
  return port and port < 65536 and port or nil
end

--- Completes a record and checks that it can be a proxy.
-- @param proxy table: host, port, and perhaps username, password, protocol; changed in place
-- @return the record; or nil and why it is not one
function M.complete(proxy)
  local host = type(proxy.host) == "string" and proxy.host or ""
  host = match(host, "^%[(.*)%]$") or host
  local ok, why = check_host(host)
  if not ok then return nil, why end
  local port = port_of(proxy.port)
  if not port then
    if proxy.port == nil or proxy.port == "" then return nil, "the port is missing" end
    return nil, ("%s is not a port from 1 to 65535"):format(tostring(proxy.port))
  end
  local protocol = protocols[proxy.protocol] or M.protocol(proxy.protocol or "http")
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

local complete = M.complete

local function split_login(login)
  local user, password = match(login, "^([^:]*):(.*)$")
  return user or login, password
end

-- Where the last one of a byte is.
local function last(text, byte)
  return match(text, ".*()" .. byte)
end

local remarks = { title = true, name = true, tag = true, remark = true, remarks = true,
  label = true }

-- What may follow the port: a slash, "?title=…", "#name". True; or false and why.
local function is_remark(tail)
  if tail == "" or tail == "/" then return true end
  local query = match(tail, "^/?%?([^#]*)")
  if query then
    for key in query:gmatch("([^&=]+)[^&]*") do
      if not remarks[lower(key)] then
        return false, ("the parameter %q of the URL is not understood"):format(key)
      end
    end
    return true
  end
  if find(tail, "^/?#") then return true end
  return false, "a path follows the port"
end

-- Host, port and remark of "host:port…"; nil and why.
local function split_place(text)
  local host, port, tail = match(text, "^(%[[^%]]*%]):(%d+)(.*)$")
  if not host then host, port, tail = match(text, "^([^:/?#@]*):(%d+)(.*)$") end
  if not host then
    return nil, find(text, "^[^:/?#]*$") and "the port is missing" or "host:port is not there"
  end
  local ok, why = is_remark(tail)
  if not ok then return nil, why end
  return match(host, "^%[(.*)%]$") or host, port, tail
end

-- Whether a text is host:port of a host that is an address or has a dot.
local function is_pair(text)
  local host, port, tail = split_place(text)
  return host and tail == "" and port_of(port) and is_place(M.decode(host)) and true or false
end

local function ambiguous(first, second)
  return nil, ("%s or %s: both are possible here; write it as scheme://user:password@host:port")
    :format(first, second)
end

local words = {}
for word in ("elite anonymous transparent hia noa anm yes no ok up alive working good - ssl "
  .. "datacenter residential mobile isp"):gmatch("%S+") do
  words[word] = true
end

-- A column that says nothing about how to reach the proxy.
local function is_remark_column(text)
  if text == "" or words[lower(text)] then return true end
  if find(text, "^%u%u$") and country_code(text) then return true end
  return find(text, "^%d+%.?%d*m?s$") or find(text, "^%d+%.?%d*%%$")
end

local function is_port(text)
  return find(text, "^%d+$") and port_of(text) ~= nil
end

-- A password may go on behind a # or end before a remark.
local function check_password(password)
  if find(password, "#", 1, true) then
    return false, "a # in the credentials may begin a remark; write them as a URL with %23"
  end
  local ending = match(password, "^.*:(.*)$")
  if ending and ending ~= "" and (protocols[lower(ending)] or is_remark_column(ending)) then
    return false, "the last field may be a remark or the end of the password; write a URL"
  end
  return true
end

local function with_login(host, port, user, password)
  local ok, why = check_password(password)
  if ok then ok, why = check_password(user) end
  if not ok then return nil, why end
  return { host = host, port = port, username = user, password = password }
end

-- host:port, host:port:protocol, host:port:user:password, user:password:host:port.
local function by_colons(text)
  local first, second, rest = match(text, "^([^:]*):([^:]*):?(.*)$")
  if not first then return nil, "the port is missing" end
  if match(text, "^[^:]*:[^:]*$") then
    local port, remark = match(second, "^(%d+)/?(#.*)$")
    if not is_place(first) then return nil, why_not_place(first) end
    return { host = first, port = remark and port or match(second, "^(.-)/?$") }
  end
  local third, fourth = match(rest, "^([^:]*):(.*)$")
  if protocols[lower(first)] and is_place(second) then -- protocol:host:port…
    local record, why = by_colons(second .. ":" .. rest)
    if record then record.protocol = record.protocol or lower(first) end
    return record, why
  end
  local is_first = is_place(first) and is_port(second)
  local is_last = fourth and is_place(third) and is_port(fourth)
  if is_first and is_last then
    return ambiguous("host:port:user:password", "user:password:host:port")
  end
  if is_last then return with_login(third, fourth, first, second) end
  if not is_first then
    if select(2, text:gsub(":", "")) > 4 and find(text, "^[%x:]+$") then
      return nil, "an IPv6 address must stand in brackets: [2001:db8::1]:8080"
    end
    local _, why = is_place(first)
    if why and not fourth then return nil, why end
    return nil, why or ("neither %q nor %q is the address of a host and a port")
      :format(first .. ":" .. second, rest)
  end
  if third then return with_login(first, second, third, fourth) end
  if rest == "" then return { host = first, port = second } end
  if protocols[lower(rest)] then return { host = first, port = second, protocol = lower(rest) } end
  return nil, ("after host:port comes %q alone; the password is missing"):format(rest)
end

local function by_brackets(text)
  local host, port, rest = match(text, "^(%[[^%]]*%]):(%d+)(.*)$")
  if not host then return nil, "host:port is not there" end
  if rest == "" then return { host = host, port = port } end
  local user, password = match(rest, "^:([^:]*):(.*)$")
  if user then return with_login(host, port, user, password) end
  local protocol = protocols[lower(match(rest, "^:(.*)$") or "")]
  if protocol then return { host = host, port = port, protocol = protocol } end
  if is_remark(rest) then return { host = host, port = port } end
  return nil, ("after host:port comes %q; the password is missing"):format(rest)
end

local function login_at(place, login)
  local host, port = split_place(place)
  local user, password = split_login(login)
  return { host = host, port = port, username = user, password = password }
end

-- Whether an @ stands behind host:port:user:… and belongs to the password.
local function begins_with_pair(text)
  local host, port = match(text, "^(%[[^%]]*%]):(%d+):[^:]*:")
  if not host then host, port = match(text, "^([^:@]*):(%d+):[^:]*:") end
  return host and port_of(port) and is_place(match(host, "^%[(.*)%]$") or host) and true or false
end

local function without_at(text)
  if sub(text, 1, 1) == "[" then return by_brackets(text) end
  return by_colons(text)
end

local function by_at(text)
  local at, first_at = last(text, "@"), find(text, "@", 1, true)
  local before, after = sub(text, 1, at - 1), sub(text, at + 1)
  if protocols[lower(after)] then
    local record, why = M.bare(before)
    if record and record.protocol then return nil, "the protocol is there twice" end
    if record then record.protocol = lower(after) end
    return record, why
  end
  local host, port = split_place(after)
  local is_after = host and is_place(host) and port_of(port)
  local is_before = is_pair(sub(text, 1, first_at - 1))
  if is_after and (is_before or begins_with_pair(text)) then
    return ambiguous("user:password@host:port", "host:port with credentials behind it")
  end
  if is_after then return login_at(after, before) end
  if is_before then
    local login = sub(text, first_at + 1)
    local ok, why = check_password(login)
    if not ok then return nil, why end
    return login_at(sub(text, 1, first_at - 1), login)
  end
  if begins_with_pair(text) then return without_at(text) end
  if not host then return nil, port end
  local _, why = is_place(host)
  return nil, why or ("%q is not the address of a host and a port"):format(after)
end

--- The parts of a text without a scheme and without blanks.
-- @return table of host, port, username, password, protocol as far as they are there; or nil and
--   why it is not a proxy
function M.bare(text)
  if find(text, "@", 1, true) then return by_at(text) end
  return without_at(text)
end

-- The last @ before a remark is the one before the host.
local function split_url(rest)
  local at = last(rest, "@")
  local place = at and sub(rest, at + 1) or rest
  local host, port = split_place(place)
  if not host then return nil, port end
  local record = { host = M.decode(host), port = port }
  if at then
    local user, password = split_login(sub(rest, 1, at - 1))
    record.username, record.password = M.decode(user), password and M.decode(password)
  end
  return record
end

-- A # may begin a remark that holds an @, or stand in a password.
local function split_with_remark(rest)
  local record, why = split_url(rest)
  local mark = find(rest, "#", 1, true)
  local short = mark and split_url(sub(rest, 1, mark - 1))
  if record and short and (record.host ~= short.host or record.port ~= short.port) then
    return nil, "the # may begin a remark or stand in the password, where it must be written %23"
  end
  return short or record, why
end

-- Credentials behind the host, or raw ones, as people write them into URLs all the same.
local function split_raw(rest)
  local text = match(rest, "^(.-)/?$")
  if find(text, "[/?#]") then return nil end
  local record = M.bare(text)
  return record and record.username and record or nil
end

local function parse_url(scheme, rest)
  local protocol = protocols[lower(scheme)]
  if not protocol then
    if others[lower(scheme)] then
      return nil, ("%s is not a protocol that proxylua can use"):format(scheme), lower(scheme)
    end
    return nil, ("the protocol %s is not known"):format(scheme)
  end
  local record, why = split_with_remark(rest)
  if not record then record = split_raw(rest) end
  if not record then return nil, why end
  if record.protocol then return nil, "the protocol is there twice" end
  record.protocol = protocol
  return complete(record)
end

local function add_protocol(record, name)
  local protocol = protocols[lower(name)]
  if record.protocol and protocols[lower(record.protocol)] ~= protocol then
    return false, ("both %s and %s are given as the protocol"):format(record.protocol, name)
  end
  record.protocol = protocol
  return true
end

-- A URL in a column stands for the whole: it has what tabs and blanks would have changed.
local function same_place(record, text)
  local whole = M.parse(text)
  if whole and whole.host == (match(record.host, "^%[(.*)%]$") or record.host)
    and tostring(whole.port) == tostring(record.port) then
    return whole
  end
end

local function add_columns(record, fields, from)
  for at = from, #fields do
    local text = fields[at]
    if protocols[lower(text)] then
      local ok, why = add_protocol(record, text)
      if not ok then return nil, why end
    elseif find(text, "://", 1, true) then
      local whole = same_place(record, text)
      if not whole then return nil, ("column %d has the URL of something else"):format(at) end
      return whole
    elseif not is_remark_column(text) then
      return nil, ("column %d (%q) is not understood"):format(at, text)
    end
  end
  return record
end

local function add_login(record, fields, from)
  local user, password = fields[from], fields[from + 1]
  if not user or protocols[lower(user)] or find(user, "://", 1, true) then
    return add_columns(record, fields, from)
  end
  if user ~= "" and is_remark_column(user) then
    if password and password ~= "" and not is_remark_column(password)
      and not protocols[lower(password)] then
      return nil, ("%q may be a username or a remark; a heading would say"):format(user)
    end
    return add_columns(record, fields, from)
  end
  if is_pair(user) or password and is_place(user) and is_port(password) then
    return nil, "several proxies on a line; write one a line"
  end
  if not password and find(user, ":", 1, true) and not find(user, "^%d+:%d+") then
    record.username, record.password = split_login(user)
    return record
  end
  if not password and user ~= "" then
    return nil, ("after host and port comes %q alone; the password is missing"):format(user)
  end
  record.username, record.password = user, password or ""
  return add_columns(record, fields, from + 2)
end

-- Where the address begins: behind a number of the list and the protocol.
local function find_address(fields, record)
  local at = 1
  if find(fields[1], "^%d+[.)]?$") and fields[2] and not is_port(fields[2]) then at = 2 end
  local name = fields[at] and match(fields[at], "^%[?([%w]+)%]?:?$")
  if name and protocols[lower(name)] and fields[at + 1] then
    record.protocol = protocols[lower(name)]
    at = at + 1
  end
  return at
end

--- The record of a proxy in columns: host, port, username, password, protocol; or an address and
-- what may follow it.
-- @param fields list of texts
-- @param protocol where the columns do not say ("http")
-- @param glued whether a column that follows credentials may be the end of the password
-- @return record; or nil, why, and the type of what cannot be used
function M.columns(fields, protocol, glued)
  local given = {}
  local at = find_address(fields, given)
  local text = fields[at]
  local record, why, other
  if not text then return nil, "not a proxy" end
  if fields[at + 1] and is_port(fields[at + 1]) then
    local host = match(text, "^%[(.*)%]$") or text
    if not is_place(host) then return nil, why_not_place(host) end
    record, why = add_login({ host = host, port = fields[at + 1], protocol = given.protocol },
      fields, at + 2)
  elseif find(text, "://", 1, true) then
    local whole
    whole, why, other = M.parse(text)
    if whole then record, why = add_columns(whole, fields, at + 1) end
  else
    record, why = M.bare(text)
    if record and given.protocol then
      local ok, twice = add_protocol(record, given.protocol)
      if not ok then return nil, twice end
    end
    if record and record.username and glued and fields[at + 1] then
      return nil, "what follows the password may belong to it; write a URL"
    end
    if record and record.username then
      record, why = add_columns(record, fields, at + 1)
    elseif record then
      record, why = add_login(record, fields, at + 1)
    end
  end
  if not record then return nil, why, other end
  record.protocol = record.protocol or protocol
  return complete(record)
end

-- No-break and other wide blanks, marks without width, and a byte order mark.
local invisible = { "\xC2\xA0", "\xC2\xAD", "\xE2\x80[\x80-\x8F\xA8-\xAF]",
  "\xE2\x81[\x9F-\xAF]", "\xE3\x80\x80", "\xEF\xBB\xBF" }

local function strange_byte(text)
  if find(text, "[\0-\8\10-\31\127]") then return "the line holds a control byte" end
  for _, pattern in ipairs(invisible) do
    local at = find(text, pattern)
    if at then
      return ("column %d holds an invisible character, such as a no-break space"):format(at)
    end
  end
end

--- A text without blanks at its ends.
function M.trim(text)
  local from = find(text, "%S")
  return from and match(text, "^.*%S", from) or ""
end

local trim = M.trim

local function split_columns(text)
  local comma = match(text, "\t") or match(text, "[,;|]")
  local fields = {}
  if comma then
    for field in (text .. comma):gmatch("([^" .. comma .. "]*)" .. comma) do
      fields[#fields + 1] = trim(field)
    end
    while #fields > 1 and fields[#fields] == "" do fields[#fields] = nil end
  else
    for field in text:gmatch("%S+") do fields[#fields + 1] = field end
  end
  return fields, comma and comma ~= "\t"
end

local function without_marker(text)
  text = match(text, "^[-*]%s+(.*)$") or match(text, "^%d+[.)]%s+(.*)$") or text
  local remark = find(text, "%s#")
  return remark and trim(sub(text, 1, remark)) or text
end

-- Whether credentials that begin like any others have one meaning only.
local function is_clear(user, password)
  return user ~= "localhost" and not find(password, "@[^@]*:") and check_password(password)
end

--- Whether a line of an IPv4 address, a port and these credentials is read as that.
function M.is_usual_login(user, password)
  return find(user, "^[%w_-]+$") and find(password, "^[!-+.-:<-{}~-]+$")
    and is_clear(user, password)
end

-- What most lines look like, in which no character has a second meaning. The password has no , ; or
-- |.
local function parse_usual(text, protocol)
  local host, port, user, password =
    match(text, "^(%d+%.%d+%.%d+%.%d+):(%d+):([%w_-]+):([!-+.-:<-{}~-]+)$")
  if host and is_clear(user, password) then
    return complete{ host = host, port = port, username = user, password = password,
      protocol = protocol }
  end
  local scheme
  scheme, user, password, host, port =
    match(text, "^(%a%w*)://([%w_.~%%-]*):([%w_.~%%-]*)@([%w.-]+):(%d+)$")
  scheme = scheme and protocols[scheme]
  if scheme then
    return complete{ host = host, port = port, username = M.decode(user),
      password = M.decode(password), protocol = scheme }
  end
end

--- The record of a proxy that is written as one text, a line of a list.
-- @param text string
-- @param protocol where the text does not say ("http")
-- @return record; or nil, why it is not a proxy, and the type of what cannot be used, such as "ss"
function M.parse(text, protocol)
  local record = parse_usual(text, protocol)
  if record then return record end
  if #text > MAX_TEXT then return nil, ("longer than %d bytes"):format(MAX_TEXT) end
  local strange = find(text, "[%c\x80-\xFF]") and strange_byte(text)
  if strange then return nil, strange end
  text = without_marker(trim(text))
  local scheme, rest = match(text, "^(%a[%w+.-]*)://(.*)$")
  local blank, mark = find(text, "%s"), scheme and find(text, "#", 1, true)
  if scheme and (not blank or mark and mark < blank) then
    local whole, reason, other = parse_url(scheme, rest)
    if whole or other or not find(rest, "[,;|]") then return whole, reason, other end
    return M.columns(split_columns(text), protocol, true)
  end
  if find(text, "[%s,;|]") then
    local fields, glued = split_columns(text)
    if #fields > 1 then return M.columns(fields, protocol, glued) end
    text = fields[1]
  end
  if text == "" then return nil, "not a proxy" end
  local parts, why = M.bare(text)
  if not parts then return nil, why end
  parts.protocol = parts.protocol or protocol
  return complete(parts)
end

return M
