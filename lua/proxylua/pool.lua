--- Pools: proxies that share the requests of a script. A pool picks a proxy for each request, puts
-- a failing one into quarantine for a while, and repeats a request through another proxy if that is
-- safe. It has no connections and no tasks of its own, so that many tasks can share it.
-- @module px.pool

local address = require "proxylua.proxies.address"
local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local names = require "proxylua.util.names"
local declare = require("proxylua.util.options").declare

local MAX_PROXIES = 3 -- proxies to try for one request

-- Error codes of px.http: the proxy is the cause; and no part of the request has reached the site.
local blamed = { refused = true, resolve_proxy = true, proxy_auth = true, timeout = true }
local unsent = { refused = true, resolve_proxy = true, proxy_auth = true, resolve = true,
  tls = true, proxy = true }
local idempotent = { get = true, head = true, put = true, delete = true, options = true }

-- The engine picks (core.pool); `proxies` has the proxies as the script passed them, by URL.
local Pool = {}
Pool.__index = Pool

local function url_of(proxy)
  local url = proxy
  if type(proxy) == "table" then url = proxy.url end
  if type(url) ~= "string" then
    names.usage("px.pool: a proxy must be a URL or a record with a url, got a %s", type(proxy))
  end
  if not url:find("://", 1, true) then url = "http://" .. url end
  local record, why = address.parse(url)
  if not record then names.usage("px.pool: %s", why) end
  return url
end

local function pick(pool, key, ...)
  local url = pool.engine:pick(key, math.random(0), ...)
  return url or names.usage("the rotating pool has no proxies")
end

-- Whether a response comes from the proxy: inside a tunnel it comes from the site.
local function asks_for_credentials(url, proxy, answer)
  return answer.status == 407 and url:lower():find("^http://")
    and proxy:lower():find("^https?://")
end

-- A failure inside a tunnel may be caused by the site.
local function is_to_blame(err, url)
  local is_tunnel = url:lower():find("^https:") ~= nil
  return blamed[err.code] or (err.code == "closed" or err.code == "tls") and not is_tunnel
end

-- One request through one proxy: returns the response or nil, the error, and whether another proxy
-- may be tried.
local function try(pool, method, url, options)
  local engine, proxy = pool.engine, options.proxy
  local ok, answer = pcall(core.http[method], url, options)
  if not ok then
    local is_failure = core.error.is(answer) and is_to_blame(answer, url)
    engine:report(proxy, is_failure and "failed" or "other")
    if not core.error.is(answer) then error(answer, 0) end
    local broken = answer.kind == "network" or answer.kind == "timeout"
    return nil, answer, unsent[answer.code] or broken and idempotent[method]
  elseif asks_for_credentials(url, proxy, answer) then
    engine:report(proxy, "failed")
    return answer, nil, idempotent[method]
  end
  engine:report(proxy, "worked", answer.time)
  return answer
end

local function copy_options(options)
  local copy = {}
  for name, value in pairs(options) do copy[name] = value end
  copy.key = nil
  return copy
end

-- What px.http does when its proxy is a pool. If other proxies may be tried, each attempt has an
-- even share of the remaining time.
function Pool.fetch(method, url, options)
  local pool, tried, sent = options.proxy, {}, copy_options(options)
  local most = math.max(math.min(MAX_PROXIES, pool.engine:count()), 1)
  local timeout = duration.seconds(options.timeout or 30, "px.http: timeout")
  local ends, answer, err = core.task.clock() + timeout, nil, nil
  for number = 1, most do
    local left = number == 1 and timeout or ends - core.task.clock()
    if number > 1 and (left < 0.001 or pool.engine:count() < number) then break end
    tried[number] = pick(pool, options.key, table.unpack(tried))
    sent.proxy, sent.timeout = tried[number], idempotent[method]
      and math.max(left / (most - number + 1), 0.001) or left
    local again
    answer, err, again = try(pool, method, url, sent)
    if not again then break end
  end
  if answer then return answer end
  error(err, 0)
end

--- Returns the next proxy, for other uses than px.http.
-- @function pool:next
-- @tparam[opt] string|number key the same key gets the same proxy until that is in quarantine
-- @treturn proxy|string as it was given to px.pool
-- @usage local pool = px.pool(proxies)
-- print(pool:next("a") == pool:next("a"), pool:next() == pool:next())  --> true  false
function Pool:next(key)
  return self.proxies[pick(self, key)]
end

--- Reports whether a proxy of pool:next worked.
-- @function pool:report
-- @tparam proxy|string proxy as pool:next returned it
-- @tparam boolean ok false puts it into quarantine, true ends that
-- @raise usage, when it is not in the pool
-- @usage local pool = px.pool(proxies)
-- pool:report(proxies[1], false)
-- print(pool:next() == proxies[2])  --> true
function Pool:report(proxy, ok)
  if not self.engine:report(url_of(proxy), ok and "worked" or "failed") then
    names.usage("pool:report: the proxy is not in this pool")
  end
end

--- Adds a proxy at the end of a pool's list.
-- @function pool:add
-- @tparam proxy|string proxy
-- @treturn boolean whether it is new
-- @raise usage
-- @usage local pool = px.pool{ "http://10.0.0.1:80" }
-- print(pool:add("http://10.0.0.2:80"), pool:add("http://10.0.0.2:80"))  --> true  false
function Pool:add(proxy)
  local url = url_of(proxy)
  local is_new = self.engine:add(url)
  if is_new then self.proxies[url] = proxy end
  return is_new
end

--- Removes a proxy from a pool; its open requests continue. A key that used it gets another proxy.
-- @function pool:remove
-- @tparam proxy|string proxy
-- @treturn boolean whether it was in the pool
-- @raise usage
-- @usage local pool = px.pool{ "http://10.0.0.1:80", "http://10.0.0.2:80" }
-- print(pool:remove("http://10.0.0.1:80"), pool:next())  --> true  http://10.0.0.2:80
function Pool:remove(proxy)
  local url = url_of(proxy)
  self.proxies[url] = nil
  return self.engine:remove(url)
end

--- Statistics of a pool, over all proxies.
-- @record pool_stats
-- @tfield integer requests
-- @tfield integer failures
-- @tfield integer quarantined
-- @tfield pool_proxy[] proxies in their order

--- A proxy of a pool.
-- @record pool_proxy
-- @tfield proxy|string proxy
-- @tfield integer requests
-- @tfield integer failures
-- @tfield[opt] number latency seconds, an average with more weight on recent requests; nil before
--   the first response
-- @tfield[opt] number quarantined_until seconds since 1970; nil when it is not in quarantine

--- Statistics of a pool.
-- @function pool:stats
-- @treturn pool_stats
-- @usage local pool = px.pool(proxies)
-- px.http.get(px.sandbox().trace_url, { proxy = pool })
-- print(pool:stats().requests, pool:stats().failures)  --> 1  0
function Pool:stats()
  local all, now = { requests = 0, failures = 0, quarantined = 0, proxies = {} }, core.task.now()
  for index, row in ipairs(self.engine:rows()) do
    all.requests, all.failures = all.requests + row.requests, all.failures + row.failures
    all.quarantined = all.quarantined + (row.left and 1 or 0)
    all.proxies[index] = {
      proxy = self.proxies[row.url], requests = row.requests, failures = row.failures,
      latency = row.latency, quarantined_until = row.left and now + row.left,
    }
  end
  return all
end

local pool_options = declare("px.pool", {
  { "strategy", "choice", "which proxy a request takes",
    values = { "round_robin", "random", "least_latency", "sticky" }, default = "round_robin" },
  { "quarantine", "duration", "time for which a proxy that failed is set aside", default = "5m" },
})

--- Proxies that share requests: `px.http.get(url, { proxy = pool, key = "session1" })`, and the
-- same for all of px.http. A proxy that cannot be reached, does not respond in time or refuses its
-- credentials is put into quarantine; error responses of the site do not count. GET, HEAD, PUT and
-- DELETE are then tried through up to three proxies, which share the timeout evenly; POST and PATCH
-- only if nothing was sent. If all proxies are in quarantine, the one whose quarantine ends first
-- is used. With a `key`, the same proxy is used while it works, with every strategy; sticky without
-- a key works like round_robin. A pool remembers the million keys used last. A pick takes about a
-- microsecond, even with 100,000 proxies.
-- @function px.pool
-- @tparam proxy[]|string[]|fun():proxy? proxies duplicates count once
-- @param options
-- @treturn pool
-- @raise usage
-- @usage local pool = px.pool(proxies, { strategy = "random", quarantine = "90s" })
-- print(px.http.get(px.sandbox().trace_url, { proxy = pool }).status)  --> 200
local function new(proxies, given)
  local wanted = pool_options(given)
  local strategy = wanted.strategy == "sticky" and "round_robin" or wanted.strategy
  local pool = setmetatable({ engine = core.pool.new(strategy, wanted.quarantine), proxies = {} },
    Pool)
  if type(proxies) == "function" then
    for proxy in proxies do pool:add(proxy) end
  elseif type(proxies) == "table" then
    for _, proxy in ipairs(proxies) do pool:add(proxy) end
  else
    names.usage("px.pool takes a list or an iterator of proxies, got a %s", type(proxies))
  end
  if pool.engine:count() == 0 then names.usage("px.pool: the list of proxies is empty") end
  return pool
end

return { new = new }
