-- Texts from elsewhere, made safe for a terminal: characters that control it, or that hide or
-- rearrange text, are shown as ?.

local M = {}

-- C1 controls, and characters that change the direction of writing or have no width.
local deceptive = { "\xC2[\x80-\x9F]", "\xD8\x9C", "\xE2\x80[\x8B-\x8F\xA8-\xAE]",
  "\xE2\x81[\xA0-\xAF]", "\xEF\xBB\xBF", "\xEF\xBF[\xB9-\xBB]",
  "\xF3\xA0[\x80-\xBF][\x80-\xBF]" }

local function clean(text, controls)
  if not utf8.len(text) then text = text:gsub("[\x80-\xFF]", "?") end
  if text:find("[\xC2\xD8\xE2\xEF\xF3]") then
    for _, pattern in ipairs(deceptive) do text = text:gsub(pattern, "?") end
  end
  return (text:gsub(controls, "?"))
end

--- A text in one line.
function M.line(text)
  return clean(text, "%c")
end

--- A text of several lines, with tabs in them.
function M.lines(text)
  return clean(text, "[^\n\t\x20-\x7E\x80-\xFF]")
end

--- A text without blanks at its ends.
function M.trim(text)
  local from = text:find("%S")
  return from and text:match("^.*%S", from) or ""
end

local function escape(char)
  local code = utf8.codepoint(char)
  if code < 0x10000 then return ("\\u%04x"):format(code) end
  code = code - 0x10000
  return ("\\u%04x\\u%04x"):format(0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF))
end

--- JSON that is safe for a terminal: such characters are escaped, so that nothing is lost.
function M.json(text)
  if not text:find("[\x7F\xC2\xD8\xE2\xEF\xF3]") then return text end
  for _, pattern in ipairs(deceptive) do text = text:gsub(pattern, escape) end
  return (text:gsub("\x7F", escape))
end

--- Any values as one text, as print writes them.
function M.values(...)
  local list = table.pack(...)
  for index = 1, list.n do list[index] = tostring(list[index]) end
  return table.concat(list, "\t")
end

--- Whether a text is safe to show in one line.
function M.is_line(text)
  return M.line(text) == text
end

return M
