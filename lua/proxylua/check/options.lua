-- The options of px.check.run, checked before the first request.

local country_code = require "proxylua.util.country"
local duration = require "proxylua.util.duration"
local expectation = require "proxylua.check.expectation"
local history = require "proxylua.check.history"
local hooks = require "proxylua.util.hooks"
local names = require "proxylua.util.names"
local summaries = require "proxylua.check.summary"
local verdict = require "proxylua.check.verdict"

local known = { url = true, timeout = true, concurrency = true, country = true, each = true,
  history = true, events = true, summary = true, expect = true, address = true,
  max_latency = true }

-- The page, and what it must have. The setting check_expect applies to the setting check_url only.
local function page_of(options)
  local expect = options.expect
  if expect == nil and options.url == nil then expect = verdict.usual_expect() end
  return options.url or verdict.usual_url(), expect ~= nil and expectation.new(expect) or nil
end

local function check_seen(options)
  if options.country ~= nil and not country_code(options.country) then
    names.usage("px.check.run: country must be a code of two letters, such as US, got %s",
      tostring(options.country))
  end
  local address = options.address
  if address ~= nil and not expectation.is_address(address) then
    names.usage("px.check.run: address must be an IP address, got %s", tostring(address))
  end
end

--- Checks the options of px.check.run.
-- @return table of the checked options
-- @raise usage
return function(options)
  if type(options) ~= "table" then
    names.usage("px.check.run takes its options as a table, got a %s", type(options))
  end
  names.check("px.check.run", options, known)
  local timeout = duration.seconds(options.timeout or 15, "px.check.run: timeout")
  if timeout <= 0 then names.usage("px.check.run: timeout must be more than 0") end
  if options.each ~= nil and type(options.each) ~= "function" then
    names.usage("px.check.run: each must be a function, got a %s", type(options.each))
  end
  check_seen(options)
  local url, expect = page_of(options)
  return {
    url = url, expect = expect, address = options.address,
    max_latency = options.max_latency
      and duration.seconds(options.max_latency, "px.check.run: max_latency"),
    country = options.country, each = options.each,
    history = options.history ~= false and history.writer() or nil,
    timeout = timeout,
    events = options.events ~= false, rules = hooks.call("rules") or {},
      concurrency = options.concurrency or 512,
    summary = options.summary or summaries.new(),
  }
end
