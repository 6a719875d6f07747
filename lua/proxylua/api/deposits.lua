--- Deposits: the address for a coin and its network, a warning about the network, and waiting until
-- the money arrives.
-- @module px.deposits

local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local endpoints = require("proxylua.api.endpoints").deposits
local errors = require "proxylua.util.errors"
local names = require "proxylua.util.names"
local declare = require("proxylua.util.options").declare
local notes = require "proxylua.api.notes"
local qr = require "proxylua.qr"

local M = {}

-- The networks that the API's documentation names for a coin. More may exist; the addresses of the
-- account may name them.
local documented = { USDT = { "ERC20", "TRC20" } }

-- The requested network by address: a server may not report the network of an address later.
local ASKED, OF_API = "deposit", { api = true }

-- The spelling of the API, if known: "usdt" -> "USDT".
local function spell(word, known)
  for _, one in ipairs(known) do
    if one:upper() == word:upper() then return one end
  end
  return word
end

local function values_of(name)
  for _, row in ipairs(core.endpoints()) do
    for _, param in ipairs(row.name == "deposits.create_address" and row.params or {}) do
      if param.name == name then return param.values end
    end
  end
  return {}
end

local function same(a, b)
  return type(a) == "string" and type(b) == "string" and a:upper() == b:upper()
end

local function distrust(why, ...)
  core.error.raise{
    kind = "protocol", endpoint = "deposits.create_address",
    message = why:format(...) .. "; proxylua deposits addresses --json lists your addresses",
  }
end

local function is_address(text)
  return type(text) == "string" and text:find("^[!-~]+$") ~= nil
end

-- Money sent to a wrong address is lost.
local function check_address(record, currency, network)
  if not is_address(record.address) then
    distrust("the response has no usable address")
  elseif record.currency and not same(record.currency, currency) then
    distrust("the response has an address for %s instead of %s", record.currency, currency)
  elseif network and record.network and not same(record.network, network) then
    distrust("the response has an address on the network %s instead of %s", record.network,
      network)
  end
  return record
end

-- Fills in the networks that the server does not report.
local function recall(list)
  local untold = {}
  for _, record in ipairs(list) do
    if not record.network and is_address(record.address) then
      untold[#untold + 1] = record.address
    end
  end
  local asked = #untold > 0 and notes.get(ASKED, untold, OF_API) or {}
  for _, record in ipairs(list) do record.network = record.network or asked[record.address] end
  return list
end

-- The addresses of the account for a currency.
local function of_currency(currency)
  local list = {}
  for _, record in ipairs(endpoints.addresses()) do
    if same(record.currency, currency) then list[#list + 1] = record end
  end
  return recall(list)
end

-- An address without a known network does not match any requested network.
local function of_network(list, network)
  if not network then return list end
  local fitting = {}
  for _, record in ipairs(list) do
    if same(record.network, network) then fitting[#fitting + 1] = record end
  end
  return fitting
end

local function time_of(record)
  local ok, seconds = pcall(require("proxylua.util.time").time, record.created_at)
  return ok and record.created_at and seconds or 0
end

local function newest(list)
  local best
  for _, record in ipairs(list) do
    if not best or time_of(record) > time_of(best) then best = record end
  end
  return best
end

-- The known networks of a currency, sorted.
local function networks_of(currency, list)
  local set, sorted = {}, {}
  for _, network in ipairs(documented[currency] or {}) do set[network:upper()] = network end
  for _, record in ipairs(list) do
    if record.network then
      set[record.network:upper()] = set[record.network:upper()] or record.network
    end
  end
  for _, network in pairs(set) do sorted[#sorted + 1] = network end
  table.sort(sorted)
  return sorted
end

-- The network is not guessed: money sent on the wrong one is lost.
local function check_choice(currency, network, networks)
  if network or #networks < 2 then return end
  names.usage("%s exists on several networks (%s), and money sent on the wrong one is lost: "
    .. "name the network",
    currency, table.concat(networks, ", "))
end

-- Tried again only when nothing can have arrived. If something may have, the new address is found
-- in the list of addresses.
local function create(currency, network)
  local record, err = errors.try(endpoints.create_address,
    { currency = currency, network = network })
  if record then return record end
  local is_lost = err.kind == "network" or err.kind == "timeout" or err.kind == "upstream"
    or err.kind == "protocol"
  local found = is_lost and errors.try(function()
    return newest(of_network(of_currency(currency), network))
  end)
  return found or error(err, 0)
end

local function warning_of(deposit)
  local currency, network, networks = deposit.currency, deposit.network, deposit.networks
  if not network then
    return ("the server does not report the network of this address: ask the vendor before you "
      .. "send %s to it")
      :format(currency)
  end
  local others = {}
  for _, name in ipairs(networks) do
    if not same(name, network) then others[#others + 1] = name end
  end
  if #others == 0 then return nil end
  return ("send %s on %s only: money sent on another network (%s) is lost"):format(currency,
    network,
    table.concat(others, ", "))
end

local function find_or_create(currency, network)
  local list = of_currency(currency)
  local networks = networks_of(currency, list)
  local found = newest(of_network(list, network))
  if not found or #networks_of("", list) > 1 then check_choice(currency, network, networks) end
  local record = check_address(found or create(currency, network), currency, network)
  if network and not record.network then
    notes.put(ASKED, { [record.address] = network }, OF_API)
  end
  if record.network then networks = networks_of(currency, { record, table.unpack(list) }) end
  return {
    currency = currency, network = record.network or network, networks = core.json.array(networks),
    address = record.address, is_new = not found,
  }
end

local request_options = declare("px.deposits.request", {
  { "currency", "string", "the coin, such as USDT", required = true,
    expected = "a coin such as USDT" },
  { "network", "string", "its network, such as TRC20" },
  { "png", "string", "file for a QR code of the address, written completely or not at all" },
  { "svg", "string", "the same as SVG, with coin and network below the code" },
})

--- A name such as "USDT on TRC20".
-- @param deposit as px.deposits.request returns it
function M.words(deposit)
  if not deposit.network or same(deposit.network, deposit.currency) then return deposit.currency end
  return ("%s on %s"):format(deposit.currency, deposit.network)
end

--- An address for deposits.
-- @record deposit
-- @tfield string currency
-- @tfield[opt] string network
-- @tfield string address
-- @tfield boolean is_new
-- @tfield string[] networks those known to support the coin
-- @tfield[opt] string warning a text if the network matters

--- The address for deposits of a coin: the account's newest one, or a new one. A coin that exists
-- on several networks needs the network's name.
-- @function px.deposits.request
-- @param params
-- @treturn deposit
-- @raise usage if `network` is required and missing; config if libqrencode is not installed; the
--   errors of every API call
-- @usage local deposit = px.deposits.request{ currency = "USDT", network = "TRC20" }
-- print(deposit.currency, deposit.network, deposit.is_new)  --> USDT  TRC20  true
-- print(deposit.warning:match("^[^:]+"))  --> send USDT on TRC20 only
-- local again = px.deposits.request{ currency = "USDT", network = "TRC20" }
-- print(again.address == deposit.address)  --> true
function M.request(given)
  local params = request_options(given)
  local network = params.network and spell(params.network, values_of("network"))
  local deposit = find_or_create(spell(params.currency, values_of("currency")), network)
  deposit.warning = warning_of(deposit)
  if params.png then core.system.write_file(params.png, qr.png(deposit.address)) end
  if params.svg then
    core.system.write_file(params.svg, qr.svg(deposit.address, { caption = M.words(deposit) }))
  end
  return deposit
end

local wait_options = declare("px.deposits.wait", {
  { "from", "money", "the balance to begin with", usual = "the first reading" },
  { "timeout", "duration", "longest wait", usual = "no limit" },
  -- A deposit takes minutes, and other calls need the rate limit.
  { "interval", "duration", "between two readings", above = 0, default = "15s" },
  { "look", "function", "called after each reading with the balance, or with nil and the error",
    meta = "fun(balance?: money, err?: error)" },
})

-- Temporary errors: a wait of hours meets network failures.
local passing = { network = true, timeout = true, upstream = true, protocol = true,
  rate_limited = true }

-- The balance, or nil and a temporary error.
local function look_at_balance()
  local account, err = errors.try(require("proxylua.api.endpoints").account.get)
  if account and not account.balance then
    core.error.raise{ kind = "protocol", endpoint = "account.get",
      message = "the response has no balance" }
  end
  if account then return account.balance end
  if not passing[err.kind] then error(err, 0) end
  return nil, err
end

local function give_up(seconds)
  core.error.raise{
    kind = "timeout",
    message = ("the balance has not risen in %s; the address stays valid, and a later deposit "
      .. "still counts"):format(
      duration.text(seconds)),
  }
end

--- A balance that has risen.
-- @record rise
-- @tfield money balance
-- @tfield money rise

--- Waits until the balance rises: reads it repeatedly, within the rate limits. Purchases lower it
-- meanwhile, so a rise above the previous reading counts. A temporary failure (network, timeout,
-- upstream) does not end the wait.
-- @function px.deposits.wait
-- @param options
-- @treturn rise
-- @raise timeout; usage; auth, forbidden and other permanent errors
-- @usage local account = px.account.get()
-- print(px.deposits.wait{ from = account.balance - 5, timeout = "2h" }.rise)  --> 5.00
function M.wait(given)
  local wait = wait_options(given)
  local look, timeout = wait.look or function() end, wait.timeout or math.huge
  local last, ends = wait.from, core.task.clock() + timeout
  while true do
    local balance, err = look_at_balance()
    look(balance, err)
    if balance and last and balance > last then
      return { balance = balance, rise = balance - last }
    end
    last = balance or last
    local left = ends - core.task.clock()
    if left <= 0 then give_up(timeout) end
    core.task.sleep(math.min(wait.interval, left))
  end
end

return M
