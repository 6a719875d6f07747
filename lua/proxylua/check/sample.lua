-- Whether the proxies of an order work. Of large orders some are looked at, evenly spread.

local check = require "proxylua.check"
local endpoints = require "proxylua.api.endpoints"

local M = {}

local MOST, AT_ONCE, TIMEOUT = 100, 32, 10 -- proxies of an order, proxies at a time, seconds

local function sample(list)
  if #list <= MOST then return list end
  local some = {}
  for at = 1, MOST do some[at] = list[1 + (at - 1) * #list // MOST] end
  return some
end

--- Looks at an order's proxies, as px.check.run does.
-- @param id of the order
-- @param url of the page, nil: the usual one
-- @return how many of those that were looked at work
-- @return how many were looked at
-- @raise what px.orders.proxies and px.check.run raise
function M.look(id, url)
  local list = sample(endpoints.orders.proxies(id))
  local options = { url = url, timeout = TIMEOUT, concurrency = AT_ONCE, history = false,
    events = false }
  return check.run(list, options).works, #list
end

return M
