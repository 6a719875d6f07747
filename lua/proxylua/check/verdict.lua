-- Decides whether a proxy works, from the response through it: the page must be the expected one,
-- and the rules of scripts and plugins must pass.

local core = require "proxylua.core"
local country_code = require "proxylua.util.country"
local expectation = require "proxylua.check.expectation"
local names = require "proxylua.util.names"
local settings = require "proxylua.settings"

local M = {}

local PAGE <const> = "https://1.1.1.1/cdn-cgi/trace" -- without the setting check_url

local own = {
  refused = true, timeout = true, auth = true, rules = true, tls = true, resolve = true, dns = true,
  proxy = true, closed = true, page = true, empty = true, country = true,
  address = true, latency = true, network = true, protocol = true, internal = true,
}

local rules = {} -- in the order of their registration

-- The reason when a request has no response: the error codes of px.http, else its kinds. "resolve"
-- is the page's name on this machine, "resolve_proxy" the proxy's own.
local words = { proxy_auth = "auth", proxy_rules = "rules", resolve_proxy = "resolve",
  resolve = "dns" }

local function failure(err)
  return words[err.code] or err.code or err.kind
end

-- tinyproxy sends 401 for wrong credentials. A 401 without a challenge cannot come from a site.
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

-- Texts of plugins' rules are not reasons, since their number has no limit; the rule's name is.
local function by_plugins(list, result, response)
  for _, rule in ipairs(list) do
    local fails, why = rule.fn(result, response)
    if fails then return rule.name, why end
  end
end

--- Whether this is the name of a built-in reason.
function M.is_own(name)
  return own[name] ~= nil
end

-- The address and the country that the page shows.
local function read_page(result, response)
  result.ip, result.country = expectation.seen(response.body)
end

-- The first failing step gives the reason.
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
-- @param wanted table: `url`; `expect` of expectation.new, or nil for a trace page; the requested
--   `country`; `address`; `max_latency` (seconds); `rules` of plugins
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

--- Adds a rule that a proxy with a successful response must pass.
-- @function px.check.register
-- @tparam string name the reason for proxies that do not pass
-- @tparam fun(result:check_result,response:response):boolean|string|nil fn called for responses
--   with a 2xx status; returns nil or false when the proxy works, true or a text with the reason if
--   not
-- @raise usage when the rule exists already
-- @usage px.check.register("slow", function(result) return result.time > 5 end)
function M.register(name, fn)
  if type(name) ~= "string" or name == "" then
    names.usage("px.check.register: name must be a text")
  end
  if type(fn) ~= "function" then
    names.usage("px.check.register: the rule must be a function, got a %s", type(fn))
  end
  for _, rule in ipairs(rules) do
    if rule.name == name then names.usage("the rule %s exists already", name) end
  end
  rules[#rules + 1] = { name = name, fn = fn }
end

--- What that page must have: the setting check_expect; nil for a trace page.
function M.usual_expect()
  if not core.sandbox.place() then return settings.get("check_expect") end
end

--- The page that shows its client's address: the sandbox's page, or the setting check_url.
function M.usual_url()
  local sandbox = core.sandbox.place()
  return sandbox and sandbox.trace_url or settings.get("check_url") or PAGE
end

return M
