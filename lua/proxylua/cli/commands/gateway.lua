-- `proxylua gateway`: one local address in front of the proxies of orders or files.

local core = require "proxylua.core"
local country_code = require "proxylua.util.country"
local duration = require "proxylua.util.duration"
local names = require "proxylua.util.names"
local parsers = require "proxylua.cli.args.parser"

local M = { renamed = { timeout = "proxy_timeout" } }

local STEP <const> = 1 -- seconds between two looks at the clock
local MAX_USERS <const> = 1 << 20 -- bytes
local OTHERS <const> = 63 -- permission bits of the group and of all (077)
local METRICS <const> = "127.0.0.1:8081"

local strategies = { "round_robin", "random", "least_latency", "sticky" }

local function add_source(parser)
  parser:option("--order", "proxies of this order (default: all active ones); may come several "
    .. "times"):argname("ID"):count("*"):target("orders")
  parser:option("--pool", "proxies of the orders of this pool of a fleet"):argname("NAME")
  parsers.suggest(parser:option("--from", "proxies of this file, which is read again when it "
    .. "changes; may come several times"):argname("FILE"):count("*"), "files")
  parsers.suggest(parser:option("--type", "orders of this type"):argname("TYPE"),
    { "datacenter", "ipv6", "isp", "mobile", "residential" })
  parser:option("--country", "orders of this country"):argname("COUNTRY")
  parser:option("--refresh", "time between two looks at the orders (default: 5m)"):argname(
    "DURATION")
  parsers.whole(parser:option("--refresh-budget",
    "requests that these looks may take in an hour (default: 60)"):argname("NUMBER")
    :target("budget"))
end

local function add_access(parser)
  parsers.suggest(parser:option("--users", "file of NAME:PASSWORD lines; needed to listen on more "
    .. "than this machine"):argname("FILE"), "files")
  parser:option("--allow", "targets: HOST, *.DOMAIN, ADDRESS or NETWORK/BITS, with :PORT if "
    .. "wanted; may come several times"):argname("TARGET"):count("*")
  parser:option("--deny", "targets that are refused, before --allow"):argname("TARGET"):count("*")
  parsers.suggest(parser:option("--resolve", "where names of targets are looked up: remote "
    .. "(default), or local, to judge them by their addresses"):argname("WHERE"):choices{ "local",
    "remote" }, { "local", "remote" })
end

function M.parser(parser)
  parser:require_command(false)
  parser:option("--listen", "address and port (default: 127.0.0.1:8080; port 0: a free one)")
    :argname("ADDRESS:PORT")
  add_source(parser)
  parsers.suggest(parser:option("--strategy", "which proxy a request takes: "
    .. table.concat(strategies, ", ") .. " (default: round_robin)"):argname("NAME")
    :choices(strategies), strategies)
  parser:option("--quarantine", "time for which a proxy that failed is set aside (default: 5m)")
    :argname("DURATION")
  parser:option("--proxy-timeout", "time until a proxy must have reached the target (default: 20s)")
    :argname("DURATION"):target("proxy_timeout")
  parser:option("--idle", "time after which a silent connection is closed (default: 10m)")
    :argname("DURATION")
  parsers.whole(parser:option("--connections", "most connections at once (default: what the limit "
    .. "of descriptors allows)"):argname("NUMBER"))
  add_access(parser)
  parser:option("--metrics", "address and port of /metrics and /stats, on this machine")
    :argname("ADDRESS:PORT")
  parsers.suggest(parser:option("--log", "append a JSON line for each request to this file (-: "
    .. "standard output)"):argname("FILE"), "files")
  parser:option("--drain", "time for open connections at the end (default: 30s)"):argname(
    "DURATION")
  parsers.example(parser, "gateway --listen 127.0.0.1:8080 --strategy least_latency",
    "gateway --from proxies.txt --metrics " .. METRICS, "gateway stats")
  local stats = parsers.command(parser, "stats", "show the counters of a running gateway",
    "gateway stats --metrics " .. METRICS)
  stats:option("--metrics", "address and port of its counters (default: " .. METRICS .. ")")
    :argname("ADDRESS:PORT")
end

-- --- gateway stats ---

local function show_stats(args, screen)
  local place = args.metrics or METRICS
  local response = core.http.get(("http://%s/stats"):format(place), { timeout = 10, proxy = "" })
  if not response.ok then
    core.error.raise{ kind = "network", message = ("%s is not the address of a gateway's counters "
      .. "(status %d)"):format(place, response.status) }
  end
  local stats = response:json()
  if screen:is_data() then return screen:record(nil, stats) end
  screen:list("gateway", stats.proxies)
  screen:note("%d requests, %d failed, %d tried through a second proxy, %d refused; %d open",
    stats.requests, stats.failed, stats.retried, stats.refused, stats.open)
end

-- --- running it ---

local function read_users(path)
  if not path then return nil end
  local text = core.system.read_trusted(path, MAX_USERS, "--users: cannot read")
  if core.system.status(path).mode & OTHERS ~= 0 then
    names.usage("--users: other users can read %s; run chmod 600", path)
  end
  local users, number = {}, 0
  for line in (text .. "\n"):gmatch("(.-)\r?\n") do
    number = number + 1
    local name, password = line:match("^([^:]+):(.+)$")
    if name then
      users[name] = password
    elseif line ~= "" and not line:find("^#") then
      names.usage("--users: %s:%d: expected NAME:PASSWORD", path, number)
    end
  end
  if not next(users) then names.usage("--users: %s has no users", path) end
  return users
end

local function check(args)
  local sources = (#args.orders > 0 and 1 or 0) + (args.pool and 1 or 0)
    + (#args.from > 0 and 1 or 0)
  if sources > 1 then names.usage("give one of --order, --pool and --from") end
  if (args.type or args.country) and (#args.orders > 0 or #args.from > 0) then
    names.usage("--type and --country choose among all active orders, or those of --pool")
  end
  if args.country and not country_code(args.country) then
    names.usage("--country takes a code of two letters, such as US, got %s", args.country)
  end
  if args.budget and args.budget < 1 then names.usage("--refresh-budget must be at least 1") end
end

local function follower_of(args, screen)
  local source = { pool = args.pool, type = args.type, country = args.country,
    from = #args.from > 0 and args.from or nil, orders = #args.orders > 0 and args.orders or nil }
  return require("proxylua.gateway.follow").open(source, {
    interval = duration.seconds(args.refresh or (source.from and "5s" or "5m"), "--refresh"),
    budget = args.budget or 60, note = function(...) screen:note(...) end,
    problem = screen:reporter(), owners = function() return require("proxylua.fleet").owners() end,
  })
end

-- Until the run ends. A list that becomes empty is reported, and taken.
local function keep_list(follower, gateway, screen)
  while true do
    core.task.sleep(STEP)
    local list = follower:again()
    if list then
      gateway:update(list)
      if #list == 0 then screen:note("there are no proxies any more") end
    end
  end
end

local function print_address(gateway, count, screen)
  if screen:is_data() then
    screen:record(nil, { url = gateway.url, port = gateway.port, proxies = count,
      metrics = gateway.metrics_url })
    return core.system.flush()
  end
  screen:note("%s is a proxy (HTTP and SOCKS 5) in front of %d %s; Ctrl-C ends it", gateway.url,
    count, count == 1 and "proxy" or "proxies")
  if gateway.metrics_url then screen:note("counters: %s/metrics", gateway.metrics_url) end
end

-- The proxies follow when the others are known to be valid.
local function options_of(args)
  return {
    proxies = {}, listen = args.listen, metrics = args.metrics, strategy = args.strategy,
    quarantine = args.quarantine, timeout = args.proxy_timeout, idle = args.idle,
    connections = args.connections, users = read_users(args.users), allow = args.allow,
    deny = args.deny, resolve = args.resolve, log = args.log, drain = args.drain or "30s",
  }
end

local function serve(args, screen)
  check(args)
  if args.log == "-" then screen:refuse_json("the log", "it is JSON") end
  local options = options_of(args)
  require("proxylua.gateway.options")(options)
  local follower = follower_of(args, screen)
  local list = follower:first()
  if #list == 0 then
    core.error.raise{ kind = "not_found", code = "empty", message = "there are no proxies" }
  end
  options.proxies = list
  local gateway = require("proxylua.gateway").start(options)
  print_address(gateway, #list, screen)
  core.task.spawn(keep_list, follower, gateway, screen)
  gateway:join()
end

--- A signal is how it is meant to end: then open connections have the time of --drain.
function M.run(args, context)
  if args.stats then return show_stats(args, context.screen) end
  local ok, err = pcall(serve, args, context.screen)
  if ok or core.error.is(err) and err.kind == "cancelled" then return end
  error(err, 0)
end

return M
