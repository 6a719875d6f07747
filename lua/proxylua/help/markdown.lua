-- What the README uses of Markdown, as text for a terminal of some width: headings, paragraphs,
-- lists, tables and code.

local M = {}

-- columns for the last cell of a table's row; where less is left, the cells stand below each other
local LEAST_CELL = 24

local function width_of(text)
  return utf8.len(text) or #text
end

--- A text in lines of a width.
-- @param first what the first line begins with
-- @param following what the others do
-- @return list of lines
function M.wrap(text, width, first, following)
  local lines, line, empty = {}, first or "", true
  for word in text:gmatch("%S+") do
    if not empty and width_of(line) + 1 + width_of(word) > width then
      lines[#lines + 1] = line
      line, empty = following or "", true
    end
    line, empty = line .. (empty and "" or " ") .. word, false
  end
  lines[#lines + 1] = line
  return lines
end

local function append(lines, more)
  table.move(more, 1, #more, #lines + 1, lines)
end

-- --- tables ---

local function cells_of(line)
  local cells = {}
  for cell in line:gmatch("|([^|\n]*)%f[|]") do cells[#cells + 1] = cell:match("^%s*(.-)%s*$") end
  return cells
end

--- The rows of the table in a text, the first with the names of the columns: lists of cells.
function M.rows(text)
  local rows = {}
  for line in text:gmatch("[^\n]+") do
    if line:find("^|") and not line:find("^|[%-| ]+|$") then rows[#rows + 1] = cells_of(line) end
  end
  return rows
end

local function widths_of(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for at, cell in ipairs(row) do widths[at] = math.max(widths[at] or 0, width_of(cell)) end
  end
  return widths
end

-- All cells of a row beside each other; the last is as wide as the rest of the line.
local function put_row(lines, row, widths, width)
  local start, indent = "  ", 2
  for at = 1, #row - 1 do
    start = start .. row[at] .. (" "):rep(widths[at] - width_of(row[at]) + 2)
    indent = indent + widths[at] + 2
  end
  append(lines, M.wrap(row[#row], width, start, (" "):rep(indent)))
end

local function put_stacked(lines, row, head, width)
  append(lines, M.wrap(row[1], width, "  ", "  "))
  for at = 2, #row do
    local label = head[at] ~= "" and #row > 2 and head[at] .. ": " or ""
    if row[at] ~= "" then append(lines, M.wrap(label .. row[at], width, "      ", "      ")) end
  end
end

local function put_table(lines, block, width)
  local rows = M.rows(block)
  local widths, used = widths_of(rows), 2
  for at = 1, #widths - 1 do used = used + widths[at] + 2 end
  local stacked = width - used < math.min(LEAST_CELL, widths[#widths])
  for at, row in ipairs(rows) do
    if stacked and at > 1 then
      put_stacked(lines, row, rows[1], width)
    elseif not stacked then
      put_row(lines, row, widths, width)
    end
  end
end

-- --- blocks ---

local function put_items(lines, block, width)
  local item
  local function finish()
    if item then append(lines, M.wrap(item, width, "- ", "  ")) end
  end
  for line in block:gmatch("[^\n]+") do
    local start = line:match("^%- (.*)$")
    if start then finish() end
    item = start or item .. " " .. line
  end
  finish()
end

local function put_code(lines, code)
  for line in code:gmatch("([^\n]*)\n") do
    lines[#lines + 1] = line == "" and "" or "    " .. line
  end
end

local function put_block(lines, block, width)
  local heading = block:match("^#+ ([^\n]*)$")
  if heading then
    lines[#lines + 1] = heading:upper()
  elseif block:find("^|") then
    put_table(lines, block, width)
  elseif block:find("^%- ") then
    put_items(lines, block, width)
  else
    append(lines, M.wrap(block, width))
  end
end

-- The blocks of a text: a fenced one with its language, any other up to an empty line.
local function next_block(text, from)
  from = text:find("[^\n]", from)
  if not from then return nil end
  local code, last = text:match("^```%w*\n(.-\n)```()", from)
  if code then return last, nil, code end
  last = text:find("\n\n", from, true) or #text + 1
  local fence = text:find("\n```", from, true)
  if fence and fence < last then last = fence end
  return last, text:sub(from, last - 1)
end

--- Renders a text.
-- @return text
function M.render(text, width)
  local lines, at = {}, 1
  text = text:gsub("%*%*", "")
  while true do
    local last, block, code = next_block(text, at)
    if not last then break end
    if #lines > 0 then lines[#lines + 1] = "" end
    if code then put_code(lines, code) else put_block(lines, (block:gsub("\n+$", "")), width) end
    at = last
  end
  return table.concat(lines, "\n") .. "\n"
end

--- A section of a text: from its heading to the next one of the same rank or above.
-- @return text, nil when there is no such heading
function M.section(text, heading)
  local plain, marks, from = "\n" .. text .. "\n# ", nil, nil
  for rank, title, behind in plain:gmatch("\n(#+) ([^\n]+)()") do
    if from and #rank <= #marks then return plain:sub(from, behind - #title - #rank - 3) end
    if title == heading then marks, from = rank, behind - #title - #rank - 1 end
  end
  return from and plain:sub(from, -4)
end

return M
