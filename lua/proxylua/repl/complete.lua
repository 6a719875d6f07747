-- Completion with Tab: globals, fields and methods, the parameters of an endpoint and their known
-- values. Tables are read directly, and along an __index that is a table; no function is ever
-- called, so that completion has no effects.

local core = require "proxylua.core"
local inspect = require "proxylua.repl.inspect"
local lexer = require "proxylua.util.lua_lexer"
local options = require "proxylua.util.options"
local reference = require "proxylua.help.reference"

local M = {}

local DEEPEST = 10 -- maximum length of a chain of __index tables
local MAX_LINES = 20
local GAP = 2

-- The table in which the fields of a value are looked up next.
local function behind(value)
  local meta = debug.getmetatable(value)
  local index = type(meta) == "table" and rawget(meta, "__index")
  return type(index) == "table" and index or nil
end

local function field(value, name)
  for _ = 1, DEEPEST do
    if type(value) == "table" and rawget(value, name) ~= nil then return rawget(value, name) end
    value = behind(value)
    if value == nil then return nil end
  end
end

-- Adds the names that can follow a value and a dot or colon, and begin with a word.
local function add_fields(found, value, word, is_method)
  for _ = 1, DEEPEST do
    if type(value) == "table" then
      for name, item in next, value do
        if type(name) == "string" and name:sub(1, #word) == word and inspect.is_name(name)
          and (not is_method or type(item) == "function") then
          found[name] = ""
        end
      end
    end
    value = behind(value)
    if value == nil then return end
  end
end

local function is(token, text)
  return token ~= nil and token.kind == "symbol" and token.text == text
end

-- The value of an expression such as a.b.c, or of a text in quotes, which ends with the token at an
-- index; and where it begins.
local function chain(tokens, at, scope)
  local token = tokens[at]
  if token and token.kind == "string" and not token.open then return "", at end
  if is(token, ")") and is(tokens[at - 2], "(") and tokens[at - 1].kind == "string" then
    return "", at - 2
  end
  if not token or token.kind ~= "name" then return nil, at end
  local names = { token.text }
  while (is(tokens[at - 1], ".") or is(tokens[at - 1], ":")) and tokens[at - 2]
    and tokens[at - 2].kind == "name" do
    at = at - 2
    table.insert(names, 1, tokens[at].text)
  end
  if is(tokens[at - 1], ".") or is(tokens[at - 1], ":") then return nil, at end
  local value = scope(names[1])
  for index = 2, #names do
    if value == nil then return nil, at end
    value = field(value, names[index])
  end
  return value, at
end

-- The brackets that are open at the end: their indices, the innermost last.
local function open_brackets(tokens)
  local open = {}
  for at, token in ipairs(tokens) do
    if is(token, "(") or is(token, "{") or is(token, "[") then open[#open + 1] = at end
    if is(token, ")") or is(token, "}") or is(token, "]") then open[#open] = nil end
  end
  return open
end

-- The value of a path such as px.http.get.
local function value_of(px, path)
  local value = px
  for name in path:gmatch("%.([%w_]+)") do
    value = type(value) == "table" and rawget(value, name) or nil
  end
  return value
end

-- The functions of px with options, and the rows of these.
local function rows_by_function(px)
  local rows = {}
  for _, entry in ipairs(reference.all()) do
    for _, param in ipairs(entry.params) do
      local fn = param.options and value_of(px, entry.name)
      if fn then rows[fn] = param.options end
    end
  end
  return rows
end

-- The endpoint whose parameters are in the innermost brace: f{, f(…, {, and px.try(f, …, {.
local function endpoint_at(tokens, open, scope, rows)
  local brace = open[#open]
  if not brace or not is(tokens[brace], "{") then return nil end
  local call = is(tokens[brace - 1], "(") and brace - 1 or is(tokens[brace - 1], ",")
    and open[#open - 1] or nil
  if not call then return rows[chain(tokens, brace - 1, scope) or false], brace end
  if not is(tokens[call], "(") then return nil end
  local row = rows[chain(tokens, call - 1, scope) or false]
  if row then return row, brace end
  local comma = call + 1
  while tokens[comma] and (tokens[comma].kind == "name" or is(tokens[comma], ".")) do
    comma = comma + 1
  end
  return is(tokens[comma], ",") and rows[chain(tokens, comma - 1, scope) or false] or nil, brace
end

local function given_names(tokens, brace)
  local given, depth = {}, 0
  for at = brace + 1, #tokens do
    local token = tokens[at]
    if is(token, "{") or is(token, "(") then depth = depth + 1 end
    if is(token, "}") or is(token, ")") then depth = depth - 1 end
    if depth == 0 and token.kind == "name" and is(tokens[at + 1], "=") then
      given[token.text] = true
    end
  end
  return given
end

-- Candidates are a table: the whole word -> what follows it once it is the only one. `remarks` has
-- descriptions of some.

local function add_params(found, remarks, rows, word, given)
  for _, row in ipairs(rows) do
    local name = row[1]
    if row.where ~= "path" and not given[name] and name:sub(1, #word) == word then
      found[name] = " = "
      remarks[name] = options.about(row)
    end
  end
end

local function values_of(rows, name)
  for _, row in ipairs(rows) do
    if row[1] == name then return row.known or row.values or {} end
  end
  return {}
end

local function add_globals(found, word, tables)
  for _, names in ipairs(tables) do
    for name in next, names do
      if type(name) == "string" and name:sub(1, #word) == word and inspect.is_name(name) then
        found[name] = ""
      end
    end
  end
  for name in pairs(inspect.keywords) do
    if name:sub(1, #word) == word then found[name] = "" end
  end
end

-- Inside a string: a known value of a parameter, or a field in brackets.
local function complete_text(state, found)
  local tokens, at = state.tokens, #state.tokens
  local quote, word = state.last.text:match("^([\"'])(.*)$")
  if not quote then return "" end
  if is(tokens[at - 1], "=") and state.row then
    for _, value in ipairs(values_of(state.row, tokens[at - 2] and tokens[at - 2].text)) do
      if value:sub(1, #word) == word then found[value] = quote end
    end
  elseif is(tokens[at - 1], "[") then
    add_fields(found, chain(tokens, at - 2, state.scope), word)
    for name in pairs(found) do found[name] = quote .. "]" end
  end
  return word
end

-- After "name =" in an endpoint's parameters.
local function complete_value(state, found, name, word)
  for _, value in ipairs(values_of(state.row, name)) do
    local text = ('"%s"'):format(value)
    if text:sub(1, #word) == word then found[text] = "" end
  end
end

local function complete_name(state, found, remarks)
  local tokens, at = state.tokens, #state.tokens
  local word = ""
  if state.last and state.last.kind == "name" and state.touches then
    word = state.last.text
    at = at - 1
  end
  local before = tokens[at]
  if is(before, ".") or is(before, ":") then
    local value = chain(tokens, at - 1, state.scope)
    if value ~= nil then add_fields(found, value, word, before.text == ":") end
  elseif state.row and (is(before, "{") or is(before, ",") or is(before, ";")) then
    add_params(found, remarks, state.row, word, given_names(tokens, state.brace))
  elseif state.row and is(before, "=") then
    complete_value(state, found, tokens[at - 1].text, word)
  end
  if next(found) == nil and word ~= "" and not (is(before, ".") or is(before, ":")) then
    add_globals(found, word, state.globals)
  end
  return word
end

-- The common beginning, in whole characters.
local function common_start(a, b)
  local size = 0
  while size < #a and a:byte(size + 1) == b:byte(size + 1) do size = size + 1 end
  while not utf8.len(a, 1, size) do size = size - 1 end
  return a:sub(1, size)
end

local function in_columns(list, width)
  local widest = 0
  for _, name in ipairs(list) do widest = math.max(widest, #name) end
  local count = math.max(1, (width + GAP) // (widest + GAP))
  local rows = math.ceil(#list / count)
  local lines = {}
  for row = 1, math.min(rows, MAX_LINES) do
    local cells = {}
    for at = row, #list, rows do
      cells[#cells + 1] = list[at] .. (" "):rep(widest + GAP - #list[at])
    end
    lines[row] = (table.concat(cells):gsub(" +$", ""))
  end
  return lines, rows
end

local function with_remarks(list, remarks, width)
  local widest, lines = 0, {}
  for _, name in ipairs(list) do widest = math.max(widest, #name) end
  for at, name in ipairs(list) do
    local line = name .. (" "):rep(widest + GAP - #name) .. (remarks[name] or "")
    lines[at] = line:sub(1, width):gsub(" +$", "")
  end
  return lines
end

local function listing(list, remarks, width)
  if next(remarks) then return table.concat(with_remarks(list, remarks, width), "\n") end
  local shown = math.max(1, MAX_LINES * width // 12) -- sorting is what takes time
  local lines, rows = in_columns(#list > shown and table.move(list, 1, shown, 1, {}) or list, width)
  if rows > #lines or #list > shown then lines[#lines + 1] = ("… %d in all"):format(#list) end
  return table.concat(lines, "\n")
end

local function answer(found, remarks, word, width)
  local list = {}
  for name in next, found do list[#list + 1] = name end
  if #list == 0 then return nil, nil end
  if #list == 1 then return list[1]:sub(#word + 1) .. found[list[1]], nil end
  table.sort(list)
  return common_start(list[1], list[#list]):sub(#word + 1), listing(list, remarks, width)
end

--- Makes the completion of a session.
-- @param globals list of tables whose fields are the globals, by precedence
-- @param px the standard module
-- @return function(text, width) that returns the text to insert at the end, and lines to show; both
--   may be nil
function M.open(globals, px)
  local rows
  local function scope(name)
    for _, names in ipairs(globals) do
      if rawget(names, name) ~= nil then return rawget(names, name) end
    end
  end
  return function(text, width)
    local tokens = lexer.tokens(text)
    local last = tokens[#tokens]
    if not last or (last.kind == "comment" and last.open) then return nil, nil end
    rows = rows or rows_by_function(px)
    local state = { tokens = tokens, last = last, touches = last.to == #text, scope = scope,
      globals = globals }
    state.row, state.brace = endpoint_at(tokens, open_brackets(tokens), scope, rows)
    local found, remarks = {}, {}
    local word = last.open and complete_text(state, found) or complete_name(state, found, remarks)
    return answer(found, remarks, word, width)
  end
end

-- The path for "~/lists" and similar.
local function expand(path)
  local home = os.getenv("HOME")
  return home and path:gsub("^~/", function() return home .. "/" end) or path
end

-- A link may lead to a folder.
local function is_folder(path, kind)
  return kind == "folder" or kind == "link" and core.folder.list(path) ~= nil
end

--- The completion of a path among existing files; hidden ones only if the word begins with a dot.
function M.path(path, width)
  local folder, word = path:match("^(.*/)([^/]*)$")
  folder, word = folder or "", word or path
  local found, place = {}, folder == "" and "./" or expand(folder)
  for _, item in ipairs(core.folder.list(place) or {}) do
    local shown = (word ~= "" or item.name:sub(1, 1) ~= ".") and utf8.len(item.name)
      and not item.name:find("%c")
    if shown and item.name:sub(1, #word) == word then
      found[item.name] = is_folder(place .. item.name, item.kind) and "/" or " "
    end
  end
  return answer(found, {}, word, width)
end

--- The completion of a word among names.
function M.word(word, names, width)
  local found = {}
  for _, name in ipairs(names) do
    if name:sub(1, #word) == word then found[name] = " " end
  end
  return answer(found, {}, word, width)
end

return M
