-- Looks for words that must not appear (tools/words) in files and in the output of `help`. Prints
-- each place, and fails if there is one.
--   build/proxylua tools/check_words.lua FILE…

local core = require "proxylua.core"

local LIST = "tools/words"

local rules, allowed = {}, {}

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
  if file then
    allowed[file] = allowed[file] or {}
    table.insert(allowed[file], text:lower())
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

local function prose(text)
  text = ("\n" .. text):gsub("\n```.-\n```", blank):gsub("`[^`\n]*`", blank):gsub("\n    [^\n]*",
    blank)
  return text:gsub("%]%([^)]*%)", blank):sub(2):lower()
end

local found = 0

local function line_at(text, position)
  return select(2, text:sub(1, position):gsub("\n", "")) + 1
end

local function check(name, text)
  text = prose(text)
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

for _, path in ipairs(arg) do
  local file <close> = assert(io.open(path))
  check(path, file:read("a"))
end
for _, subject in ipairs{ "", "options", "config", "exit-codes", "alerts", "doctor", "help" } do
  local pipe = assert(io.popen(("COLUMNS=80 %s help %s"):format(
    core.system.real_path("/proc/self/exe"), subject)))
  check("help " .. subject, pipe:read("a"))
  assert(pipe:close())
end
os.exit(found == 0)
