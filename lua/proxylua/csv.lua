--- CSV as scripts use it: texts into rows, and rows into texts.
-- @module px.csv

local core = require "proxylua.core"
local csv = require "proxylua.util.csv"
local lines = require "proxylua.util.lines"
local names = require "proxylua.util.names"
local declare = require("proxylua.util.options").declare

local M = {}

local delimiter_row = { "delimiter", {
  read = function(value) return type(value) == "string" and value:match("^[,;|\t]$") or nil end,
  expected = "a comma, a semicolon, a bar or a tab", doc = "string", meta = '","|";"|"|"|"\\t"',
}, "a comma, a semicolon, a bar or a tab", default = ",", usual = '","' }

local read_options = declare("px.csv.read", {
  delimiter_row,
  { "heading", "boolean", "false if the first row is data too", default = true },
})

local write_options = declare("px.csv.write", {
  { "columns", "table", "list of the names of the fields, which become the heading; without it, "
    .. "each row is a list, and there is no heading", usual = "the field `columns` of the list, as "
    .. "px.csv.read returns it", meta = "string[]", expected = "a list of names" },
  delimiter_row,
})

-- A reader of the lines of a text, and a function that returns the fields of the next row.
local function rows_of(text, delimiter)
  local whole = text:gsub("^\xEF\xBB\xBF", "")
  local reader = lines.open({ read = function()
    local piece = whole
    whole = nil
    return piece
  end }, "px.csv.read: the text")
  local function more() return reader:line() end
  return reader, function()
    local line, ending
    repeat
      line, ending = reader:line()
      if not line then return nil end
    until line ~= ""
    local fields, why = csv.split(line, ending, delimiter, more)
    return fields or names.usage("px.csv.read: line %d: %s", reader.number, why)
  end
end

local function check_columns(columns)
  local seen = {}
  for at, name in ipairs(columns) do
    if name == "" or seen[name] then
      names.usage("px.csv.read: column %d of the heading %s; use heading=false", at,
        name == "" and "has no name" or ('is a second "%s"'):format(name))
    end
    seen[name] = true
  end
end

local function record_of(columns, fields, number)
  if #fields ~= #columns then
    names.usage("px.csv.read: line %d: the row has %d fields, the heading %d", number, #fields,
      #columns)
  end
  local record = {}
  for at, name in ipairs(columns) do record[name] = fields[at] end
  return record
end

--- The rows of a CSV text (RFC 4180). Every value is a string. Blanks around a field are skipped
-- unless it is quoted, and so are empty lines. A row may have 64 KiB.
-- @function px.csv.read
-- @tparam string text
-- @param options
-- @treturn table[] the values by the names in the heading; its field `columns` is the list of these
--   names. With `heading=false` a list of lists
-- @raise usage, with the line, for a text that is not CSV; for a row that has more or fewer fields
--   than the heading
-- @usage local rows = px.csv.read('name,note\nus,"two, in words"\n')
-- print(rows[1].name, rows[1].note, #rows.columns)  --> us  two, in words  2
function M.read(text, given)
  local wanted = read_options(given)
  if type(text) ~= "string" then
    names.usage("px.csv.read takes a text, got a %s; read files with px.files.read", type(text))
  end
  local reader, next_row = rows_of(text, wanted.delimiter)
  local list, columns = {}, nil
  if wanted.heading then
    columns = next_row() or {}
    check_columns(columns)
    list.columns = columns
  end
  for fields in next_row do
    list[#list + 1] = columns and record_of(columns, fields, reader.number) or fields
  end
  return list
end

local function text_of(value, row, column)
  if value == nil then return "" end
  local kind = type(value)
  if kind == "string" or kind == "number" or kind == "boolean" or core.money.is(value) then
    return tostring(value)
  end
  names.usage("px.csv.write: row %d: %s is a %s; expected text, number, boolean or money", row,
    tostring(column), kind)
end

-- A row of one empty field would be an empty line, which readers skip.
local function line_of(row, number, columns, delimiter)
  if type(row) ~= "table" then
    names.usage("px.csv.write: row %d must be a table, got a %s", number, type(row))
  end
  local fields = {}
  for at = 1, columns and #columns or #row do
    local column = columns and columns[at] or at
    fields[at] = csv.field(text_of(row[column], number, column), delimiter)
  end
  local line = table.concat(fields, delimiter)
  return line == "" and '""' or line
end

--- The CSV text of rows (RFC 4180), with quotes where a field needs them.
-- @function px.csv.write
-- @tparam table[] rows records or lists; their values are strings, numbers, booleans or money, and
--   nil is an empty field
-- @param options
-- @treturn string with CRLF at the end of each line
-- @raise usage
-- @usage io.write(px.csv.write({ { id = 1, note = "a, b" } }, { columns = { "id", "note" } }))
-- --> 1,"a, b"
function M.write(rows, given)
  local wanted = write_options(given)
  if type(rows) ~= "table" then
    names.usage("px.csv.write takes a list of rows, got a %s", type(rows))
  end
  local columns = wanted.columns or rows.columns
  if columns ~= nil and (type(columns) ~= "table" or #columns == 0) then
    names.usage("px.csv.write: columns must be a list of names")
  end
  local list = { columns and line_of(columns, 0, nil, wanted.delimiter) }
  for number, row in ipairs(rows) do
    list[#list + 1] = line_of(row, number, columns, wanted.delimiter)
  end
  return #list > 0 and table.concat(list, "\r\n") .. "\r\n" or ""
end

return M
