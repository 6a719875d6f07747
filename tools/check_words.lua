-- Looks for words that must not appear (tools/words) in files, in the output of `help`, and in the
-- comments, messages and titles of specs of the folders that tools/words names. Prints each place,
-- and fails if there is one.
--   build/proxylua tools/check_words.lua [--only] FILE…      --only: these files alone

local core = require "proxylua.core"

local LIST = "tools/words"
local SUBJECTS = { "", "options", "config", "exit-codes", "alerts", "doctor", "help" }

local rules, allowed, folders = {}, {}, {} -- folders: { name, whether messages count }

local function add_rule(words, advice)
  for word in words:gmatch("[^,]+") do
    word = word:match("^%s*(.-)%s*$")
    local pattern = "%f[%w]" .. word:gsub("[%-.']", "%%%0"):gsub("%*", "%%a*"):gsub(" ", "%%s+")
      .. "%f[%W]"
    -- Most texts do not have the letters that a rule begins with: looking for them is fast.
    local first = word:match("^[^ *]+")
    rules[#rules + 1] = { word = word, pattern = pattern, first = first, advice = advice }
  end
end

for line in io.lines(LIST) do
  local file, text = line:match("^allow ([^:]+): (.+)$")
  local words, advice = line:match("^([^#]+) %-> (.+)$")
  local what, folder = line:match("^(%l+) (%S+)$")
  if file then
    allowed[file] = allowed[file] or {}
    table.insert(allowed[file], text:lower())
  elseif folder and not words then
    assert(what == "code" or what == "comments", line)
    folders[#folders + 1] = { name = folder, has_messages = what == "code" }
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
scanners.h, scanners.js, scanners.css = scanners.c, scanners.c, scanners.c

-- Shell, Perl and make: a line that begins with #, or what follows a # after a blank.
function scanners.hash(text, at)
  local line_end = (text:find("\n", at, true) or #text + 1) - 1
  if text:find("^#", at) and text:sub(at - 1, at - 1):find("^%s?$") then
    return "comment", line_end
  end
  return "code", (text:find("%f[^%s]#", at + 1) or #text + 1) - 1
end
scanners.pl, scanners[""] = scanners.hash, scanners.hash

-- The text of a comment without its marks, names and examples.
local function comment_prose(text)
  text = text:gsub("@usage.*", bar):gsub("@t?param%s+%S+", blank):gsub("@%a+", blank)
  text = text:gsub("`[^`]*`", blank):gsub("[%w_]+[._:][%w_.:]*%w", blank)
  return (text:gsub("^%-%-+", blank):gsub("\n%s*%-%-+", blank):gsub("[/*]", " "))
end

-- Whether the string at a position is the title of a spec, or a later part of it.
local function is_title(text, at, title_end)
  local between = title_end and text:sub(title_end + 1, at - 1):gsub("%-%-[^\n]*", "")
  if between and between:find("^%s*%.%.%s*$") then return true end
  local before = text:sub(math.max(1, at - 20), at - 1)
  return before:find("%f[%w]it%(+$") or before:find("%f[%w]describe%(+$")
    or before:find("%f[%w]pending%(+$")
end

-- A message has a blank in it; other strings are names.
local function string_prose(text)
  if not text:find(" ", 1, true) then return bar(text) end
  return (text:gsub("`[^`]*`", blank):gsub("\\n", "  "):gsub("[%w_]+[._][%w_.]*%w", blank))
end

-- Comments, titles of specs and messages of source code; consecutive comment lines of Lua are one
-- comment.
local function code_prose(text, scan, has_messages)
  local parts, at, title_end = {}, 1, nil
  while at <= #text do
    local kind, last = scan(text, at)
    if kind == "string" and is_title(text, at, title_end) then
      title_end = last
    elseif kind == "string" and not has_messages then
      kind = "code"
    end
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
    local position = text:find(rule.first, 1, true) and text:find(rule.pattern)
    while position do
      found = found + 1
      io.stderr:write(("%s:%d: \"%s\"; write: %s\n"):format(name, line_at(text, position),
        rule.word, rule.advice))
      position = text:find(rule.pattern, position + 1)
    end
  end
end

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

-- Pages and files in other languages have no scanner.
local function scanner_of(path)
  local name = path:match("[^/]*$")
  return scanners[name:match("%.(%a+)$") or not name:find(".", 1, true) and "" or name]
end

local function check_source(path, has_messages)
  check(path, code_prose(read(path), scanner_of(path), has_messages))
end

local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("a")
  assert(pipe:close())
  return text
end

local is_alone = arg[1] == "--only"
if is_alone then table.remove(arg, 1) end
for _, path in ipairs(arg) do
  if scanner_of(path) then
    check_source(path, not path:find("_spec%.lua$"))
  else
    check(path, page_prose(read(path)))
  end
end
if is_alone then os.exit(found == 0) end
for _, folder in ipairs(folders) do
  for path in output_of(("find %s -type f | sort"):format(folder.name)):gmatch("[^\n]+") do
    if scanner_of(path) then check_source(path, folder.has_messages) end
  end
end
for _, subject in ipairs(SUBJECTS) do
  local command = ("COLUMNS=80 %s help %s"):format(core.system.real_path("/proc/self/exe"), subject)
  check("help " .. subject, page_prose(output_of(command)))
end
os.exit(found == 0)
