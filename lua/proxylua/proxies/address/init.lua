-- A proxy as one text, a line of a list: a URL, host:port:user:password, user:password@host:port,
-- or in columns. A text that has two meanings is refused. All patterns are linear in the text.

local bare = require "proxylua.proxies.address.bare"
local columns = require "proxylua.proxies.address.columns"
local hosts = require "proxylua.proxies.address.host"
local records = require "proxylua.proxies.address.record"
local remarks = require "proxylua.proxies.address.remark"
local trim = require("proxylua.util.text").trim
local urls = require "proxylua.proxies.address.url"

local M = {
  encode = records.encode, decode = records.decode, host = hosts.before_colon,
  protocol = records.protocol, is_other = records.is_other, url = records.url,
  is_host = hosts.is_host, complete = records.complete, columns = columns.parse, trim = trim,
}

local find, match, sub = string.find, string.match, string.sub
local complete, decode = records.complete, records.decode

local MAX_TEXT <const> = 8192 -- bytes of an address

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

-- Lists in programs have each line in quotes, with a comma behind it.
local function without_quotes(text)
  return match(text, "^\"([^\"]*)\",?$") or match(text, "^'([^']*)',?$")
end

-- Whether a line in quotes is the text between them in each of those languages.
local function has_escape(text)
  return find(text, "\\", 1, true) and find(text, "^[-*%d.)%s]*[\"'].*[\"'],?$") ~= nil
end

local function without_marker(text)
  text = without_quotes(text) or text
  text = match(text, "^[-*]%s+(.*)$") or match(text, "^%d+[.)]%s+(.*)$") or text
  text = without_quotes(text) or text
  local remark = find(text, "%s#")
  return remark and trim(sub(text, 1, remark)) or text
end

-- Whether credentials that begin like any others have one meaning only.
local function is_clear(user, password)
  return user ~= "localhost" and not find(password, "@[^@]*:")
    and remarks.check_login(user, password)
end

--- Whether a line of an IPv4 address, a port and these credentials is read as that.
function M.is_usual_login(user, password)
  return find(user, "^[%w_-]+$") and find(password, "^[<-{!-+.-:}~-]+$")
    and is_clear(user, password)
end

-- Blanks around the colon between host and port.
local function join_pair(text)
  local host, port, rest = match(text, "^([%w.-]+)%s*:%s*(%d+)(.*)$")
  if not host or not hosts.is_place(host) or find(rest, "^[^%s:,;|]") or find(text, "@") then
    return text
  end
  return host .. ":" .. port .. rest
end

-- What most lines look like, in which no character has a second meaning. The password has no , ; or
-- |.
local function parse_usual(text, protocol)
  local host, port, user, password =
    match(text, "^(%d+%.%d+%.%d+%.%d+):(%d+):([%w_-]+):([<-{!-+.-:}~-]+)$")
  if host and is_clear(user, password) then
    return complete{ host = host, port = port, username = user, password = password,
      protocol = protocol }
  end
  local scheme
  scheme, user, password, host, port =
    match(text, "^(%a%w*)://([%w_.~%%-]*):([%w_.~%%-]*)@([%w.-]+):(%d+)$")
  if not scheme then scheme, host, port = match(text, "^(%a%w*)://([%w.-]+):(%d+)$") end
  scheme = scheme and records.protocol(scheme)
  if not scheme then return nil end
  return complete{ host = host, port = port, username = user and decode(user),
    password = password and decode(password), protocol = scheme }
end

-- A comma at the end of a line may be the last byte of a raw password.
local function before_comma(text, protocol)
  local record, why, other = M.parse(text, protocol)
  if record and (record.username or find(text, ":$")) and not urls.scheme(text) then
    return nil, "what stands at the end may belong to the password; write a URL"
  end
  return record, why, other
end

--- The record of a proxy that is written as one text, a line of a list.
-- @param text string
-- @param protocol where the text does not say ("http")
-- @return record; or nil, why it is not a proxy, and the type of what cannot be used, such as "ss"
function M.parse(text, protocol)
  local record = parse_usual(text, protocol)
  if record then return record end
  if #text > MAX_TEXT then
    return nil, ("longer than %d bytes; write one proxy a line"):format(MAX_TEXT)
  end
  local strange = find(text, "[%c\x80-\xFF]") and strange_byte(text)
  if strange then return nil, strange end
  text = trim(text)
  if has_escape(text) then
    return nil, "a backslash in quotes may have a meaning of its own; write a URL without quotes"
  end
  text = without_marker(text)
  local scheme, rest = urls.scheme(text)
  local blank, mark = find(text, "%s"), scheme and find(text, "#", 1, true)
  if scheme and (not blank or mark and mark < blank) then
    local whole, reason, other = urls.parse(scheme, rest)
    if whole or other or not find(rest, "[,;|]") then return whole, reason, other end
    return columns.parse(split_columns(text), protocol, true)
  end
  if find(text, "%s:") or find(text, ":%s") then text = join_pair(text) end
  if find(text, "[%s,;|]") then
    local fields, is_glued = split_columns(text)
    if #fields > 1 then return columns.parse(fields, protocol, is_glued) end
    if is_glued and text ~= fields[1] then return before_comma(fields[1], protocol) end
    text = fields[1]
  end
  if text == "" then return nil, "not a proxy" end
  local parts, why = bare(text)
  if not parts then return nil, why end
  parts.protocol = parts.protocol or protocol
  return complete(parts)
end

return M
