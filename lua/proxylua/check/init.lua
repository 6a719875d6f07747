--- Checks many proxies at once: whether a page can be fetched through them, how fast, and with
-- which address and country the page sees them.
-- @module px.check

local core = require "proxylua.core"
local errors = require "proxylua.util.errors"
local hooks = require "proxylua.util.hooks"
local history = require "proxylua.check.history"
local read_options = require "proxylua.check.options"
local summaries = require "proxylua.check.summary"
local tasks = require "proxylua.tasks"
local verdict = require "proxylua.check.verdict"

local M = { each_history = history.each, register = verdict.register }

local MAX_BODY <const> = 1 << 20 -- bytes of the page

-- Errors of the check itself, which would affect every proxy: they end the check.
local OF_CHECK = { usage = true, config = true, cancelled = true }

-- Fetches the page through a proxy; the API may have sent an unusable proxy.
local function ask(proxy, wanted)
  if proxy.unreadable then
    return nil, core.error.new{ kind = "protocol", message = tostring(proxy.unreadable) }
  end
  return errors.try(core.http.get, wanted.url, { proxy = proxy, timeout = wanted.timeout,
    max_body = MAX_BODY, redirects = 0 })
end

local function check_one(proxy, wanted)
  if type(proxy) == "string" then proxy = require("proxylua.proxies").parse(proxy) end
  local result = {
    host = proxy.host, port = proxy.port, username = proxy.username, protocol = proxy.protocol
      or "http",
    order_id = proxy.order_id, wanted_country = wanted.country or proxy.country,
  }
  local response, err = ask(proxy, wanted)
  if err and OF_CHECK[err.kind] then error(err, 0) end
  verdict.judge(result, response, err, wanted)
  return result, proxy
end

-- Results are worth more than their history: if the store fails, the check continues without it.
local function keep(wanted, method, ...)
  if not wanted.history then return end
  local ok, err = pcall(wanted.history[method], wanted.history, ...)
  if ok then return end
  if not core.error.is(err) or err.kind ~= "store" then error(err, 0) end
  wanted.history = nil
  wanted.history_error = core.error.new{ kind = "store", code = "history",
    message = "the check is complete, but its history cannot be stored: " .. err.message }
end

--- An empty summary, for the option `summary` of px.check.run.
-- @function px.check.summary
-- @treturn check_summary
-- @usage local summary = px.check.summary()
-- local done = px.try(px.timeout, 60, px.check.run, proxies, { summary = summary })
-- print(done and "all" or "so far", summary.works)  --> all  2
M.summary = summaries.new

--- A summary of checks.
-- @record check_summary
-- @tfield integer total
-- @tfield integer works
-- @tfield table<string,integer> reasons
-- @tfield[opt] number p50 seconds, of working proxies, within 2 %
-- @tfield[opt] number p95
-- @tfield[opt] number p99
-- @tfield[opt] number slowest

--- The result of one check. The reason is refused, timeout, auth, rules, tls, resolve, dns, proxy,
-- closed, "status 403" and the like, empty, page (not the expected one), country, address, latency,
-- or the name of a rule.
-- @record check_result
-- @tfield string host
-- @tfield integer port
-- @tfield[opt] string username
-- @tfield string protocol
-- @tfield[opt] string order_id
-- @tfield[opt] string wanted_country
-- @tfield boolean works
-- @tfield[opt] integer status
-- @tfield[opt] number time seconds
-- @tfield[opt] number connect_time seconds
-- @tfield[opt] string ip as the page sees it
-- @tfield[opt] string country as the page sees it
-- @tfield[opt] string reason
-- @tfield[opt] string message

--- Checks many proxies at once: whether a page can be fetched through each, how fast, and with
-- which address and country the page sees it. Takes a list or an iterator of any length, in
-- constant memory.
-- @function px.check.run
-- @tparam proxy[]|string[]|fun():proxy? proxies
-- @param options
-- @treturn check_summary
-- @raise usage; config, when no CA certificates can be read; store, when all are checked;
--   cancelled; what the iterator raises
-- @usage local summary = px.check.run(proxies, { timeout = "10s", each = function(result)
--   if not result.works then print(result.host, result.port, result.reason) end
-- end })
-- print(summary.works .. " of " .. summary.total .. " work")  --> 2 of 2 work
function M.run(proxies, options)
  local wanted = read_options(options)
  local tell_failure = wanted.events and hooks.call("emitter", "check_failed")
  tasks.map(proxies, function(proxy)
    local result, record = check_one(proxy, wanted)
    wanted.summary:add(result)
    keep(wanted, "add", result)
    if tell_failure and not result.works then tell_failure(result) end
    if wanted.each then wanted.each(result, record) end
  end, { concurrency = wanted.concurrency, results = false })
  keep(wanted, "finish")
  local summary = wanted.summary:finish()
  if wanted.history_error then error(wanted.history_error, 0) end
  return summary
end

return M
