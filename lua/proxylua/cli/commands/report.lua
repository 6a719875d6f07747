-- `proxylua report`: what was spent, on what, how fast, and how long the balance lasts.

local core = require "proxylua.core"
local names = require "proxylua.util.names"
local parsers = require "proxylua.cli.args.parser"
local terminal = require "proxylua.term.size"

local M = {}

function M.parser(parser)
  parser:option("--since",
    "first day: a date, or a duration before today (default: 30d)"):argname("30d|DATE")
    :target("since")
  parser:option("--until", "last day: a date, or a duration before today (default: today)"):argname(
    "7d|DATE"):target("till")
  local by = parser:option("--by",
    "only these rows: day, type, country or pool; may be repeated")
    :argname("GROUPING"):count("*"):target("by")
  parsers.suggest(by, { "day", "type", "country", "pool" })
  parser:flag("--quote",
    "ask the API for the cost of renewals, instead of using the last price"):target("quote")
  local html = parser:option("--html", "write a page with charts to this file (-: standard output)")
    :argname("FILE"):target("html")
  local csv = parser:flag("--csv", "print the rows as CSV"):target("csv")
  local transactions = parser:option("--transactions",
    "read transactions from this file, the output of proxylua --jsonl account "
    .. "transactions --all (-: standard input)"):argname("FILE"):target("transactions")
  local orders = parser:option("--orders",
    "read orders from this file, the output of proxylua --jsonl orders list --all")
    :argname("FILE"):target("orders")
  parser:mutex(html, csv)
  for _, option in ipairs{ html, transactions, orders } do parsers.suggest(option, "files") end
  parsers.example(parser, "report --since 7d",
    "report --since 2026-11-01 --until 2026-11-30 --html november.html",
    "report --by pool --csv")
end

-- A progress line for what is read.
local function progress_on(screen)
  local line, what
  local function finish()
    if line then line:finish() end
  end
  return function(name)
    if name ~= what then
      finish()
      line, what = screen:progress(name), name
    end
    line:step()
  end, finish
end

local function write_page(screen, report, path)
  local page = require("proxylua.report.html").page(report)
  if path == "-" then return core.system.write(page) end
  core.system.write_file(path, page)
  if screen:is_data() then return screen:record(nil, { file = path }) end
  return screen:note("%s written: %s to %s", path, report.since, report["until"])
end

local function write_rows(screen, report, by)
  local rows, at = require("proxylua.report.csv").rows(report, by), 0
  screen:stream("spending", function()
    at = at + 1
    return rows[at]
  end)
  for _, gap in ipairs(report.gaps) do screen:note("%s", gap) end
end

-- A report with some groupings alone.
local function only(report, by)
  if not by then return report end
  local groups = {}
  for _, grouping in ipairs(by) do groups[grouping] = report.by[grouping] end
  local copy = {}
  for name, value in pairs(report) do copy[name] = value end
  copy.by = groups
  return copy
end

local function write(screen, report, args, by)
  if args.html then return write_page(screen, report, args.html) end
  if args.csv then
    return core.system.write(require("proxylua.report").csv(report, { by = by or { "day" } }))
  end
  if screen.form == "json" then return screen:record("report", only(report, by)) end
  if screen.form ~= "table" then return write_rows(screen, report, by or { "day" }) end
  return require "proxylua.term.pager"(require("proxylua.report").text(report, {
    width = terminal.width(1), ascii = not terminal.has_utf8(), color = screen.colors, by = by,
  }))
end

function M.run(args, context)
  if args.csv then context.screen:refuse_json("CSV", "use one of the two") end
  if args.html == "-" then context.screen:refuse_json("a page", "name a file with --html") end
  if args.html and #args.by > 0 then
    names.usage("--by cannot be used with --html, which shows all groupings")
  end
  local by = #args.by > 0 and require("proxylua.report.csv").groupings(args.by) or nil
  local progress, finish = progress_on(context.screen)
  local report = require("proxylua.report").build{ since = args.since, till = args.till,
    quote = args.quote,
    transactions = args.transactions, orders = args.orders, progress = progress,
    on_problem = context.screen:reporter() }
  finish()
  write(context.screen, report, args, by)
end

return M
