--- Repeating a call that failed for a reason that may go away.
-- @module proxylua.util.retry

local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local names = require "proxylua.util.names"

local M = {}

local MAX_WAIT = 300 -- seconds up to which the wait doubles

local known = { attempts = true, on = true, wait = true }

-- The kinds that may be named in `on`. The others stay what they are when a call is repeated, or
-- money may have moved.
local kinds = { network = true, timeout = true, upstream = true, protocol = true,
  rate_limited = true, store = true, not_found = true, funds = true }
local usual = { "network", "timeout", "upstream" }

local function set_of(list)
  if type(list) ~= "table" then
    names.usage("px.retry: on must be a list of kinds of errors, got a %s", type(list))
  end
  local set = {}
  for name, kind in pairs(list) do
    if math.type(name) ~= "integer" then
      names.usage("px.retry: on must be a list of kinds of errors, got the field %s",
        tostring(name))
    elseif kind == "outcome_unknown" or kind == "spend_refused" then
      names.usage("px.retry: on cannot have %s; px.retry never repeats what concerns money", kind)
    elseif not kinds[kind] then
      local nearest = names.nearest(tostring(kind), kinds)
      names.usage("px.retry: on cannot have %s%s; see proxylua help px.retry", tostring(kind),
        nearest and (", did you mean %s?"):format(nearest) or "")
    end
    set[kind] = true
  end
  return set
end

local function check(fn, options)
  if type(fn) ~= "function" then names.usage("px.retry takes a function, got a %s", type(fn)) end
  if type(options) ~= "table" then
    names.usage("px.retry takes its options as a table, got a %s", type(options))
  end
  names.check("px.retry", options, known)
  local attempts = options.attempts or 3
  if not (math.type(attempts) == "integer" and attempts >= 1) then
    names.usage("px.retry: attempts must be an integer of at least 1, got %s", tostring(attempts))
  end
  return attempts, set_of(options.on or usual), duration.seconds(options.wait or "1s",
    "px.retry: wait")
end

--- Calls a function, and again if it raises an error of px of one of the named kinds. Other errors
-- are raised at once. So is each error whose field `charge` is not "none", of any kind:
-- money has moved or may have, and a second call could pay again. If the function buys something
-- and then does more, give the purchase a `key`: with it, a second call returns the same order.
-- @function px.retry
-- @param fn function without arguments
-- @param options table, may be left out: `attempts`, calls in all (3); `on`, list of the kinds
--   (network, timeout and upstream; also possible: protocol, rate_limited, store, not_found,
--   funds); `wait`, a duration before the second call ("1s"), doubled for each further one, up to 5
--   minutes. If the error has a `retry_after`, the wait is at least that long
-- @return what the function returned
-- @raise the last error; what else the function raised; usage; cancelled
-- @usage local calls = 0
-- local response = px.retry(function()
--   calls = calls + 1
--   return px.http.get(calls == 1 and "http://127.0.0.1:1/" or px.sandbox().trace_url)
-- end, { attempts = 5, on = { "network" }, wait = "10ms" })
-- print(response.status, calls)  --> 200  2
function M.retry(fn, options)
  local attempts, on, wait = check(fn, options or {})
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
