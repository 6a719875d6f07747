--- A local address in front of many proxies: programs that know one proxy use all of them.
-- @module px.gateway

local address = require "proxylua.proxies.address"
local core = require "proxylua.core"
local country_code = require "proxylua.util.country"
local names = require "proxylua.util.names"
local read_options = require "proxylua.gateway.options"

local Gateway = {}
Gateway.__index = Gateway

local engine_protocol = { socks5h = "socks5" }

-- The record that the engine takes, of a record or a URL.
local function record_of(proxy)
  local given = proxy
  if type(proxy) == "string" then
    local text = proxy:find("://", 1, true) and proxy or "http://" .. proxy
    local record, why = address.parse(text)
    given = record or names.usage("px.gateway: not a proxy: %s", why)
  end
  if type(given) ~= "table" or not given.host or not given.port then
    names.usage("px.gateway: a proxy is a URL or a proxy record, not a %s", type(proxy))
  end
  local protocol = given.protocol or "http"
  return {
    host = given.host, port = math.tointeger(tonumber(given.port)), username = given.username,
    password = given.password, country = country_code(given.country),
    protocol = engine_protocol[protocol] or protocol, url = given.url or address.url{
      host = given.host, port = given.port, protocol = protocol, username = given.username,
      password = given.password,
    },
  }
end

local function records_of(proxies)
  local list = {}
  if type(proxies) == "function" then
    for proxy in proxies do list[#list + 1] = record_of(proxy) end
  elseif type(proxies) == "table" then
    for at, proxy in ipairs(proxies) do list[at] = record_of(proxy) end
  else
    names.usage("px.gateway: proxies must be a list or an iterator, got a %s", type(proxies))
  end
  return list
end

--- Replaces the proxies of a gateway. Connections through proxies that are gone go on until they
-- end; what the gateway knows of the others stays.
-- @function gateway:update
-- @tparam proxy[]|string[]|fun():proxy? list
-- @raise usage
-- @usage local gateway = px.gateway{ proxies = proxies, listen = "127.0.0.1:0" }
-- gateway:update{ "http://10.0.0.1:80" }
-- print(#gateway:stats().proxies)  --> 1
-- gateway:stop()
function Gateway:update(list)
  self.engine:update(records_of(list))
end

--- What a gateway has seen.
-- @function gateway:stats
-- @treturn gateway_stats
-- @raise usage, when it is closed
-- @usage local gateway = px.gateway{ proxies = proxies, listen = "127.0.0.1:0" }
-- print(gateway:stats().requests)  --> 0
-- gateway:stop()
function Gateway:stats()
  return self.engine:stats()
end

--- Stops a gateway: it accepts nothing more, and its task ends when what is under way has ended.
-- @function gateway:stop
-- @tparam[opt] number seconds after so many the rest is cut (0)
-- @usage local gateway = px.gateway{ proxies = proxies, listen = "127.0.0.1:0" }
-- gateway:stop(5)
-- gateway:join()
function Gateway:stop(seconds)
  self.engine:stop(seconds or 0)
end

--- Waits until a gateway has stopped.
-- @function gateway:join
-- @raise cancelled
-- @usage local gateway = px.gateway{ proxies = proxies, listen = "127.0.0.1:0" }
-- px.spawn(gateway.stop, gateway)
-- gateway:join()
function Gateway:join()
  return self.task:join()
end

local function add_rules(engine, is_allowed, list)
  for _, text in ipairs(list) do
    local why = engine:rule(is_allowed, text)
    if why then names.usage("px.gateway: %s: %s", text, why) end
  end
end

local function url_of(place, port)
  return ("http://%s:%d"):format(address.host(place.host), port)
end

--- A gateway that runs.
-- @record gateway
-- @tfield string url
-- @tfield integer port
-- @tfield[opt] string metrics_url
-- @tfield[opt] integer metrics_port

--- What a gateway has seen.
-- @record gateway_stats
-- @tfield integer connections
-- @tfield integer requests with tunnels
-- @tfield integer refused by the rules
-- @tfield integer failed
-- @tfield integer retried
-- @tfield integer sent bytes
-- @tfield integer received bytes
-- @tfield integer open
-- @tfield gateway_proxy[] proxies in their order

--- A proxy of a gateway.
-- @record gateway_proxy
-- @tfield string proxy the URL without its password
-- @tfield[opt] string country
-- @tfield integer requests
-- @tfield integer failures
-- @tfield integer sent
-- @tfield integer received
-- @tfield integer open
-- @tfield number quarantine seconds left
-- @tfield[opt] number latency seconds; nil before the first response

--- Starts a gateway: a local proxy that takes HTTP, CONNECT and SOCKS 5, and sends each request
-- through one of many proxies. It runs as a task until it is stopped. A user name such as
-- `me-session-a-country-us` keeps one proxy for the session "a", of the country US. A proxy that
-- cannot be used is set aside; a tunnel, or a GET or HEAD without a body, is then tried through one
-- other, and otherwise the client gets status 502 with the reason. Targets on this machine and in
-- private networks are refused unless a rule allows them.
-- @function px.gateway
-- @param options
-- @treturn gateway
-- @raise usage; config, when it cannot listen
-- @usage local gateway = px.gateway{ proxies = proxies, listen = "127.0.0.1:0",
--   allow = { "*", "127.0.0.1" } }
-- local page = px.http.get(px.sandbox().trace_url, { proxy = gateway.url })
-- print(page.status)  --> 200
-- gateway:stop()
local function start(options)
  local wanted = read_options(options)
  local engine = core.gateway.open(wanted.engine)
  for name, password in pairs(wanted.users) do engine:user(name, password) end
  add_rules(engine, true, wanted.allow)
  add_rules(engine, false, wanted.deny)
  local gateway = setmetatable({ engine = engine }, Gateway)
  gateway:update(wanted.proxies)
  gateway.port = engine:listen(wanted.listen.host, wanted.listen.port, false)
  gateway.url = url_of(wanted.listen, gateway.port)
  if wanted.metrics then
    gateway.metrics_port = engine:listen(wanted.metrics.host, wanted.metrics.port, true)
    gateway.metrics_url = url_of(wanted.metrics, gateway.metrics_port)
  end
  gateway.task = core.task.spawn(engine.serve, engine, wanted.drain)
  return gateway
end

return { start = start }
