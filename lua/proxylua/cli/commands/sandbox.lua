-- `proxylua sandbox`: runs the emulated API as a separate program until it is interrupted.

local core = require "proxylua.core"
local parsers = require "proxylua.cli.args.parser"

local M = { bare = true }

function M.parser(parser)
  parser:option("--port",
    "port of the API; its proxies use the next four ports if these are free (default: a free one)")
    :argname("PORT")
  parsers.suggest(parser:option("--state",
    "load orders and balance from this file, and save them there"):argname("FILE"),
    "files")
  parser:option("--balance", "balance of a new account (default: 1000.00)"):argname("AMOUNT")
  parsers.suggest(parser:option("--dialect",
    "form of responses: envelope (default), bare, snake, or mixed (each in turn)")
    :argname("DIALECT"), { "envelope", "bare", "snake", "mixed" })
  parser:option("--limits",
    "rate limits, such as general=60/60,orders=10/60 (default); algorithm=fixed, sliding, bucket "
      .. "or "
    .. "weighted may be added; or off"):argname("LIMITS")
  parser:option("--fault",
    "fault to emulate: ENDPOINT:NAME[=VALUE],…, such as orders.create:cut=after,count=2; may be "
      .. "repeated")
    :argname("FAULT"):count("*"):target("faults")
  parser:option("--key",
    "API key to accept (default: a well-known one); may be repeated")
    :argname("KEY"):count("*"):target("keys")
  parsers.suggest(parser:option("--passwords",
    "passwords of the proxies: plain (default), or hard (with characters that need escaping)")
    :argname("KIND"), { "plain", "hard" })
  parser:option("--seed", "seed of ids and passwords (default: random)"):argname("SEED")
  parser:flag("-q --quiet", "do not print a line to standard error for each request")
  parsers.example(parser, "sandbox --port 8100 --state sandbox.json",
    "sandbox --dialect mixed --fault '*:status=502,chance=0.1'")
end

local function start(args, flags)
  local options = {
    port = args.port, state = args.state, balance = args.balance, dialect = args.dialect,
      faults = args.faults,
    passwords = args.passwords, seed = args.seed, limits = args.limits or flags.limits,
    log = not (args.quiet or flags.quiet),
  }
  if #args.keys > 0 then options.keys = args.keys end
  return core.sandbox.start(options)
end

local text = [[
The emulated API listens on loopback until Ctrl-C. Its money is not real; its proxies work.

  export PROXYLUA_BASE_URL=%s
  export PROXYLUA_API_KEY=%s
  export PROXYLUA_CHECK_URL=%s
  proxylua --spend 25 orders create --type isp --quantity 10

  curl -H 'Authorization: Bearer %s' %s/account

PROXYLUA_CHECK_URL is a page that shows the address of its client.
]]

local function print_place(place, flags)
  if flags.json or flags.jsonl then
    core.system.write(core.json.encode(place), "\n")
  else
    core.system.write(text:format(place.url, place.key, place.trace_url, place.key, place.url))
  end
  core.system.flush()
end

--- A signal is the normal way to end, at any time.
function M.run(args, context)
  local flags = context.flags
  local ok, err = pcall(function()
    print_place(start(args, flags), flags)
    while true do core.task.sleep(3600) end
  end)
  core.sandbox.stop()
  if not ok and not (core.error.is(err) and err.kind == "cancelled") then error(err, 0) end
end

return M
