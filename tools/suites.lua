-- Runs test suites that others publish, whose folders are given:
--   build/proxylua tools/suites.lua lua FOLDER   the official tests of Lua 5.4 (lua.org/tests),
--                                                each file in lua5.4 and in proxylua
--   build/proxylua tools/suites.lua json FOLDER  test_parsing/ of JSONTestSuite
-- Prints what differs and counts; the exit code is 1 if proxylua fails where it should not.

local core = require "proxylua.core"

local SECONDS = 300 -- for one file
local program = core.system.real_path("build/proxylua")

-- Not for running one by one: a library, the list of all files, and tests of the executable lua.
local skipped = { ["all.lua"] = true, ["big.lua"] = true, ["heavy.lua"] = true,
  ["main.lua"] = true }

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function names_in(folder, pattern)
  local names = {}
  for name in io.popen("ls " .. quote(folder)):lines() do
    if name:find(pattern) and not skipped[name] then names[#names + 1] = name end
  end
  assert(#names > 0, folder .. " has no such files")
  return names
end

-- Whether a file of Lua's tests passes, and the error. Its modules are beside it, where proxylua
-- does not look for those of -e.
local function passes(interpreter, folder, name)
  local code = ("_port, _soft, _nomsg = true, true, true; "
    .. "package.path = './?.lua;' .. package.path dofile %q"):format(name)
  local line = ("cd %s && timeout %d %s -e %s 2>&1 >/dev/null; echo $?"):format(quote(folder),
    SECONDS, interpreter, quote(code))
  local pipe <close> = assert(io.popen(line))
  local text = pipe:read("a")
  return text:match("(%d+)\n$") == "0", text:match("proxylua: ([^\n]+)") or ""
end

local function run_lua(folder)
  local count, theirs, ours, failed = 0, 0, 0, false
  for _, name in ipairs(names_in(folder, "%.lua$")) do
    local expected = passes("lua5.4", folder, name)
    local ok, why = passes(quote(program), folder, name)
    count = count + 1
    theirs, ours = theirs + (expected and 1 or 0), ours + (ok and 1 or 0)
    if ok ~= expected then print(name, expected and "fails" or "passes here alone", why) end
    failed = failed or expected and not ok
  end
  print(("%d files: %d pass in lua5.4, %d in proxylua"):format(count, theirs, ours))
  return not failed
end

-- lua-cjson reads line ends and tabs in strings, and so does proxylua: some servers send them.
local lenient = { ["n_string_unescaped_newline.json"] = true,
  ["n_string_unescaped_tab.json"] = true }

-- y_: must be read, n_: must be refused, i_: either.
local function run_json(folder)
  local wrong, counts = 0, { y = 0, n = 0, i = 0 }
  for _, name in ipairs(names_in(folder, "^[yni]_.*%.json$")) do
    local file <close> = assert(io.open(folder .. "/" .. name, "rb"))
    local ok, err = pcall(core.json.decode, file:read("a"))
    local kind = name:sub(1, 1)
    counts[kind] = counts[kind] + 1
    local is_right = kind == "y" and ok or kind == "n" and (not ok or lenient[name]) or kind == "i"
    if not is_right or not ok and not core.error.is(err) then
      wrong = wrong + 1
      print(name, ok and "is read" or tostring(err))
    end
  end
  print(("%d to be read, %d to be refused, %d either: %d wrong"):format(counts.y, counts.n,
    counts.i, wrong))
  return wrong == 0
end

local suites = { lua = run_lua, json = run_json }
local suite, folder = suites[arg[1]], arg[2]
if not suite or not folder then error("usage: tools/suites.lua lua|json FOLDER", 0) end
os.exit(suite(folder))
