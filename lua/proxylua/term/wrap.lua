-- Breaks a text into lines of a width.

local function width_of(text)
  return utf8.len(text) or #text
end

--- Breaks a text into lines.
-- @param text string; spaces and line ends separate its words
-- @param width columns; a longer word gets a line of its own
-- @param first string that begins the first line (default: none)
-- @param following string that begins the other lines (default: none)
-- @return list of lines
return function(text, width, first, following)
  local lines, line, is_empty = {}, first or "", true
  for word in text:gmatch("%S+") do
    if not is_empty and width_of(line) + 1 + width_of(word) > width then
      lines[#lines + 1] = line
      line, is_empty = following or "", true
    end
    line, is_empty = line .. (is_empty and "" or " ") .. word, false
  end
  lines[#lines + 1] = line
  return lines
end
