--- The standard module: `local px = require "proxylua"`. Calls return their result or raise an
-- error value (px.error). While a call waits, other tasks run.
-- @module px

local base = require "proxylua.base"
local control = require "proxylua.control"
local core = require "proxylua.core"
local declare = require("proxylua.util.options").declare
local endpoints = require "proxylua.api.endpoints"
local hooks = require "proxylua.util.hooks"
local journal = require "proxylua.api.journal"
local names = require "proxylua.util.names"
local orders = require "proxylua.api.orders"
local programs = require "proxylua.programs"
local pages = require "proxylua.api.pages"
local workflows = require "proxylua.workflows"

local px = base()

local http_rows = {
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

local request_options = declare("px.request", {
  { "method", "string", "in capitals", default = "GET" },
  { "path", "string", "below the base URL", required = true, expected = 'one such as "/orders"' },
  { "query", "table", "added to the path", meta = "table<string, string|number|boolean>" },
  { "json", "any", "the body" },
  { "max_price", "money", "above 0: the most that it may cost" },
  { "key", "string", "as for px.orders.create" },
  { "timeout", "duration", "for the whole call, without waits for the rate limit" },
  { "max_wait", "duration", "wait for the rate limit", usual = "no limit" },
})

px.journal = journal
px.env, px.exec = programs.env, programs.exec

--- The version of the program, such as "1.2.0".
-- @field px.version
-- @usage print(px.version)

--- An exact amount of money; prices and balances are such values. They add, subtract and compare
-- with each other, with numbers and with strings (`==` only with each other), multiply and divide,
-- and `tostring` gives at least two decimals. An overflow is an error.
-- @function px.money
-- @tparam number|string value with at most 8 decimals
-- @treturn money
-- @raise usage when it is not an amount
-- @usage print(px.money("9.30") * 3)  --> 27.90
-- print(px.money(10) > "9.99", px.money(1) + 0.5 .. " USD")  --> true  1.50 USD

--- The same as `px.money(value)`.
-- @function px.money.new
-- @tparam number|string value with at most 8 decimals
-- @treturn money
-- @raise usage when it is not an amount
-- @usage print(px.money.new("0.1") + px.money.new("0.2"))  --> 0.30

--- Whether a value is an amount of money.
-- @function px.money.is
-- @tparam any value
-- @treturn boolean
-- @usage print(px.money.is(px.money(1)), px.money.is(1))  --> true  false

--- Rounds an amount, halves away from zero.
-- @function money:round
-- @tparam[opt] integer digits from 0 to 8: how many decimals are kept (2)
-- @treturn money
-- @raise usage
-- @usage print((px.money(10) / 3):round(2))  --> 3.33

--- An amount as a number, which may be less exact.
-- @function money:tonumber
-- @treturn number
-- @usage print(px.money("9.30"):tonumber() / 2)  --> 4.65

--- The JSON text of a value. Integers stay integers, money is written exactly, the names of an
-- object are sorted.
-- @function px.json.encode
-- @tparam any value table, string, number, boolean or money
-- @param options
-- @treturn string
-- @treturn string|nil where the first escaped bytes are, such as "[1].note"
-- @raise usage for what JSON cannot hold
-- @usage local text = px.json.encode{ price = px.money("9.30"), ids = { 1, 2 } }
-- print(text)  --> {"ids":[1,2],"price":9.30}

--- The value of a JSON text. Integers stay integers, null is absent from objects and px.json.null
-- in lists, numbers of more than 15 digits arrive as strings.
-- @function px.json.decode
-- @tparam string text
-- @treturn any table, string, number or boolean
-- @raise protocol when it is not JSON
-- @usage print(px.json.decode('{"days":[1,7,30]}').days[3])  --> 30

--- Marks a table as a list. Only an empty table needs this: otherwise it is written as an object.
-- @function px.json.array
-- @tparam[opt] table list changed in place; left out: a new one
-- @treturn table the list
-- @raise usage
-- @usage print(px.json.encode{ proxies = px.json.array{} })  --> {"proxies":[]}

--- A null in a list that px.json.decode or response:json returned, and in what px.json.encode
-- writes. Unlike nil it is true in conditions: compare with it.
-- @field px.json.null
-- @usage print(px.json.encode{ name = px.json.null })  --> {"name":null}

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

--- The decoded body of a response of px.http.
-- @function response:json
-- @treturn any what px.json.decode returns
-- @raise protocol when it is not JSON
-- @usage local answer = px.http.get(px.sandbox().url .. "/account")
-- print(answer:json().success)  --> false
px.http = {}
for method, send in pairs(core.http) do
  local read = declare("px.http." .. method, http_rows)
  px.http[method] = function(url, options)
    local kind = type(options) == "table" and type(options.proxy) == "table"
      and getmetatable(options.proxy)
    if kind and kind.fetch then return kind.fetch(method, url, read(options)) end
    return send(url, options and read(options))
  end
end

--- Sends any request to the API, under the same limits and rules as the endpoints. A method other
-- than GET and HEAD needs a `max_price` unless the path belongs to an endpoint; it counts as spent
-- unless balance and transactions show afterwards what the request cost. A path consists of
-- letters, digits and - _ ~ . / without empty segments; a query may follow it.
-- @function px.request
-- @param request
-- @treturn any the decoded data of the response
-- @raise what every call raises
-- @usage local list = px.request{ path = "/orders", query = { status = "active" } }
-- print(#list > 0)  --> true
function px.request(request)
  if request == nil then names.usage("px.request takes a table, got nothing") end
  return core.api.request(request_options(request))
end

--- The rate limits.
-- @record limits
-- @tfield boolean off whether the limits are off
-- @tfield limit general
-- @tfield limit orders

--- One rate limit: `requests` in `seconds`.
-- @record limit
-- @tfield integer requests
-- @tfield number seconds
-- @tfield integer free how many could leave at once (0 in a pause, and 0 or 1 while paced)
-- @tfield number next seconds until the earliest moment at which one can leave, 0 when one can now
-- @tfield number paused seconds of the pause that the API asked for with 429 (0: none)
-- @tfield number paced seconds until normal speed after such a pause, in which requests leave one
--   at a time and evenly (0: not paced)
-- @tfield integer waiting how many requests of this process wait

--- The free slots of the rate limits, and when the next request may be sent: the present state of
-- the store, for all processes that share the key. Takes no slot and does not wait.
-- @function px.limits
-- @treturn limits
-- @raise store, when it cannot be read; config; usage; cancelled
-- @usage local general = px.limits().general
-- if general.free == 0 then print("the next request can go in " .. general.next .. " s") end
function px.limits() return core.api.limits() end

px.sandbox = control.new()

--- The functions of an installed plugin. It runs as a separate process, which can only compute and
-- use the permissions that it was granted when it was installed. It starts at the first call.
-- Arguments and results are copied; an iterator among them is passed in batches.
-- @function px.plugin
-- @tparam string name
-- @treturn table the functions of its main module
-- @raise usage when it is not installed; config when its files have changed since. Its functions
--   raise their own errors, and an error of kind internal when its process was ended: `code` is
--   plugin_budget (it computed for too long), plugin_forbidden (it tried something that plugins may
--   not do) or plugin_ended
-- @usage local plugin, err = px.try(px.plugin, "restock")
-- if plugin then print(plugin.check{ country = "US" }) else print(err.kind) end  --> usage
function px.plugin(name)
  if type(name) ~= "string" then
    names.usage("px.plugin takes the name of a plugin, got a %s", type(name))
  end
  return hooks.call("plugin", name)
end

for _, part in ipairs{ endpoints, pages, { orders = orders } } do
  for group, functions in pairs(part) do
    px[group] = px[group] or {}
    for name, fn in pairs(functions) do px[group][name] = fn end
  end
end

local deposits = {}
for _, name in ipairs{ "request", "wait" } do
  deposits[name] = function() return require("proxylua.api.deposits")[name] end
end

for name, field in pairs(px) do
  if type(field) == "table" and not getmetatable(field) then
    names.strict(field, "px." .. name, name == "deposits" and deposits or nil)
  end
end

return names.strict(px, "px", workflows)
