-- Encodings of a list of proxies: gzip, UTF-16 and base64 subscriptions are decoded while they are
-- read. Other kinds of files are refused by name.

local core = require "proxylua.core"
local names = require "proxylua.util.names"

local M = {}

local PIECE, WHOLE = 1 << 16, 64 << 20 -- bytes
local SHORTEST <const> = 60 -- bytes of a line at which programs break base64
local ENOUGH <const> = 256 -- bytes by which base64 is recognised

local kinds = {
  { "^PK\3\4", "a ZIP archive or a spreadsheet" }, { "^\x89PNG", "a picture" },
  { "^%%PDF%-", "a PDF document" }, { "^%(\xB5/\xFD", "compressed with zstd" },
  { "^BZh%d", "compressed with bzip2" }, { "^\xFD7zXZ", "compressed with xz" },
  { "^7z\xBC\xAF", "a 7z archive" }, { "^Rar!", "a RAR archive" },
  { "^SQLite format 3", "an SQLite database" }, { "^\x7FELF", "a program" },
  { "^%s*<!%-?%-?%a", "an HTML page" }, { "^%s*<[%a?]", "an HTML or XML document" },
}

local function refuse_others(name, head)
  for _, kind in ipairs(kinds) do
    if head:find(kind[1]) then
      names.usage("%s is %s; expected a list of proxies as text", name, kind[2])
    end
  end
end

-- The pieces of a source. The first one is large enough to recognise the encoding.
local function pieces_of(source, name)
  local function pull()
    local text, why = source:read(PIECE)
    if why then names.usage("cannot read %s: %s", name, why) end
    if text ~= "" then return text end
  end
  local first = pull()
  while first and (#first < 4 or #first < ENOUGH and not first:find("[^%w%s+/=_-]")) do
    local more = pull()
    if not more then break end
    first = first .. more
  end
  return first or "", pull
end

-- Puts a piece that was already read back in front.
local function behind(first, pull)
  return function()
    local text = first
    first = nil
    if text and text ~= "" then return text end
    return pull()
  end
end

local function gunzip(name, pull)
  local packed = core.decode.gunzip()
  return function()
    while true do
      local ok, text = pcall(packed.pull, packed)
      if not ok then names.usage("%s: %s", name, text.message or text) end
      if text and text ~= "" then return text end
      if not text then
        local more = pull()
        if not more then
          local why = packed:finish()
          if why then names.usage("%s: %s", name, why) end
          return nil
        end
        packed:push(more)
      end
    end
  end
end

-- An incomplete character at the end of a piece is kept for the next one.
local function utf16(name, pull, big)
  local rest = ""
  return function()
    while true do
      local more = pull()
      if not more then
        if rest ~= "" then names.usage("%s: the UTF-16 text ends within a character", name) end
        return nil
      end
      local text
      text, rest = core.decode.utf16(rest .. more, big)
      if text ~= "" then return text end
    end
  end
end

-- Whether a text is base64 of addresses, whole or its first line.
local function is_base64(head)
  local text = head:sub(1, ENOUGH):gsub("=*%s+", "")
  if #text < 16 or not text:find("^[%w+/_-]*=*$") then return false end
  for _, part in ipairs{ text, head:match("^%s*([^%s=]+)") } do
    part = part:gsub("=", "")
    local decoded = core.decode.base64(#part % 4 == 1 and part:sub(1, -2) or part)
    if decoded and not decoded:find("[\0-\8\14-\31]")
      and (decoded:find("%w://") or decoded:find("%.[%w]+:%d")) then
      return true
    end
  end
  return false
end

-- Programs break the lines of base64 at one length; where the lengths differ, each line is a text
-- of its own.
local function are_texts(lines)
  for at, line in ipairs(lines) do
    local is_last = at == #lines
    if #line ~= #lines[1] and not (is_last and #line < #lines[1]) or #lines[1] < SHORTEST then
      return #lines > 1
    end
  end
  return false
end

local function decode_lines(lines)
  local texts = {}
  for at, line in ipairs(lines) do
    texts[at] = core.decode.base64(line)
    if not texts[at] then return nil end
  end
  return table.concat(texts, "\n")
end

local function base64(name, pull)
  local parts, size = {}, 0
  for text in pull do
    size = size + #text
    if size > WHOLE then
      names.usage("%s: a base64 subscription may hold %d MiB", name, WHOLE >> 20)
    end
    parts[#parts + 1] = text
  end
  local text, lines = table.concat(parts), {}
  for line in text:gmatch("%S+") do lines[#lines + 1] = line end
  local whole
  if are_texts(lines) then whole = decode_lines(lines) else whole = core.decode.base64(text) end
  if not whole then names.usage("%s: the base64 text is damaged", name) end
  return behind(whole, function() end)
end

local function unpack_text(name, first, pull)
  local big = first:find("^\xFE\xFF") or first:find("^\0[^\0]\0[^\0]")
  local little = first:find("^\xFF\xFE") or first:find("^[^\0]\0[^\0]\0")
  if first:find("^\xFF\xFE\0\0") or first:find("^\0\0\xFE\xFF") then
    names.usage("%s is UTF-32; save it as UTF-8", name)
  end
  if big or little then
    if first:find("^[\xFE\xFF][\xFE\xFF]") then first = first:sub(3) end
    return utf16(name, behind(first, pull), big ~= nil), "UTF-16"
  end
  first = first:gsub("^\xEF\xBB\xBF", "")
  if is_base64(first) then return base64(name, behind(first, pull)), "base64" end
  refuse_others(name, first)
  return behind(first, pull)
end

--- The text of a source.
-- @param source with the method read(count)
-- @param name for messages
-- @return value with the method read, which ignores its count
-- @raise usage for what is not a text, and while reading for what is damaged
function M.open(source, name)
  local first, pull = pieces_of(source, name)
  local read = behind(first, pull)
  if first:find("^\x1F\x8B") then
    local unpacked = gunzip(name, read)
    first = unpacked() or ""
    read = unpack_text(name, first, unpacked)
  else
    read = unpack_text(name, first, pull)
  end
  return { read = function() return read() end }
end

return M
