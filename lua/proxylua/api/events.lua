-- Events of charges: plugins hear of each order that is placed or extended, and of each charge that
-- is refused.

local core = require "proxylua.core"
local hooks = require "proxylua.util.hooks"

local M = {}

local refusals = { spend_refused = true, funds = true }

local function on_failure(endpoint)
  return setmetatable({}, { __close = function(_, err)
    if core.error.is(err) and refusals[err.kind] then
      hooks.call("emit", "charge_refused", { endpoint = endpoint, kind = err.kind,
        message = err.message })
    end
  end })
end

--- A function that charges, with its outcome emitted.
-- @param event emitted when it charged
-- @param endpoint name
-- @param fn function(...) that returns an order
function M.watch(event, endpoint, fn)
  return function(...)
    local _ <close> = on_failure(endpoint)
    local order = fn(...)
    if not order.dry_run then hooks.call("emit", event, order) end
    return order
  end
end

return M
