-- Doc comments of functions for scripts: found in a source, and parsed. A comment belongs to the
-- reference when it names its function: `@function px.orders.wait`, or a field:
-- `@field px.version`. A @param without text is the table of the options that are declared beside
-- the function (util/options).

local M = {}

--- The doc comments of a source that belong to the reference, without the dashes.
-- @param source text of a Lua file
-- @return list of texts
function M.of(source)
  local list, lines = {}, nil
  local function finish()
    local text = lines and table.concat(lines, "\n")
    if text and (text:find("@function px%.") or text:find("@function %l+:")
      or text:find("@field px%.")) then
      list[#list + 1] = text
    end
    lines = nil
  end
  for line in (source .. "\n"):gmatch("(.-)\n") do
    local first, more = line:match("^%s*%-%-%- ?(.*)$"), line:match("^%s*%-%- ?(.*)$")
    if first then
      finish()
      lines = { first }
    elseif more and lines then
      lines[#lines + 1] = more
    else
      finish()
    end
  end
  finish()
  return list
end

-- "options table, may be left out" -> "options", "table, may be left out"
local function named(text)
  local name, rest = text:match("^(%S+)%s*(.*)$")
  return { name = name, text = rest }
end

-- The lines of a tag are joined by blanks; an example keeps its lines.
local function add_tag(entry, tag, text)
  local joined = text:gsub("%s*\n%s*", " ")
  if tag == "function" or tag == "field" then
    entry.name, entry.is_field = joined, tag == "field"
  elseif tag == "param" then
    table.insert(entry.params, named(joined))
  elseif tag == "usage" then
    entry.usage = text
  else
    assert(tag == "return" or tag == "raise", "the reference has no tag @" .. tag)
    table.insert(entry[tag .. "s"], joined)
  end
end

--- Parses a comment.
-- @param text string, as M.of returns it
-- @return entry: name, is_field, text, params (list of tables: name, text), returns and raises
--   (lists), usage
function M.parse(text)
  local entry = { params = {}, returns = {}, raises = {} }
  local tag, lines = nil, {}
  local function finish()
    local content = table.concat(lines, "\n")
    if tag then add_tag(entry, tag, content) else entry.text = content:gsub("%s*\n%s*", " ") end
  end
  for line in (text .. "\n"):gmatch("(.-)\n") do
    local name, rest = line:match("^@(%l+) (.*)$")
    if name then
      finish()
      tag, lines = name, {}
    end
    lines[#lines + 1] = rest or line
  end
  finish()
  return entry
end

return M
