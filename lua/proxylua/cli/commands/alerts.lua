-- `proxylua alerts`: what is amiss with the account, each told once; made for cron, where it is
-- silent unless there is news.

local core = require "proxylua.core"
local endless = require "proxylua.cli.endless"
local names = require "proxylua.util.names"
local parsers = require "proxylua.cli.args.parser"
local tables = require "proxylua.term.table"

local M = { summary =
  "tell once of a low balance, of orders that end soon, of proxies that fail; for cron" }

function M.parser(parser)
  parser:option("--balance", "tell when the balance is below this"):argname("AMOUNT")
  parser:option("--within", "tell of active orders that end within this: 12h, 3d"):argname(
    "DURATION")
  parser:option("--failing",
    "tell of orders of whose proxies more than this percentage do not work; asks through each")
    :argname("PERCENT")
  parser:option("--check-url",
    "what to ask for through the proxies (default: the setting check_url)")
    :argname("URL")
  parser:option("--url",
    "where to tell it: Slack, Discord, Telegram or anything that takes JSON (default: what "
    .. "PROXYLUA_NOTIFY_URL holds, which no list of processes shows; without either, standard "
    .. "output)"):argname("URL")
  local kind = parser:option("--kind",
    "json, slack, discord or telegram, where the URL's host does not tell")
  parsers.suggest(kind:argname("KIND"), { "json", "slack", "discord", "telegram" })
  parser:option("--chat", "the chat of Telegram"):argname("ID")
  parser:option("--name",
    "of this watch, where several with the same thresholds tell different people"):argname("NAME")
  parser:flag("--all", "show what was told before, too")
  parsers.example(parser, "alerts --balance 20 --within 3d",
    "--quiet --lock alerts alerts --balance 20 --failing 10")
end

local function shown(alerts, all)
  local list = core.json.array{}
  for _, alert in ipairs(alerts) do
    if all or alert.is_new then list[#list + 1] = alert end
  end
  return list
end

local function put(screen, alerts, args, url)
  if screen:is_data() then return screen:list(nil, shown(alerts, args.all)) end
  local new = shown(alerts)
  if url and #new > 0 then screen:note("%d told", #new) end
  for _, alert in ipairs(url and not args.all and {} or shown(alerts, args.all)) do
    core.system.write(tables.clean(alert.text), "\n")
  end
  if #alerts == 0 then screen:note("nothing is amiss") end
  if #alerts > #new and not args.all then
    screen:note("%d told before; --all shows them", #alerts - #new)
  end
end

function M.run(args, context)
  if not (args.balance or args.within or args.failing) then
    names.usage("nothing to watch: give --balance, --within or --failing")
  end
  local url = args.url or os.getenv("PROXYLUA_NOTIFY_URL")
  if url == "" then url = nil end
  -- What could not be written has not been told.
  local function show(alerts)
    put(context.screen, alerts, args, url)
    core.system.flush()
  end
  local alerts = require("proxylua").alerts{
    balance = args.balance, within = args.within, failing = args.failing,
      check_url = args.check_url, url = url,
    kind = args.kind, chat = args.chat, name = args.name, tell = not url and show or nil,
    on_problem = context.screen:reporter(),
  }
  if url then show(alerts) end
  endless(context.screen, alerts.endless, "not watched for that")
end

return M
