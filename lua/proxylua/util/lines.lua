-- The lines of a file, of standard input or of any object with a method read, in bounded memory. A
-- line ends with LF, CRLF or CR.

local core = require "proxylua.core"
local names = require "proxylua.util.names"

local M = {}

local CHUNK, MAX_LENGTH, WHOLE = 1 << 16, 1 << 16, 64 << 20 -- bytes
local PEEKED, SAMPLE = 64, 1 << 20

local find, sub = string.find, string.sub

local Reader = {}
Reader.__index = Reader

local function open(source)
  if type(source) == "table" or type(source) == "userdata" then return source, "the input" end
  if type(source) ~= "string" then
    names.usage("the input must be a path or have a method read, got a %s", type(source))
  end
  local name = source == "-" and "standard input" or source
  local file, why = core.file.source(source)
  if not file then names.usage("cannot read %s: %s", name, why) end
  return file, name
end

--- Begins reading.
-- @param source path, "-" for standard input, or a value with the method read(count)
-- @param name of the input for messages, nil: its path
-- @return reader, with the fields name, number (of the line that was read last) and on_close, a
--   function to call at the end
-- @raise usage
function M.open(source, name)
  local file, usual = open(source)
  return setmetatable({ file = file, name = name or usual, owned = type(source) == "string"
    and source ~= "-",
    text = "", at = 1, number = 0, cr_at = 0 }, Reader)
end

function Reader:close()
  if self.owned and self.file then self.file:close() end
  if self.on_close then self.on_close() end
  self.file, self.on_close = nil, nil
end

-- Reads on; returns whether there was more. Text after a mark stays in memory.
local function fill(reader)
  local chunk, why
  if reader.file then chunk, why = reader.file:read(CHUNK) end
  if why then names.usage("cannot read %s: %s", reader.name, why) end
  if not chunk or chunk == "" then
    reader:close()
    return false
  end
  local from = reader.mark_at or reader.at
  reader.text, reader.at = sub(reader.text, from) .. chunk, reader.at - from + 1
  if reader.mark_at then reader.mark_at = 1 end
  reader.cr_at = 0
  return true
end

-- The next CR. It is looked for once: a text with few of them is not searched for each line.
local function next_cr(reader, from)
  if reader.cr_at < from then
    reader.cr_at = find(reader.text, "\r", from, true) or math.maxinteger
  end
  return reader.cr_at
end

-- The end of the line, and the beginning of the next one. A CR at the end of the text may belong to
-- a CRLF.
local function find_end(reader, longest)
  local from = reader.at
  while true do
    local ending = find(reader.text, "\n", from, true)
    local cr = next_cr(reader, from)
    if cr < (ending or math.maxinteger) then
      ending = cr
      if ending < #reader.text or not fill(reader) then
        local following = reader.text:byte(ending + 1) == 10 and 2 or 1
        return ending - 1, ending + following
      end
      from = reader.at
    elseif ending then
      return ending - 1, ending + 1
    else
      local size = #reader.text - reader.at + 1
      if size > longest then return nil end
      if not fill(reader) then return #reader.text, #reader.text + 1 end
      from = reader.at + size
    end
  end
end

-- Skips the rest of a line that is too long.
local function drop_line(reader)
  reader.mark_at = nil
  repeat
    local ending = find(reader.text, "[\r\n]", reader.at)
    reader.at = ending and ending + 1 or #reader.text + 1
  until ending or not fill(reader)
  reader.number = reader.number + 1
end

--- The next line without its end; nil when there is none.
-- @param skip_long return false for a line that is longer than 64 KiB
-- @return line, and its end
-- @raise usage for one that is too long
function Reader:line(skip_long)
  local last, following = find_end(self, MAX_LENGTH)
  if not last then
    if skip_long then
      drop_line(self)
      return false
    end
    names.usage("%s:%d: the line is longer than %d bytes", self.name, self.number + 1, MAX_LENGTH)
  end
  if self.at > #self.text then return nil end
  local text, from = self.text, self.at
  self.at, self.number = following, self.number + 1
  return sub(text, from, last), sub(text, last + 1, following - 1)
end

--- The limit of Reader:line, in bytes.
M.longest = MAX_LENGTH

--- Sets a mark: keeps the text from here on, for Reader:reset.
function Reader:mark()
  self.mark_at, self.mark_number = self.at, self.number
end

--- Whether more can be read before the text since the mark is too long.
function Reader:is_near_mark()
  return self.mark_at and self.at - self.mark_at < SAMPLE
end

--- Goes back to the mark and removes it.
function Reader:reset()
  self.at, self.number, self.mark_at, self.cr_at = self.mark_at, self.mark_number, nil, 0
end

--- The next piece of the text, for callers that do not read lines; nil at the end.
function Reader:chunk()
  if self.at > #self.text and not fill(self) then return nil end
  local text = sub(self.text, self.at)
  self.text, self.at = "", 1
  return text
end

--- The first bytes after spaces, which stay to be read, or as many as the first line has; "" when
-- there are none. A bracket alone on a line says nothing without what follows it.
function Reader:peek()
  repeat
    local from = find(self.text, "%S", self.at) or #self.text + 1
    local enough = #self.text - from >= PEEKED or from <= #self.text
      and find(self.text, "\n", from, true) and not find(self.text, "^[%[{]%s*$", from)
  until enough or not fill(self)
  local from = find(self.text, "%S", self.at)
  return from and sub(self.text, from, from + PEEKED) or ""
end

--- The rest of the text.
-- @raise usage for more than 64 MiB
function Reader:rest()
  local parts, size = { sub(self.text, self.at) }, #self.text
  self.text, self.at = "", 1
  while fill(self) do
    size = size + #self.text
    if size > WHOLE then
      names.usage("%s: a document must not be larger than %d MiB", self.name, WHOLE >> 20)
    end
    parts[#parts + 1] = self.text
    self.text, self.at = "", 1
  end
  return table.concat(parts)
end

return M
