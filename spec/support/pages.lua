-- The pages of the documentation, taken apart: their code blocks, tables, headings and links.

local program = require "spec.support.program"

local M = {}
local Page = {}
Page.__index = Page

--- Reads a page.
-- @param path of a Markdown file
-- @return page: path, text, blocks (list of tables: language, text), and methods
function M.read(path)
  local text = program.read(path)
  local blocks = {}
  for language, block in ("\n" .. text):gmatch("\n```(%w*)\n(.-)```") do
    blocks[#blocks + 1] = { language = language, text = block }
  end
  return setmetatable({ path = path, text = text, blocks = blocks }, Page)
end

--- All pages: those at the top of the repository and those of docs/.
function M.all()
  local list = { M.read("README.md"), M.read("CONTRIBUTING.md"), M.read("CHANGELOG.md"),
    M.read("SECURITY.md") }
  local pipe = assert(io.popen("ls docs/*.md"))
  for path in pipe:lines() do list[#list + 1] = M.read(path) end
  assert(pipe:close())
  return list
end

--- The blocks of a language.
function Page:code(language)
  local list = {}
  for _, block in ipairs(self.blocks) do
    if block.language == language then list[#list + 1] = block.text end
  end
  return list
end

-- The text without its code, which may hold lines that look like headings or links.
function Page:prose()
  return (("\n" .. self.text):gsub("\n```.-\n```", "\n"))
end

--- The rows of the table below a heading, without its head: lists of cells.
function Page:rows(heading)
  local rows, section = {}, self.text:match("\n#+ " .. heading .. "\n(.-)\n#") or
    self.text:match("\n#+ " .. heading .. "\n(.*)$")
  assert(section, self.path .. " has no heading " .. heading)
  for line in section:gmatch("[^\n]+") do
    if line:find("^|") and not line:find("^|[%-| :]+|$") then
      local cells = {}
      for cell in line:gmatch("|([^|]*)%f[|]") do cells[#cells + 1] = cell:match("^%s*(.-)%s*$") end
      rows[#rows + 1] = cells
    end
  end
  return table.move(rows, 2, #rows, 1, {})
end

--- The anchors of the page's headings, as GitHub makes them.
function Page:anchors()
  local set = {}
  for heading in self:prose():gmatch("\n#+ ([^\n]+)") do
    set[heading:lower():gsub("[^%w%s_-]", ""):gsub("%s", "-")] = true
  end
  return set
end

--- The targets of the page's links.
function Page:links()
  local list = {}
  for target in self:prose():gmatch("%]%(([^)%s]+)%)") do list[#list + 1] = target end
  return list
end

--- The commands of a session, each with the output that the page shows.
-- @param text of a block: "$ " begins a command, which a backslash continues
-- @return list of tables: command, output
function M.session(text)
  local list, continued = {}, false
  for line in text:gmatch("([^\n]*)\n") do
    local command = line:match("^%$ (.*)$")
    if command then
      list[#list + 1] = { command = command, output = "" }
    elseif continued then
      list[#list].command = list[#list].command .. "\n" .. line
    else
      list[#list].output = list[#list].output .. line .. "\n"
    end
    continued = (command or continued) and line:find("\\$") ~= nil
  end
  return list
end

-- What differs between two runs: times, ids, ports and speeds; and what a progress bar wrote.
local volatile = {
  { "\r", "" }, { "[^\n]*\27%[K", "" }, { "\27%[[%d;]*m", "" },
  { "%d%d%d%d%-%d%d%-%d%d[T ]%d%d:%d%d:?%d*Z?", "TIME" }, { "%d%d%d%d%-%d%d%-%d%d", "DATE" },
  { "(%l%l%l_)%w%w%w%w%w%w%w%w%w%w", "%1ID" }, { "%f[%w]%w%w%w%w%w%w%w%w%w%w(%-%d+)", "USER%1" },
  { "(127%.0%.0%.1:)%d+", "%1PORT" }, { "%d+ ms", "N ms" }, { "%d+d %d+h", "DURATION" },
  { "[ \t]+", " " }, { " %f[\n\0]", "" },
}

--- A text without what differs from run to run.
function M.normalize(text)
  for _, row in ipairs(volatile) do text = text:gsub(row[1], row[2]) end
  return text
end

--- Whether an output is the one that a page shows. In it "…" stands for any text.
function M.matches(shown, output)
  local pattern = M.normalize(shown):gsub("%p", "%%%0"):gsub("…\n", ".-\n"):gsub("…", "[^\n]-")
  return M.normalize(output):find("^" .. pattern .. "$") ~= nil
end

return M
