--- Checks proxies, many at once: whether a page comes through them, how fast, and from where it was
-- asked for.
-- @module px.check

local core = require "proxylua.core"
local country_code = require "proxylua.util.country"
local duration = require "proxylua.util.duration"
local errors = require "proxylua.util.errors"
local hooks = require "proxylua.util.hooks"
local history = require "proxylua.check.history"
local names = require "proxylua.util.names"
local summaries = require "proxylua.check.summary"
local tasks = require "proxylua.tasks"
local verdict = require "proxylua.check.verdict"

local M = { history = history.each, register = verdict.register }

local MOST_BODY = 1 << 20 -- bytes of the page

local known = { url = true, timeout = true, concurrency = true, country = true, each = true,
  history = true,
  events = true, summary = true }

local function check_options(options)
  if type(options) ~= "table" then
    names.usage("px.check.run takes its options as a table, got a %s", type(options))
  end
  names.check("px.check.run", options, known)
  local timeout = duration.seconds(options.timeout or 15, "px.check.run: timeout")
  if timeout <= 0 then names.usage("px.check.run: timeout is more than nothing") end
  if options.each ~= nil and type(options.each) ~= "function" then
    names.usage("px.check.run: each is a function, got a %s", type(options.each))
  end
  if options.country ~= nil and not country_code(options.country) then
    names.usage("px.check.run: country is a code of two letters, such as US, got %s",
      tostring(options.country))
  end
  return {
    url = options.url or verdict.usual_url(), country = options.country, each = options.each,
    history = options.history ~= false and history.writer() or nil,
    request = { timeout = timeout, max_body = MOST_BODY, redirects = 0 },
    events = options.events ~= false, rules = hooks.call("rules") or {},
      concurrency = options.concurrency or 512,
    summary = options.summary or summaries.new(),
  }
end

-- Asks for the page through a proxy; the API may have sent one that cannot be used.
local function ask(proxy, wanted)
  if proxy.unreadable then
    return nil, core.error.new{ kind = "protocol", message = tostring(proxy.unreadable) }
  end
  return errors.try(core.http.get, wanted.url, { proxy = proxy, timeout = wanted.request.timeout,
    max_body = MOST_BODY, redirects = 0 })
end

local function check_one(proxy, wanted)
  if type(proxy) == "string" then proxy = require("proxylua.proxies").parse(proxy) end
  local result = {
    host = proxy.host, port = proxy.port, username = proxy.username, protocol = proxy.protocol
      or "http",
    order_id = proxy.order_id, wanted_country = wanted.country or proxy.country,
  }
  local answer, err = ask(proxy, wanted)
  if err and (err.kind == "usage" or err.kind == "cancelled") then error(err, 0) end
  verdict.judge(result, answer, err, wanted.rules)
  return result, proxy
end

--- An empty summary, for the option `summary` of px.check.run.
-- @function px.check.summary
-- @return summary, as px.check.run answers it
-- @usage local summary = px.check.summary()
-- local done = px.try(px.timeout, 60, px.check.run, proxies, { summary = summary })
-- print(done and "all" or "so far", summary.works)  --> all  2
M.summary = summaries.new

--- Checks proxies, many at once: whether a page comes through each, how fast, and who asked for it
-- as the page sees it. It takes a list or an iterator of any length in constant memory.
-- @function px.check.run
-- @param proxies list or iterator of proxy records or URLs
-- @param options table, may be left out: `url` of the page (the setting check_url, or the sandbox's
--   own); `timeout` of each, a duration (15 s); `concurrency`, how many at once (512); `country`
--   that all should be seen in (a record's own `country` otherwise); `each`, a function that is
--   called with each result, and the proxy, as they come; `history=false` to keep nothing in the
--   store; `events=false` to tell plugins of no failure; `summary`, where it is added up, of
--   px.check.summary: it tells what is known so far, too, when the call was interrupted
-- @return summary, a table: `total`, `works`, `reasons` (a table: why not -> how many), and of
--   those that work `p50`, `p95`, `p99`, within 2 %, and `slowest` (seconds). A result has `host`,
--   `port`, `username`, `protocol`, `order_id`, `works`, and `status`, `time`, `connect_time`
--   (seconds), `ip`, `country` (as the page sees them), or `reason` and `message`. The reason is
--   refused, timeout, auth, tls, resolve, proxy, closed, "status 403" and the like, country
--   (another than was wanted), or the name of a rule
-- @raise usage; store; cancelled; what the iterator raises
-- @usage local summary = px.check.run(proxies, { timeout = "10s", each = function(result)
--   if not result.works then print(result.host, result.port, result.reason) end
-- end })
-- print(summary.works .. " of " .. summary.total .. " work")  --> 2 of 2 work
function M.run(proxies, options)
  local wanted = check_options(options or {})
  local tell_failure = wanted.events and hooks.call("emitter", "check_failed")
  tasks.map(proxies, function(proxy)
    local result, record = check_one(proxy, wanted)
    wanted.summary:add(result)
    if wanted.history then wanted.history:add(result) end
    if tell_failure and not result.works then tell_failure(result) end
    if wanted.each then wanted.each(result, record) end
  end, { concurrency = wanted.concurrency, results = false })
  if wanted.history then wanted.history:finish() end
  return wanted.summary:finish()
end

return M
