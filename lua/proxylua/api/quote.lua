-- Prices from the API: one quote for all actions of the same kind, since quotes take slots of the
-- rate limit.

local core = require "proxylua.core"
local endpoints = require "proxylua.api.endpoints"
local errors = require "proxylua.util.errors"
local tasks = require "proxylua.tasks"

local M = {}

local AT_ONCE = 8

local fields = { "type", "quantity", "country", "period" }

local function kind_of(action)
  local words = {}
  for at, name in ipairs(fields) do words[at] = tostring(action[name] or "") end
  return table.concat(words, " ")
end

-- Names which of the requested actions the API refused.
local function refuse(action, err, describe)
  core.error.raise{
    kind = err.kind, endpoint = err.endpoint, status = err.status, code = err.code,
      details = err.details,
    charge = err.charge, message = ("no quote for %s: %s"):format(describe(action), err.message),
  }
end

local function ask(action, describe)
  local params = {}
  for _, name in ipairs(fields) do params[name] = action[name] end
  local quoted, err = errors.try(endpoints.orders.calc, params)
  if not quoted and err.kind == "invalid" then refuse(action, err, describe) end
  if not quoted then error(err, 0) end
  local price = quoted.price
  if core.money.is(price) then return price end
  core.error.raise{
    kind = "protocol", endpoint = "orders.calc", charge = "none",
    message =
      ("the quote for %s has no readable field \"price\"; nothing was bought"):format(
      describe(action)),
  }
end

--- Asks for the prices of actions.
-- @param actions list
-- @param describe function of an action: its description for messages
-- @param progress function of a label and a count: object with the methods step and finish
-- @return function of an action: money
-- @raise what px.orders.calc raises; protocol, for a quote without a price
function M.prices(actions, describe, progress)
  local kinds, wanted, prices = {}, {}, {}
  for _, action in ipairs(actions) do
    local kind = kind_of(action)
    if not kinds[kind] then
      kinds[kind] = true
      wanted[#wanted + 1] = action
    end
  end
  progress = progress("quotes", #wanted)
  tasks.map(wanted, function(action)
    prices[kind_of(action)] = ask(action, describe)
    progress:step()
  end, { concurrency = AT_ONCE })
  progress:finish()
  return function(action) return prices[kind_of(action)] end
end

return M
