-- Looks for words that must not appear (tools/words) in files, in the output of `help`, and in the
-- comments and messages of the folders that tools/words names. Prints each place, and fails if
-- there is one.
--   build/proxylua tools/check_words.lua FILE…

local core = require "proxylua.core"

local LIST = "tools/words"
local SUBJECTS = { "", "options", "config", "exit-codes", "alerts", "doctor", "help" }

local rules, allowed, folders = {}, {}, {}

local function add_rule(words, advice)
  for word in words:gmatch("[^,]+") do
    word = word:match("^%s*(.-)%s*$")
    local pattern = "%f[%w]" .. word:gsub("[%-.']", "%%%0"):gsub("%*", "%%a*"):gsub(" ", "%%s+")
      .. "%f[%W]"
    rules[#rules + 1] = { word = word, pattern = pattern, advice = advice }
  end
end

for line in io.lines(LIST) do
  local file, text = line:match("^allow ([^:]+): (.+)$")
  local words, advice = line:match("^([^#]+) %-> (.+)$")
  local folder = line:match("^code (%S+)$")
  if file then
    allowed[file] = allowed[file] or {}
    table.insert(allowed[file], text:lower())
  elseif folder then
    folders[#folders + 1] = folder
  elseif words then
    add_rule(words, advice)
  elseif not (line == "" or line:find("^#")) then
    error(("%s: not understood: %s"):format(LIST, line), 0)
  end
end

-- The same number of lines, without anything in them.
local function blank(text)
  return (text:gsub("[^\n]", " "))
end

-- Markdown and help without code.
local function page_prose(text)
  text = ("\n" .. text):gsub("\n```.-\n```", blank):gsub("`[^`\n]*`", blank):gsub("\n    [^\n]*",
    blank)
  return text:gsub("%]%([^)]*%)", blank):sub(2)
end

-- Code becomes "|", so that no phrase spans it.
local function bar(text)
  return (text:gsub("[^\n]", "|"))
end

local function string_end(text, at)
  local quote, position = text:sub(at, at), at + 1
  while position <= #text do
    local char = text:sub(position, position)
    if char == quote then return position end
    position = position + (char == "\\" and 2 or 1)
  end
  return #text
end

-- The end of a long string or long comment of Lua that begins at a position.
local function long_end(text, at)
  local equals = text:match("^%[(=*)%[", at)
  if not equals then return nil end
  return select(2, text:find("]" .. equals .. "]", at, true)) or #text
end

-- Each scanner returns the kind of the token at a position and its end.
local scanners = {}

function scanners.lua(text, at)
  if text:find("^%-%-", at) then
    return "comment", long_end(text, at + 2) or (text:find("\n", at, true) or #text + 1) - 1
  end
  if text:find("^[\"']", at) then return "string", string_end(text, at) end
  local last = long_end(text, at)
  if last then return "string", last end
  return "code", (text:find("[-%[\"']", at + 1) or #text + 1) - 1
end

function scanners.c(text, at)
  if text:find("^/%*", at) then
    return "comment", select(2, text:find("*/", at + 2, true)) or #text
  end
  if text:find("^//", at) then return "comment", (text:find("\n", at, true) or #text + 1) - 1 end
  if text:find("^[\"']", at) then return "string", string_end(text, at) end
  return "code", (text:find("[/\"']", at + 1) or #text + 1) - 1
end
scanners.h = scanners.c

-- The text of a comment without its marks, names and examples.
local function comment_prose(text)
  text = text:gsub("@usage.*", bar):gsub("@t?param%s+%S+", blank):gsub("@%a+", blank)
  text = text:gsub("`[^`]*`", blank):gsub("[%w_]+[._:][%w_.:]*%w", blank)
  return (text:gsub("^%-%-+", blank):gsub("\n%s*%-%-+", blank):gsub("[/*]", " "))
end

-- A message has a blank in it; other strings are names.
local function string_prose(text)
  if not text:find(" ", 1, true) then return bar(text) end
  return (text:gsub("`[^`]*`", blank):gsub("\\n", "  "):gsub("[%w_]+[._][%w_.]*%w", blank))
end

-- Comments and messages of source code; consecutive comment lines of Lua are one comment.
local function code_prose(text, scan)
  local parts, at = {}, 1
  while at <= #text do
    local kind, last = scan(text, at)
    while kind == "comment" and text:find("^\n%s*%-%-", last + 1) do
      local next_at = text:find("%-%-", last + 1)
      last = select(2, scan(text, next_at))
    end
    local piece = text:sub(at, last)
    parts[#parts + 1] = kind == "comment" and comment_prose(piece)
      or kind == "string" and string_prose(piece) or bar(piece)
    at = last + 1
  end
  return table.concat(parts)
end

local found = 0

local function line_at(text, position)
  return select(2, text:sub(1, position):gsub("\n", "")) + 1
end

local function check(name, text)
  text = text:lower()
  for _, phrase in ipairs(allowed[name] or {}) do
    local plain = phrase:gsub("%p", "%%%0")
    text = text:gsub(plain, blank)
  end
  for _, rule in ipairs(rules) do
    for position in text:gmatch("()" .. rule.pattern) do
      found = found + 1
      io.stderr:write(("%s:%d: \"%s\"; write: %s\n"):format(name, line_at(text, position),
        rule.word, rule.advice))
    end
  end
end

local function check_file(path)
  local file <close> = assert(io.open(path))
  local text, scan = file:read("a"), scanners[path:match("%.(%a+)$")]
  check(path, scan and code_prose(text, scan) or page_prose(text))
end

local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("a")
  assert(pipe:close())
  return text
end

for _, path in ipairs(arg) do check_file(path) end
for _, folder in ipairs(folders) do
  for path in output_of(("find %s -name '*.lua' -o -name '*.[ch]' | sort"):format(folder)):gmatch(
    "[^\n]+") do
    check_file(path)
  end
end
for _, subject in ipairs(SUBJECTS) do
  local command = ("COLUMNS=80 %s help %s"):format(core.system.real_path("/proc/self/exe"), subject)
  check("help " .. subject, page_prose(output_of(command)))
end
os.exit(found == 0)
