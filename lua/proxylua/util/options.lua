--- Options of functions. Each is declared once, beside its function: name, type, one line of text,
-- and perhaps a default. The declaration is the source of the check and of its messages, of help,
-- of completion at the prompt, of the reference, and of the types for editors.
-- @module proxylua.util.options

local core = require "proxylua.core"
local country_code = require "proxylua.util.country"
local duration = require "proxylua.util.duration"
local names = require "proxylua.util.names"

local M = {}

-- A type: `read` returns the value as the function uses it, nil for an invalid one; `expected`
-- completes "must be …"; `doc` is its name in help; `meta` in annotations for editors. These two
-- may be functions of the row.
local types = {}

local function of_lua_type(name, expected, doc)
  types[name] = { expected = expected, doc = doc or name, meta = name, read = function(value)
    if type(value) == name then return value end
  end }
end

of_lua_type("boolean", "true or false")
of_lua_type("function", "a function")
of_lua_type("table", "a table")
types.any = { doc = "any value", meta = "any", read = function(value) return value end }
types["function"].meta = "function"

local function bounds(row, unit)
  if row.min and row.max then return (" from %s to %s"):format(row.min, row.max) .. unit end
  if row.above then return (" above %s"):format(row.above) .. unit end
  return row.min and (" from %s"):format(row.min) .. unit or ""
end

local function is_within(value, row)
  return (row.min == nil or value >= row.min) and (row.max == nil or value <= row.max)
    and (row.above == nil or value > row.above)
    and (row.below == nil or value < row.below)
end

types.integer = {
  doc = function(row) return "integer" .. bounds(row, "") end, meta = "integer",
  expected = function(row)
    if row.min and not row.max then return ("an integer of at least %d"):format(row.min) end
    return "an integer" .. bounds(row, "")
  end,
  read = function(value, row)
    if math.type(value) == "integer" and is_within(value, row) then return value end
  end,
}

types.number = {
  doc = function(row) return "number" .. bounds(row, "") end, meta = "number",
  expected = function(row) return "a number" .. bounds(row, "") end,
  read = function(value, row)
    if type(value) == "number" and is_within(value, row) then return value end
  end,
}

types.percent = {
  doc = "percentage", meta = "number",
  expected = function(row)
    return row.below and "a percentage from 0 to below 100" or "a percentage from 0 to 100"
  end,
  read = function(value, row)
    local number = tonumber(value)
    if number and number >= 0 and number <= 100 and is_within(number, row) then return number end
  end,
}

types.duration = {
  doc = "duration", meta = "string|number",
  expected = function(row, value)
    local seconds = duration.read(value) or value
    if type(seconds) ~= "number" or not is_within(seconds, {}) then
      return duration.expected(value)
    end
    return "a duration" .. bounds(row, " seconds")
  end,
  read = function(value, row)
    local seconds = duration.read(value) or value
    if type(seconds) == "number" and seconds >= 0 and seconds < math.huge
      and is_within(seconds, row) then
      return math.tointeger(seconds) or seconds
    end
  end,
}

types.string = {
  doc = "string", meta = "string",
  expected = function(row)
    return row.empty and "a string" or "a string that is not empty"
  end,
  read = function(value, row)
    if type(value) == "string" and (value ~= "" or row.empty)
      and (not row.pattern or value:find(row.pattern)) and (not row.utf8 or utf8.len(value)) then
      return value
    end
  end,
}

-- One of the names in `values`.
types.choice = {
  doc = function(row) return "string: " .. table.concat(row.values, ", ") end,
  meta = function(row) return '"' .. table.concat(row.values, '"|"') .. '"' end,
  expected = function(row)
    return table.concat(row.values, ", "):gsub(", ([^,]*)$", " or %1")
  end,
  read = function(value, row)
    for _, known in ipairs(row.values) do
      if value == known then return value end
    end
  end,
}

types.money = {
  doc = "money", meta = "money|number|string", expected = 'an amount such as 25 or "9.30"',
  read = function(value)
    local ok, amount = pcall(core.money, value)
    return ok and amount or nil
  end,
}

types.country = { doc = "country", meta = "string", read = country_code,
  expected = "a code of two letters, such as US" }

-- A list of texts; one text stands for a list of one.
types.strings = {
  doc = "list of strings, or one", meta = "string|string[]",
  expected = "a string or a list of strings",
  read = function(value)
    if type(value) == "string" then return { value } end
    if type(value) ~= "table" then return nil end
    for _, text in ipairs(value) do
      if type(text) ~= "string" then return nil end
    end
    return value
  end,
}

local declared = {}

local function type_of(row)
  return type(row[2]) == "table" and row[2] or types[row[2]]
end

local function of_type(row, field, ...)
  local value = row[field] or type_of(row)[field]
  if type(value) == "function" then return (value(row, ...)) end
  return value
end

local function shown(value)
  local kind = type(value)
  if value == "" then return "an empty string" end
  if kind == "string" then return value:sub(1, 60) end
  return (kind == "number" or kind == "boolean") and tostring(value) or "a " .. kind
end

local function refuse_missing(caller, rows, given)
  local missing, row_of = {}, nil
  for _, row in ipairs(rows) do
    if row.required and given[row[1]] == nil then
      missing[#missing + 1] = row[1]
      row_of = row_of or row
    end
  end
  if #missing == 0 then return end
  if #missing == 1 then
    names.usage("%s: %s is missing; expected %s", caller, missing[1],
      of_type(row_of, "expected") or row_of[3])
  end
  local last = table.remove(missing)
  names.usage("%s: %s and %s are missing", caller, table.concat(missing, ", "), last)
end

local function hint(list, value)
  local known = {}
  for _, name in ipairs(list or {}) do known[name] = true end
  return names.hint(value, known)
end

local function read_value(caller, row, value)
  local result = type_of(row).read(value, row)
  if result ~= nil then return result end
  return names.usage("%s: %s must be %s, got %s%s", caller, row[1],
    of_type(row, "expected", value), shown(value), hint(row.values, value))
end

--- Checks options by their rows: refuses unknown names, missing options and invalid values.
-- @param caller string for messages, such as "px.map"
-- @param rows list of rows, see M.declare
-- @param given table; nil: none
-- @return a new table of the values as the function uses them, with the defaults
-- @raise usage
function M.read(caller, rows, given)
  if given == nil then given = {} end
  if type(given) ~= "table" then
    names.usage("%s takes its options as a table, got a %s", caller, type(given))
  end
  local known, values = {}, {}
  for _, row in ipairs(rows) do known[row[1]] = true end
  names.check(caller, given, known)
  refuse_missing(caller, rows, given)
  for _, row in ipairs(rows) do
    local name, value = row[1], given[row[1]]
    if value == nil then value = row.default end
    if value ~= nil then values[name] = read_value(caller, row, value) end
  end
  return values
end

--- Declares the options of a function.
-- @param caller string, its name: "px.map"
-- @param rows list of tables: name, type and text; and `default`, `required`, `min`, `max`,
--   `above`, `below` (of numbers and durations), `values` (of a choice), `pattern`, `utf8` and
--   `empty` (of strings), `usual` (the default in words). A type is a name (boolean, integer,
--   number, percent, duration, money, string, strings, choice, country, function, table, any), or
--   a table with `read`, `expected`, `doc` and `meta`
-- @return function of the given table, and a name for messages where it is not `caller`; it
--   returns what M.read does
function M.declare(caller, rows)
  declared[caller] = rows
  return function(given, named) return M.read(named or caller, rows, given) end
end

--- An iterator over the declared functions and their rows.
function M.each()
  return pairs(declared)
end

local call_options = {
  key = { "key", "string", "with the same key, nothing is bought twice" },
  max_price = { "max_price", "money", "nothing is bought above this price" },
  timeout = { "timeout", "duration", "for the whole call, without waits for the rate limit" },
  max_wait = { "max_wait", "duration", "wait for the rate limit", usual = "no limit" },
  path = { "path", "string", "file for the response, written completely or not at all" },
}

-- The endpoint table's types.
local of_table = { integer = "integer" }

--- The parameters and options of an endpoint, as rows: those of its path have `where` "path".
-- @param row of the endpoint table
function M.of_endpoint(row)
  local rows = {}
  for at, param in ipairs(row.params) do
    rows[at] = { param.name, of_table[param.type] or "string", param.summary,
      required = param.required, min = param.min, max = param.max, known = param.values,
      where = param.where }
  end
  for _, name in ipairs(row.options) do rows[#rows + 1] = call_options[name] end
  return rows
end

--- What a row is, in words: "integer of at least 1, how many run at once (default: 64)".
function M.about(row)
  local text = ("%s, %s"):format(of_type(row, "doc"), row[3])
  if row.known then text = text .. "; known: " .. table.concat(row.known, ", ") end
  local usual = row.usual
  if usual == nil and row.default ~= nil then usual = tostring(row.default) end
  if usual then return ("%s (default: %s)"):format(text, usual) end
  return row.required and text .. "; required" or text
end

--- The name of a row's type in help.
function M.doc(row)
  return of_type(row, "doc")
end

--- The type of a row for lua-language-server.
function M.meta(row)
  if row.known and not row.meta then return '"' .. table.concat(row.known, '"|"') .. '"|string' end
  return of_type(row, "meta")
end

return M
