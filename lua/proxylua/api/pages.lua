--- Iterators over all pages of a list, one page in flight. See proxylua.api.walk.
-- @module px.pages

local core = require "proxylua.core"
local endpoints = require "proxylua.api.endpoints"
local names = require "proxylua.util.names"
local walk = require "proxylua.api.walk"

-- orders.list -> each, account.transactions -> each_transaction
local function name_of(name)
  return name == "list" and "each" or "each_" .. name:gsub("s$", "")
end

local M = {}

--- An iterator over the orders of all pages, which are fetched as needed. It returns each order
-- once, even if orders are added or removed meanwhile. The loop may be left at any time.
-- @function px.orders.each
-- @param params table, may be left out: those of px.orders.list; `page` to begin with (1), `limit`,
--   the size of a page (100); `on_problem`, a function that is called with an error for each order
--   that cannot be used, and for a list that could not be read completely
-- @return iterator function, which returns an order, and nil after the last
-- @raise what px.orders.list raises; an iterator that failed continues at the same place when it is
--   called again. After the last order it raises the problems as one error of kind protocol,
--   unless there is `on_problem`
-- @usage for one in px.orders.each{ status = "active" } do print(one.id, one.price) end

--- An iterator over the transactions of all pages, which are fetched as they are needed. It returns
-- each transaction once; transactions without ids that look the same are all returned.
-- @function px.account.each_transaction
-- @param params table, may be left out: those of px.account.transactions; `page`, `limit` and
--   `on_problem` as for px.orders.each
-- @return iterator function, which returns a transaction, and nil after the last
-- @raise as px.orders.each does
-- @usage for one in px.account.each_transaction() do
--   print(one.type, one.amount, one.created_at)
-- end

for _, row in ipairs(core.endpoints()) do
  if row.paged then
    local group, name = row.name:match("^(.-)%.(.+)$")
    local list, each = endpoints[group][name], name_of(name)
    local caller = group .. "." .. each
    local called = { caller = caller, endpoint = row.name, what = row.record .. "s" }
    M[group] = M[group] or {}

    M[group][each] = function(params)
      if params ~= nil and type(params) ~= "table" then
        names.usage("px.%s takes the parameters of px.%s as a table, got a %s", caller, row.name,
          type(params))
      end
      if params and params.on_problem ~= nil and type(params.on_problem) ~= "function" then
        names.usage("px.%s: on_problem must be a function, got a %s", caller,
          type(params.on_problem))
      end
      return walk.open(list, called, params)
    end
  end
end

return M
