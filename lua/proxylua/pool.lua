--- Pools: proxies that share the requests of a script. A pool picks one for each request, sets
-- aside for a while what fails, and sends elsewhere what is safe to send again. It holds no
-- connection and no task, so that many tasks can use one.
-- @module px.pool

local address = require "proxylua.proxies.address"
local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local names = require "proxylua.util.names"

local MOST_PROXIES = 3 -- a request is tried through
local NEWEST = 0.3 -- weight of the latest latency in the average

local known = { strategy = true, quarantine = true }
-- What px.http says of an error: the proxy is to blame; and nothing of the request has reached the
-- site.
local blamed = { refused = true, resolve_proxy = true, proxy_auth = true, timeout = true }
local unsent = { refused = true, resolve_proxy = true, proxy_auth = true, resolve = true,
  tls = true, proxy = true }
local idempotent = { get = true, head = true, put = true, delete = true }

local Pool = {}
Pool.__index = Pool

local function url_of(proxy)
  local url = proxy
  if type(proxy) == "table" then url = proxy.url end
  if type(url) ~= "string" then
    names.usage("px.pool: a proxy is a URL, or a record with a url, not a %s", type(proxy))
  end
  if not url:find("://", 1, true) then url = "http://" .. url end
  local record, why = address.parse(url)
  if not record then names.usage("px.pool: %s", why) end
  return url
end

local function add(pool, proxy)
  local url = url_of(proxy)
  if pool.by_url[url] then return end
  local member = { proxy = proxy, url = url, requests = 0, failures = 0, until_time = 0 }
  pool.members[#pool.members + 1], pool.by_url[url] = member, member
end

-- The free members that were not tried; when there are none, the one whose quarantine ends first.
local function candidates(pool, tried)
  local free, soonest, now = {}, nil, core.task.now()
  for _, member in ipairs(pool.members) do
    if not tried[member] then
      if member.until_time <= now then free[#free + 1] = member end
      if not soonest or member.until_time < soonest.until_time then soonest = member end
    end
  end
  return free, soonest
end

local choose = {}

-- The one that was picked longest ago.
function choose.round_robin(_, free)
  local best = free[1]
  for _, member in ipairs(free) do
    if (member.turn or 0) < (best.turn or 0) then best = member end
  end
  return best
end

function choose.random(_, free)
  return free[math.random(#free)]
end

-- One that is not measured yet goes first.
function choose.least_latency(pool, free)
  local least = math.huge
  for _, member in ipairs(free) do least = math.min(least, member.latency or 0) end
  local best = {}
  for _, member in ipairs(free) do
    if (member.latency or 0) == least then best[#best + 1] = member end
  end
  return choose.round_robin(pool, best)
end

choose.sticky = choose.round_robin

local function pick(pool, key, tried)
  local free, soonest = candidates(pool, tried)
  local member = key ~= nil and pool.keys[key] or nil
  if not member or tried[member] or member.until_time > core.task.now() then
    member = free[1] and choose[pool.strategy](pool, free) or soonest
    if key ~= nil and member then pool.keys[key] = member end
  end
  if not member then return nil end
  pool.turn = pool.turn + 1
  member.turn = pool.turn
  return member
end

local function fail(pool, member)
  member.failures = member.failures + 1
  member.until_time = core.task.now() + pool.quarantine
end

local function succeed(member, latency)
  member.until_time = 0
  if not latency then return end
  member.latency = member.latency and member.latency + NEWEST * (latency - member.latency)
    or latency
end

-- Whether an answer is the proxy's own: inside a tunnel it would be the site's.
local function asks_for_credentials(url, member, answer)
  return answer.status == 407 and url:lower():find("^http://")
    and member.url:lower():find("^https?://")
end

-- What breaks inside a tunnel may be the site's doing.
local function is_to_blame(err, url)
  local is_tunnel = url:lower():find("^https:") ~= nil
  return blamed[err.code] or (err.code == "closed" or err.code == "tls") and not is_tunnel
end

-- One request through one proxy: the answer or nil, the error, and whether it may be sent
-- elsewhere.
local function try(pool, method, url, options, member)
  member.requests = member.requests + 1
  local ok, answer = pcall(core.http[method], url, options)
  if not ok then
    if not core.error.is(answer) then error(answer, 0) end
    if is_to_blame(answer, url) then fail(pool, member) end
    local broken = answer.kind == "network" or answer.kind == "timeout"
    return nil, answer, unsent[answer.code] or broken and idempotent[method]
  elseif asks_for_credentials(url, member, answer) then
    fail(pool, member)
    return answer, nil, idempotent[method]
  end
  succeed(member, answer.time)
  return answer
end

local function copy_options(options)
  local copy = {}
  for name, value in pairs(options) do copy[name] = value end
  copy.key = nil
  return copy
end

-- What px.http does when its proxy is a pool. Where a request may go elsewhere, each try has an
-- even share of the time left.
function Pool.fetch(method, url, options)
  local pool, tried, sent = options.proxy, {}, copy_options(options)
  local most = math.min(MOST_PROXIES, #pool.members)
  local timeout = options.timeout or 30
  if type(timeout) ~= "number" then
    names.usage("px.http: timeout is a number, not a %s", type(timeout))
  end
  local ends, answer, err = core.task.now() + timeout, nil, nil
  for number = 1, most do
    local member = pick(pool, options.key, tried)
    local left = number == 1 and timeout or ends - core.task.now()
    if number > 1 and left < 0.001 then break end
    tried[member] = true
    sent.proxy, sent.timeout = member.url, idempotent[method]
      and math.max(left / (most - number + 1), 0.001) or left
    local again
    answer, err, again = try(pool, method, url, sent, member)
    if not again then break end
  end
  if answer then return answer end
  error(err, 0)
end

--- The proxy whose turn it is, for other uses than px.http.
-- @function pool:next
-- @param key string or number, may be left out: the same key has the same proxy while that is not
--   in quarantine
-- @return the proxy, as it was given to px.pool
-- @usage local pool = px.pool(proxies)
-- print(pool:next("a") == pool:next("a"), pool:next() == pool:next())  --> true  false
function Pool:next(key)
  return pick(self, key, {}).proxy
end

--- Tells a pool how a proxy of pool:next did.
-- @function pool:report
-- @param proxy as pool:next answered it
-- @param ok boolean: false sets it aside, true ends its quarantine
-- @raise usage, when it is none of the pool's
-- @usage local pool = px.pool(proxies)
-- pool:report(proxies[1], false)
-- print(pool:next() == proxies[2])  --> true
function Pool:report(proxy, ok)
  local member = self.by_url[url_of(proxy)]
  if not member then names.usage("pool:report: the proxy is none of this pool") end
  member.requests = member.requests + 1
  if ok then succeed(member) else fail(self, member) end
end

--- What a pool has seen.
-- @function pool:stats
-- @return table: `requests`, `failures` and `quarantined`, over all proxies; `proxies`, a list in
--   their order of tables with `proxy`, `requests`, `failures`, `latency` (seconds, an average that
--   leans to the latest; nil before the first answer) and `quarantined_until` (seconds since 1970;
--   nil when it is not set aside)
-- @usage local pool = px.pool(proxies)
-- px.http.get(px.sandbox().trace_url, { proxy = pool })
-- print(pool:stats().requests, pool:stats().failures)  --> 1  0
function Pool:stats()
  local all, now = { requests = 0, failures = 0, quarantined = 0, proxies = {} }, core.task.now()
  for index, member in ipairs(self.members) do
    local aside = member.until_time > now
    all.requests, all.failures = all.requests + member.requests, all.failures + member.failures
    all.quarantined = all.quarantined + (aside and 1 or 0)
    all.proxies[index] = {
      proxy = member.proxy, requests = member.requests, failures = member.failures,
        latency = member.latency,
      quarantined_until = aside and member.until_time or nil,
    }
  end
  return all
end

--- Proxies that share requests: `px.http.get(url, { proxy = pool, key = "session1" })`, and so for
-- all of px.http. A proxy that cannot be reached, does not answer in time or refuses its
-- credentials is set aside; what the site answers says nothing against it. GET, HEAD, PUT and
-- DELETE are then tried through up to three proxies, sharing the timeout evenly; POST and PATCH
-- only while nothing was sent. Where all are set aside, the one whose quarantine ends first is
-- used. With a `key` the same proxy is used while it works, whatever the strategy; sticky without a
-- key is as round_robin.
-- @function px.pool
-- @param proxies list, or iterator, of proxy records or URLs; one given twice counts once
-- @param options table, may be left out: `strategy`, "round_robin" (where left out), "random",
--   "least_latency" or "sticky"; `quarantine`, how long ("5m")
-- @return pool, with the methods next, report and stats
-- @raise usage
-- @usage local pool = px.pool(proxies, { strategy = "random", quarantine = "90s" })
-- print(px.http.get(px.sandbox().trace_url, { proxy = pool }).status)  --> 200
local function new(proxies, options)
  options = options or {}
  if type(options) ~= "table" then
    names.usage("px.pool takes a table of options, not a %s", type(options))
  end
  names.check("px.pool", options, known)
  local strategy = options.strategy or "round_robin"
  if not choose[strategy] then
    names.usage("px.pool: strategy is round_robin, random, least_latency or sticky, not %s",
      tostring(strategy))
  end
  local pool = {
    strategy = strategy, quarantine = duration.seconds(options.quarantine or "5m",
      "px.pool: quarantine"),
    members = {}, by_url = {}, keys = {}, turn = 0,
  }
  if type(proxies) == "function" then
    for proxy in proxies do add(pool, proxy) end
  elseif type(proxies) == "table" then
    for _, proxy in ipairs(proxies) do add(pool, proxy) end
  else
    names.usage("px.pool takes a list or an iterator of proxies, not a %s", type(proxies))
  end
  if #pool.members == 0 then names.usage("px.pool: there are no proxies") end
  return setmetatable(pool, Pool)
end

return { new = new }
