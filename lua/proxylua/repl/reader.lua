-- Turns a text into code: an expression, whose values are shown, or a statement, whose locals are
-- kept for the next inputs.

local lexer = require "proxylua.util.lua_lexer"

local M = {}

local NAME = "=stdin"

-- Appended to a statement: a call of the chunk's first argument, which reads the locals of the
-- chunk.
local KEEP = "\n;(...)()"
-- frames between an error and the input that it ends, beyond which its locals are not looked for
local DEEPEST = 100

local blocks = { ["do"] = 1, ["function"] = 1, ["if"] = 1, ["repeat"] = 1, ["end"] = -1,
  ["until"] = -1 }

local function is_incomplete(why)
  return why:sub(-5) == "<eof>"
end

-- Whether a text is code, and whether it could become code with another line.
local function look(text)
  local chunk, why = load(text .. "\n", NAME, "t")
  return chunk ~= nil, not chunk and is_incomplete(why)
end

--- Whether a text is complete input: complete or invalid code, or a command.
function M.is_whole(text)
  if M.command(text) then return true end
  local is_expression, goes_on = look("return " .. text)
  local is_code, more = look(text)
  return is_expression or is_code or not (goes_on or more)
end

--- The word and the rest of a command such as ":help money"; nil if the text is not a command.
function M.command(text)
  local word, rest = text:match("^%s*:(%a*)%s*(.-)%s*$")
  if not word or text:find("^%s*::") then return nil end
  return word, rest
end

-- Whether code could be continued.
local function is_start(text)
  local chunk, why = load(text, NAME, "t")
  return chunk ~= nil or is_incomplete(why)
end

-- The start of a line of a text.
local function start_of(text, line)
  local position = 1
  for _ = 2, line do position = (text:find("\n", position, true) or #text) + 1 end
  return position
end

-- The position of the token that a syntax error names: the first that cannot follow the text before
-- it. Nil if it cannot be found.
local function place_of(prefix, text, why)
  if is_incomplete(why) then return #text + 1 end
  local line, near = why:match("^stdin:(%d+):.* near '(.*)'$")
  if not line then return nil end
  local from = start_of(text, tonumber(line))
  local to = (text:find("\n", from, true) or #text + 1) - 1
  for _, token in ipairs(lexer.tokens(text)) do
    if token.from >= from and token.from <= to and token.text:sub(1, #near) == near then
      if is_start(prefix .. text:sub(1, token.from - 1))
        and not is_start(prefix .. text:sub(1, token.to)) then
        return token.from
      end
    end
  end
end

-- The message of a syntax error, with its line and a mark below the position.
local function with_mark(text, why, place)
  if not place or place > #text then return why end
  local from = start_of(text, tonumber(why:match("^stdin:(%d+)")))
  local before = text:sub(from, place - 1):gsub("[\x80-\xBF]", ""):gsub("[^\t]", " ")
  return ("%s\n  %s\n  %s^"):format(why, text:match("[^\n]*", from), before)
end

-- The error of code that is neither a statement nor an expression: of the two readings, the one
-- that is valid for longer.
local function explain(text, as_statement, as_expression)
  local place = place_of("", text, as_statement)
  local other = place_of("return ", text, as_expression)
  if place and other and other > place then return with_mark(text, as_expression, other) end
  return with_mark(text, as_statement, place)
end

-- The tokens of code without its comments, each with its depth of blocks.
local function code_tokens(text)
  local list, depth = {}, 0
  for _, token in ipairs(lexer.tokens(text)) do
    if token.kind ~= "comment" then
      depth = depth + (blocks[token.text] or 0)
      token.depth = depth
      list[#list + 1] = token
    end
  end
  return list
end

-- Reads the attribute at a token: returns its tokens if it is <const>, and the index after it.
local function take_attribute(constants, tokens, at)
  if not tokens[at] or tokens[at].text ~= "<" then return at end
  if tokens[at + 1].text == "const" then
    table.move(tokens, at, at + 2, #constants + 1, constants)
  end
  return at + 3
end

-- The declarations in code: a set of the locals outside blocks, and the tokens of each <const>.
local function declared(tokens)
  local names, constants = {}, {}
  for at, token in ipairs(tokens) do
    if token.text == "local" then
      if tokens[at + 1].text == "function" then at = at + 1 end
      repeat
        if token.depth == 0 then names[tokens[at + 1].text] = true end
        at = take_attribute(constants, tokens, at + 2)
      until not tokens[at] or tokens[at].text ~= ","
    end
  end
  return names, constants
end

-- The same code with its constants as variables: the compiler replaces constants by their values,
-- so that they could not be kept.
local function without_constants(text, constants)
  for _, token in ipairs(constants) do
    text = text:sub(1, token.from - 1) .. (" "):rep(#token.text) .. text:sub(token.to + 1)
  end
  return text
end

-- The same code, with a call of its first argument at its end. The call's results are returned
-- after a nil: a tail call would replace the code, and its locals would be gone.
local function keeping(text, tokens)
  for _, token in ipairs(tokens) do
    if token.text == "return" and token.depth == 0 then
      local last = tokens[#tokens]
      local values = text:sub(token.to + 1, last.text == ";" and last.from - 1 or -1)
      return ("%sreturn nil, (...)(%s\n)"):format(text:sub(1, token.from - 1), values)
    end
  end
  return text .. KEEP
end

-- Copies the locals of a running function into a table; later ones of the same name hide earlier
-- ones.
local function keep(locals, names, level)
  local kept = {}
  for index = 1, math.huge do
    local name, value = debug.getlocal(level, index)
    if not name then return kept end
    if names[name] then
      rawset(locals, name, value)
      kept[#kept + 1] = name
    end
  end
end

--- Compiles an input.
-- @param text code
-- @param env table of its globals
-- @param locals table that receives its locals when it ends
-- @param kept function(names) that is called with their names
-- @return function, which returns the values of an expression; or nil and the error
-- @return function for the message handler of an error that ends the input: stores the existing
--   locals and returns their names
function M.compile(text, env, locals, kept)
  local chunk, as_expression = load("return " .. text, NAME, "t", env)
  if chunk then return chunk end
  local plain, as_statement = load(text, NAME, "t", env)
  if not plain then return nil, explain(text, as_statement, as_expression) end
  local tokens = code_tokens(text)
  local names, constants = declared(tokens)
  chunk = load(keeping(without_constants(text, constants), tokens), NAME, "t", env)
  if not chunk then return plain end -- there is no room for more locals
  local ended = false
  local function at_end(...)
    kept(keep(locals, names, 3))
    ended = true
    return ...
  end
  local function at_error()
    for level = 2, DEEPEST do
      local info = debug.getinfo(level, "f")
      if not info then break end
      -- no tail call: it counts levels
      if info.func == chunk then return (keep(locals, names, level + 1)) end
    end
    return {}
  end
  return function()
    local values = table.pack(chunk(at_end))
    return table.unpack(values, ended and 2 or 1, values.n)
  end, at_error
end

return M
