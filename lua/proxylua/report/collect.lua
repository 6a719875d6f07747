-- The data of a report: from the API, or from given files and lists; and from the journal.

local amount_of = require "proxylua.report.amount"
local core = require "proxylua.core"
local endpoints = require "proxylua.api.endpoints"
local lines = require "proxylua.util.lines"
local names = require "proxylua.util.names"
local pages = require "proxylua.api.pages"
local ownership = require "proxylua.report.ownership"

local M = {}

-- A record with its amount as money; or nil and the reason.
local function complete(record, field)
  if type(record) ~= "table" or #record > 0 then return nil, "it is not a JSON object" end
  if record[field] == nil then return record end
  local amount = amount_of(record[field])
  if not amount then return nil, field .. " is not an amount such as 9.30" end
  record[field] = amount
  return record
end

local function decode(text)
  local ok, value = pcall(core.json.decode, text)
  return ok and value or nil
end

local function each_item(list)
  local at = 0
  return function()
    at = at + 1
    return list[at]
  end
end

-- The records of a JSON array, which is read whole.
local function each_element(reader, field)
  local list = decode(reader:rest()) or names.usage("%s: it begins like a JSON array, but is not "
    .. "one",
    reader.name)
  for at, item in ipairs(list) do
    local record, why = complete(item, field)
    list[at] = record or names.usage("%s: record %d: %s", reader.name, at, why)
  end
  return each_item(list)
end

local function each_line(reader, field)
  return function()
    local line
    repeat line = reader:line() until not line or line:find("%S")
    if not line then return nil end
    local record, why = complete(decode(line), field)
    return record or names.usage("%s:%d: %s", reader.name, reader.number, why)
  end
end

-- The records of a file, in the form of --jsonl, one a line, or of --json; "-" is standard input.
local function read(path, field)
  local reader = lines.open(path)
  return (reader:peek():find("^%[") and each_element or each_line)(reader, field)
end

-- An iterator over the given records, or over those of the API.
local function open(what, given, field, fetch, on_problem)
  if given == nil then return fetch{ on_problem = on_problem } end
  if type(given) == "string" then return read(given, field) end
  if type(given) == "table" then return each_item(given) end
  if type(given) == "function" then return given end
  names.usage("px.report.build: %s must be a path, a list or an iterator, got a %s", what,
    type(given))
end

-- Counts the results of an iterator.
local function counted(next_record, what, progress)
  if not progress then return next_record end
  local count = 0
  return function()
    local record = next_record()
    count = count + 1
    if record then progress(what, count) end
    return record
  end
end

-- The orders of an iterator, each once: files overlap, and the later record is the current one.
-- Returns the number of repeated ones.
local function add_orders(list, next_order)
  local places, repeated = {}, 0
  for order in next_order do
    local place = order.id ~= nil and places[order.id]
    if place then repeated = repeated + 1 end
    place = place or #list + 1
    list[place] = order
    if order.id ~= nil then places[order.id] = place end
  end
  return repeated
end

-- A function that collects problems as texts and reports them; nil if they are to be raised.
local function keeping(problems, on_problem)
  return on_problem and function(err)
    problems[#problems + 1] = err.message
    on_problem(err)
  end
end

--- Collects the data of a report.
-- @param options of px.report.build
-- @return table: orders (list), repeated_orders (how many occurred again), ownership (see
--   ownership.lua), balance (money or nil), problems (texts: what could not be read), transactions,
--   an iterator that can be read once, and are_unique, whether it returns each transaction once
function M.gather(options)
  local facts = { orders = {}, problems = {} }
  local on_problem = keeping(facts.problems, options.on_problem)
  local orders = counted(open("orders", options.orders, "price", pages.orders.each, on_problem),
    "orders", options.progress)
  facts.repeated_orders = add_orders(facts.orders, orders)
  facts.balance = options.balance
  if facts.balance ~= nil then facts.balance = core.money.new(facts.balance) end
  if facts.balance == nil then facts.balance = amount_of(endpoints.account.get().balance) end
  facts.ownership = ownership.read()
  facts.are_unique = options.transactions == nil
  facts.transactions = counted(open("transactions", options.transactions, "amount",
    pages.account.each_transaction, on_problem),
    "transactions", options.progress)
  return facts
end

return M
