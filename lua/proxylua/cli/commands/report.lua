-- `proxylua report`: what was spent, on what, how fast, and how long the balance lasts.

local core = require "proxylua.core"
local parsers = require "proxylua.cli.args.parser"
local terminal = require "proxylua.term.size"

local M = { summary = "show what was spent, and how long the balance lasts" }

function M.parser(parser)
  parser:option("--since",
    "its first day: a date, or a duration, so many days up to today (30d)"):argname("30d|DATE")
    :target("since")
  parser:option("--until", "its last day: a date, or a duration, so long ago (today)"):argname(
    "7d|DATE"):target("till")
  local by = parser:option("--by",
    "these rows alone: day, type, country or pool; may come several times")
    :argname("GROUPING"):count("*"):target("by")
  parsers.suggest(by, { "day", "type", "country", "pool" })
  parser:flag("--quote",
    "ask the API what renewals cost, instead of taking what was paid last"):target("quote")
  local html = parser:option("--html", "write a page with charts to this file (-: standard output)")
    :argname("FILE"):target("html")
  local csv = parser:flag("--csv", "answer the rows as CSV"):target("csv")
  local transactions = parser:option("--transactions",
    "take them from this file, as proxylua --jsonl account "
    .. "transactions --all writes it (-: standard input)"):argname("FILE"):target("transactions")
  local orders = parser:option("--orders",
    "take them from this file, as proxylua --jsonl orders list --all writes it")
    :argname("FILE"):target("orders")
  parser:mutex(html, csv)
  for _, option in ipairs{ html, transactions, orders } do parsers.suggest(option, "files") end
  parsers.example(parser, "report --since 7d",
    "report --since 2026-11-01 --until 2026-11-30 --html november.html",
    "report --by pool --csv")
end

-- A line that tells what is read and how much of it so far.
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
  return screen:note("%s is written: %s to %s", path, report.since, report["until"])
end

local function write_rows(screen, report, by)
  local rows, at = require("proxylua.report.csv").rows(report, by), 0
  screen:stream("spending", function()
    at = at + 1
    return rows[at]
  end)
  for _, gap in ipairs(report.gaps) do screen:note("%s", gap) end
end

local function write(screen, report, args, by)
  if args.html then return write_page(screen, report, args.html) end
  if args.csv then
    return core.system.write(require("proxylua.report").csv(report, by or { "day" }))
  end
  if screen.form == "json" then return screen:record("report", report) end
  if screen.form ~= "table" then return write_rows(screen, report, by or { "day" }) end
  return core.system.write(require("proxylua.report").text(report, {
    width = terminal.width(1), ascii = not terminal.has_utf8(), color = screen.colors, by = by,
  }))
end

function M.run(args, context)
  if args.csv then context.screen:refuse_json("CSV", "give one of the two") end
  if args.html == "-" then context.screen:refuse_json("a page", "name a file with --html") end
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
