-- Values on the screen: records and lists of records as tables, other tables in Lua syntax, and
-- everything else as it is. The user's code is not called, except a __tostring of the shown value.

local core = require "proxylua.core"
local inspect = require "proxylua.repl.inspect"
local passwords = require "proxylua.repl.passwords"
local plain = require "proxylua.util.text"
local tables = require "proxylua.term.table"

local M = {}

local MAX_ROWS = 50
local USUAL_WIDTH = 80
local SUMMARY = 40 -- maximum columns of a table inside a record

local Screen = {}
Screen.__index = Screen

-- The fields that identify a kind of record.
local marks = {
  { "proxy", "host", "port" },
  { "entry", "key", "endpoint", "state" },
  { "transaction", "id", "type", "amount" },
  { "order", "id", "type", "quantity" },
  { "account", "balance", "email" },
  { "address", "address", "currency" },
}

local function kind_of(record)
  for _, mark in ipairs(marks) do
    local fits = true
    for at = 2, #mark do fits = fits and rawget(record, mark[at]) ~= nil end
    if fits then return mark[1] end
  end
end

--- The screen on which the session shows values.
-- @param options table: colors, width (function)
function M.open(options)
  return setmetatable({
    colors = options.colors, width = options.width or function()
      return USUAL_WIDTH
    end, json = options.json,
    reveal = false,
  }, Screen)
end

--- A text in a colour, if colours are wanted.
function Screen:paint(code, text)
  return self.colors and ("\27[%sm%s\27[0m"):format(code, text) or text
end

--- A text without passwords, unless they are to be shown.
-- @param name of the field that contains it, may be left out
function Screen:mask(text, name)
  return self.reveal and text or passwords.hide(tables.mask(text, name))
end

function Screen:line(text)
  io.stdout:write(core.login.scrub(self.reveal and text or passwords.hide(text)), "\n")
end

--- A note, which is not part of the shown value.
function Screen:note(format, ...)
  self:line(self:paint("2", format:format(...)))
end

-- For texts that may be cut before they are shown.
local function masker(screen)
  return function(text, name) return screen:mask(text, name) end
end

local function is_record(value)
  if type(value) ~= "table" or core.money.is(value) or next(value) == nil then return false end
  for key in next, value do
    if type(key) ~= "string" then return false end
  end
  return true
end

-- The fields of an API list beside its records.
local page_fields = { page = true, limit = true, total = true, has_more = true }

local function is_empty_list(value)
  for key in next, value do
    if not page_fields[key] then return false end
  end
  return rawget(value, "page") ~= nil
end

local function is_list_of_records(value)
  local length = rawlen(value)
  if length == 0 then return false end
  for index = 1, math.min(length, MAX_ROWS) do
    if not is_record(rawget(value, index)) then return false end
  end
  return true
end

-- A copy of a record that contains only texts and numbers.
local function flat(screen, record)
  local copy, mask = {}, masker(screen)
  for key, value in next, record do
    if type(value) == "string" then
      copy[key] = mask(value, key)
    elseif type(value) == "number" or core.money.is(value) then
      copy[key] = value
    else
      copy[key] = inspect.text(value, math.huge, mask)
      if core.text.width(copy[key]) > SUMMARY then
        copy[key] = type(value) == "table" and "{…}" or copy[key]
      end
    end
  end
  return copy
end

local function show_lines(screen, lines)
  screen:line(screen:paint("1", lines[1]))
  screen:line(table.concat(lines, "\n", 2))
end

local function show_list(screen, list)
  local records, count = {}, rawlen(list)
  for index = 1, math.min(count, MAX_ROWS) do
    records[index] = flat(screen, rawget(list, index))
  end
  local kind = kind_of(records[1])
  local lines, dropped = tables.aligned(tables.all_columns(kind, records), records, screen.width(),
    kind)
  show_lines(screen, lines)
  if count > #records then
    screen:note("… %d more; :json shows all, list[%d] one", count - #records, #records + 1)
  end
  if #dropped > 0 then
    screen:note("hidden columns: %s (:json shows all)", table.concat(dropped, ", "))
  end
  local page, total = rawget(list, "page"), rawget(list, "total")
  if rawget(list, "has_more") == true then
    screen:note("page %s%s", page or 1, total and (", %d of %s"):format(count, total) or "")
  end
end

-- A record may have many and long fields: lines are cut at the edge of the screen.
local function show_record(screen, record)
  local lines = tables.fields(kind_of(record), flat(screen, record))
  for at = 1, math.min(#lines, MAX_ROWS) do
    local line, width = lines[at], screen.width()
    if core.text.width(line) > width then line = core.text.prefix(line, width - 1) .. "…" end
    screen:line(line)
  end
  if #lines > MAX_ROWS then screen:note("… %d more", #lines - MAX_ROWS) end
end

--- Shows records of proxylua itself.
-- @param columns list of their names, in their order
function Screen:rows(columns, records)
  local lines, dropped = tables.aligned(columns, records, self.width())
  show_lines(self, lines)
  if #dropped > 0 then self:note("hidden columns: %s", table.concat(dropped, ", ")) end
end

local function has_text(value)
  local meta = debug.getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__tostring") ~= nil
end

local function show_json(screen, value)
  local ok, text = pcall(function()
    return core.json.encode(screen.reveal and value or tables.mask(value))
  end)
  if ok then return screen:line(plain.json(text)) end
  screen:line(inspect.text(value, screen.width(), masker(screen)))
  screen:note("not JSON: %s", (tostring(text):gsub("^usage: ", "")))
end

--- Shows one value.
function Screen:value(value, as_json)
  if type(value) == "string" and not as_json and not self.json then
    return self:line(plain.lines(self:mask(value)))
  end
  if as_json or self.json then return show_json(self, value) end
  if type(value) ~= "table" or has_text(value) then
    return self:line(plain.lines(self:mask(tostring(value))))
  end
  if is_empty_list(value) then return self:note("none found") end
  if is_list_of_records(value) then return show_list(self, value) end
  if is_record(value) then return show_record(self, value) end
  self:line(inspect.text(value, self.width(), masker(self)))
end

--- Shows the values of an expression.
-- @param values table as from table.pack
function Screen:values(values, as_json)
  for index = 1, values.n do self:value(values[index], as_json) end
end

return M
