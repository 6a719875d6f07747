-- The tokens of a piece of Lua, which may be incomplete: for completion and for error positions.

local M = {}

-- Two and three characters first.
local symbols = { "...", "..", "::", "==", "~=", "<=", ">=", "//", "<<", ">>" }

local function symbol_at(text, at)
  for _, symbol in ipairs(symbols) do
    if text:sub(at, at + #symbol - 1) == symbol then return symbol end
  end
  return text:sub(at, at)
end

-- The end of a long string or comment whose bracket begins at `at`, nil when there is no such
-- bracket; and whether the end is missing.
local function long_end(text, at)
  local equals = text:match("^%[(=*)%[", at)
  if not equals then return nil end
  local _, last = text:find("]" .. equals .. "]", at + #equals + 2, true)
  return last or #text, not last
end

local function string_end(text, at)
  local quote, position = text:sub(at, at), at + 1
  while position <= #text do
    local char = text:sub(position, position)
    if char == quote then return position, false end
    if char == "\n" then return position - 1, true end
    position = position + (char == "\\" and 2 or 1)
  end
  return #text, true
end

-- Kind of the token at a position, where it ends, and whether its end is missing.
local function scan(text, at)
  local char = text:sub(at, at)
  if char:find("[%a_]") then return "name", select(2, text:find("^[%w_]+", at)) end
  if text:find("^%.?%d", at) then return "number", select(2, text:find("^[%w.]+", at)) end
  if char == '"' or char == "'" then return "string", string_end(text, at) end
  if text:find("^%-%-", at) then
    local last, open = long_end(text, at + 2)
    if last then return "comment", last, open end
    last = text:find("\n", at, true)
    return "comment", (last or #text + 1) - 1, not last
  end
  local last, open = long_end(text, at)
  if last then return "string", last, open end
  return "symbol", at + #symbol_at(text, at) - 1
end

--- The tokens of a text.
-- @return list of { kind = "name", "number", "string", "comment" or "symbol", text =, from =, to =,
--   open = its end is missing }
function M.tokens(text)
  local list, at = {}, 1
  while true do
    at = text:find("%S", at)
    if not at then return list end
    local kind, last, open = scan(text, at)
    list[#list + 1] = { kind = kind, text = text:sub(at, last), from = at, to = last,
      open = open or nil }
    at = last + 1
  end
end

return M
