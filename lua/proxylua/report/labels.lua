-- Names from outside, made safe to show: without characters that control a terminal or rearrange
-- text, and cut to a width.

local core = require "proxylua.core"

local M = {}

-- Zero-width and direction-changing characters, line separators, and the byte order mark.
local function is_unseen(code)
  return code < 0x20 or code >= 0x7F and code < 0xA0 or code == 0x61C or code >= 0x200B
    and code <= 0x200F
    or code >= 0x2028 and code <= 0x202E or code >= 0x2060 and code <= 0x206F or code == 0xFEFF
    or code >= 0xFFF9 and code <= 0xFFFB or code >= 0xE0000 and code <= 0xE0FFF
    or (code & 0xFFFE) == 0xFFFE or code >= 0xD800 and code <= 0xDFFF
end

--- A text with each of these as "?".
function M.clean(value)
  local text = tostring(value)
  if not text:find("[^ -~]") then return text end
  if not utf8.len(text) then text = text:gsub("[\x80-\xFF]", "?") end
  local out = {}
  for _, code in utf8.codes(text) do out[#out + 1] = is_unseen(code) and "?" or utf8.char(code) end
  return table.concat(out)
end

--- A clean text with every non-ASCII character as "?".
function M.ascii(value)
  return (M.clean(value):gsub(utf8.charpattern, function(char) return #char > 1 and "?" or nil end))
end

--- A text cut to a number of columns.
function M.cut(text, width, ellipsis)
  if core.text.width(text) <= width then return text end
  local room = width - core.text.width(ellipsis)
  return room > 0 and core.text.prefix(text, room) .. ellipsis or core.text.prefix(text, width)
end

return M
