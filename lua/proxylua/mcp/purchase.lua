-- Calls that spend: each has a key, and a person is asked first if the server was started with
-- --ask. What may be spent is decided in the core, below all of this.

local core = require "proxylua.core"
local endpoints = require "proxylua.api.endpoints"
local errors = require "proxylua.util.errors"
local quote = require "proxylua.api.quote"
local run = require "proxylua.fleet.run"

local M = {}

local function refuse(...)
  core.error.raise{ kind = "spend_refused", charge = "none",
    message = (...):format(select(2, ...)) }
end

--- The key of a call without one: the same call in the same run of the server has the same key.
-- @param session with `run_id`
-- @param name of the tool
-- @param arguments table
function M.key(session, name, arguments)
  local digest = core.digest.sha256(name .. core.json.encode(arguments))
  return ("mcp-%s-%s"):format(session.run_id, digest:sub(1, 24))
end

local function is_placed(key)
  local entry = core.journal.get(key)
  return entry ~= nil and entry.state == "placed"
end

-- "isp in US for 30 days"
local function words_of(what)
  return ("%s%s%s"):format(what.type or "proxies", what.country and " in " .. what.country or "",
    what.period and (" for %s day%s"):format(what.period, what.period == 1 and "" or "s") or "")
end

local function describe(what)
  return ("%s %s"):format(what.quantity or "?", words_of(what))
end

local function price_of(what)
  return quote.prices({ what }, describe, run.quiet.progress)(what)
end

local function with_balance(question, price)
  local account = errors.try(endpoints.account.get)
  local balance = account and account.balance
  if not core.money.is(balance) then return question .. "?" end
  return ("%s (balance %s -> %s)?"):format(question, balance, balance - price)
end

-- What would be bought, at its price, and the words that ask for it.
local asked = {
  ["orders.create"] = function(params)
    local price = price_of(params)
    return price, ("Buy %s: %s"):format(describe(params), price)
  end,
  ["orders.extend"] = function(params)
    local order = endpoints.orders.get(params.id)
    local price = price_of{ type = order.type, quantity = order.quantity, country = order.country,
      period = params.period }
    return price, ("Extend order %s (%s %s) by %s days: %s"):format(params.id,
      order.quantity or "?", words_of{ type = order.type, country = order.country }, params.period,
      price)
  end,
}

-- A yes allows this price and no higher one.
local function ask(call, row, params)
  local price, question = asked[row.name](params)
  local most = params.max_price and core.money(params.max_price)
  if most and price > most then
    refuse("this would cost %s, above max_price %s; nothing was bought", price, most)
  end
  call:ask(with_balance(question, price), price)
  return price
end

--- Buys or extends.
-- @param call of the server
-- @param row of the endpoint table
-- @param arguments table
-- @return record of the order, with `key`, and `repeated` if the key had placed it before
-- @raise what px.orders.create raises; spend_refused where a person does not agree
function M.charge(call, row, arguments)
  local params, session = {}, call.session
  for name, value in pairs(arguments) do params[name] = value end
  params.key = params.key or M.key(session, row.name, arguments)
  local key = params.key
  local before = session.placed[key] or is_placed(key)
  if session.asks and not before then params.max_price = ask(call, row, params) end
  local orders = require "proxylua.api.orders"
  local order
  if row.name == "orders.extend" then
    local id = params.id
    params.id = nil
    order = orders.extend(id, params)
  else
    order = orders.create(params)
  end
  if order.dry_run then return order end
  order.key = key
  order.repeated = (before or session.placed[key] or false) and true
  session.placed[key] = true
  call:log("notice", ("%s: order %s under key %s%s"):format(row.name, order.id, key,
    order.repeated and ", placed before" or ""))
  return order
end

--- Options for px.fleet's and px.renew's runs: asks for the whole plan before anything is spent.
-- @param call of the server
-- @param most highest total, nil: as the server was started
-- @param what words for the plan
function M.plan_options(call, most, what)
  local options = setmetatable({ budget = most and core.money(most) }, { __index = run.quiet })
  function options.progress(label, total)
    local count = 0
    return { finish = function() end, step = function()
      count = count + 1
      call:progress(count, total, label)
    end }
  end
  function options.planned(plan)
    options.plan = plan
    local total = core.money(plan.total)
    if call.session.asks and total > 0 then
      call:ask(with_balance(("%s for %s in all"):format(what, total), total), total)
    end
  end
  return options
end

return M
