-- Whether a proxy works, from what came through it: one look at an answer, and the rules that
-- scripts and plugins add.

local core = require "proxylua.core"
local country_code = require "proxylua.util.country"
local names = require "proxylua.util.names"

local M = {
  -- the setting check_url; settings are put here when they are read
  page = "https://1.1.1.1/cdn-cgi/trace",
}

local own = {
  refused = true, timeout = true, auth = true, tls = true, resolve = true, proxy = true,
    closed = true, country = true,
  network = true, protocol = true, internal = true,
}

local rules = {} -- in the order in which they were added

-- Why an exchange brought no answer: the words of px.http, and those of its kinds for the rest.
local words = { proxy_auth = "auth", resolve_proxy = "resolve" }

local function failure(err)
  return words[err.code] or err.code or err.kind
end

-- "ip=192.0.2.1\nloc=US\n" and the like, as https://1.1.1.1/cdn-cgi/trace has it; nil where the
-- page is another.
local function traced(body, name)
  return body:match("^" .. name .. "=([^\n]*)") or body:match("\n" .. name .. "=([^\n]*)")
end

local function is_elsewhere(result)
  local wanted, seen = country_code(result.wanted_country), result.country
  return wanted and seen and wanted ~= seen:upper()
end

local function by_rules(result, answer)
  for _, rule in ipairs(rules) do
    local reason = rule.fn(result, answer)
    if reason then return reason == true and rule.name or tostring(reason) end
  end
end

-- Rules of plugins speak for themselves alone: their words are no reasons, of which there would be
-- no end.
local function by_plugins(list, result, answer)
  for _, rule in ipairs(list) do
    local fails, why = rule.fn(result, answer)
    if fails then
      result.message = why
      return rule.name
    end
  end
end

--- Whether this is the name of a reason that needs no rule.
function M.is_own(name)
  return own[name] ~= nil
end

--- Judges an exchange: fills in works, reason and what the answer tells.
-- @param result table: `wanted_country`; changed
-- @param answer of px.http.get, or nil
-- @param err its error otherwise
-- @param more rules of plugins (proxylua.plugin.host.contributions)
function M.judge(result, answer, err, more)
  if not answer then
    result.reason, result.message = failure(err), err.message
  else
    result.status, result.time, result.connect_time = answer.status, answer.time,
      answer.connect_time
    result.ip, result.country = traced(answer.body, "ip"), traced(answer.body, "loc")
    result.reason = answer.status == 407 and "auth" or not answer.ok and "status " .. answer.status
      or is_elsewhere(result) and "country" or by_rules(result, answer) or by_plugins(more, result,
      answer)
  end
  result.works = result.reason == nil
end

--- Adds a rule that every proxy has to pass which answers at all.
-- @function px.check.register
-- @param name string: the reason of those that do not pass
-- @param fn function(result, answer) of px.check.run and px.http.get, called for answers of a 2xx
--   status; answers nil or false when the proxy works, true or a text that says why it does not
-- @raise usage when there is such a rule
-- @usage px.check.register("slow", function(result) return result.time > 5 end)
function M.register(name, fn)
  if type(name) ~= "string" or name == "" then
    names.usage("px.check.register: the name is a text")
  end
  if type(fn) ~= "function" then
    names.usage("px.check.register: the rule is a function, got a %s", type(fn))
  end
  for _, rule in ipairs(rules) do
    if rule.name == name then names.usage("there is a rule %s already", name) end
  end
  rules[#rules + 1] = { name = name, fn = fn }
end

--- The page that tells who asks for it: the sandbox's where one runs, or the setting check_url.
function M.usual_url()
  local sandbox = core.sandbox.place()
  return sandbox and sandbox.trace_url or M.page
end

return M
