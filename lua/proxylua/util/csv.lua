-- Rows and fields of CSV: RFC 4180 with any delimiter.

local trim = require("proxylua.util.text").trim

local M = {}

local find, sub = string.find, string.sub

local MAX_ROW <const> = 1 << 16 -- bytes

-- Where a quoted field ends; a quote in it is doubled.
local function closing(line, from)
  while true do
    local ending = find(line, '"', from, true)
    if not ending or sub(line, ending + 1, ending + 1) ~= '"' then return ending end
    from = ending + 2
  end
end

-- A field in quotes that begins before `at`, and what follows it. It may go on in the next lines.
local function quoted(line, ending, at, more)
  local parts, from = {}, at
  local size = #line
  while true do
    local last = closing(line, from)
    if last then
      parts[#parts + 1] = sub(line, from, last - 1)
      return table.concat(parts):gsub('""', '"'), last + 1, line, ending
    end
    parts[#parts + 1], parts[#parts + 2] = sub(line, from), ending
    line, ending = more()
    if not line then return nil, "a quoted field has no end" end
    size = size + #line
    if size > MAX_ROW then return nil, ("a row is longer than %d bytes"):format(MAX_ROW) end
    from = 1
  end
end

-- The fields of a row without quotes and blanks.
local function split_usual(line, comma)
  local list, count, at = {}, 0, 1
  while true do
    local stop = find(line, comma, at, true)
    count = count + 1
    if not stop then
      list[count] = sub(line, at)
      return list, count
    end
    list[count] = sub(line, at, stop - 1)
    at = stop + 1
  end
end

--- The fields of a row and their number; nil and why.
-- @param line, ending of the row
-- @param comma delimiter
-- @param more function that returns the next line and its ending
function M.split(line, ending, comma, more)
  if comma ~= "\t" and not find(line, '"', 1, true) and not find(line, "%s") then
    return split_usual(line, comma)
  end
  local list, at = {}, 1
  local count = 0
  while true do
    local value, after
    local start = find(line, "[^ ]", at) or at
    count = count + 1
    if sub(line, start, start) == '"' then
      local reason
      value, after, line, ending = quoted(line, ending, start + 1, more)
      reason = after
      if not value then return nil, reason end
      local rest = find(line, "[^ ]", after) or #line + 1
      if rest <= #line and sub(line, rest, rest) ~= comma then
        return nil, "something follows a quoted field"
      end
      at = rest
    else
      local stop = find(line, comma, at, true) or #line + 1
      value, at = trim(sub(line, at, stop - 1)), stop
    end
    list[count] = value
    if at > #line then return list, count end
    at = at + 1
  end
end

-- What a field must not have without quotes, by delimiter.
local special = { [","] = '["\r\n,]', [";"] = '["\r\n;]', ["|"] = '["\r\n|]',
  ["\t"] = '["\r\n\t]' }

--- A text as a field.
-- @param value string
-- @param comma delimiter: a comma, semicolon, bar or tab
function M.field(value, comma)
  if not find(value, special[comma]) and not find(value, "^%s") and not find(value, "%s$") then
    return value
  end
  return '"' .. value:gsub('"', '""') .. '"'
end

return M
