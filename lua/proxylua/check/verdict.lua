-- Whether a proxy works, from what came through it: the page must be the one that was expected, and
-- the rules that scripts and plugins add must pass.

local core = require "proxylua.core"
local country_code = require "proxylua.util.country"
local expectation = require "proxylua.check.expectation"
local names = require "proxylua.util.names"

local M = {
  -- the setting check_url; settings are put here when they are read
  page = "https://1.1.1.1/cdn-cgi/trace",
  -- the setting check_expect: what that page must have
  expect = nil,
}

local own = {
  refused = true, timeout = true, auth = true, rules = true, tls = true, resolve = true, dns = true,
  proxy = true, closed = true, page = true, empty = true, country = true,
  address = true, latency = true, network = true, protocol = true, internal = true,
}

local rules = {} -- in the order in which they were added

-- Why a request brought no response: the words of px.http, and those of its kinds for the rest.
-- "resolve" is a name that this machine looked up for the page, "resolve_proxy" the proxy's own.
local words = { proxy_auth = "auth", proxy_rules = "rules", resolve_proxy = "resolve",
  resolve = "dns" }

local function failure(err)
  return words[err.code] or err.code or err.kind
end

-- tinyproxy has 401 for wrong credentials. A 401 without a challenge cannot be a site's either.
local function is_proxy_401(result, response, url)
  local headers = response.headers
  return response.status == 401 and result.username and url:lower():find("^http://")
    and result.protocol:find("^http") and (not headers["www-authenticate"]
    or (headers.server or ""):lower():find("^tinyproxy"))
end

local function by_credentials(result, response, url)
  if response.status ~= 407 and not is_proxy_401(result, response, url) then return nil end
  local asked = response.headers["proxy-authenticate"]
  return "auth", asked and "the proxy asks for " .. (asked:match("^%w+") or "other credentials")
    or "the proxy does not accept the user name and password"
end

-- A page other than a trace page need not show the country of the order.
local function by_country(result, expected)
  local wanted, seen = country_code(result.wanted_country), result.country
  if not wanted or expected.expect and not expected.country then return nil end
  if not seen then return "country", "the page does not show a country" end
  if wanted ~= seen:upper() then return "country" end
end

local function by_address(result, wanted)
  if not wanted.address or result.ip == wanted.address then return nil end
  if not result.ip then return "address", "the page does not show an address" end
  return "address", ("the page saw %s, not %s"):format(result.ip, wanted.address)
end

local function by_time(result, wanted)
  return wanted.max_latency and result.time > wanted.max_latency and "latency" or nil
end

local function by_rules(result, response)
  for _, rule in ipairs(rules) do
    local reason = rule.fn(result, response)
    if reason then return reason == true and rule.name or tostring(reason) end
  end
end

-- Rules of plugins speak for themselves alone: their words are no reasons, of which there would be
-- no end.
local function by_plugins(list, result, response)
  for _, rule in ipairs(list) do
    local fails, why = rule.fn(result, response)
    if fails then return rule.name, why end
  end
end

--- Whether this is the name of a reason that needs no rule.
function M.is_own(name)
  return own[name] ~= nil
end

-- The address and the country that the page shows.
local function read_page(result, response)
  result.ip, result.country = expectation.seen(response.body)
end

-- The first step that fails says why.
local function reason_of(result, response, wanted)
  local steps = {
    function() return by_credentials(result, response, wanted.url) end,
    function() return expectation.judge(wanted.expect, response, result.ip) end,
    function() return by_country(result, wanted) end,
    function() return by_address(result, wanted) end,
    function() return by_time(result, wanted) end,
    function() return by_rules(result, response) end,
    function() return by_plugins(wanted.rules, result, response) end,
  }
  for _, step in ipairs(steps) do
    local reason, message = step()
    if reason then return reason, message end
  end
end

--- Judges a response: fills in works, reason, message and what the page shows.
-- @param result table: `wanted_country`; changed
-- @param response of px.http.get, or nil
-- @param err its error otherwise
-- @param wanted table: `url`; `expect` of expectation.new, or nil for a trace page; `country` that
--   was asked for; `address`; `max_latency` (seconds); `rules` of plugins
--   (proxylua.plugin.host.contributions)
function M.judge(result, response, err, wanted)
  if not response then
    result.reason, result.message = failure(err), err.message
  else
    result.status, result.time, result.connect_time = response.status, response.time,
      response.connect_time
    read_page(result, response)
    result.reason, result.message = reason_of(result, response, wanted)
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

--- What that page must have: the setting check_expect, nil for a trace page.
function M.usual_expect()
  if not core.sandbox.place() then return M.expect end
end

--- The page that shows who asks for it: the sandbox's where one runs, or the setting check_url.
function M.usual_url()
  local sandbox = core.sandbox.place()
  return sandbox and sandbox.trace_url or M.page
end

return M
