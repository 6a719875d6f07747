-- `proxylua deposit`: shows the address for a coin and its network, as a QR code on the terminal or
-- in a file, and waits for the money.

local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local names = require "proxylua.util.names"
local parsers = require "proxylua.cli.args.parser"
local tables = require "proxylua.term.table"
local terminal = require "proxylua.term.size"

local M = {}

local WORDS = 6 -- lines of text around a code, including the prompt

function M.parser(parser)
  local currency = parser:argument("currency", "the coin to deposit: BTC, ETH, USDT, LTC"):argname(
    "CURRENCY")
  parsers.suggest(currency, { "BTC", "ETH", "USDT", "LTC" })
  local network = parser:argument("network",
    "network, such as TRC20; required if there are "
    .. "several")
  parsers.suggest(network:argname("NETWORK"):args("?"), { "ERC20", "TRC20" })
  for _, form in ipairs{ "png", "svg" } do
    local summary = ("write the QR code to this file as %s, complete or not at all")
      :format(form:upper())
    parsers.suggest(parser:option("--" .. form, summary):argname("FILE"), "files")
  end
  parser:flag("--wait", "wait until the balance rises")
  parser:option("--wait-for", "maximum time to wait: 90s, 5m, 2h (implies --wait)"):argname(
    "DURATION")
  parser:option("--every", "time between two readings of the balance (default: 15s)"):argname(
    "DURATION")
  parsers.example(parser, "deposit BTC", "deposit USDT TRC20 --png usdt.png --wait-for 2h")
end

local function is_utf8()
  local locale = ""
  for _, name in ipairs{ "LANG", "LC_CTYPE", "LC_ALL" } do
    local value = os.getenv(name)
    if value and value ~= "" then locale = value:lower() end
  end
  return locale:find("utf%-?8") ~= nil
end

-- The reason why a code could not be read from this terminal, or nil.
local function obstacle(screen, columns, lines)
  if not is_utf8() then return "the locale is not UTF-8" end
  if not screen.colors then return "a QR code needs colours, or it could be light on dark" end
  local room = terminal.height(1)
  if terminal.width(1) < columns or (room and room < lines + WORDS) then
    return ("the terminal is too small for the code, which needs %d columns and %d lines"):format(
      columns,
      lines + WORDS)
  end
  return nil
end

-- The code; or nil and the reason.
local function code_of(screen, address)
  local ok, code, columns, lines = pcall(require("proxylua.qr").text, address)
  if not ok then return nil, core.error.is(code) and code.message or error(code, 0) end
  local why = obstacle(screen, columns, lines)
  if why then return nil, why .. "; use --png FILE or --svg FILE" end
  return code
end

-- The text is beside the code and not in it: few wallets understand more than an address.
local function show(screen, deposit)
  local code, why = code_of(screen, deposit.address)
  core.system.write(tables.clean(require("proxylua.api.deposits").words(deposit)), "\n",
    deposit.address, "\n", code or "")
  if deposit.warning then core.system.write("! ", tables.clean(deposit.warning), "\n") end
  if why then screen:note("the QR code is not shown: %s", why) end
end

local function print_deposit(screen, deposit)
  if screen.form == "table" then
    show(screen, deposit)
  else
    screen:record("deposit", deposit)
    if deposit.warning and screen.form == "plain" then
      screen:note("%s", tables.clean(deposit.warning))
    end
  end
  core.system.flush()
end

local STAYS = "the address stays valid, and a later deposit still counts"

-- A line on the terminal with the result of the last reading.
local function draw(from, ends, balance, err)
  local now = balance and "the balance is " .. tostring(balance) or "the balance cannot be read: "
    .. err.kind
  local left = ends and (", %s left"):format(duration.text(math.max(0, ends - core.task.clock())))
    or ""
  local text = ("waiting for more than %s, %s at %s%s"):format(tostring(from), now,
    os.date("%H:%M:%S"), left)
  io.stderr:write("\r\27[K", text:sub(1, math.max(1, terminal.width(2) - 1)))
end

local function wait(screen, from, options)
  local shown = core.system.isatty(2) and not screen.quiet
  local ends = options.timeout and core.task.clock() + options.timeout
  options.from = from
  function options.look(balance, err)
    if shown then draw(from, ends, balance, err) end
  end
  if not shown then screen:note("waiting until the balance rises above %s", tostring(from)) end
  local ok, risen = pcall(require("proxylua").deposits.wait, options)
  if shown then io.stderr:write("\r\27[K") end
  if not ok then
    if core.error.is(risen) and risen.kind == "cancelled" then screen:note("%s", STAYS) end
    error(risen, 0)
  end
  screen:note("the balance rose by %s to %s", tostring(risen.rise), tostring(risen.balance))
end

local function wait_options(args)
  if not args.wait and not args.wait_for then
    if args.every then names.usage("--every goes with --wait or --wait-for") end
    return nil
  end
  return {
    timeout = args.wait_for and duration.seconds(args.wait_for, "--wait-for"),
    interval = args.every and duration.seconds(args.every, "--every"),
  }
end

function M.run(args, context)
  local px, screen, waiting = require "proxylua", context.screen, wait_options(args)
  local from = waiting and px.account.get().balance -- read before the address is shown
  print_deposit(screen, px.deposits.request{ currency = args.currency, network = args.network,
    png = args.png, svg = args.svg })
  for _, form in ipairs{ "png", "svg" } do
    if args[form] then screen:note("saved %s", args[form]) end
  end
  if waiting then wait(screen, from, waiting) end
end

return M
