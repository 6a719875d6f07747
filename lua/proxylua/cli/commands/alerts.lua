-- `proxylua alerts`: reports each problem of the account once. It prints nothing when there is
-- nothing new, as cron jobs should.

local core = require "proxylua.core"
local no_expiry = require "proxylua.cli.no_expiry"
local messages = require "proxylua.cli.commands.notify"
local names = require "proxylua.util.names"
local parsers = require "proxylua.cli.args.parser"
local tables = require "proxylua.term.table"

local M = {}

function M.parser(parser)
  parser:option("--balance", "report a balance below this amount"):argname("AMOUNT")
  parser:option("--within", "report active orders that expire within this time, such as 12h or 3d")
    :argname("DURATION")
  parser:option("--failing",
    "report orders of which more than this percentage of the proxies do not work")
    :argname("PERCENT")
  parser:option("--check-url",
    "page to fetch through the proxies (default: the setting check_url)")
    :argname("URL")
  messages.add_receiver(parser, "; else standard output")
  parser:option("--name",
    "name of this watch, if several have the same thresholds"):argname("NAME")
  parser:flag("--all", "also show problems that were reported before")
  parser:flag("--test", "send one test message, and check nothing")
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
  if url and #new > 0 then
    screen:note(#new == 1 and "%d problem reported" or "%d problems reported", #new)
  end
  for _, alert in ipairs(url and not args.all and {} or shown(alerts, args.all)) do
    core.system.write(tables.clean(alert.text), "\n")
  end
  if #alerts == 0 then screen:note("no problems found") end
  if #alerts > #new and not args.all then
    screen:note("%d reported before; --all shows them", #alerts - #new)
  end
end

function M.run(args, context)
  if args.test then
    args.text = "1001Proxy: this is a test of proxylua alerts"
    return messages.run(args, context)
  end
  if not (args.balance or args.within or args.failing) then
    names.usage("nothing to watch: use --balance, --within or --failing")
  end
  local url = args.url or os.getenv("PROXYLUA_NOTIFY_URL")
  if url == "" then url = nil end
  -- A problem counts as reported only after it was written.
  local function show(alerts)
    put(context.screen, alerts, args, url)
    core.system.flush()
  end
  local alerts = require("proxylua").alerts{
    balance = args.balance, within = args.within,
    failing = args.failing, check_url = args.check_url, url = url,
    kind = args.kind, chat = args.chat, name = args.name, tell = not url and show or nil,
    on_problem = context.screen:reporter(),
  }
  if url then show(alerts) end
  no_expiry(context.screen, alerts.endless, "not watched for that")
end

return M
