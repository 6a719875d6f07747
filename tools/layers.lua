-- Checks the direction of dependencies: which folder of src/ may include which, and which part of
-- lua/proxylua may require which, lazily or not. Prints what the tables do not allow, and each
-- circle of modules, and fails. Run from the top of the repository: lua5.4 tools/layers.lua

-- What a folder of src/ may include beside itself.
local includes = {
  base = {},
  net = { "base" },
  store = { "base", "net" },
  limits = { "base", "net", "store" },
  api = { "base", "net", "limits" },
  charge = { "base", "net", "store", "limits", "api" },
  engine = { "base", "net", "store", "limits", "api", "charge" },
  bundle = { "base" },
  plugin = { "base" },
  qr = { "base" },
  pool = { "base" },
  gateway = { "base", "net", "pool" },
  sandbox = { "base", "net" },
  bind = { "base", "net", "store", "limits", "api", "charge", "engine", "bundle", "plugin", "qr",
    "pool", "gateway", "sandbox" },
  ["main.c"] = { "base", "api", "bind" },
  ["proxylua.h"] = {}, -- public: these include nothing of ours
  ["proxylua_lua.h"] = {},
}

-- The only folders that see lua_State.
local with_lua = { bind = true, sandbox = true, ["main.c"] = true, ["proxylua_lua.h"] = true }

-- Headers that the files of one module share, and no other file includes: they are part of it.
local private_headers = {
  ["net/http_private"] = "net/http",
  ["limits/limiter_private"] = "limits/limiter",
  ["bundle/archive_private"] = "bundle/archive",
  ["charge/steps"] = "charge/charge",
  ["charge/journal_store"] = "charge/journal",
  ["gateway/state"] = "gateway/gateway",
  ["bind/repl/repl_private"] = "bind/repl/repl",
  ["store/driver"] = "store/store",
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
    if not with_lua[folder] then
      fault("%s includes %s; only bind/ and sandbox/ see lua_State", path, header)
    end
    return
  end
  local target = header:match("^([%w_]+)/")
  if includes[target] and target ~= folder and not set(includes[folder])[target] then
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
-- A module of src/ is NAME.c and NAME.h: each includes what it needs of others. Depth first, after
-- Tarjan: the modules of a circle end up above each other on the stack.
local function find_circles(edges)
  local order, lowest, stack, on_stack, count = {}, {}, {}, {}, 0
  local function visit(module)
    count = count + 1
    order[module], lowest[module], on_stack[module] = count, count, true
    stack[#stack + 1] = module
    for target in pairs(edges[module] or {}) do
      if not order[target] then
        visit(target)
        lowest[module] = math.min(lowest[module], lowest[target])
      elseif on_stack[target] then
        lowest[module] = math.min(lowest[module], order[target])
      end
    end
    if lowest[module] < order[module] then return end
    local circle = {}
    repeat
      local top = table.remove(stack)
      on_stack[top] = nil
      circle[#circle + 1] = top
    until top == module
    table.sort(circle)
    local text = table.concat(circle, " ")
    if #circle > 1 then fault("a circle of includes: %s", text) end
  end
  for module in pairs(edges) do
    if not order[module] then visit(module) end
  end
end

local function check_circles()
  local edges = {}
  for _, path in ipairs(lines_of("find src -name '*.[ch]'")) do
    local name = path:match("^src/(.*)%.[ch]$")
    local module = private_headers[name] or name
    edges[module] = edges[module] or {}
    for line in io.lines(path) do
      local header = line:match('^%s*#%s*include%s*"(.-)%.h"')
      local target = private_headers[header] or header
      if target and target ~= module then edges[module][target] = true end
    end
  end
  find_circles(edges)
end

check_circles()

-- What a part of lua/proxylua may require beside itself and the C core. A module belongs to the
-- part with the longest name that it begins with; "init" is the standard module itself.
local requires = {
  util = {},
  tasks = { "util" },
  base = { "util", "tasks" },
  qr = { "util" },
  csv = { "util" },
  files = { "util" },
  notify = { "util" },
  settings = { "util" },
  log = { "util", "settings" },
  programs = { "util" },
  control = { "util" },
  http = { "util" },
  script = { "util" },
  testing = { "util", "script", "init" },
  term = { "util" },
  sandbox = { "util" },
  api = { "util", "tasks", "qr" },
  ["proxies.address"] = { "util" },
  formats = { "util", "proxies.address" },
  proxies = { "util", "api", "formats", "proxies.address" },
  check = { "util", "tasks", "settings", "api", "proxies", "proxies.address" },
  pool = { "util", "proxies.address" },
  gateway = { "util", "tasks", "api", "proxies", "proxies.address" },
  fleet = { "util", "tasks", "settings", "api", "check" },
  report = { "util", "api" },
  alerts = { "util", "notify", "api", "check" },
  status = { "util", "api", "check", "fleet", "report" },
  workflows = { "qr", "csv", "files", "log", "notify", "api", "proxies", "check", "pool",
    "gateway", "fleet", "report", "status", "alerts" },
  init = { "util", "base", "api", "workflows", "programs", "control", "http" },
  help = { "util", "settings", "term", "init" },
  ["plugin.streams"] = { "util" },
  ["plugin.guest"] = { "util", "tasks", "base", "http", "api",
    "formats", "workflows", "plugin.streams" },
  ["plugin.package"] = { "util", "formats", "check", "init" },
  ["plugin.host"] = { "util", "tasks", "settings", "log", "programs",
    "plugin.streams", "plugin.package" },
  bundle = { "util", "script", "plugin.package" },
  mcp = { "util", "tasks", "term", "api", "proxies", "check", "fleet", "report", "init" },
  repl = { "util", "term", "help", "proxies.address", "init" },
  cli = {
    "util", "tasks", "qr", "notify", "settings", "script", "term", "api", "proxies", "check",
      "gateway",
      "fleet", "report", "status", "init", "help",
    "plugin.package", "plugin.host", "bundle", "repl", "mcp", "testing",
  },
}

local function part_of(module)
  if module == "proxylua" then return "init" end
  local name = module:gsub("^proxylua%.", "")
  while name and not requires[name] do name = name:match("^(.*)%.[^.]*$") end
  return name
end

local modules = {} -- name -> list of the modules that it requires

local function check_require(path, module, target)
  local from, to = part_of(module), part_of(target)
  if not from then
    fault("%s belongs to no part in the table of tools/layers.lua", path)
  elseif not to then
    fault("%s requires %s, which is not there", path, target)
  elseif from ~= to and not set(requires[from])[to] then
    fault("%s requires %s: %s may not use %s", path, target, from, to)
  end
end

local function read_module(path)
  local name = path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
  modules[name] = {}
  for line in io.lines(path) do
    for target in line:gsub("^%s*%-%-.*", ""):gmatch('require%s*%(?%s*"(proxylua[%w_.]*)"') do
      if target ~= "proxylua.core" then
        check_require(path, name, (target:gsub("%.$", "")))
        table.insert(modules[name], target)
      end
    end
  end
end

-- Depth first: a module that is met again while it is being visited closes a circle.
local state = {}
local function visit(name, trail)
  if state[name] == "done" or not modules[name] then return end
  trail = trail .. " -> " .. name
  if state[name] == "open" then return fault("a circle of modules:%s", trail) end
  state[name] = "open"
  for _, target in ipairs(modules[name]) do visit(target, trail) end
  state[name] = "done"
end

for _, path in ipairs(lines_of("find lua/proxylua -name '*.lua' | LC_ALL=C sort")) do
  read_module(path)
end
local names = {}
for name in pairs(modules) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do visit(name, "") end

for _, text in ipairs(faults) do io.stderr:write(text, "\n") end
os.exit(#faults == 0)
