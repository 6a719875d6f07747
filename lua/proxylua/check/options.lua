-- The options of px.check.run, checked before the first request.

local declare = require("proxylua.util.options").declare
local expectation = require "proxylua.check.expectation"
local history = require "proxylua.check.history"
local hooks = require "proxylua.util.hooks"
local summaries = require "proxylua.check.summary"
local verdict = require "proxylua.check.verdict"

local ip_address = {
  read = function(value) return expectation.is_address(value) and value or nil end,
  expected = "an IP address", doc = "IP address", meta = "string",
}

local run_options = declare("px.check.run", {
  { "url", "string", "page to fetch", usual = "the setting check_url, or the sandbox's page" },
  { "expect", "any", 'what the page must have: a text, "/pattern/" (a Lua pattern without '
    .. "captures), or a status", usual = "a trace page, with an ip= line",
    meta = "string|integer" },
  { "timeout", "duration", "for each proxy", above = 0, default = "15s" },
  { "concurrency", "integer", "how many at once", min = 1, default = 512 },
  { "country", "country", "in which all must be seen", usual = "a record's own `country`" },
  { "address", ip_address, "with which all must be seen" },
  { "max_latency", "duration", "slower proxies do not pass" },
  { "each", "function", "called with each result and its proxy",
    meta = "fun(result: check_result, proxy: proxy)" },
  { "history", "boolean", "false stores no history", default = true },
  { "events", "boolean", "false does not notify plugins of failures", default = true },
  { "summary", "table", "of px.check.summary: it is updated during the check, and so has partial "
    .. "results if the call is interrupted", meta = "check_summary" },
})

-- The page, and what it must have. The setting check_expect applies to the setting check_url only.
local function page_of(options)
  local expect = options.expect
  if expect == nil and options.url == nil then expect = verdict.usual_expect() end
  return options.url or verdict.usual_url(), expect ~= nil and expectation.new(expect) or nil
end

--- Checks the options of px.check.run.
-- @return table of the checked options
-- @raise usage
return function(given)
  local wanted = run_options(given)
  wanted.url, wanted.expect = page_of(wanted)
  wanted.history = wanted.history and history.writer() or nil
  wanted.rules = hooks.call("rules") or {}
  wanted.summary = wanted.summary or summaries.new()
  return wanted
end
