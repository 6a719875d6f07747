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

px.http = require "proxylua.http"

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
