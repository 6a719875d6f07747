-- Texts that others sent, as a terminal can only show them: what it would obey is shown as ?.

local M = {}

local function clean(text, controls)
  if not utf8.len(text) then text = text:gsub("[\x80-\xFF]", "?") end
  return (text:gsub("\xC2[\x80-\x9F]", "?"):gsub(controls, "?"))
end

--- A text in one line.
function M.line(text)
  return clean(text, "%c")
end

--- A text of several lines, with tabs in them.
function M.lines(text)
  return clean(text, "[^\n\t\x20-\x7E\x80-\xFF]")
end

return M
