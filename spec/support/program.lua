-- Runs the program that runs the specs once more, as a process of its own with folders of its own.

local core = require "proxylua.core"

local M = {}

--- The program that is tested.
M.path = core.system.real_path("/proc/self/exe")

--- A text as one word of a shell.
function M.quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

function M.remove(path)
  assert(os.execute("rm -rf " .. M.quote(path)))
end

-- One folder holds all that this process makes, and goes with it. Making a process for each folder
-- would take longer than the specs themselves.
local top, made = nil, 0

local function top_folder()
  if top then return top.path end
  -- postgres goes through it
  local pipe = assert(io.popen('folder=$(mktemp -d) && chmod a+x "$folder" && echo "$folder"'))
  local path = pipe:read("l")
  assert(pipe:close())
  local pid = core.system.pid()
  top = setmetatable({ path = path }, { __gc = function()
    if core.system.pid() == pid then M.remove(path) end
  end })
  return path
end

--- A new empty folder; M.remove takes it away again.
function M.folder()
  made = made + 1
  local path = ("%s/%d"):format(top_folder(), made)
  core.system.make_folder(path)
  return path
end

--- A port of this machine that no program uses now.
function M.free_port()
  local pipe = assert(io.popen("perl -MIO::Socket::INET -e 'print IO::Socket::INET->new("
    .. "LocalAddr => \"127.0.0.1\", Listen => 1)->sockport'"))
  local port = pipe:read("n")
  pipe:close()
  return assert(port)
end

function M.write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
  return path
end

function M.read(path)
  local file = assert(io.open(path, "rb"))
  local text = assert(file:read("a"))
  file:close()
  return text
end

local function environment(home, env)
  local words = { "env", "-i", "PATH=/usr/bin:/bin", "HOME=" .. home, "XDG_STATE_HOME=" .. home
    .. "/state",
    "XDG_CONFIG_HOME=" .. home .. "/config" }
  for _, name in ipairs{ "ASAN_OPTIONS", "UBSAN_OPTIONS" } do
    if os.getenv(name) then words[#words + 1] = ("%s=%s"):format(name, os.getenv(name)) end
  end
  local lua = core.system.real_path(os.getenv("PROXYLUA_LUA_DIR") or "")
  if lua then words[#words + 1] = "PROXYLUA_LUA_DIR=" .. lua end
  for name, value in pairs(env or {}) do words[#words + 1] = ("%s=%s"):format(name, value) end
  return words
end

--- The words of a shell command that starts the program.
-- @param home folder for its configuration and state
-- @param arguments list
-- @param env table of variables
-- @param path of another program, may be left out
function M.command(home, arguments, env, path)
  local words = environment(home, env)
  words[#words + 1] = path or M.path
  table.move(arguments, 1, #arguments, #words + 1, words)
  for at, word in ipairs(words) do words[at] = M.quote(word) end
  return table.concat(words, " ")
end

--- Runs the program with a list of arguments and waits for its end.
-- @param options table, may be left out: home, env, stdin (text), cwd, to (the file that
--   takes standard output), program (another one), unread (standard output is a pipe whose reader
--   has gone)
-- @return table: code, out, err
function M.run(arguments, options)
  options = options or {}
  local folder = M.folder()
  local home = options.home or folder .. "/home"
  if not options.home then core.system.make_folder(home) end
  M.write(folder .. "/in", options.stdin or "")
  local command = M.command(home, arguments, options.env, options.program)
  local line = ("%s <%s >%s 2>%s"):format(command, M.quote(folder .. "/in"),
    options.unread and "/dev/stdout" or M.quote(options.to or folder .. "/out"),
    M.quote(folder .. "/err"))
  if options.unread then
    line = ("{ %s; echo $? >%s; } | true"):format(line, M.quote(folder .. "/code"))
  end
  line = ("cd %s && %s"):format(M.quote(options.cwd or folder), line)
  local _, how, code = os.execute(line)
  local result = {
    code = how == "exit" and code or 128 + code,
    out = core.system.kind(folder .. "/out") and M.read(folder .. "/out") or "",
    err = M.read(folder .. "/err"),
  }
  if options.unread then result.code = tonumber(M.read(folder .. "/code")) end
  os.remove(folder .. "/out") -- which may be large; the rest stays until the end
  return result
end

return M
