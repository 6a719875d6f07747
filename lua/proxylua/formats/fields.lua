-- Proxies as records: which fields of which programs say what. Names are compared without case and
-- separators: proxy_address, ProxyAddress and "Proxy address" are one. Spreadsheets have headings
-- in the language of their users.

local address = require "proxylua.proxies.address"

local M = {}

local find = string.find

local meanings = {
  host = "host hostname server address proxyaddress proxyhost proxyhostname proxyserver "
    .. "serveraddress serverhost hostaddress adresse direccion dirección endereço indirizzo "
    .. "адрес Адрес хост Хост 地址 主机 服务器",
  ip = "ip ipaddress ipaddr proxyip serverip hostip ipv4",
  port = "port serverport proxyport portnumber hostport_ puerto porta порт Порт 端口",
  text = "addr proxy url uri link endpoint proxyurl proxyuri hostport ipport proxystring ip:port "
    .. "host:port address:port connectionstring proxylink",
  username = "username user login uname usr proxyuser proxyusername proxylogin authuser "
    .. "authusername userlogin benutzer benutzername utilisateur usuario usuário utente "
    .. "логин Логин пользователь Пользователь 用户名 用户",
  password = "password pass passwd pwd pw proxypassword proxypass proxypasswd proxypwd "
    .. "authpassword authpass userpassword userpass_ passwort kennwort motdepasse contraseña "
    .. "contrasena clave senha пароль Пароль 密码 psw pswd pword",
  auth = "auth authentication credentials credential userpass userpwd loginpassword loginpass "
    .. "user:password user:pass username:password login:password login:pass "
    .. "proxyauth userpassw",
  protocol = "protocol scheme proto proxyprotocol proxyscheme protocols proxytype protokoll "
    .. "protocole protocolo протокол Протокол 协议",
  type = "type types kind",
  users = "users",
  tls = "tls",
  version = "version socksversion",
  dns = "proxydns",
  country = "country",
  order = "orderid",
}

local known = {}
for meaning, names in pairs(meanings) do
  for name in names:gmatch("%S+") do known[name] = meaning end
end

-- Fields that sound like credentials and protocols, and are neither.
local harmless = {}
for name in ([[useragent authority author authors passthrough usercount usercountry bypass
  bypasslist authmethod authtype https http ssl]]):gmatch("%S+") do
  harmless[name] = true
end

local suspicious = { "user", "login", "passw", "pwd", "cred", "auth", "proto", "scheme", "socks",
  "secret" }

local suspicious_words = { key = true, token = true, pin = true, account = true, acct = true }

local UNKNOWN <const> = "?"

local function meaning_of(name)
  local plain = name:lower():gsub("[%s_.-]", "")
  if known[plain] then return known[plain] end
  if harmless[plain] then return false end
  if suspicious_words[plain] then return UNKNOWN end
  for _, part in ipairs(suspicious) do
    if plain:find(part, 1, true) then return UNKNOWN end
  end
  return false
end

-- Documents repeat a few names; one that holds thousands of them does not fill the memory.
local memo, remembered = {}, 0

--- What a field is called here: "host", "port", …; "?" for one that sounds like a credential or a
-- protocol and is neither; false for any other.
function M.meaning(name)
  local meaning = memo[name]
  if meaning == nil then
    meaning = meaning_of(name)
    if remembered >= 1000 then memo, remembered = {}, 0 end
    memo[name], remembered = meaning, remembered + 1
  end
  return meaning
end

local meaning_for = M.meaning

local function text(value)
  if type(value) == "string" then return value end
  if type(value) == "boolean" then return tostring(value) end
end

local function is_list(value) return type(value) == "table" and value[0] == nil end
local function is_mapping(value) return type(value) == "table" and value[0] ~= nil end
M.is_list, M.is_mapping = is_list, is_mapping

local function is_empty(value)
  return value == nil or value == "" or value == false or value == "false" or value == "no"
    or value == "0" or type(value) == "table" and #value == 0
end

-- What an order's type says, and where a proxy comes from.
local categories = {}
for name in ([[isp datacenter residential mobile ipv6 ipv4 dedicated shared static rotating private
  premium free dc resi elite anonymous transparent hia noa anm]]):gmatch("%S+") do
  categories[name] = true
end

-- The items of a list, or of a text such as "socks4, socks5".
local function words_of(value)
  local words = {}
  if is_list(value) then
    for at, item in ipairs(value) do
      if is_mapping(item) then item = item.type or item.name or item.protocol end
      words[at] = text(item) or ""
    end
  elseif is_mapping(value) then
    words[1] = text(value.type or value.name) or "?"
  else
    for word in text(value):gmatch("[^,;|/%s]+") do words[#words + 1] = word end
  end
  return words
end

-- The protocol of a value; nil when it says nothing of it; nil and why; nil, why and the type of
-- what cannot be used.
local function protocol_of(value)
  if type(value) == "string" then
    local protocol = address.protocol(value)
    if protocol then return protocol end
  end
  if is_empty(value) then return nil end
  local found, other
  for _, word in ipairs(words_of(value)) do
    local protocol = address.protocol(word)
    if protocol and found and found ~= protocol then
      return nil, ("several protocols (%s and %s); give one"):format(found, protocol)
    end
    found = found or protocol
    if not protocol and address.is_other(word) then
      other = other or word:lower()
    elseif not protocol and not categories[word:lower()] then
      return nil, ("the protocol %q is not known"):format(word)
    end
  end
  if other and not found then return nil, nil, other end
  return found
end

local function is_true(value) return value == true or value == "true" end

local function is_secured(tls)
  if is_mapping(tls) then return is_true(tls.enabled) end
  return is_true(tls)
end

local Conflict = {}

local function set(given, meaning, value, name)
  local before = given[meaning]
  if before ~= nil and before ~= value then
    if is_empty(before) then
      given[meaning] = value
    elseif not is_empty(value) then
      given[Conflict] = name
    end
    return
  end
  given[meaning] = value
end

-- The fields of an object by their meaning.
local function gather(object)
  local given = {}
  for at = 1, #object do
    local name = object[at]
    local meaning = memo[name]
    if meaning == nil then meaning = meaning_for(name) end
    if meaning then
      local value = object[name]
      if meaning ~= UNKNOWN then
        if given[meaning] == nil then
          given[meaning] = value
        else
          set(given, meaning, value, name)
        end
      elseif not is_empty(value) then
        given[UNKNOWN] = name
      end
    end
  end
  return given
end
M.gather = gather

-- {"username":…,"password":…}, ["user", "password"], "user:password"
local function add_auth(given)
  local auth = given.auth
  if is_empty(auth) or auth == true and given.username then return true end
  local user, password
  if is_mapping(auth) then
    local fields = gather(auth)
    user, password = text(fields.username), text(fields.password)
    if user == nil and password == nil and #auth > 0 then return false end
  elseif is_list(auth) then
    user, password = text(auth[1]), text(auth[2])
    if #auth ~= 2 then return false end
  else
    user, password = text(auth):match("^([^:]*):(.*)$")
    if not user then return false end
  end
  if given.username and given.username ~= user or given.password and given.password ~= password then
    return false
  end
  given.username, given.password = user, password
  return true
end

-- Xray and others: [{"user":…,"pass":…}]
local function add_users(given)
  local users = given.users
  if not is_list(users) or #users == 0 then return true end
  if #users > 1 or not is_mapping(users[1]) then return false end
  local fields = gather(users[1])
  given.username, given.password = given.username or fields.username,
    given.password or fields.password
  return true
end

local function resolve_protocol(given, usual)
  local protocol, why, other = protocol_of(given.protocol)
  if why or other then return nil, why, other end
  local by_type, reason, other_type = protocol_of(given.type)
  if not protocol then
    if reason or other_type then return nil, reason, other_type end
    protocol = by_type
  elseif by_type and by_type ~= protocol then
    return nil, ("both %s and %s are given as the protocol"):format(protocol, by_type)
  end
  local stated = text(given.protocol) or text(given.type)
  if given.version ~= nil and stated and stated:lower() == "socks" then
    protocol = address.protocol("socks" .. text(given.version))
    if not protocol then
      return nil, ("SOCKS has no version %s"):format(tostring(text(given.version)))
    end
  end
  if is_true(given.dns) and protocol == "socks5" then protocol = "socks5h" end
  if is_true(given.dns) and protocol == "socks4" then protocol = "socks4a" end
  if is_secured(given.tls) then
    if (protocol or usual or "http") ~= "http" and protocol ~= "https" then
      return nil, ("%s over TLS is not a protocol that proxylua can use"):format(protocol or usual)
    end
    protocol = "https"
  end
  return protocol or usual
end

-- A host may be a whole address: {"server": "http://10.0.0.1:8080"}.
local function split_host(given)
  local host = text(given.host) or text(given.ip)
  if given.host ~= nil and given.ip ~= nil and is_empty(given.host) then host = text(given.ip) end
  if not host then
    local whole = text(given.text)
    if not whole or whole == "" then return nil end
    return nil, whole
  end
  if host:find("://", 1, true) or is_empty(given.port) and host:find(":%d+$") then
    return nil, host
  end
  return host
end

-- Completes what an address in one field says with the other fields.
local function from_text(given, whole, protocol)
  local record, why, other = address.parse(whole, protocol)
  if not record then return nil, why, other end
  if given.port and tostring(record.port) ~= text(given.port) then
    return nil, "the port differs from that of the address"
  end
  if protocol and whole:find("://", 1, true) and record.protocol ~= protocol then
    if not (record.protocol == "http" and protocol == "https") then
      return nil, ("both %s and %s are given as the protocol"):format(record.protocol, protocol)
    end
    record.protocol = protocol
  end
  local user, password = text(given.username), text(given.password)
  if (user or "") ~= "" or (password or "") ~= "" then
    if record.username and (record.username ~= user or record.password ~= password) then
      return nil, "the credentials differ from those of the address"
    end
    record.username, record.password = user, password
  end
  return address.complete(record)
end

-- A list, an object or a boolean where a text is expected must not pass for an absent field or
-- for its name.
local function is_misshapen(value)
  return type(value) == "boolean" or type(value) == "table" and not is_empty(value)
end

local function unclear(given)
  if is_misshapen(given.username) then return "the username is not a text" end
  if is_misshapen(given.password) then return "the password is not a text" end
  if given[Conflict] then return ("the field %q contradicts another"):format(given[Conflict]) end
  if given[UNKNOWN] then return ("the field %q is not understood"):format(given[UNKNOWN]) end
  if not add_auth(given) then return "the credentials are not understood" end
  if not add_users(given) then return "several users of one proxy; list one for each" end
end

--- The record of an object.
-- @param object mapping of a document (bind/document/document.h)
-- @param usual protocol where the object does not say
-- @return record; nil when it is not a proxy; nil and why when it cannot be; nil, why and the type
--   of what proxylua cannot use, such as "ss"
function M.record(object, usual)
  return M.resolve(gather(object), usual)
end

-- A record of which nothing has to be worked out; nil for any other.
local function resolve_usual(given, usual)
  local host, protocol = given.host, given.protocol
  if type(host) ~= "string" or given.ip or given.tls or given.auth or given.users or given.dns
    or given.version or given[UNKNOWN] or given[Conflict] or find(host, ":", 1, true)
    or type(given.port) ~= "string" then
    return nil
  end
  if protocol == nil then
    protocol = given.type
  elseif given.type ~= nil then
    return nil
  end
  if protocol ~= nil then
    protocol = type(protocol) == "string" and address.protocol(protocol)
    if not protocol or given.type == "socks" then return nil end
  end
  local user, password = given.username, given.password
  if user ~= nil and type(user) ~= "string" or password ~= nil and type(password) ~= "string" then
    return nil
  end
  local record = address.complete{ host = host, port = given.port, protocol = protocol or usual,
    username = user, password = password }
  if not record then return nil end
  if given.country ~= nil then record.country = text(given.country) end
  if given.order ~= nil then record.order_id = text(given.order) end
  return record
end

-- Puts plain credentials of an object of their own where they usually are.
local function flatten_auth(given)
  local auth = given.auth
  if not is_mapping(auth) or given.username ~= nil or given.password ~= nil or #auth > 2 then
    return
  end
  local user, password = auth.username, auth.password
  if type(user) == "string" and type(password) == "string" then
    given.username, given.password, given.auth = user, password, nil
  end
end

--- The same of fields by their meaning.
function M.resolve(given, usual)
  if given.auth ~= nil then flatten_auth(given) end
  local usual_record = resolve_usual(given, usual)
  if usual_record then return usual_record end
  local host, whole = split_host(given)
  if not whole and (not host or given.port == nil) then
    -- A list of outbounds has some without an address, such as direct.
    local stated = given.type or given.protocol
    local other = (host or given.port == nil) and stated and select(3, protocol_of(stated))
    if other then return nil, nil, other end
    if host then return nil, "the port is missing", nil, true end
    if given.port == nil then return nil end
    local misshapen = is_misshapen(given.host) or is_misshapen(given.ip)
    return nil, misshapen and "the host is not a text" or "the host is missing", nil, true
  end
  local protocol, why, other = resolve_protocol(given, usual)
  if other then return nil, why, other end
  if not why then why = unclear(given) end
  if why then return nil, why, nil, whole ~= nil and host == nil and given.host == nil end
  local record
  if whole then
    record, why, other = from_text(given, whole, protocol)
    if not record then
      return nil, why, other, given.host == nil and given.ip == nil
    end
  else
    record, why = address.complete{ host = host, port = given.port, protocol = protocol,
      username = text(given.username), password = text(given.password) }
    if not record then return nil, why end
  end
  if given.country ~= nil then record.country = text(given.country) end
  if given.order ~= nil then record.order_id = text(given.order) end
  return record
end

return M
