-- A proxy in columns without a heading: host, port, username, password, protocol; or an address and
-- what may follow it. What may be credentials or a remark is refused.

local bare = require "proxylua.proxies.address.bare"
local hosts = require "proxylua.proxies.address.host"
local records = require "proxylua.proxies.address.record"
local remarks = require "proxylua.proxies.address.remark"
local urls = require "proxylua.proxies.address.url"

local M = {}

local find, match = string.find, string.match
local is_place, is_port, protocol_of = hosts.is_place, hosts.is_port, records.protocol

local function add_protocol(record, name)
  local protocol = protocol_of(name)
  if record.protocol and protocol_of(record.protocol) ~= protocol then
    return false, ("both %s and %s are given as the protocol"):format(record.protocol, name)
  end
  record.protocol = protocol
  return true
end

local function parse_url(text)
  local scheme, rest = urls.scheme(text)
  if not scheme then return nil, ("%q is not a URL"):format(text) end
  return urls.parse(scheme, rest)
end

-- What a column keeps of a text: blanks in it may have been others.
local function without_blanks(text)
  return ((text or ""):gsub("%s+", ""))
end

-- A URL in a column stands for the whole: it has what tabs and blanks would have changed.
local function as_url(record, text)
  local whole = parse_url(text)
  if not whole or whole.host ~= hosts.of_text(record.host)
    or tostring(whole.port) ~= tostring(record.port) then
    return nil, "the URL is that of something else"
  end
  if record.username and (without_blanks(record.username) ~= without_blanks(whole.username)
    or without_blanks(record.password) ~= without_blanks(whole.password)) then
    return nil, "the credentials differ from those of the URL"
  end
  return whole
end

local function add_rest(record, fields, from)
  for at = from, #fields do
    local text = fields[at]
    if protocol_of(text) then
      local ok, why = add_protocol(record, text)
      if not ok then return nil, why end
    elseif find(text, "://", 1, true) then
      local whole, why = as_url(record, text)
      return whole, why and ("column %d: %s"):format(at, why)
    elseif not remarks.is_column(text) then
      return nil, ("column %d (%q) is not understood"):format(at, text)
    end
  end
  return record
end

-- Whether a column, or this one and the next, is an address of its own.
local function is_address(text, following)
  return remarks.is_pair(match(text, "^[^:]*:%d+") or text) or bare(text) ~= nil
    or hosts.is_ipv4(text)
    or following and is_place(text) and is_port(following)
end

-- "user:password" in one column.
local function add_glued_login(record, text)
  local user, password = match(text, "^([^:]*):(.*)$")
  local host, port = match(text, "([^:@]*):(%d+)$")
  if host and is_place(host) and is_port(port) then
    return nil, "several proxies on a line; write one a line"
  end
  local why = remarks.why_not_user(user) or remarks.why_not_password(password)
  if why then return nil, why end
  record.username, record.password = user, password
  return record
end

-- Whether a URL behind the credentials will say what they are.
local function has_url(fields, from)
  for at = from, #fields do
    if find(fields[at], "://", 1, true) then return true end
  end
  return false
end

local function add_login(record, fields, from)
  local user, password = fields[from], fields[from + 1]
  if not user or protocol_of(user) or find(user, "://", 1, true) then
    return add_rest(record, fields, from)
  end
  local is_remark = remarks.is_column(user)
  if is_remark and (not password or remarks.is_column(password) or protocol_of(password)) then
    return add_rest(record, fields, from)
  end
  if is_address(user, password) then return nil, "several proxies on a line; write one a line" end
  if not password and find(user, ":", 1, true) and not find(user, "^%d+:%d+") then
    return add_glued_login(record, user)
  end
  if not password then
    return nil, ("after host and port comes %q alone; the password is missing"):format(user)
  end
  local why = remarks.why_not_user(user) or remarks.why_not_password(password)
  if why and not has_url(fields, from + 2) then return nil, why end
  record.username, record.password = user, password
  return add_rest(record, fields, from + 2)
end

-- Where the address begins: behind a number of the list and the protocol.
local proxy_words = { PROXY = "http" } -- of scripts that configure browsers

local function find_address(fields, record)
  local at = 1
  if find(fields[1], "^%d+[.)]?$") and fields[2] and not is_port(fields[2]) then at = 2 end
  local name = fields[at] and match(fields[at], "^%[?([%w]+)%]?:?$")
  local protocol = name and (protocol_of(name) or proxy_words[name])
  if protocol and fields[at + 1] then
    record.protocol = protocol
    at = at + 1
  end
  return at
end

-- The address in one column, with what follows it.
local function with_address(fields, at, given, is_glued)
  local text = fields[at]
  if find(text, "://", 1, true) then
    local whole, why, other = parse_url(text)
    if not whole then return nil, why, other end
    return add_rest(whole, fields, at + 1)
  end
  if find(text, "[%s,;|]") or find(text, ":$") then
    return nil, ("%q is not an address"):format(text)
  end
  local record, why = bare(text)
  if not record then
    return nil, #fields > 1 and ("%q is not an address: %s"):format(text, why) or why
  end
  if given.protocol then
    local ok, twice = add_protocol(record, given.protocol)
    if not ok then return nil, twice end
  end
  if not record.username then return add_login(record, fields, at + 1) end
  -- A number in front is the list's only if host and port follow it: it may begin a user name.
  local begins_with_place = find(text, record.host .. ":" .. record.port .. ":", 1, true) == 1
  if is_glued and (fields[at + 1] or at > 1 and not begins_with_place) then
    return nil, "what stands beside the credentials may belong to them; write a URL"
  end
  return add_rest(record, fields, at + 1)
end

--- The record of a proxy in columns.
-- @param fields list of texts
-- @param protocol where the columns do not say ("http")
-- @param is_glued whether a column that follows credentials may be the end of the password
-- @return record; or nil, why, and the type of what cannot be used
function M.parse(fields, protocol, is_glued)
  local given = {}
  local at = find_address(fields, given)
  local text = fields[at]
  if not text then return nil, "not a proxy" end
  local record, why, other
  if fields[at + 1] and is_port(fields[at + 1]) then
    local host = hosts.of_text(text)
    if not is_place(host) then return nil, hosts.why_not_place(host) end
    record, why = add_login({ host = host, port = fields[at + 1], protocol = given.protocol },
      fields, at + 2)
  else
    record, why, other = with_address(fields, at, given, is_glued)
  end
  if not record then return nil, why, other end
  record.protocol = record.protocol or protocol
  return records.complete(record)
end

return M
