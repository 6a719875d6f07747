-- Whether the proxies of an order work. For large orders, an evenly spread sample is checked.

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

--- Checks a sample of an order's proxies, with px.check.run.
-- @param id of the order
-- @param url of the page, nil: the default
-- @return how many proxies of the sample work
-- @return the size of the sample
-- @raise what px.orders.proxies and px.check.run raise
function M.look(id, url)
  local list = sample(endpoints.orders.proxies(id))
  local options = { url = url, timeout = TIMEOUT, concurrency = AT_ONCE, history = false,
    events = false }
  return check.run(list, options).works, #list
end

return M
