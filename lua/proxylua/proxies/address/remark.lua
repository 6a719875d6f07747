-- What may stand beside an address: remarks and columns that are not read, and texts that may be
-- credentials or a remark.

local country_code = require "proxylua.util.country"
local hosts = require "proxylua.proxies.address.host"
local records = require "proxylua.proxies.address.record"

local M = {}

local find, match, lower, byte = string.find, string.match, string.lower, string.byte

-- --- behind the port ---

local parameters = { title = true, name = true, tag = true, remark = true, remarks = true,
  label = true }

-- What may follow the port: a slash, "?title=…", "#name". True; or false and why.
local function is_tail(tail)
  if tail == "" or tail == "/" then return true end
  local query = match(tail, "^/?%?([^#]*)")
  if query then
    for key in query:gmatch("([^&=]+)[^&]*") do
      if not parameters[lower(key)] then
        return false, ("the parameter %q of the URL is not understood"):format(key)
      end
    end
    return true
  end
  if find(tail, "^/?#") then return true end
  return false, "a path follows the port"
end
M.is_tail = is_tail

--- Host, port and remark of "host:port…"; nil and why.
function M.split_place(text)
  local host, port, tail = match(text, "^(%[[^%]]*%]):(%d+)(.*)$")
  if not host then host, port, tail = match(text, "^([^:/?#@]*):(%d+)(.*)$") end
  if not host then
    return nil, hosts.why_bare_ipv6(text)
      or find(text, "^[^:/?#]*$") and "the port is missing" or "host:port is not there"
  end
  local ok, why = is_tail(tail)
  if not ok then return nil, why end
  return hosts.without_brackets(host), port, tail
end

--- Whether a text is host:port of a host that is an address or has a dot.
function M.is_pair(text)
  local host, port, tail = M.split_place(text)
  return host and tail == "" and hosts.port(port) and hosts.is_place(records.decode(host)) and true
    or false
end

-- --- columns ---

local function set(names)
  local words = {}
  for word in names:gmatch("%S+") do words[word] = true end
  return words
end

local words = set [[elite anonymous transparent hia noa anm yes no ok up alive working good - + ssl
  datacenter residential mobile isp]]

-- Words for nothing: as credentials they may be meant, or stand for their absence.
local absent = set [[none null nil n/a na nan unknown undefined]]

--- Whether a column says nothing about how to reach the proxy.
function M.is_column(text)
  if text == "" or words[lower(text)] then return true end
  local first = byte(text)
  if first >= 65 and first <= 90 then
    -- "US", and "US-N-S!" of spys.one: the country, the anonymity, TLS
    local country = match(text, "^%u%u$") or match(text, "^(%u%u)%-[NAH][S!-]*$")
    return country ~= nil and country_code(country) ~= nil
  end
  if first < 48 or first > 57 then return false end
  return find(text, "^%d+%.?%d*m?s$") ~= nil or find(text, "^%d+%.?%d*%%$") ~= nil
end

-- A text in brackets or quotes.
local function is_enclosed(text)
  return find(text, "^%(.*%)$") or find(text, "^%[.*%]$") or find(text, "^{.*}$")
    or find(text, "^<.*>$") or find(text, "^([\"'`]).*%1$") and #text > 1
end

-- Without letters and digits, also without those of other scripts. Dashes, arrows and the like are
-- in the block that begins with E2.
local function has_no_letter(text)
  if find(text, "%w") then return false end
  return not find(text:gsub("\xE2[\x80-\xBF][\x80-\xBF]", ""):gsub("\xC2[\x80-\xBF]", ""),
    "[\x80-\xFF]")
end

local function is_time(text)
  return find(text, "^%d+[-/:.]%d+[-/:.]?%d*[-/:.]?%d*$") ~= nil
end

--- Why a column is not a username beyond doubt; nil where it is.
function M.why_not_user(text)
  if text == "" then return "the username is missing" end
  if find(text, "[%s,;|]") or has_no_letter(text) or is_enclosed(text)
    or find(text, "^[/?#;(%-<%[{]") or find(text, "^[%a_]+=") or is_time(text)
    or absent[lower(text)] or M.is_column(text) then
    return ("%q may be a username or a remark; a heading or a URL would say"):format(text)
  end
end

-- Whether a password ends with an address and a port, which may be the proxy's.
local function why_not_end(text)
  local place = match(text, "%[[%x:.]+%]:%d+$") or match(text, "^.*[:@]([^:@]*:%d+)$")
  if place and M.is_pair(place) then
    return "the password ends with an address and a port, which may be the proxy's; write a URL"
  end
end

--- Why the column behind a username is not its password beyond doubt; nil where it is.
function M.why_not_password(text)
  if why_not_end(text) then return why_not_end(text) end
  if find(text, "%s") or is_enclosed(text) or text ~= "" and M.is_column(text)
    or absent[lower(text)] or records.protocol(text) or is_time(text)
    or has_no_letter(text) and #text < 3 then
    return ("%q may be a password or a remark; a heading or a URL would say"):format(text)
  end
end

-- --- credentials between colons ---

local function is_date(text)
  return find(text, "^20%d%d[-/.]?[01]%d[-/.]?[0-3]%d$") ~= nil
end

local function check_part(text)
  if find(text, "#", 1, true) then
    return false, "a # in the credentials may begin a remark; write them as a URL with %23"
  end
  local ending = find(text, ":", 1, true) and match(text, "^.*:(.*)$") or text
  if ending ~= "" and (records.protocol(ending) or M.is_column(ending)
    or ending ~= text and is_date(ending)) then
    return false, ("%q may be a remark or belong to the credentials; write a URL"):format(ending)
  end
  return true
end

--- Whether raw credentials have one meaning: a password may go on behind a #, or end before a
-- remark. Else false and why.
function M.check_login(user, password)
  if why_not_end(password) then return false, why_not_end(password) end
  local ok, why = check_part(password)
  if not ok then return false, why end
  if records.protocol(user) or find(user, "#", 1, true) or find(user, "^([\"'`]).*%1$")
    or absent[lower(user)] and (password == "" or absent[lower(password)])
    or password == "" and user ~= "" and M.is_column(user) then
    return false, ("%q may be a username or a remark; write a URL"):format(user)
  end
  return true
end

return M
