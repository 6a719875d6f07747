-- What a page must have for a proxy to pass: a text, a pattern or a status; by default the form of
-- a trace page. All checks are linear in the size of the page.

local address = require "proxylua.proxies.address"
local core = require "proxylua.core"
local names = require "proxylua.util.names"

local M = {}

local MAX_TRACE <const> = 16384 -- bytes
local MAX_TITLE <const> = 60

--- Whether a text is an IP address.
function M.is_address(text)
  return type(text) == "string" and (core.decode.is_ipv4(text) == true
    or text:find(":", 1, true) ~= nil and address.is_host(text) == true)
end

local function pattern_of(text)
  local pattern, why = core.pattern.compile(text)
  if not pattern then names.usage("expect: /%s/ cannot be used: %s", text, why) end
  return { matches = function(body) return pattern:matches(body) end, text = "/" .. text .. "/" }
end

--- Reads what is expected.
-- @param value text, "/pattern/", or a status as a number or as three digits
-- @return value for judge
-- @raise usage
function M.new(value)
  local status = math.tointeger(tonumber(value))
  if status and (type(value) == "number" or value:find("^%d%d%d$")) then
    if status >= 100 and status <= 599 then return { status = status } end
    names.usage("expect: a status is 100 to 599, got %d", status)
  end
  if type(value) ~= "string" or value == "" then
    names.usage("expect must be a text, /pattern/ or a status, got %s", tostring(value))
  end
  local pattern = value:match("^/(.*)/$")
  if pattern then return pattern_of(pattern) end
  return { matches = function(body) return body:find(value, 1, true) ~= nil end, text = value }
end

local function field(body, name)
  local value = body:match("^" .. name .. "=([^\r\n]*)") or body:match("\n" .. name
    .. "=([^\r\n]*)")
  return value and value:match("^[ \t]*([^ \t]+)") or nil
end

--- The address and the country that a page shows, in lines such as "ip=192.0.2.1" and "loc=US".
-- @return text or nil, and text or nil
function M.seen(body)
  if #body > MAX_TRACE then return nil, nil end
  local ip, country = field(body, "ip"), field(body, "loc")
  return M.is_address(ip) and ip or nil, country and country:match("^%w%w$")
end

-- A description of an unexpected page, for messages.
local function described(body)
  local head = body:sub(1, MAX_TRACE)
  local start = select(2, head:lower():find("<title", 1, true))
  local title = start and head:sub(start + 1, start + 400):match("^[^>]*>%s*([^<]+)")
  if title then return ("a page titled %q"):format(title:sub(1, MAX_TITLE):gsub("%c", " ")) end
  return head:find("<", 1, true) and "an HTML page" or "another text"
end

local function is_trace(body)
  if #body > MAX_TRACE then return false end
  for line in body:gmatch("[^\n]+") do
    if not line:find("^[%w_-]+=") and line:find("%S") then return false end
  end
  return true
end

--- Checks whether a response is the expected one.
-- @param expect of M.new, or nil for a trace page
-- @param response of px.http.get
-- @param ip the address that the page shows, or nil
-- @return nil if it is; else the reason, and a message
function M.judge(expect, response, ip)
  local status, body = response.status, response.body
  if expect and expect.status then
    return status ~= expect.status and "status " .. status or nil
  end
  if not response.ok or not expect and status ~= 200 then return "status " .. status end
  if body == "" then return "empty", "the response has no content" end
  if expect then
    if expect.matches(body) then return nil end
    return "page", ("the page does not have %s"):format(expect.text)
  end
  if ip and is_trace(body) then return nil end
  return "page", ("expected a trace page with an ip= line, got %s"):format(described(body))
end

return M
