--- URLs: percent-encoding, and the parts of one.
-- @module px.url

local core = require "proxylua.core"
local names = require "proxylua.util.names"

local M = {}

local decode = core.quote.unpercent
local usual_ports = { http = 80, https = 443 }

local function check(caller, text)
  if type(text) ~= "string" then names.usage("%s takes a text, got a %s", caller, type(text)) end
  return text
end

--- A text as a part of a URL: all but letters, digits and - . _ ~ is percent-encoded.
-- @function px.url.encode
-- @tparam string text
-- @treturn string
-- @raise usage
-- @usage print(px.url.encode("a b/c?"))  --> a%20b%2Fc%3F
function M.encode(text)
  return core.quote.percent(check("px.url.encode", text))
end

--- The text that a percent-encoded part of a URL stands for. A % without two digits after it stays,
-- and so does a +.
-- @function px.url.decode
-- @tparam string text
-- @treturn string
-- @raise usage
-- @usage print(px.url.decode("a%20b%2Fc"))  --> a b/c
function M.decode(text)
  return decode(check("px.url.decode", text))
end

local function refuse(text, why)
  names.usage("px.url.parse: %q %s; expected scheme://host", text:sub(1, 200), why)
end

-- The host without the brackets of IPv6, and the digits of the port.
local function split_place(place)
  local host, port = place:match("^%[([%x:.]+)%]:?(%d*)$")
  if host and host:find(":", 1, true) then return host, port end
  host, port = place:match("^([^:%[%]]+):?(%d*)$")
  return host and decode(host):lower(), port
end

-- The first value counts, as in browsers.
local function params_of(query)
  local params = {}
  for field in (query or ""):gmatch("[^&]+") do
    local name, value = field:match("^([^=]*)=?(.*)$")
    name, value = decode((name:gsub("+", " "))), decode((value:gsub("+", " ")))
    if params[name] == nil then params[name] = value end
  end
  return params
end

--- The parts of a URL. A part that the URL does not have is nil.
-- @record url
-- @tfield string scheme in lower case
-- @tfield string host in lower case, IPv6 without brackets
-- @tfield[opt] integer port that of http and https also if the URL has none
-- @tfield[opt] string user decoded
-- @tfield[opt] string password decoded
-- @tfield string path "/" if there is none
-- @tfield[opt] string query as it is written
-- @tfield[opt] string fragment as it is written
-- @tfield table<string,string> params the query's decoded values by name

--- The parts of a URL with a host.
-- @function px.url.parse
-- @tparam string text
-- @treturn url
-- @raise usage, for a text that is not a URL
-- @usage local url = px.url.parse("https://api.example.com/orders?status=active&q=a%20b")
-- print(url.host, url.port, url.path, url.params.q)  --> api.example.com  443  /orders  a b
function M.parse(text)
  check("px.url.parse", text)
  if text:find("[%c\x7F ]") then refuse(text, "has blanks or control characters") end
  local scheme, authority, rest = text:match("^(%a[%w+.-]*)://([^/?#]*)(.*)$")
  if not scheme then refuse(text, "is not a URL with a host") end
  local login, place = authority:match("^(.*)@([^@]*)$")
  local host, port = split_place(place or authority)
  if not host then refuse(text, "has no valid host") end
  if port ~= "" and (#port > 5 or tonumber(port) > 65535) then refuse(text, "has no valid port") end
  local user, password = (login or ""):match("^([^:]*):?(.*)$")
  local path, query, fragment = rest:match("^([^?#]*)%??([^#]*)#?(.*)$")
  scheme = scheme:lower()
  return {
    scheme = scheme, host = host, port = math.tointeger(tonumber(port)) or usual_ports[scheme],
    user = login and decode(user), password = login and login:find(":", 1, true)
      and decode(password) or nil,
    path = path ~= "" and path or "/", query = rest:find("^[^#]*%?") and query or nil,
    fragment = rest:find("#", 1, true) and fragment or nil, params = params_of(query),
  }
end

return M
