-- The command and the events of plugin.lua.

local notify = require "notify"
local px = require "proxylua"
local stock = require "stock"

local M = {}

local function line(order)
  return ("%s: %s %s proxies%s for %s"):format(order.id, order.quantity or "?", order.type or "?",
    order.country and " in " .. order.country or "", order.price or "a price that is not known")
end

--- Buys what is missing. The key holds the week and the quantity that is wanted: cron may run it
-- daily.
function M.restock(options)
  local kind, country, wanted = options.of_type, options.country, options.quantity
  local there = stock.count(kind, country)
  local row = { type = kind, country = country, wanted = wanted, there = there, bought = 0 }
  if there >= wanted then return row end
  local params = { type = kind, country = country, quantity = wanted - there,
    period = options.period }
  if options.only_show then
    row.missing, row.price = wanted - there, px.orders.calc(params).price
    return row
  end
  params.key = ("%s-%s-%d-%s"):format(kind, country, wanted, os.date("!%G-W%V"))
  params.max_price = options.max_price
  local order = px.orders.create(params)
  row.bought, row.price, row.order_id = order.quantity, order.price, order.id
  notify("restocked " .. line(order))
  return row
end

-- What the rest of the run buys, or may not. With --sandbox nothing of it is real.
local function announce(event, text)
  if not event.sandbox then notify(text) end
end

function M.placed(order) announce(order, "bought " .. line(order)) end

function M.extended(order)
  announce(order, ("extended %s until %s"):format(order.id, order.expires_at or "?"))
end

function M.refused(what) announce(what, ("not bought (%s): %s"):format(what.kind, what.message)) end

return M
