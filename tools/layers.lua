-- Checks the direction of dependencies: which folder of src/ may include which. Prints each include that is not in
-- the table, and fails. Run from the top of the repository: lua5.4 tools/layers.lua

-- What a folder of src/ may include beside itself.
local includes = {
  base = {},
  net = { "base" },
  store = { "base", "net" },
  limits = { "base", "net", "store" },
  api = { "base", "net", "limits" },
  charge = { "base", "net", "store", "limits", "api" },
  bundle = { "base" },
  plugin = { "base" },
  qr = { "base" },
  sandbox = { "base" },
  bind = { "base", "net", "store", "limits", "api", "charge", "bundle", "plugin", "qr", "sandbox" },
  ["main.c"] = { "base", "api", "bind" },
}

-- The only folders that see lua_State.
local with_lua = { bind = true, sandbox = true, ["main.c"] = true }

-- Arrows that run backwards until SQL is written once for both stores.
local known_exceptions = {
  ["src/store/driver.h charge/journal.h"] = true,
  ["src/store/store.h limits/slots.h"] = true,
}

local faults = {}

local function fault(...) faults[#faults + 1] = string.format(...) end

local function lines_of(command)
  local pipe = assert(io.popen(command))
  local lines = {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  assert(pipe:close(), command)
  return lines
end

local function set(list)
  local is_in = {}
  for _, item in ipairs(list) do is_in[item] = true end
  return is_in
end

local function check_include(path, folder, header)
  if header:match("^lua") or header == "lauxlib.h" then
    if not with_lua[folder] then fault("%s includes %s; only bind/ and sandbox/ see lua_State", path, header) end
    return
  end
  local target = header:match("^([%w_]+)/")
  local key = path .. " " .. header
  if not includes[target] or target == folder or set(includes[folder])[target] then return end
  if known_exceptions[key] then
    known_exceptions[key] = nil
  else
    fault("%s includes %s: %s/ may not use %s/", path, header, folder, target)
  end
end

for _, path in ipairs(lines_of("find src -name '*.[ch]' | LC_ALL=C sort")) do
  local folder = path:match("^src/([^/]+)")
  if not includes[folder] then
    fault("%s: the folder is not in the table of tools/layers.lua", path)
  else
    for line in io.lines(path) do
      local header = line:match('^%s*#%s*include%s*[<"]([^>"]+)')
      if header then check_include(path, folder, header) end
    end
  end
end
for key in pairs(known_exceptions) do fault("the known exception is gone, strike it: %s", key) end

for _, text in ipairs(faults) do io.stderr:write(text, "\n") end
os.exit(#faults == 0)
