-- Reads all pages of a list that may change meanwhile, and returns each record once.
--
-- A record that leaves the list moves all records after it, so that a reader of pages misses the
-- first one of the next page. If the server respects the requested limit, pages of slightly
-- different sizes overlap: each also has the last record of the page before. While that record is
-- found, nothing was missed; otherwise the reader goes back. If pages cannot overlap, the total
-- must stay the same and agree with the records of a pass; without a total, two passes must agree.
-- Otherwise the list is read again from its beginning.

local core = require "proxylua.core"
local names = require "proxylua.util.names"

local M = {}

local MAX_LIMIT = 100 -- records per page, the API's maximum
local MAX_PASSES = 3
local MAX_STALE = 3 -- pages in a row without a new record, in a list that should have more
local MAX_STALE_OVERLAPS = 20
local MAX_NAMED = 3 -- problems in one message
local FAR = 100000 -- pages ahead, where a server that supports pages has no records

-- The identity of a record, and whether it is an id.
local function key_of(record)
  if record.id ~= nil then return "i" .. tostring(record.id), true end
  return "r" .. core.json.encode(record, { bytes = "escape" }), false
end

local function same(a, b)
  if #a ~= #b then return false end
  for at, key in ipairs(a) do
    if key ~= b[at] then return false end
  end
  return true
end

local function share_one(a, b)
  local set = {}
  for _, key in ipairs(a) do set[key] = true end
  for _, key in ipairs(b) do
    if set[key] then return true end
  end
  return false
end

local function new_error(walk, text)
  return core.error.new{ kind = "protocol", endpoint = walk.endpoint, message = text }
end

local function problem(walk, ...)
  local text = (...):format(select(2, ...))
  if walk.on_problem then return walk.on_problem(new_error(walk, text)) end
  table.insert(walk.problems, text)
end

-- Raises the problems once, after the last record.
local function raise_problems(walk)
  local list = walk.problems
  walk.problems = {}
  if #list == 0 then return end
  local text = table.concat(list, "; ", 1, math.min(MAX_NAMED, #list))
  if #list > MAX_NAMED then text = ("%s; and %d more"):format(text, #list - MAX_NAMED) end
  core.error.raise(new_error(walk, text))
end

local function begin_pass(walk)
  walk.tally:next_pass()
  walk.position, walk.stale, walk.back, walk.plain = nil, 0, 0, walk.is_fixed
  walk.lowest, walk.highest = math.huge, -math.huge
end

-- Reports how the totals and the records of an inconsistent pass differ.
local function explain(walk, total)
  local count = walk.tally:pass()
  if not total then
    return problem(walk, "%d readings of the list differ; it changes too fast to read all of it",
      walk.pass)
  end
  problem(walk, "the API reports %d %s, but its pages have %d; the list changes while it is read, "
    .. "or the total is wrong", total, walk.what, walk.start + count)
end

local function end_pass(walk, agrees, total)
  if agrees or walk.pass == MAX_PASSES then
    walk.ended = true
    if not agrees then explain(walk, total) end
    return
  end
  walk.pass = walk.pass + 1
  begin_pass(walk)
end

-- Continues with pages that cannot overlap: after the first page, or from the beginning.
local function go_plain(walk)
  walk.plain, walk.is_fixed = true, true
  if walk.page ~= walk.first then begin_pass(walk) end
end

-- The page that extends furthest among those that begin before `position`.
local function overlapping(position, most)
  local best, number, size = position, nil, nil
  local function consider(candidate)
    local last = ((position - 1) // candidate + 1) * candidate
    if last > best then best, number, size = last, last // candidate, candidate end
  end
  for candidate = most, 2, -1 do
    if best - position >= candidate - 1 then break end
    consider(candidate)
  end
  return number, size
end

-- The number and the size of the page to read; nil if no page overlaps with the one before.
local function next_window(walk)
  if not walk.position then return walk.first, walk.limit end
  if walk.plain then return walk.page + 1, walk.limit end
  local number, size = overlapping(walk.position, walk.size)
  for most = walk.size + 1, math.min(walk.size + 10, walk.is_capped and 0 or MAX_LIMIT) do
    if number then break end
    number, size = overlapping(walk.position, most)
  end
  return number, size
end

local function fetch(walk, number, size)
  if walk.fetching then
    names.usage("px.%s: two tasks called one iterator at the same time; use px.map",
      walk.caller)
  end
  walk.query.page, walk.query.limit = number, size
  walk.fetching = true
  local ok, page = pcall(walk.list, walk.query)
  walk.fetching = false
  if ok then return page end
  return nil, page
end

-- Adds the new records of a page. Returns the keys of its records, and the number of those with an
-- id that this pass has seen before.
local function take(walk, page, number)
  local keys, known = {}, 0
  for at, record in ipairs(page) do
    local key, has_id = key_of(record)
    local is_new, count = walk.tally:add(key, has_id)
    keys[at] = key
    if has_id and count > 1 then known = known + 1 end
    if not has_id then walk.is_nameless = true end
    if is_new and record.unreadable then
      problem(walk, "page %d, record %d cannot be used: %s", number, at, record.unreadable)
    elseif is_new then
      walk.records[#walk.records + 1] = record
    end
  end
  walk.page, walk.last_keys = number, keys
  if page.total then
    walk.lowest = math.min(walk.lowest, page.total)
    walk.highest = math.max(walk.highest, page.total)
  end
  return keys, known
end

-- Whether a page is the last one; `full`: whether it has as many records as requested.
local function is_over(walk, page, full)
  if #page == 0 then return true end
  if not page.total then return not page.has_more end
  return walk.position == page.total or walk.position > page.total and not full
end

-- Whether a pass of pages that do not overlap has seen the whole list.
local function plain_agrees(walk, total)
  local count, sum = walk.tally:pass()
  if total then return walk.lowest == walk.highest and walk.start + count == total end
  local agrees = walk.count == count and walk.sum == sum
  walk.count, walk.sum = count, sum
  return agrees
end

local function after_plain(walk, page, known)
  walk.position = walk.position + #page
  walk.stale = #page > 0 and known == #page and walk.stale + 1 or 0
  local total, count = page.total, walk.tally:pass()
  local is_stale = walk.stale > (total and walk.start + count < total and MAX_STALE or 0)
  if is_stale or is_over(walk, page, #page >= walk.size) then
    end_pass(walk, plain_agrees(walk, total), total)
  end
end

-- Whether repeated records without ids are duplicates in the list: a server without pages sends the
-- same records for any page.
local function knows_pages(walk, keys, number)
  if walk.knows_pages == nil then
    local page, err = fetch(walk, number + FAR, walk.limit)
    if not page and err.kind ~= "invalid" and err.kind ~= "not_found" then error(err, 0) end
    local others = {}
    for at, record in ipairs(page or {}) do others[at] = key_of(record) end
    walk.knows_pages = not same(keys, others)
  end
  return walk.knows_pages
end

local function read_plain(walk, page, number)
  if walk.is_nameless and #page > 0 then
    local keys = {}
    for at, record in ipairs(page) do keys[at] = key_of(record) end
    if same(keys, walk.last_keys) and not knows_pages(walk, keys, number) then
      return end_pass(walk, plain_agrees(walk, page.total), page.total)
    end
  end
  local _, known = take(walk, page, number)
  after_plain(walk, page, known)
end

local function read_first(walk, page, number)
  local keys = take(walk, page, number)
  walk.is_capped = #page > 0 and #page < walk.limit and page.has_more
  walk.size = walk.is_capped and #page or walk.limit
  walk.start = (walk.first - 1) * walk.size
  walk.position, walk.anchor = walk.start + #page, keys[#keys]
  walk.plain = walk.plain or walk.is_nameless
  walk.is_fixed = walk.plain
  if is_over(walk, page, #page >= walk.size) then
    end_pass(walk, not page.total or walk.position == page.total, page.total)
  end
end

-- The page has no record that was read before: the records have moved further than the overlap.
local function go_back(walk, total)
  walk.back = walk.back + 1
  walk.position = walk.position - (walk.size << walk.back)
  if walk.position <= walk.start then end_pass(walk, false, total) end
end

local function read_overlapping(walk, page, number, size, before)
  local keys, known = walk.last_keys, walk.known
  local start, count = (number - 1) * size, #page
  local continues = keys[walk.position - start] == walk.anchor or share_one(keys, before)
    or (count > 0 and known == count)
  if not continues then
    walk.last_keys = before
    return go_back(walk, page.total)
  end
  walk.back = 0
  walk.stale = known == count and walk.stale + 1 or 0
  walk.position, walk.anchor = start + count, keys[count]
  local agrees = not page.total or walk.position == page.total
  if walk.stale > MAX_STALE_OVERLAPS then return end_pass(walk, false, page.total) end
  if count < size or is_over(walk, page, true) then end_pass(walk, agrees, page.total) end
end

-- Whether the second page shows that the server respects the requested limit.
local function keeps_limit(walk, page, number, size, before)
  local keys = walk.last_keys
  return keys[walk.position - (number - 1) * size] == walk.anchor
    or #page == size and share_one(keys, before)
end

local function read_next(walk, page, number, size)
  local before = walk.last_keys
  walk.known = select(2, take(walk, page, number))
  if walk.is_nameless then return go_plain(walk) end
  if walk.overlaps or keeps_limit(walk, page, number, size, before) then
    walk.overlaps = true
    return read_overlapping(walk, page, number, size, before)
  end
  if (number - 1) * walk.size ~= walk.position then return go_plain(walk) end
  walk.plain, walk.is_fixed = true, #page > size
  after_plain(walk, page, walk.known)
end

-- A server may support only some limits.
local function refuses_limit(walk, err)
  return err.kind == "invalid" and walk.position and not walk.plain and not walk.overlaps
end

local function advance(walk)
  local number, size = next_window(walk)
  if not number then return go_plain(walk) end
  local page, err = fetch(walk, number, size)
  if not page and refuses_limit(walk, err) then return go_plain(walk) end
  if not page then error(err, 0) end
  walk.records, walk.at = {}, 0
  if not walk.position then return read_first(walk, page, number) end
  if walk.plain then return read_plain(walk, page, number) end
  read_next(walk, page, number, size)
end

--- Opens an iterator over the records of all pages.
-- @param list function of a table of parameters with `page` and `limit`: a page, a list with
--   `has_more` and perhaps `total`
-- @param names table: `caller` and `endpoint` for messages, and `what`, the name of the records
-- @param params table, may be left out: parameters of `list`; `page` to begin with, `limit`, and
--   `on_problem`, a function that is called with an error for everything that could not be read
-- @return function that returns a record, and nil after the last; without `on_problem` it raises
--   the problems there, once
function M.open(list, called, params)
  local walk = { list = list, caller = called.caller, endpoint = called.endpoint,
    what = called.what, query = {}, records = {}, at = 0, problems = {}, pass = 1,
    tally = core.tally() }
  for name, value in pairs(params or {}) do walk.query[name] = value end
  walk.on_problem, walk.query.on_problem = walk.query.on_problem, nil
  walk.first, walk.limit = walk.query.page or 1, walk.query.limit or MAX_LIMIT
  begin_pass(walk)
  return function()
    while walk.at == #walk.records do
      if walk.ended then return raise_problems(walk) end
      advance(walk)
    end
    walk.at = walk.at + 1
    return walk.records[walk.at]
  end
end

return M
