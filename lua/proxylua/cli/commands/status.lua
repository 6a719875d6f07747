-- `proxylua status`: the account and its proxies on one screen, once or again and again.

local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local names = require "proxylua.util.names"
local parsers = require "proxylua.cli.args.parser"
local terminal = require "proxylua.term.size"

local M = {}

local SHORTEST <const> = 2 -- seconds between two looks
local TOP_AND_CLEAR <const> = "\27[H\27[2J"

function M.parser(parser)
  parsers.suggest(parser:option("--pools", "compare the orders with the pools of this file")
    :argname("FILE"), "files")
  parser:option("--watch", "look again after this time, such as 5s, until Ctrl-C")
    :argname("DURATION")
  parsers.suggest(parser:option("--html", "write a page to this file; with --watch again and again")
    :argname("FILE"), "files")
  parsers.example(parser, "status", "status --pools fleet.lua --watch 10s",
    "status --html status.html")
end

local function where_of(settings)
  return settings.sandbox and "the sandbox" or settings.base_url:match("^%w+://([^/]+)")
end

local function put(screen, status, args, context)
  local where = where_of(context.settings)
  if args.html then
    core.system.write_file(args.html, require("proxylua.status.html").page(status,
      { where = where, refresh = args.watch }))
    if not args.watch then screen:note("%s written", args.html) end
    return
  end
  if screen:is_data() then return screen:record("status", status) end
  local text = require("proxylua.status.text").render(status, {
    where = where, color = screen.colors,
    width = screen.is_terminal and terminal.width(1) or math.huge,
  })
  core.system.write(args.watch and screen.is_terminal and TOP_AND_CLEAR or "", text)
end

function M.run(args, context)
  local screen = context.screen
  if args.html == "-" then names.usage("--html -: name a file") end
  if args.html then screen:refuse_json("a page", "use one of the two") end
  if args.watch then
    args.watch = duration.seconds(args.watch, "--watch")
    if args.watch < SHORTEST then
      names.usage("--watch must be at least %ds: each look takes up to two requests", SHORTEST)
    end
    if screen.form == "json" then
      names.usage("--json is one value; use --jsonl, which prints one for each look")
    end
  end
  local watcher = require("proxylua.status").open{ pools = args.pools,
    on_problem = screen:reporter() }
  while true do
    put(screen, watcher:look(), args, context)
    core.system.flush()
    if not args.watch then return end
    core.task.sleep(args.watch)
    if not args.html and not screen:is_data() and not screen.is_terminal then
      core.system.write("\n")
    end
  end
end

return M
