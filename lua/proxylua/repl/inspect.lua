-- Any value as text, without calling the user's code: tables in Lua syntax, down to some depth.

local core = require "proxylua.core"
local plain = require "proxylua.util.text"

local M = {}

local MAX_ITEMS = 20
local DEEPEST = 3

local keywords = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true until
  while]]):gmatch("%a+") do keywords[word] = true end

--- Whether a word can be written as a field: t.word.
function M.is_name(word)
  return type(word) == "string" and word:find("^[%a_][%w_]*$") and not keywords[word]
end

--- The reserved words of Lua: a set.
M.keywords = keywords

local function byte_escape(byte)
  return ("\\%03d"):format(byte:byte())
end

local function escape(char)
  return plain.is_line(char) and char or ("\\u{%X}"):format(utf8.codepoint(char))
end

-- Control characters, and bytes that are not text, are shown as Lua escapes.
local function quote(text)
  local quoted = ("%q"):format(text):gsub("\\\n", "\\n"):gsub("\x7F", byte_escape)
  if not utf8.len(quoted) then return (quoted:gsub("[\x80-\xFF]", byte_escape)) end
  return (quoted:gsub("[\xC2-\xF4][\x80-\xBF]+", escape))
end

-- The name of a value that has no text. tostring is not used, since it may call a __tostring of the
-- user.
local function address(value)
  if type(value) ~= "table" and type(value) ~= "userdata" then return tostring(value) end
  return ("%s: %s"):format(type(value), ("%p"):format(value))
end

local function scalar(value)
  if type(value) == "string" then return quote(value) end
  if core.money.is(value) then return tostring(value) end
  return address(value)
end

local function by_name(a, b)
  if type(a) == type(b) and (type(a) == "string" or type(a) == "number") then return a < b end
  return type(a) == "number" or (type(a) == "string" and type(b) ~= "number")
end

local write

local function label(key, state)
  if M.is_name(key) then return key .. " = " end
  return ("[%s] = "):format(write(key, state))
end

-- The items of a table as texts, and the number of the rest.
local function items(value, state)
  local list, keys, count, length = {}, {}, 0, rawlen(value)
  for key in next, value do
    count = count + 1
    local is_item = math.type(key) == "integer" and key >= 1 and key <= length
    if not is_item then keys[#keys + 1] = key end
  end
  for index = 1, math.min(length, MAX_ITEMS) do
    list[index] = write(rawget(value, index), state)
  end
  table.sort(keys, by_name)
  for _, key in ipairs(keys) do
    if #list >= MAX_ITEMS then break end
    list[#list + 1] = label(key, state) .. write(rawget(value, key), state, key)
  end
  return list, count - #list
end

function write(value, state, name)
  if type(value) == "string" then value = state.mask(value, name) end
  if type(value) ~= "table" then return scalar(value) end
  if state.inside[value] or state.depth >= DEEPEST then
    return next(value) == nil and "{}" or "{…}"
  end
  state.inside[value], state.depth = true, state.depth + 1
  local list, more = items(value, state)
  state.inside[value], state.depth = nil, state.depth - 1
  if more > 0 then list[#list + 1] = ("… %d more"):format(more) end
  if #list == 0 then return "{}" end
  local short = "{ " .. table.concat(list, ", ") .. " }"
  local indent = ("  "):rep(state.depth)
  if core.text.width(short) + #indent <= state.width and not short:find("\n") then return short end
  return ("{\n%s  %s\n%s}"):format(indent, table.concat(list, ",\n" .. indent .. "  "), indent)
end

--- The text of a value.
-- @param width in columns, above which a table takes several lines
-- @param mask function(text, name) that hides passwords
function M.text(value, width, mask)
  return write(value, { width = width, mask = mask, depth = 0, inside = {} })
end

return M
