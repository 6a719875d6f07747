--- Plain HTTP to any server, never with the API key.
-- @module px.http

local core = require "proxylua.core"
local names = require "proxylua.util.names"
local options = require "proxylua.util.options"

local M = {}

local rows = {
  { "headers", "table", "names and values", meta = "table<string, string|number>" },
  { "query", "table", "added to the URL", meta = "table<string, string|number|boolean>" },
  { "body", "string", "what is sent", empty = true },
  { "json", "any", "a value that is sent as JSON, in place of `body`" },
  { "proxy", "any", "URL, proxy record or px.pool", meta = "string|proxy|pool" },
  { "key", "any", "for a px.pool: the same key gets the same proxy", meta = "string|number" },
  { "timeout", "duration", "for the whole request", min = 0.001, max = 86400, default = "30s" },
  { "redirects", "integer", "how many are followed", min = 0, max = 50, default = 10 },
  { "max_body", "integer", "bytes of a body at most", min = 1, max = 1000000000000,
    default = 64 << 20 },
  { "path", "string", "file for the body" },
}

--- A response of px.http.
-- @record response
-- @tfield integer status
-- @tfield string body
-- @tfield table<string,string> headers names in lower case
-- @tfield boolean ok status 2xx
-- @tfield number time seconds
-- @tfield number connect_time seconds

--- Plain HTTP to any server, never with the API key.
-- @function px.http.get
-- @tparam string url
-- @param options
-- @treturn response an error status is not raised
-- @raise network; timeout; protocol; usage. `code` of the error is a word for what failed: refused,
--   resolve (a name), resolve_proxy, tls, proxy_auth (the proxy refuses the credentials),
--   proxy_rules (its rules do not allow the request), proxy (it cannot forward the request),
--   timeout or closed; absent otherwise
-- @usage local answer = px.http.get(px.sandbox().trace_url, { proxy = proxies[1], timeout = 10 })
-- print(answer.status, answer.headers["content-type"], answer.ok)  --> 200

--- As px.http.get, with the method HEAD: there is no body.
-- @function px.http.head
-- @tparam string url
-- @param options
-- @treturn response
-- @raise network; timeout; protocol; usage
-- @usage print(px.http.head(px.sandbox().trace_url).status)

--- As px.http.get, with the method POST.
-- @function px.http.post
-- @tparam string url
-- @param options
-- @treturn response
-- @raise network; timeout; protocol; usage
-- @usage local answer = px.http.post(px.sandbox().url .. "/orders/calc",
--   { json = { type = "isp", quantity = 1 } })
-- print(answer.status)  --> 401

--- As px.http.get, with the method PUT.
-- @function px.http.put
-- @tparam string url
-- @param options
-- @treturn response
-- @raise network; timeout; protocol; usage
-- @usage print(px.http.put(px.sandbox().url .. "/none", { body = "text" }).ok)  --> false

--- As px.http.get, with the method PATCH.
-- @function px.http.patch
-- @tparam string url
-- @param options
-- @treturn response
-- @raise network; timeout; protocol; usage
-- @usage print(px.http.patch(px.sandbox().url .. "/none", { json = { name = "x" } }).ok)  --> false

--- As px.http.get, with the method DELETE.
-- @function px.http.delete
-- @tparam string url
-- @param options
-- @treturn response
-- @raise network; timeout; protocol; usage
-- @usage print(px.http.delete(px.sandbox().url .. "/none").ok)  --> false

--- As px.http.get, with the method OPTIONS.
-- @function px.http.options
-- @tparam string url
-- @param options
-- @treturn response
-- @raise network; timeout; protocol; usage
-- @usage print(px.http.options(px.sandbox().trace_url).status > 0)  --> true

--- The decoded body of a response of px.http.
-- @function response:json
-- @treturn any what px.json.decode returns
-- @raise protocol when it is not JSON
-- @usage local answer = px.http.get(px.sandbox().url .. "/account")
-- print(answer:json().success)  --> false
local function send(method, url, wanted)
  local kind = type(wanted.proxy) == "table" and getmetatable(wanted.proxy)
  if kind and kind.fetch then return kind.fetch(method, url, wanted) end
  return core.http[method](url, wanted)
end

for _, method in ipairs{ "get", "head", "post", "put", "patch", "delete", "options" } do
  local read = options.declare("px.http." .. method, rows)
  M[method] = function(url, given) return send(method, url, read(given)) end
end

local request_rows = {
  { "url", "string", "where the request goes", required = true },
  { "method", "choice", "of HTTP", default = "GET",
    values = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" } },
  { "form", "table", "names and values, sent as a form in place of `body`",
    meta = "table<string, string|number|boolean>" },
  { "auth", "table", "user name and password for basic authentication, as a list",
    expected = "a list of a user name and a password", meta = "string[]" },
}
table.move(rows, 1, #rows, #request_rows + 1, request_rows)

local read_request = options.declare("px.http.request", request_rows)

local function add_header(wanted, name, value)
  local headers = {}
  for given, text in pairs(wanted.headers or {}) do
    if type(given) == "string" and given:lower() == name:lower() then
      names.usage("px.http.request: the header %s is given already", name)
    end
    headers[given] = text
  end
  headers[name] = value
  wanted.headers = headers
end

local function form_of(fields)
  local parts = {}
  for name, value in pairs(fields) do
    local kind = type(value)
    if type(name) ~= "string" or kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
      names.usage("px.http.request: form must be a table of names and strings, numbers or "
        .. "booleans")
    end
    parts[#parts + 1] = core.quote.percent(name) .. "=" .. core.quote.percent(tostring(value))
  end
  table.sort(parts)
  return table.concat(parts, "&")
end

local digits <const> = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(text)
  local parts = {}
  for at = 1, #text, 3 do
    local a, b, c = text:byte(at, at + 2)
    local bits, group = a << 16 | (b or 0) << 8 | (c or 0), ""
    for shift = 18, 0, -6 do
      local digit = (bits >> shift & 63) + 1
      group = group .. digits:sub(digit, digit)
    end
    parts[#parts + 1] = c and group or b and group:sub(1, 3) .. "=" or group:sub(1, 2) .. "=="
  end
  return table.concat(parts)
end

local function basic(auth)
  local user, password = auth[1], auth[2]
  if type(user) ~= "string" or type(password) ~= "string" or user:find(":", 1, true) then
    names.usage("px.http.request: auth must be a list of a user name without a colon and a "
      .. "password")
  end
  return "Basic " .. base64(user .. ":" .. password)
end

--- Sends a request of any method. px.http.get and the others are short forms of it.
-- @function px.http.request
-- @param request
-- @treturn response an error status is not raised
-- @raise network; timeout; protocol; usage
-- @usage local answer = px.http.request{ method = "POST", url = px.sandbox().url .. "/none",
--   form = { name = "a b" }, auth = { "me", "secret" } }
-- print(answer.status)  --> 401
function M.request(request)
  local wanted = read_request(request)
  local url, method, form, auth = wanted.url, wanted.method, wanted.form, wanted.auth
  wanted.url, wanted.method, wanted.form, wanted.auth = nil, nil, nil, nil
  if form then
    if wanted.body or wanted.json ~= nil then
      names.usage("px.http.request: give one of body, json and form")
    end
    wanted.body = form_of(form)
    add_header(wanted, "Content-Type", "application/x-www-form-urlencoded")
  end
  if auth then add_header(wanted, "Authorization", basic(auth)) end
  return send(method:lower(), url, wanted)
end

return M
