-- The arithmetic of a report: adds up transactions one at a time, exactly, by day, type, country
-- and pool. Unknown properties of a transaction are counted as unknown, never guessed.

local amount_of = require "proxylua.report.amount"
local core = require "proxylua.core"
local days = require "proxylua.report.days"

local M = { GROUPINGS = { "day", "type", "country", "pool" } }

local NOTHING = core.money(0)

local Sums = {}
Sums.__index = Sums

--- Begins sums.
-- @param window of days.window
-- @param place_of function of a transaction's order id, which may be nil: a table with type,
--   country and pool if known; returning the same table for equal places saves memory
-- @param are_unique whether each transaction is added once
function M.new(window, place_of, are_unique)
  return setmetatable({
    window = window, place_of = place_of, cells = {}, others = {}, kinds = {},
    charges = 0, refunds = 0, deposits = 0, deposited = NOTHING, undated = 0, amountless = 0,
    seen = not are_unique and core.tally() or nil, repeated = 0, ambiguous = 0,
  }, Sums)
end

local incoming = { "deposit", "topup", "top_up", "top-up" }

-- Whether transactions of a type are charges, refunds or deposits; nil if unknown.
local function kind_of(text)
  text = type(text) == "string" and text:lower() or ""
  if text:find("refund", 1, true) then return "refund" end
  for _, word in ipairs(incoming) do
    if text:find(word, 1, true) then return "deposit" end
  end
  return text:find("charge", 1, true) and not text:find("chargeback", 1, true) and "charge" or nil
end

-- Servers differ in the signs they use: the type decides the direction.
local function size_of(amount)
  return amount < 0 and -amount or amount
end

local function cell_of(sums, day, place)
  local of_day = sums.cells[day]
  if not of_day then
    of_day = {}
    sums.cells[day] = of_day
  end
  local cell = of_day[place]
  if not cell then
    cell = { charges = NOTHING, refunds = NOTHING, count = 0 }
    of_day[place] = cell
  end
  return cell
end

-- There are few types, and many transactions of each.
local function kind_in(sums, text)
  if text == nil then return nil end
  local kind = sums.kinds[text]
  if kind == nil then
    kind = kind_of(text) or false
    sums.kinds[text] = kind
  end
  return kind
end

local function add_other(sums, transaction, amount)
  local text = transaction.type
  text = (type(text) == "string" or type(text) == "number") and tostring(text) or ""
  local other = sums.others[text] or { type = text, transactions = 0, amount = NOTHING }
  other.transactions, other.amount = other.transactions + 1, other.amount + amount
  sums.others[text] = other
end

local function add_deposit(sums, amount)
  sums.deposits, sums.deposited = sums.deposits + 1, sums.deposited + amount
end

-- Whether a transaction occurred before: files overlap. One with the same id and different data is
-- another one.
local function is_repeated(sums, transaction)
  if not sums.seen or transaction.id == nil then return false end
  local found = sums.seen:compare(tostring(transaction.id), ("%s\0%s\0%s\0%s"):format(
    transaction.type, transaction.amount, transaction.order_id, transaction.created_at))
  if found == "different" then sums.ambiguous = sums.ambiguous + 1 end
  if found == "same" then sums.repeated = sums.repeated + 1 end
  return found == "same"
end

local field_of = { charge = "charges", refund = "refunds" }

local function add_spending(sums, kind, day, transaction, amount)
  local cell, field = cell_of(sums, day, sums.place_of(transaction.order_id)), field_of[kind]
  cell[field], cell.count = cell[field] + amount, cell.count + 1
  sums[field] = sums[field] + 1
end

--- Counts a transaction, if it belongs to the window.
-- @param transaction with type, amount, order_id and created_at, if known
function Sums:add(transaction)
  local day, amount = days.of(transaction.created_at), amount_of(transaction.amount)
  if not day then
    self.undated = self.undated + 1
    return
  end
  if not self.first or day < self.first then self.first = day end
  if day < self.window.from or day > self.window.to then return end
  if is_repeated(self, transaction) then return end
  if not amount then
    self.amountless = self.amountless + 1
    return
  end
  local kind = kind_in(self, transaction.type)
  amount = size_of(amount)
  if kind == "deposit" then
    add_deposit(self, amount)
  elseif kind then
    add_spending(self, kind, day, transaction, amount)
  else
    add_other(self, transaction, amount)
  end
end

local UNKNOWN = {} -- a unique value: a country may be called "unknown"

local name_of = {
  day = function(day) return days.text(day) end,
  type = function(_, place) return place.type end,
  country = function(_, place) return place.country end,
  pool = function(_, place) return place.pool end,
}

local function new_row(name)
  return {
    name = name ~= UNKNOWN and name or "unknown", known = name ~= UNKNOWN, charges = NOTHING,
      refunds = NOTHING,
    spent = NOTHING, transactions = 0,
  }
end

local function add_cell(row, cell)
  row.charges, row.refunds = row.charges + cell.charges, row.refunds + cell.refunds
  row.spent = row.charges - row.refunds
  row.transactions = row.transactions + cell.count
end

local function by_name(a, b)
  return a.name < b.name
end

local function most_first(a, b)
  if a.spent ~= b.spent then return a.spent > b.spent end
  if a.name ~= b.name then return a.name < b.name end
  return a.known and not b.known
end

-- Calls a function with each cell, its day and its place.
local function each_cell(sums, use)
  for day, of_day in pairs(sums.cells) do
    for place, cell in pairs(of_day) do use(cell, day, place) end
  end
end

--- The rows of a grouping: tables of name, known (whether the name is known), charges, refunds,
-- spent (the charges less the refunds) and transactions. Days are in their order, and only those
-- with charges or refunds; other rows are sorted by what was spent, highest first.
-- @param grouping "day", "type", "country" or "pool"
function Sums:rows(grouping)
  local rows, list = {}, core.json.array()
  each_cell(self, function(cell, day, place)
    local name = name_of[grouping](day, place) or UNKNOWN
    if not rows[name] then
      rows[name] = new_row(name)
      list[#list + 1] = rows[name]
    end
    add_cell(rows[name], cell)
  end)
  table.sort(list, grouping == "day" and by_name or most_first)
  return list
end

--- The totals of the window: charges, refunds and spent, each with its sum; their counts; deposits.
function Sums:totals()
  local whole = new_row("")
  each_cell(self, function(cell) add_cell(whole, cell) end)
  return {
    charges = whole.charges, refunds = whole.refunds, spent = whole.spent,
      deposits = self.deposited,
    charge_count = self.charges, refund_count = self.refunds, deposit_count = self.deposits,
  }
end

--- Sums of transactions that are neither charge, refund nor deposit, by their type.
function Sums:strangers()
  local list = core.json.array()
  for _, other in pairs(self.others) do list[#list + 1] = other end
  table.sort(list, function(a, b) return a.type < b.type end)
  return list
end

local steps = { 1, 7, 28, 91, 364 } -- days: whole weeks, so that each has as many weekends

--- Divides the window into at most this many periods of equal length (the last may be shorter),
-- including those without spending.
-- @param rows by day
-- @param window of days.window
-- @param most number of periods
-- @return list of tables: from and to (days), charges, refunds, spent
function M.periods(rows, window, most)
  local count, step = window.to - window.from + 1, nil
  for _, each in ipairs(steps) do
    if not step and count <= each * most then step = each end
  end
  step = step or math.ceil(count / most)
  local list = {}
  for from = window.from, window.to, step do
    list[#list + 1] = { from = from, to = math.min(from + step - 1, window.to), charges = NOTHING,
      refunds = NOTHING,
      spent = NOTHING }
  end
  for _, row in ipairs(rows) do
    local period = list[(days.of(row.name) - window.from) // step + 1]
    period.charges, period.refunds = period.charges + row.charges, period.refunds + row.refunds
    period.spent = period.charges - period.refunds
  end
  return list
end

return M
