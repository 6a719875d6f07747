-- Events of charges: plugins are notified of each charge that was placed or refused. The binding
-- reports every charge here, so that none is left out.

local core = require "proxylua.core"
local hooks = require "proxylua.util.hooks"

local events = { ["orders.create"] = "order_placed", ["orders.extend"] = "order_extended" }
local refusals = { spend_refused = true, funds = true }

local function fill(to, from)
  for name, value in pairs(from) do
    if to[name] == nil then to[name] = value end
  end
end

-- A copy, since the caller may change its record later. Fields that the API did not return have the
-- requested values.
local function order_of(charge)
  local order = {}
  if type(charge.result) == "table" then fill(order, charge.result) end
  fill(order, { id = charge.order })
  if charge.endpoint == "orders.create" then
    fill(order, core.json.decode(charge.body))
    fill(order, { price = charge.quote })
  end
  return order
end

local function event_of(charge)
  local target = charge.endpoint or charge.request
  if refusals[charge.kind] then
    return "charge_refused", { endpoint = target, kind = charge.kind, message = charge.message }
  elseif charge.kind then
    return nil
  elseif charge.endpoint then
    return events[charge.endpoint], order_of(charge)
  end
  return "request_charged", { endpoint = target, id = charge.order, price = charge.quote }
end

-- In a separate task, so that finding the listeners does not delay the charge.
core.api.on_charge(function(charge)
  local event, data = event_of(charge)
  if event then core.task.spawn(pcall, hooks.call, "emit", event, data) end
end)
