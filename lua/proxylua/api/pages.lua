--- Iterators over all pages of a list, one page in flight. See proxylua.api.walk.
-- @module px.pages

local core = require "proxylua.core"
local endpoints = require "proxylua.api.endpoints"
local options = require "proxylua.util.options"
local walk = require "proxylua.api.walk"

-- orders.list -> each, account.transactions -> each_transaction
local function name_of(name)
  return name == "list" and "each" or "each_" .. name:gsub("s$", "")
end

local M = {}

local on_problem = { "on_problem", "function", "called with an error for each record that cannot "
  .. "be used, and for a list that could not be read completely", meta = "fun(err: error)" }

-- Those of the list. The core checks the values when it sends a request.
local function rows_of(row)
  local rows = {}
  for at, of_list in ipairs(options.of_endpoint(row)) do
    rows[at] = { of_list[1], "any", of_list[3], known = of_list.known,
      doc = options.doc(of_list), meta = options.meta(of_list) }
  end
  rows[#rows + 1] = on_problem
  return rows
end

--- An iterator over the orders of all pages, which are fetched as needed. It returns each order
-- once, even if orders are added or removed meanwhile. The loop may be left at any time.
-- @function px.orders.each
-- @param params
-- @treturn fun():order? nil after the last
-- @raise what px.orders.list raises; an iterator that failed continues at the same place when it is
--   called again. After the last order it raises the problems as one error of kind protocol,
--   unless there is `on_problem`
-- @usage for one in px.orders.each{ status = "active" } do print(one.id, one.price) end

--- An iterator over the transactions of all pages, which are fetched as they are needed. It returns
-- each transaction once; transactions without ids that look the same are all returned.
-- @function px.account.each_transaction
-- @param params
-- @treturn fun():transaction? nil after the last
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

    local read = options.declare("px." .. caller, rows_of(row))

    M[group][each] = function(params)
      return walk.open(list, called, read(params))
    end
  end
end

return M
