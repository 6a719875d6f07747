-- The shape of a list: its columns, its order, and how many records of it are shown.

local clock = require "proxylua.util.clock"
local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local names = require "proxylua.util.names"
local parsers = require "proxylua.cli.args.parser"
local tables = require "proxylua.term.table"
local time = require "proxylua.util.time"

local M = {}

--- Adds the options for lists to a command.
-- @param kind of its records, whose columns complete the options
function M.add_to(parser, kind)
  local columns = tables.known_columns(kind) or {}
  parsers.suggest(parser:option("--columns", "show only these columns, such as id,country")
    :argname("NAMES"):target("shape columns"), columns)
  parsers.suggest(parser:option("--sort", "sort by this column; -NAME: the largest first")
    :argname("[-]NAME"):target("shape sort"), columns)
  parser:option("--first", "show this many records at most"):argname("NUMBER")
    :target("shape first")
end

--- The shape that a command's options ask for; nil if they ask for none.
-- @raise usage
function M.of(args)
  local wanted, sort, first = args["shape columns"], args["shape sort"], args["shape first"]
  if not wanted and not sort and not first then return nil end
  local shape = {}
  if wanted then
    shape.columns = {}
    for name in wanted:gmatch("[^,%s]+") do table.insert(shape.columns, name) end
    if #shape.columns == 0 then names.usage("--columns takes names, such as id,country") end
  end
  if sort then
    local sign, name = sort:match("^(-?)(.+)$")
    shape.sort, shape.is_descending = name, sign == "-"
  end
  if first then
    shape.first = math.tointeger(tonumber(first))
    if not shape.first or shape.first < 1 then
      names.usage("--first takes a whole number of at least 1, got %s", first)
    end
  end
  return shape
end

-- Refuses a column that no record has.
local function check(option, name, kind, records)
  local known = {}
  for _, column in ipairs(tables.all_columns(kind, records)) do known[column] = true end
  if known[name] or not next(known) then return end
  local list = {}
  for column in pairs(known) do list[#list + 1] = column end
  table.sort(list)
  names.usage("%s: there is no column %s%s", option, name,
    names.hint(name, known, "%s", "; there are " .. table.concat(list, ", ")))
end

local function check_names(shape, kind, records)
  for _, name in ipairs(shape.columns or {}) do check("--columns", name, kind, records) end
  if shape.sort then check("--sort", shape.sort, kind, records) end
end

-- Numbers and money by their size, then texts by their bytes, which also sorts times.
local function rank(value)
  if core.money.is(value) then return 1, value:tonumber() end
  return type(value) == "number" and 1 or 2, type(value) == "number" and value or tostring(value)
end

local function sort(shape, records)
  local places, name = {}, shape.sort
  for at, record in ipairs(records) do places[record] = at end
  table.sort(records, function(a, b)
    local first, second = a[name], b[name]
    if first == nil or second == nil then -- what has no value comes last
      if first ~= second then return second == nil end
      return places[a] < places[b]
    end
    local kind_a, value_a = rank(first)
    local kind_b, value_b = rank(second)
    if kind_a ~= kind_b then return kind_a < kind_b end
    if value_a == value_b then return places[a] < places[b] end
    if shape.is_descending then value_a, value_b = value_b, value_a end
    return value_a < value_b
  end)
end

local function chosen(shape, record)
  if not shape.columns then return record end
  local copy = {}
  for _, name in ipairs(shape.columns) do copy[name] = record[name] end
  return copy
end

--- A list in a shape.
-- @param kind of its records
-- @param records list
-- @return list
-- @raise usage for a column that is not there
function M.list(shape, kind, records)
  check_names(shape, kind, records)
  local list = table.move(records, 1, #records, 1, core.json.array{})
  if shape.sort then sort(shape, list) end
  for at = #list, (shape.first or #list) + 1, -1 do list[at] = nil end
  for at, record in ipairs(list) do list[at] = chosen(shape, record) end
  return list
end

--- An iterator in a shape. It fetches no more than it returns, unless the records are sorted.
function M.each(shape, kind, next_record)
  if shape.sort then
    local records, at = {}, 0
    for record in next_record do records[#records + 1] = record end
    records = M.list(shape, kind, records)
    return function()
      at = at + 1
      return records[at]
    end
  end
  local count = 0
  return function()
    if count == shape.first then return nil end
    local record = next_record()
    if record == nil then return nil end
    if count == 0 then check_names(shape, kind, { record }) end
    count = count + 1
    return chosen(shape, record)
  end
end

local times <const> = { "expires_at", "created_at", "updated_at", "last_at" }

-- "in 3d", "2h ago", rounded down but for the last minutes of a day and seconds of an hour, so that
-- a new order of 30 days has 30. Nil if it is not a time.
-- @return text
-- @return whether the time is to come
local function relative(text)
  local at = time.read(text)
  if not at then return nil end
  local left = at - clock()
  local span = math.abs(left)
  local slack = span > 86400 and 1800 or span > 3600 and 30 or 0
  local shown = duration.text(span + slack):match("^%S+")
  return left > 0 and "in " .. shown or shown .. " ago", left > 0
end

--- A record for people: times as how long until then, or since then.
-- @param is_single whether the record stands alone: then only times to come, after the time itself
function M.for_people(record, is_single)
  local copy
  for _, name in ipairs(type(record) == "table" and times or {}) do
    local text, is_to_come
    if type(record[name]) == "string" then text, is_to_come = relative(record[name]) end
    if text and (is_to_come or not is_single) then
      if not copy then
        copy = {}
        for key, value in pairs(record) do copy[key] = value end
      end
      copy[name] = is_single and ("%s (%s)"):format(record[name], text) or text
    end
  end
  return copy or record
end

return M
