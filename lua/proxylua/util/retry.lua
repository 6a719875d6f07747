--- Repeating a call that failed for a reason that may go away.
-- @module proxylua.util.retry

local core = require "proxylua.core"
local names = require "proxylua.util.names"
local declare = require("proxylua.util.options").declare

local M = {}

local MAX_WAIT = 300 -- seconds up to which the wait doubles

-- The kinds that may be named in `on`. The others stay what they are when a call is repeated, or
-- money may have moved.
local kinds = { network = true, timeout = true, upstream = true, protocol = true,
  rate_limited = true, store = true, not_found = true, funds = true }

local retry_options = declare("px.retry", {
  { "attempts", "integer", "calls in all", min = 1, default = 3 },
  { "on", "table", "list of the kinds; also possible: protocol, rate_limited, store, not_found, "
    .. "funds", default = { "network", "timeout", "upstream" }, usual = "network, timeout and "
    .. "upstream", meta = "error_kind[]", expected = "a list of kinds of errors" },
  { "wait", "duration", "before the second call; doubled for each further one, up to 5 minutes, "
    .. "and at least as long as the `retry_after` of the error", default = "1s" },
})

local function set_of(list)
  local set = {}
  for name, kind in pairs(list) do
    if math.type(name) ~= "integer" then
      names.usage("px.retry: on must be a list of kinds of errors, got the field %s",
        tostring(name))
    elseif kind == "outcome_unknown" or kind == "spend_refused" then
      names.usage("px.retry: on cannot have %s; px.retry never repeats what concerns money", kind)
    elseif not kinds[kind] then
      names.usage("px.retry: on cannot have %s%s; see proxylua help px.retry", tostring(kind),
        names.hint(kind, kinds))
    end
    set[kind] = true
  end
  return set
end

--- Calls a function, and again if it raises an error of px of one of the named kinds. Other errors
-- are raised at once. So is each error whose field `charge` is not "none", of any kind:
-- money has moved or may have, and a second call could pay again. If the function buys something
-- and then does more, give the purchase a `key`: with it, a second call returns the same order.
-- @function px.retry
-- @tparam function fn without arguments
-- @param options
-- @treturn any what the function returned
-- @raise the last error; what else the function raised; usage; cancelled
-- @usage local calls = 0
-- local response = px.retry(function()
--   calls = calls + 1
--   return px.http.get(calls == 1 and "http://127.0.0.1:1/" or px.sandbox().trace_url)
-- end, { attempts = 5, on = { "network" }, wait = "10ms" })
-- print(response.status, calls)  --> 200  2
function M.retry(fn, given)
  if type(fn) ~= "function" then names.usage("px.retry takes a function, got a %s", type(fn)) end
  local wanted = retry_options(given)
  local attempts, on, wait = wanted.attempts, set_of(wanted.on), wanted.wait
  for attempt = 1, attempts do
    local results = table.pack(pcall(fn))
    if results[1] then return table.unpack(results, 2, results.n) end
    local err = results[2]
    local again = core.error.is(err) and on[err.kind] and err.charge == "none"
    if not again or attempt == attempts then error(err, 0) end
    core.task.sleep(math.max(wait, tonumber(err.retry_after) or 0))
    wait = math.max(wait, math.min(wait * 2, MAX_WAIT))
  end
end

return M
