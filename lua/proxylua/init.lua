--- The standard module: `local px = require "proxylua"`. Calls answer their result or raise an error value (px.error), and wait
-- without holding up the other tasks.
-- @module px

local core = require "proxylua.core"
local endpoints = require "proxylua.endpoints"
local errors = require "proxylua.errors"
local journal = require "proxylua.journal"
local names = require "proxylua.names"
local orders = require "proxylua.orders"
local pages = require "proxylua.pages"
local tasks = require "proxylua.tasks"
local time = require "proxylua.time"

local px = {
  try = errors.try, error = errors.error, journal = journal,
  spawn = tasks.spawn, sleep = tasks.sleep, all = tasks.all, map = tasks.map, timeout = tasks.timeout,
  every = tasks.every,
  time = time.time,
}

--- The version of the program, such as "1.2.0".
px.version = core.version

--- An exact amount of money, from a number or a string; prices and balances are such values. They add, subtract and compare
-- with each other, with numbers and with strings (`==` only with each other), multiply and divide, and `tostring` gives "9.30".
-- `amount:round(digits)` rounds, `amount:tonumber()` gives a number, `px.money.is(value)` tells whether a value is one.
-- @function money
-- @param value number or string
-- @return money
-- @raise usage when it is no amount, or has more than 8 decimals
-- @usage print(px.money("9.30") * 3)  --> 27.90
px.money = core.money

--- JSON. Integers stay integers, null is absent, numbers of more than 15 digits arrive as strings, and money is written exactly.
--
-- `px.json.encode(value)` answers text, `px.json.decode(text)` the value, and `px.json.array(list)` marks a list as one, which
-- only an empty one needs.
-- @table json
-- @usage print(px.json.encode{ proxies = px.json.array{} })  --> {"proxies":[]}
px.json = core.json

--- Plain HTTP to anywhere, never with the API key: get, head, post, put, patch and delete.
-- @function http.get
-- @param url string
-- @param options table, may be left out: `headers` and `query` (tables), `body` (string) or `json` (value), `proxy` (URL or proxy
--   record), `timeout` in seconds (30), `redirects` to follow (10), `max_body` in bytes (64 MiB), `path` of a file for the body
-- @return response: `status`, `body`, `headers` (names in lower case), `ok` (status 2xx), `time` in seconds, and the method
--   `json()`. Whatever the status is, it is not an error.
-- @raise network; timeout; protocol; usage
-- @usage local answer = px.http.get("https://1.1.1.1/cdn-cgi/trace", { proxy = proxy, timeout = 10 })
px.http = core.http

--- Sends any request to the API, under the same limits and rules as the endpoints.
-- @function request
-- @param request table: `method` ("GET"), `path` below the base URL, `query` (table), `json` (the body), `max_price`: the most
--   that it may cost, needed for all but GET where the path is none of the endpoints'; `key`, `timeout`, `max_wait`
-- @return the decoded data of the answer
-- @raise what every call raises
-- @usage local data = px.request{ path = "/account", query = { verbose = true } }
px.request = core.door.request

--- What is free under the rate limits, and when the next request may leave: as the store has it at this moment, for all processes
-- that share the key. It takes no slot and waits for none.
-- @function limits
-- @return table: `off`, whether the limits are off, and for each of the scopes `general` and `orders` a table: `requests` in
--   `seconds` are its limit; `free`, how many could leave at once (0 in a pause, and 0 or 1 while paced); `next`, seconds until the
--   earliest moment at which one can leave, 0 when one can now; `paused`, seconds that the API still asked for, and `paced`, seconds for
--   which it goes on evenly after that (0: not so); `waiting`, how many requests of this process wait
-- @raise store, when it cannot be read; cancelled
-- @usage local general = px.limits().general
-- if general.free == 0 then print("the next request can go in " .. general.next .. " s") end
px.limits = core.door.limits

--- Where the sandbox of --sandbox is.
-- @function sandbox
-- @return table: `url` and `key` of the API, `trace_url`, a page that tells who asks for it, and `admin_url`; nil outside of the
--   sandbox
px.sandbox = core.sandbox.place

for group, functions in pairs(endpoints) do px[group] = functions end
for _, part in ipairs{ pages, { orders = orders } } do
  for group, functions in pairs(part) do
    for name, fn in pairs(functions) do px[group][name] = fn end
  end
end

for name, field in pairs(px) do
  if type(field) == "table" and not getmetatable(field) then names.strict(field, "px." .. name) end
end

return names.strict(px, "px")
