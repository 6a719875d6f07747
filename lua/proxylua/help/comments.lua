-- Doc comments of functions for scripts: found in a source, and parsed. A comment belongs to the
-- reference when it names its function: `@function px.orders.wait`, a field: `@field px.version`,
-- or a record: `@record order`. Types are those of lua-language-server, without blanks. A @param
-- without a type is the table of the options that are declared beside the function (util/options).

local M = {}

--- The doc comments of a source that belong to the reference, without the dashes.
-- @param source text of a Lua file
-- @return list of texts
function M.of(source)
  local list, lines = {}, nil
  local function finish()
    local text = lines and table.concat(lines, "\n")
    if text and (text:find("@function px%.") or text:find("@function %l+:")
      or text:find("@field px%.") or text:find("@record ")) then
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

-- "[opt] string key of the order" -> a table: name, text, type, optional
local function typed(text)
  local rest = text:match("^%[opt%] (.*)$")
  local type_name, name, more = (rest or text):match("^(%S+) (%S+) ?(.*)$")
  return { name = name, text = more, type = type_name, optional = rest and true or nil }
end

local simple_tags = { raise = "raises" }

-- The lines of a tag are joined by blanks; an example keeps its lines.
local function add_tag(entry, tag, text)
  local joined = text:gsub("%s*\n%s*", " ")
  if tag == "function" or tag == "field" or tag == "record" then
    entry.name, entry.is_field, entry.is_record = joined, tag == "field", tag == "record"
  elseif tag == "param" then
    table.insert(entry.params, { name = joined, text = "" })
  elseif tag == "tparam" then
    table.insert(entry.params, typed(joined))
  elseif tag == "tfield" then
    table.insert(entry.fields, typed(joined))
  elseif tag == "treturn" then
    local type_name, more = joined:match("^(%S+) ?(.*)$")
    table.insert(entry.returns, { type = type_name, text = more })
  elseif tag == "usage" then
    entry.usage = text
  else
    table.insert(entry[assert(simple_tags[tag], "the reference has no tag @" .. tag)], joined)
  end
end

--- Parses a comment.
-- @param text string, as M.of returns it
-- @return entry: name, is_field, is_record, text, raises (list of texts), usage, and the lists
--   params and fields (tables: name, type, text, optional) and returns (type, text)
function M.parse(text)
  local entry = { params = {}, returns = {}, raises = {}, fields = {} }
  local tag, lines = nil, {}
  local function finish()
    local content = table.concat(lines, "\n")
    if tag then add_tag(entry, tag, content) else entry.text = content:gsub("%s*\n%s*", " ") end
  end
  for line in (text .. "\n"):gmatch("(.-)\n") do
    local name, rest = line:match("^@(%l+) (.*)$")
    if not name then name, rest = line:match("^@(%l+)(%[opt%] .*)$") end
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
