--- Iterators over all pages of a list: one page in flight, records de-duplicated by their ids,
-- since they move from page to page while others are added.
-- @module px.pages

local core = require "proxylua.core"
local endpoints = require "proxylua.api.endpoints"
local names = require "proxylua.util.names"

local MOST_A_PAGE = 100
-- ids remembered, up to twice as many: records move by as many as are added between two pages
local MOST_SEEN = 1000
local MOST_STALE = 3 -- pages in a row without anything new, of a list that is not seen whole

-- Whether two values hold the same, tables field by field.
local function same(a, b)
  if a == b then return true end
  if type(a) ~= "table" or type(b) ~= "table" then return false end
  for name, value in pairs(a) do
    if not same(value, b[name]) then return false end
  end
  for name in pairs(b) do
    if a[name] == nil then return false end
  end
  return true
end

local function same_records(page, before)
  if #page ~= #before then return false end
  for index, record in ipairs(page) do
    if not same(record, before[index]) then return false end
  end
  return true
end

-- Whether an id was seen lately; it is from now on. Two sets, of which the older is dropped when
-- the newer is full, so that a list of any length is walked in constant memory.
local function is_known(walk, id)
  if walk.seen[id] then return true end
  local known = walk.seen_before[id]
  if walk.seen_count == MOST_SEEN then
    walk.seen, walk.seen_before, walk.seen_count = {}, walk.seen, 0
  end
  walk.seen[id], walk.seen_count = true, walk.seen_count + 1
  return known
end

-- The records of a page that were not seen before. Those without an id cannot be told apart: they
-- are new unless the whole page is the one before.
local function unseen(page, walk)
  local fresh = {}
  if same_records(page, walk.page) then return fresh end
  for _, record in ipairs(page) do
    if record.id == nil or not is_known(walk, record.id) then
      fresh[#fresh + 1] = record
      walk.count = walk.count + 1
    end
  end
  return fresh
end

-- A server that says has_more for ever is believed as long as it brings something new. Nothing new
-- may also mean that a whole page of records was added in front meanwhile: then fewer were seen
-- than there are.
local function is_last(page, walk)
  if page.has_more == false or #page == 0 then return true end
  walk.stale = #walk.records == 0 and walk.stale + 1 or 0
  if walk.stale == 0 then return false end
  if not page.total or walk.count >= page.total then return true end
  if walk.stale <= MOST_STALE then return false end
  core.error.raise{
    kind = "protocol", message =
      ("the server tells of %d records, and its pages bring no more than %d of them"):format(
      page.total, walk.count),
  }
end

-- Fetches the next page.
local function advance(walk)
  if walk.fetching then
    names.usage("px.%s: two tasks read one iterator at the same time; px.map shares one out",
      walk.caller)
  end
  walk.fetching = true
  local ok, page = pcall(walk.list, walk.query)
  walk.fetching = false
  if not ok then error(page, 0) end
  walk.query.page = walk.query.page + 1
  walk.records, walk.at = unseen(page, walk), 0
  walk.page = page
  walk.ended = is_last(page, walk)
end

local function iterate(list, caller, params)
  local walk = { list = list, caller = caller, query = {}, page = {}, records = {}, at = 0 }
  walk.seen, walk.seen_before, walk.seen_count = {}, {}, 0
  walk.count, walk.stale = 0, 0
  for name, value in pairs(params or {}) do walk.query[name] = value end
  walk.query.page = walk.query.page or 1
  walk.query.limit = walk.query.limit or MOST_A_PAGE
  return function()
    while walk.at == #walk.records do
      if walk.ended then return nil end
      advance(walk)
    end
    walk.at = walk.at + 1
    return walk.records[walk.at]
  end
end

-- orders.list -> each, account.transactions -> each_transaction
local function name_of(name)
  return name == "list" and "each" or "each_" .. name:gsub("s$", "")
end

local M = {}

--- An iterator over the orders of all pages, which are fetched as they are needed. Breaking off
-- leaves nothing behind.
-- @function px.orders.each
-- @param params table, may be left out: those of px.orders.list; `page` is where to begin (1),
--   `limit` the size of a page (100)
-- @return iterator function, which answers an order, and nil behind the last
-- @raise what px.orders.list raises; an iterator that failed goes on where it stood when it is
--   called again
-- @usage for one in px.orders.each{ status = "active" } do print(one.id, one.price) end

--- An iterator over the transactions of all pages, which are fetched as they are needed.
-- @function px.account.each_transaction
-- @param params table, may be left out: those of px.account.transactions; `page` is where to begin
--   (1), `limit` the size of a page (100)
-- @return iterator function, which answers a transaction, and nil behind the last
-- @raise what px.account.transactions raises; an iterator that failed goes on where it stood when
--   it is called again
-- @usage for one in px.account.each_transaction() do
--   print(one.type, one.amount, one.created_at)
-- end

for _, row in ipairs(core.endpoints()) do
  if row.paged then
    local group, name = row.name:match("^(.-)%.(.+)$")
    local list, each = endpoints[group][name], name_of(name)
    local caller = group .. "." .. each
    M[group] = M[group] or {}

    M[group][each] = function(params)
      if params ~= nil and type(params) ~= "table" then
        names.usage("px.%s takes the parameters of px.%s as a table, got a %s", caller, row.name,
          type(params))
      end
      return iterate(list, caller, params)
    end
  end
end

return M
