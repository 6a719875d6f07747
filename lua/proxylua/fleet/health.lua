-- Whether the proxies of an order work: how many of them fetch a small page. Of large orders some are looked at, evenly spread.

local core = require "proxylua.core"
local endpoints = require "proxylua.endpoints"
local errors = require "proxylua.errors"
local tasks = require "proxylua.tasks"

local M = {}

local URL = "https://1.1.1.1/cdn-cgi/trace"
local MOST, AT_ONCE, TIMEOUT = 100, 32, 10 -- proxies of an order, proxies at a time, seconds

local function sample(list)
  if #list <= MOST then return list end
  local some = {}
  for at = 1, MOST do some[at] = list[1 + (at - 1) * #list // MOST] end
  return some
end

--- Where the page is, unless somebody says.
function M.url()
  local place = core.sandbox.place()
  return place and place.trace_url or URL
end

--- Looks at an order's proxies.
-- @param id of the order
-- @param url of the page
-- @return how many of those that were looked at work
-- @return how many were looked at
-- @raise what px.orders.proxies raises
function M.look(id, url)
  local list, working = sample(endpoints.orders.proxies(id)), 0
  tasks.map(list, function(proxy)
    local answer = errors.try(core.http.get, url, { proxy = proxy, timeout = TIMEOUT })
    if answer and answer.ok then working = working + 1 end
  end, { concurrency = AT_ONCE })
  return working, #list
end

return M
