-- `proxylua check`: whether proxies work, thousands at once, and the history of earlier checks.

local check = require "proxylua.check"
local check_options = require "proxylua.check.options"
local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local names = require "proxylua.util.names"
local outputs = require "proxylua.cli.check_output"
local parsers = require "proxylua.cli.args.parser"
local source = require "proxylua.cli.args.proxy_source"
local tables = require "proxylua.term.table"

local M = {}

local SOME_FAIL = 11 -- exit code with --exit-code

function M.parser(parser)
  source.add_to(parser)
  parser:option("--url",
    "page to fetch through each proxy (default: the setting check_url)"):argname("URL")
  parser:option("--expect",
    "what the page must have: a text, /pattern/, or a status (default: a trace page)")
    :argname("WHAT")
  parser:option("--expect-address",
    "address with which the page must see all proxies"):argname("ADDRESS")
    :target("address")
  parser:option("--max-latency", "treat slower proxies as failing, such as 2s")
    :argname("DURATION"):target("max_latency")
  parser:option("--expect-country",
    "country in which the page must see all proxies (default: the order's)")
    :argname("COUNTRY"):target("expected")
  parsers.whole(parser:option("--concurrency",
    "proxies to check at once (default: 512)"):argname("NUMBER"))
  parsers.suggest(parser:option("--only", "print only the working or only the failing "
    .. "proxies"):argname(
    "WHICH")
    :choices{ "working", "failing" }, { "working", "failing" })
  parsers.suggest(parser:option("--sort",
    "sort by time, fastest first; prints at the end, and memory grows with the number of proxies")
    :argname("KEY"):choices{ "latency" }, { "latency" })
  parsers.suggest(parser:option("-o --output",
    "write the working proxies to a file, complete or not at all, readable only by you"
    ):argname("FILE"), "files")
  parser:option("-f --format", "format of that file (default: by its name, else url)"):argname(
    "FORMAT")
  parser:flag("--exit-code", "exit with 11 if a proxy does not work"):target("fail")
  parser:flag("--no-history", "do not store the results in the history"):target("forget")
  parser:flag("--history", "show the results of earlier checks instead of checking")
  parser:flag("--flapping",
    "with --history: only proxies that changed between working and failing")
  parsers.example(parser, "check --only failing",
    "check --from proxies.txt --timeout 5s -o good.txt --format txt",
    "check --history --flapping")
end

local function show_history(args, screen)
  local each = check.each_history()
  screen:stream("history", function()
    local record
    repeat record = each() until not record or not args.flapping or record.flaps > 0
    return record
  end)
end

local function milliseconds(seconds)
  return ("%.0f ms"):format(seconds * 1000)
end

local GREEN <const>, RED <const>, PLAIN <const> = "\27[32m", "\27[31m", "\27[0m"

-- Results are printed one by one, so columns have widths that suit most of them.
local function line_of(result, has_colors)
  local address = ("%s:%s"):format(result.host, result.port)
  local seen = result.reason
  if result.works then
    seen = ("%8s  %s %s"):format(milliseconds(result.time), result.ip or "", result.country or "")
  elseif result.reason == "country" and result.country then
    seen = ("country %s, not %s"):format(result.country, result.wanted_country)
  elseif result.status and result.message then
    seen = ("%s: %s"):format(result.reason, result.message) -- from a rule
  end
  local text = tables.clean(("%-28s %-18s %-6s %s"):format(address, result.username or "",
    result.works and "works" or "FAILS", seen), true)
  if not has_colors then return text end
  return (result.works and GREEN or RED) .. text .. PLAIN
end

local function is_shown(args, result)
  return not args.only or (args.only == "working") == result.works
end

local function reasons_text(summary)
  local list = {}
  for reason, count in pairs(summary.reasons) do
    list[#list + 1] = { reason = reason, count = count }
  end
  table.sort(list, function(a, b)
    return a.count > b.count or a.count == b.count and a.reason < b.reason
  end)
  for at, item in ipairs(list) do list[at] = item.count .. " " .. item.reason end
  return table.concat(list, ", ")
end

local function print_summary(screen, summary, is_partial)
  local failing = summary.total - summary.works
  screen:note("%s%d of %d work%s", is_partial and "so far " or "", summary.works, summary.total,
    failing > 0 and "; reasons: " .. reasons_text(summary) or "")
  if failing > 0 and summary.reasons.proxy == summary.total then
    screen:note("no proxy could reach the page; --url or the setting check_url names another page")
  end
  if summary.works > 0 then
    screen:note("time p50 %s, p95 %s, p99 %s, slowest %s", milliseconds(summary.p50),
      milliseconds(summary.p95),
      milliseconds(summary.p99), milliseconds(summary.slowest))
  end
end

-- Parameters of px.check.run that have another name here.
M.renamed = { country = "expect_country", address = "expect_address" }

-- The global option --timeout is for each HTTP request: here also for those through the proxies.
local function options_of(args, flags)
  local options = {
    url = args.url, country = args.expected, expect = args.expect, address = args.address,
    max_latency = args.max_latency,
    concurrency = args.concurrency, history = not args.forget,
    timeout = flags.timeout and duration.read(flags.timeout),
    summary = check.summary(),
  }
  check_options(options)
  return options
end

local EMPTY <const> = 12 -- exit code: the result is empty

-- Returns the error that ended the check.
local function run(args, screen, options, next_proxy, given, output)
  local progress = screen:progress("checked")
  function options.each(result, proxy)
    local shown = is_shown(args, result)
    if shown and not args.sort then progress:clear() end
    output:add(result, proxy, shown)
    progress.total = given.total
    progress:step()
  end
  local first, begun = nil, false
  local ok, err = pcall(function()
    first = next_proxy() -- reads the files completely, so that an invalid one ends the command here
    progress.total = given.total
    return check.run(function()
      if begun then return next_proxy() end
      begun = true
      return first
    end, options)
  end)
  progress:finish()
  output:finish_results()
  given:report()
  return not ok and err or nil
end

-- The store failed, but the check itself is complete.
local function is_complete(err)
  return err == nil or core.error.is(err) and err.code == "history"
end

function M.run(args, context)
  local screen = context.screen
  if args.flapping and not args.history then names.usage("--flapping goes with --history") end
  if args.format and not args.output then names.usage("--format goes with -o FILE") end
  if args.output == "-" then
    names.usage(
      "-o - cannot be used: standard output has the results; name a file, or use --only working "
        .. "--jsonl")
  end
  if args.history then return show_history(args, screen) end
  local options = options_of(args, context.flags)
  local next_proxy, given = source.of(args, screen)
  local function line(result) return line_of(result, screen.colors) end
  local output <close> = outputs.begin(screen, line, { output = args.output, format = args.format,
    allow_empty = args.allow_empty, sorted = args.sort ~= nil })
  local err = run(args, screen, options, next_proxy, given, output)
  local summary = options.summary:finish()
  if core.error.is(err) and err.code == "empty" then
    screen:note("%s", err.message)
    return core.system.set_exit_code(EMPTY)
  end
  local complete = is_complete(err)
  if summary.total > 0 then
    print_summary(screen, summary, not complete)
  elseif complete then
    screen:note("no proxies found")
    core.system.set_exit_code(EMPTY)
  end
  if not complete then error(err, 0) end
  given:raise_failure()
  output:commit()
  if err then error(err, 0) end
  if args.fail and summary.works < summary.total then core.system.set_exit_code(SOME_FAIL) end
end

return M
