-- The modules that a piece of Lua requires, as far as its text shows.

local lexer = require "proxylua.util.lua_lexer"

local M = {}

-- The value of a token that is a string.
local function value_of(token)
  return load("return " .. token.text, "=string", "t", {})()
end

local function is_string(token)
  return token ~= nil and token.kind == "string" and not token.open
end

-- What follows the word `require`: a name; whether a missing module may be caught; whether the name
-- is not a constant.
local function look(first, second, third)
  if is_string(first) then return value_of(first) end
  local mark = first and first.text
  if mark == "," and is_string(second) then return value_of(second), true end
  if mark ~= "(" then return nil end
  if is_string(second) and third and third.text == ")" then return value_of(second) end
  return nil, false, true
end

local function without_comments(text)
  local tokens = {}
  for _, token in ipairs(lexer.tokens(text)) do
    if token.kind ~= "comment" then tokens[#tokens + 1] = token end
  end
  return tokens
end

local function is_field(before)
  return before ~= nil and (before.text == "." or before.text == ":" or before.text == "function")
end

--- Finds what a text requires.
-- @param text Lua that compiles
-- @return list of { line =, name = (nil: not a constant), optional = whether it is called through
--   pcall or a similar function }
function M.find(text)
  local tokens, found, line, counted = without_comments(text), {}, 1, 1
  for at, token in ipairs(tokens) do
    if token.text == "require" and not is_field(tokens[at - 1]) then
      local name, optional, untold = look(tokens[at + 1], tokens[at + 2], tokens[at + 3])
      line = line + select(2, text:sub(counted, token.from - 1):gsub("\n", ""))
      counted = token.from
      if name or untold then
        found[#found + 1] = { line = line, name = name, optional = optional or false }
      end
    end
  end
  return found
end

return M
