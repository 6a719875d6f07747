-- `proxylua mcp`: the tools of proxylua for an agent, with a budget.

local context = require "proxylua.cli.context"
local core = require "proxylua.core"
local names = require "proxylua.util.names"
local parsers = require "proxylua.cli.args.parser"

local M = { bare = true }

local clients = { "claude", "cursor", "vscode" }

function M.parser(parser)
  parser:flag("--read-only", "offer nothing that buys, or writes files")
  parser:flag("--ask", "ask the person at the client before each purchase"):target("asks")
  parser:option("--max-price", "refuse orders that cost more"):argname("AMOUNT"):target("max_price")
  parser:option("--per-day", "what all runs of a day (UTC) may spend"):argname("AMOUNT")
    :target("per_day")
  parsers.suggest(parser:option("--folder",
    "write exports to this folder; without it there are none"):argname("FOLDER"), "files")
  parser:flag("--reveal", "show passwords of proxies to the agent")
  parsers.suggest(parser:option("--install-config",
    "print what the configuration of this client needs: claude, cursor or vscode")
    :argname("CLIENT"):choices(clients):target("client"), clients)
  parsers.example(parser, "mcp --spend 25 --max-price 10 --folder ~/proxies",
    "mcp --read-only", "mcp --install-config claude --spend 25")
end

-- --- the configuration of a client ---

local own = { sandbox = true, profile = true, base_url = true, store = true, spend = true,
  limits = true, timeout = true, trace = true }

-- The words with which the client starts the server: those of this command.
local function words_of(args, flags)
  local words = core.json.array{ "mcp" }
  local function add(name, value)
    if not value then return end
    words[#words + 1] = "--" .. name:gsub("_", "-")
    if value ~= true then words[#words + 1] = tostring(value) end
  end
  local given = {}
  for name in pairs(own) do given[#given + 1] = name end
  table.sort(given)
  for _, name in ipairs(given) do add(name, flags[name]) end
  add("read_only", args.read_only)
  add("ask", args.asks)
  add("max_price", args.max_price)
  add("per_day", args.per_day)
  add("folder", args.folder and core.system.real_path(args.folder))
  add("reveal", args.reveal)
  return words
end

local function print_config(args, flags)
  local server = { command = core.system.real_path("/proc/self/exe"), args = words_of(args, flags) }
  local config = { mcpServers = { proxylua = server } }
  if args.client == "vscode" then
    server.type = "stdio"
    config = { servers = { proxylua = server } }
  end
  core.system.write(core.json.encode(config, { indent = 2 }), "\n")
end

-- --- serving ---

local function lower(limit, given, option)
  if not given then return limit end
  local ok, amount = pcall(core.money.new, given)
  if not ok or amount < 0 then
    names.usage("%s takes an amount such as 25 or 9.30, got %s", option, given)
  end
  return limit and limit < amount and limit or amount
end

-- The limits of the configuration hold; those of the command line can only be lower.
local function configure(args, flags)
  local settings = context.settings(flags)
  local spend = settings.spend or {}
  spend.per_order = lower(spend.per_order, args.max_price, "--max-price")
  spend.per_day = lower(spend.per_day, args.per_day, "--per-day")
  settings.spend = next(spend) and spend
  core.api.configure(settings)
end

local function check_folder(folder)
  if not folder then return nil end
  if core.system.kind(folder) ~= "folder" then names.usage("%s is not a folder", folder) end
  return core.system.real_path(folder)
end

--- A signal is one of the ways in which it is meant to end.
function M.run(args, shell)
  if args.client then return print_config(args, shell.flags) end
  local folder = check_folder(args.folder)
  configure(args, shell.flags)
  local ok, err = pcall(require("proxylua.mcp").serve, { asks = args.asks,
    read_only = args.read_only, reveal = args.reveal, folder = folder })
  if not ok and not (core.error.is(err) and err.kind == "cancelled") then error(err, 0) end
end

return M
