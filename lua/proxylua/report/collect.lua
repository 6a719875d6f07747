-- Where a report's facts come from: the API, or files and lists that are given instead; and the journal.

local core = require "proxylua.core"
local endpoints = require "proxylua.endpoints"
local lines = require "proxylua.lines"
local names = require "proxylua.names"
local pages = require "proxylua.pages"
local ties = require "proxylua.report.ties"

local M = {}

-- The record of a line, with its amount as money.
local function read_record(line, field)
  local record = core.json.decode(line)
  local amount = record[field]
  if amount ~= nil then record[field] = core.money.new(amount) end
  return record
end

-- Says what is wrong with a line that could not be read.
local function refuse_line(line, field, place)
  local ok, record = pcall(core.json.decode, line)
  if ok and type(record) == "table" then names.usage("%s: %s is no amount", place, field) end
  names.usage("%s is no JSON object", place)
end

-- The records of a file of JSON lines, as --jsonl writes them; "-" is standard input.
local function each_line(path, field)
  local reader = lines.open(path)
  return function()
    local line
    repeat line = reader:line() until not line or line:find("%S")
    if not line then return nil end
    local ok, record = pcall(read_record, line, field)
    return ok and record or refuse_line(line, field, ("%s:%d"):format(reader.name, reader.number))
  end
end

local function each_item(list)
  local at = 0
  return function()
    at = at + 1
    return list[at]
  end
end

-- An iterator over what was given, or over what the API has.
local function open(what, given, field, fetch)
  if given == nil then return fetch() end
  if type(given) == "string" then return each_line(given, field) end
  if type(given) == "table" then return each_item(given) end
  if type(given) == "function" then return given end
  names.usage("px.report.build: %s is a path, a list or an iterator, got a %s", what, type(given))
end

-- Counts what an iterator answers.
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

-- The orders of an iterator, each once: files overlap, and the later one tells how it is now. Answers how many were told again.
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

--- Gathers what a report is made of.
-- @param options of px.report.build
-- @return table: orders (list), repeated_orders (how many were told again), ties (see ties.read), balance (money or nil), and
--   transactions, an iterator that is to be read once
function M.gather(options)
  local facts = { orders = {} }
  local orders = counted(open("orders", options.orders, "price", pages.orders.each), "orders", options.progress)
  facts.repeated_orders = add_orders(facts.orders, orders)
  facts.balance = options.balance
  if facts.balance == nil then facts.balance = endpoints.account.get().balance end
  if facts.balance ~= nil then facts.balance = core.money.new(facts.balance) end
  facts.ties = ties.read()
  facts.transactions = counted(open("transactions", options.transactions, "amount", pages.account.each_transaction),
    "transactions", options.progress)
  return facts
end

return M
