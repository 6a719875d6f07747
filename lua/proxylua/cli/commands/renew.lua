-- `proxylua renew`: extends orders that expire soon.

local duration = require "proxylua.util.duration"
local no_expiry = require "proxylua.cli.no_expiry"
local known = require "proxylua.cli.args.known"
local names = require "proxylua.util.names"
local parsers = require "proxylua.cli.args.parser"

local M = {}

local types = { "datacenter", "isp", "mobile", "residential", "ipv6" }

function M.parser(parser)
  parser:option("--within",
    "extend orders that expire within this duration, such as 12h or 3d; required"
    ):argname("DURATION")
  parser:option("--period",
    "days to add, more than --within (default: 30)"):argname("DAYS")
  parsers.suggest(parser:option("--type", "only orders of this type"):argname("TYPE"), types)
  parser:option("--country", "only orders of this country, such as US"):argname("COUNTRY")
  parsers.suggest(parser:option("--pool", "only orders of this pool of a fleet"):argname("POOL"),
    known.pools)
  parser:option("--checked",
    "only orders of which at least this percentage of the proxies works now (default: 50)")
    :argname("PERCENT"):args("?")
  parser:option("--check-url", "page for that check (default: the setting check_url)"):argname(
    "URL")
  parser:flag("--yes", "do not ask; spend only what --spend or the settings allow")
  parsers.example(parser, "renew --within 3d --period 30 --spend 50",
    "renew --within 3d --pool us-isp --dry-run")
end

-- "--checked" alone is an empty list, with its value a list of one.
local function share_of(args)
  return args.checked and (args.checked[1] or true)
end

local function period_of(args)
  if not args.period then return nil end
  return math.tointeger(tonumber(args.period))
    or names.usage("--period takes a number of days, got %s", args.period)
end

-- Orders without an expiry date that no message names.
local function without_skipped(plan)
  local is_skipped, ids = {}, {}
  for _, order in ipairs(plan.skipped) do is_skipped[order.order] = true end
  for _, id in ipairs(plan.endless) do ids[#ids + 1] = not is_skipped[id] and id or nil end
  return ids
end

function M.run(args, context)
  if not args.within then names.usage("--within is missing; use proxylua renew --within 3d") end
  local wanted = { within = args.within, period = period_of(args), type = args.type,
    country = args.country, pool = args.pool, checked = share_of(args),
    check_url = args.check_url }
  local renew = require "proxylua.fleet.renew"
  renew.check_period(duration.seconds(args.within, "--within"), wanted.period,
    { "--within", "--period" })
  require("proxylua.cli.spending").run(context, "renewal", function(options)
    local show = options.planned
    function options.planned(plan)
      show(plan)
      no_expiry(context.screen, without_skipped(plan), "not extended")
    end
    return renew.run(wanted, options)
  end, args.yes)
end

return M
