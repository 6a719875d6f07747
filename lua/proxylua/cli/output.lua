-- Where a command's results go: data to standard output, as people or programs want it, and all else to standard error.

local core = require "proxylua.core"
local tables = require "proxylua.cli.table"

local M = {}

local Screen = {}
Screen.__index = Screen

local USUAL_WIDTH = 80

local function has_colors(flags, settings)
  local variable = os.getenv("NO_COLOR")
  return not flags.no_color and (variable == nil or variable == "") and settings.color ~= false
    and os.getenv("TERM") ~= "dumb"
end

--- Looks at where the output goes.
-- @param flags table: json, quiet, no_color, reveal
-- @param settings table: color
function M.open(flags, settings)
  local terminal = core.system.isatty(1)
  return setmetatable({
    json = flags.json, quiet = flags.quiet, terminal = terminal,
    colors = terminal and has_colors(flags, settings or {}),
    masked = terminal and not flags.reveal,
  }, Screen)
end

--- Tells people something; --quiet keeps it back.
function Screen:note(...)
  if not self.quiet then io.stderr:write("proxylua: ", (...):format(select(2, ...)), "\n") end
end

local function put(lines)
  if #lines > 0 then core.system.write(table.concat(lines, "\n"), "\n") end
end

local function prepare(screen, value)
  return screen.masked and tables.mask(value) or value
end

local function put_table(screen, names, records)
  local lines, dropped = tables.aligned(names, records, core.system.terminal_width(1) or USUAL_WIDTH)
  if screen.colors and lines[1] then lines[1] = "\27[1m" .. lines[1] .. "\27[0m" end
  put(lines)
  if #dropped > 0 then screen:note("no room for %s; --json shows all", table.concat(dropped, ", ")) end
end

--- Writes a list of records.
-- @param kind of record, or nil
function Screen:list(kind, records)
  records = prepare(self, records)
  if self.json then
    core.system.write(core.json.encode(core.json.array(records)), "\n")
  elseif self.terminal then
    if #records == 0 then self:note("there are none") end
    put_table(self, tables.columns(kind, records), records)
  else
    put(tables.plain(tables.columns(kind, records), records))
  end
end

--- Writes one record.
function Screen:record(kind, record)
  record = prepare(self, record)
  if self.json then
    core.system.write(core.json.encode(record), "\n")
  elseif self.terminal then
    put(tables.fields(tables.columns(kind, { record }), record))
  else
    put(tables.plain(tables.columns(kind, { record }), { record }))
  end
end

--- Writes whatever came: a list, a record or a plain value.
function Screen:value(kind, value)
  if type(value) ~= "table" or core.money.is(value) then
    value = prepare(self, value)
    core.system.write(self.json and core.json.encode(value) or tostring(value == nil and "" or value), "\n")
  elseif #value > 0 or next(value) == nil then
    self:list(kind, value)
  else
    self:record(kind, value)
  end
end

--- Writes a text as it is.
function Screen:text(text)
  core.system.write(self.json and core.json.encode(text) .. "\n" or text)
end

return M
