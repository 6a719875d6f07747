-- The output of a command: data to standard output, for people or programs, and everything else to
-- standard error.

local core = require "proxylua.core"
local names = require "proxylua.util.names"
local page = require "proxylua.term.pager"
local plain = require "proxylua.util.text"
local shapes = require "proxylua.cli.shape"
local tables = require "proxylua.term.table"
local terminal = require "proxylua.term.size"

local M = {}

local Screen = {}
Screen.__index = Screen

--- An error as one line of JSON, for programs that read standard error too.
-- @param err error value
-- @param code the exit code that it leads to
-- @return string: an object with the field `error`, which has the fields of the error and the code
function M.error_line(err, code)
  local fields = {}
  for name, value in next, err do fields[name] = value end
  fields.message = plain.lines(fields.message)
  fields.exit_code = code
  local ok, text = pcall(core.json.encode, { error = fields }, { bytes = "escape" })
  if not ok then
    fields.details = nil -- what a script put there
    text = core.json.encode({ error = fields }, { bytes = "escape" })
  end
  return text .. "\n"
end

local function form_of(flags)
  if flags.json and flags.jsonl then
    names.usage("use either --json or --jsonl")
  end
  if flags.json or flags.jsonl then return flags.json and "json" or "jsonl" end
  return core.system.isatty(1) and "table" or "plain"
end

--- Detects the form of the output.
-- @param flags table: json, jsonl, quiet, no_color, reveal
-- @param settings table: color
function M.open(flags, settings)
  local is_terminal = core.system.isatty(1)
  return setmetatable({
    form = form_of(flags), quiet = flags.quiet, is_terminal = is_terminal,
    colors = terminal.has_colors(1, flags, settings or {}), masked = is_terminal
      and not flags.reveal,
  }, Screen)
end

--- Whether the output is JSON, for programs.
function Screen:is_data()
  return self.form == "json" or self.form == "jsonl"
end

--- Refuses --json and --jsonl for output that has a format of its own.
-- @param what name of the output
-- @param instead what to use instead, may be left out
-- @raise usage
function Screen:refuse_json(what, instead)
  if self:is_data() then
    names.usage("--%s: %s cannot be printed as JSON%s", self.form, what, instead and "; " .. instead
      or "")
  end
end

--- Prints a note for the user; --quiet suppresses it.
function Screen:note(...)
  if self.quiet then return end
  io.stderr:write("proxylua: ", plain.lines((...):format(select(2, ...))), "\n")
end

--- Warns of something that could not be read, also with --quiet. The command continues, and ends
-- with the exit code of the error.
-- @param err error
function Screen:problem(err)
  local code = core.system.exit_code(err)
  io.stderr:write(self:is_data() and M.error_line(err, code)
    or ("proxylua: %s\n"):format(tables.clean(err.message)))
  core.system.set_exit_code(code)
end

--- A function that reports problems on a screen, for `on_problem`.
function Screen:reporter()
  return function(err) self:problem(err) end
end

--- A progress line of long work, for a terminal.
-- @param what string, such as "checked"
-- @param total integer, or nil
function Screen:progress(what, total)
  return require("proxylua.term.progress").start(what, total, self)
end

local function put(lines)
  if #lines > 0 then core.system.write(table.concat(lines, "\n"), "\n") end
end

local function put_paged(lines)
  if #lines > 0 then page(table.concat(lines, "\n") .. "\n") end
end

-- JSON cannot contain bytes that are not UTF-8; such bytes in one field must not lose the other
-- fields.
local function put_json(screen, value)
  local text, place = core.json.encode(value, { bytes = "escape" })
  core.system.write(screen.is_terminal and plain.json(text) or text, "\n")
  if not place or screen.has_noted_bytes then return end
  screen.has_noted_bytes = true
  screen:note("%s has bytes that are not UTF-8; JSON shows each of them as \\udc80 to \\udcff",
    place)
end

local function prepare(screen, value)
  return screen.masked and tables.mask(value) or value
end

-- The columns of a list: those that were asked for, else those of its kind.
local function columns_of(screen, kind, records)
  return screen.shape and screen.shape.columns or tables.columns(kind, records)
end

local function put_table(screen, kind, records, write)
  local shown = {}
  for at, record in ipairs(records) do shown[at] = shapes.for_people(record) end
  local lines, dropped = tables.aligned(columns_of(screen, kind, shown), shown, terminal.width(1),
    kind)
  if screen.colors and lines[1] then lines[1] = "\27[1m" .. lines[1] .. "\27[0m" end
  write(lines)
  return dropped
end

local function note_hidden(screen, dropped)
  if #dropped > 0 then
    screen:note("hidden columns: %s (--json shows all)", table.concat(dropped, ", "))
  end
end

local function put_list(self, kind, records)
  records = prepare(self, records)
  if self.form == "jsonl" then
    for _, record in ipairs(records) do put_json(self, record) end
  elseif self.form == "json" then
    put_json(self, core.json.array(records))
  elseif self.form == "table" then
    if #records == 0 then self:note("none found") end
    note_hidden(self, put_table(self, kind, records, put_paged))
  else
    local names_of_columns = columns_of(self, kind, records)
    if #names_of_columns > 0 then put(tables.plain(names_of_columns, records)) end
  end
end

--- Writes a list of records.
-- @param kind of record, or nil
function Screen:list(kind, records)
  put_list(self, kind, self.shape and shapes.list(self.shape, kind, records) or records)
end

-- A pipe gets each record at once: the next page may take a minute.
local function put_each(next_record, write)
  for record in next_record do
    write(record)
    core.system.flush()
  end
end

local BLOCK = 500 -- records in a table; more records are in a new table with its own header

local function take_block(next_record)
  local records = {}
  repeat
    local record = next_record()
    records[#records + 1] = record
  until not record or #records == BLOCK
  return records
end

-- A terminal shows the first records before the last page has arrived.
local function put_tables(screen, kind, next_record)
  local records = take_block(next_record)
  if #records < BLOCK then return put_list(screen, kind, records) end
  local dropped
  repeat
    dropped = put_table(screen, kind, prepare(screen, records), put)
    core.system.flush()
    records = take_block(next_record)
  until #records == 0
  note_hidden(screen, dropped)
end

--- Writes the records of an iterator as they arrive, in constant memory; in the form of one JSON
-- value, when all have arrived.
-- @param kind of record, or nil
function Screen:stream(kind, next_record)
  if self.shape then next_record = shapes.each(self.shape, kind, next_record) end
  local columns = self.shape and self.shape.columns or tables.known_columns(kind)
  if self.form == "jsonl" then
    put_each(next_record, function(record) put_json(self, prepare(self, record)) end)
  elseif self.form == "plain" and columns then
    put(tables.plain(columns, {}))
    put_each(next_record, function(record)
      put{ tables.plain_line(columns, prepare(self, record)) }
    end)
  elseif self.form == "table" then
    put_tables(self, kind, next_record)
  else
    local records = {}
    for record in next_record do records[#records + 1] = record end
    put_list(self, kind, records)
  end
end

--- Writes records one by one as they arrive; as one JSON value after the last one.
-- @param kind of record, known to the tables
-- @param line function(record) that returns the line for a terminal
-- @return function(record), and a function to call after the last one
function Screen:writer(kind, line)
  local columns, list = tables.known_columns(kind), {}
  local write = {
    jsonl = function(record) put_json(self, prepare(self, record)) end,
    json = function(record) list[#list + 1] = prepare(self, record) end,
    plain = function(record) put{ tables.plain_line(columns, record) } end,
    table = function(record) put{ line(prepare(self, record)) } end,
  }
  if self.form == "plain" then put(tables.plain(columns, {})) end
  return function(record)
    write[self.form](record)
    core.system.flush()
  end, function()
    if self.form == "json" then put_json(self, core.json.array(list)) end
  end
end

--- Writes one record.
function Screen:record(kind, record)
  record = prepare(self, record)
  if self:is_data() then
    put_json(self, record)
  elseif self.form == "table" then
    put(tables.fields(kind, shapes.for_people(record, true)))
  else
    put(tables.plain(tables.columns(kind, { record }), { record }))
  end
end

local function put_plain_value(screen, value)
  value = prepare(screen, value)
  if screen:is_data() then return put_json(screen, value) end
  local text = tostring(value == nil and "" or value)
  core.system.write(screen.form == "table" and plain.lines(text) or text, "\n")
end

local function is_list(value)
  local count = 0
  for _ in pairs(value) do count = count + 1 end
  return count == #value
end

--- Writes any result: an iterator of records, a list, a record or a plain value.
function Screen:value(kind, value)
  if type(value) == "function" then
    self:stream(kind, value)
  elseif type(value) ~= "table" or core.money.is(value) then
    put_plain_value(self, value)
  elseif is_list(value) then
    self:list(kind, value)
  else
    self:record(kind, value)
  end
end

--- Writes a text unchanged.
function Screen:text(text)
  if self:is_data() then return put_json(self, text) end
  core.system.write(text)
end

return M
