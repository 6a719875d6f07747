-- The lines of a file, of standard input or of whatever has a method read, with bounded memory
-- whatever is in them.

local core = require "proxylua.core"
local names = require "proxylua.util.names"

local M = {}

local CHUNK, LONGEST, WHOLE = 1 << 16, 1 << 16, 64 << 20 -- bytes
local PEEKED = 64

local Reader = {}
Reader.__index = Reader

local function open(source)
  if type(source) == "table" or type(source) == "userdata" then return source, "what is read" end
  if type(source) ~= "string" then
    names.usage("what is read is a path, or has a method read; got a %s", type(source))
  end
  local name = source == "-" and "standard input" or source
  local file, why = core.file.source(source)
  if not file then names.usage("cannot read %s: %s", name, why) end
  return file, name
end

--- Begins reading.
-- @param source path, "-" for standard input, or a value with the method read(count)
-- @return reader, with the fields name (for messages) and number (of the line that was read last)
-- @raise usage
function M.open(source)
  local file, name = open(source)
  return setmetatable({ file = file, name = name, owned = type(source) == "string"
    and source ~= "-",
    text = "", at = 1, number = 0 }, Reader)
end

function Reader:close()
  if self.owned and self.file then self.file:close() end
  self.file = nil
end

-- Whether there was more.
local function fill(reader)
  local chunk, why
  if reader.file then chunk, why = reader.file:read(CHUNK) end
  if why then names.usage("cannot read %s: %s", reader.name, why) end
  if not chunk or chunk == "" then
    reader:close()
    return false
  end
  reader.text, reader.at = reader.text:sub(reader.at) .. chunk, 1
  return true
end

-- Where the line ends, and where the next one begins.
local function find_end(reader, longest)
  local from = reader.at
  while true do
    local ending = reader.text:find("\n", from, true)
    if ending then return ending - 1, ending + 1 end
    local size = #reader.text - reader.at + 1
    if size > longest then return nil end
    if not fill(reader) then return #reader.text, #reader.text + 1 end
    from = size + 1
  end
end

--- The next line without its end; nil when there is none.
-- @param raw whether a carriage return at its end stays
-- @raise usage for one that is longer than 64 KiB
function Reader:line(raw)
  local last, following = find_end(self, LONGEST)
  if not last then
    names.usage("%s: line %d is longer than %d bytes", self.name, self.number + 1, LONGEST)
  end
  if self.at > #self.text then return nil end
  local line = self.text:sub(self.at, last)
  self.at, self.number = following, self.number + 1
  return not raw and line:byte(-1) == 13 and line:sub(1, -2) or line
end

--- Whether the next line is one that Reader:line answers.
function Reader:has_short_line()
  return find_end(self, LONGEST) ~= nil
end

--- The first bytes after blanks and a byte order mark, which stay to be read, or as many as there
-- are with the first line; "" when there are none.
function Reader:peek()
  repeat
    local bom = self.number == 0 and self.text:match("^\xEF\xBB\xBF()")
    self.at = self.text:match("^%s*()", math.max(self.at, bom or 1))
  until self.text:find("\n", self.at, true) or #self.text - self.at >= PEEKED or not fill(self)
  return self.text:sub(self.at, self.at + PEEKED)
end

--- All that is left.
-- @raise usage for more than 64 MiB
function Reader:rest()
  local parts, size = { self.text:sub(self.at) }, #self.text
  self.text, self.at = "", 1
  while fill(self) do
    size = size + #self.text
    if size > WHOLE then
      names.usage("%s: a document that is read as a whole may hold %d MiB", self.name, WHOLE >> 20)
    end
    parts[#parts + 1] = self.text
    self.text = ""
  end
  return table.concat(parts)
end

return M
