-- A real PostgreSQL server of the specs' own: a cluster in a temporary folder, reached by a socket
-- in it and not by TCP.

local core = require "proxylua.core"
local program = require "spec.support.program"

local M = {}
local Server = {}
Server.__index = Server

local function output(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("a"):gsub("%s+$", "")
  pipe:close()
  return text
end

local function run(command, log)
  local ok = os.execute(("%s >%s 2>&1"):format(command, log))
  if not ok then error(("%s failed: %s"):format(command, program.read(log)), 3) end
end

-- The server refuses to run as root.
local function demoted(folder)
  if output("id -u") ~= "0" then return "" end
  local user = output("id -u postgres 2>/dev/null || id -u nobody")
  assert(os.execute(("chown %s %s"):format(user, folder)))
  return ("setpriv --reuid=%s --regid=%s --clear-groups "):format(user, user)
end

--- Makes a cluster and starts it.
-- @param options table, may be left out: `fsync` (true: as in production, default false),
--   `password` (asked for, with `url_password`, what it looks like in a URL)
-- @return server, with the fields url and folder, and methods
function M.start(options)
  options = options or {}
  local self = setmetatable({ folder = program.folder() }, Server)
  self.bin = output("ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1")
  self.as = demoted(self.folder)
  self.password = options.password
  self.fsync = options.fsync and "on" or "off"
  local auth = "trust"
  if options.password then
    auth = "scram-sha-256 --pwfile=" .. program.write(self.folder .. "/password", options.password
      .. "\n")
    assert(os.execute("chmod 644 " .. self.folder .. "/password"))
  end
  local log = self.folder .. "/log"
  run(
    ("cd %s && %s%s/initdb --no-sync --locale=C --encoding=UTF8 -U proxylua -D %s/data -A "
      .. "%s"):format(
    self.folder, self.as, self.bin, self.folder, auth), log)
  self.url = ("postgres://proxylua%s@/postgres?host=%s"):format(
    options.password and ":" .. options.url_password or "", self.folder)
  self:launch()
  return self
end

--- Starts the server again after it was stopped or killed, and waits until it can be used.
function Server:launch()
  local line = ("cd %s && %s%s/postgres -D %s/data -k %s -c listen_addresses= -c fsync=%s -c "
    .. "max_connections=50 "
    .. ">>%s/log 2>&1 </dev/null & echo $!")
  local folder = self.folder
  self.pid = tonumber(output(line:format(folder, self.as, self.bin, folder, folder, self.fsync,
    folder)))
  while not os.execute(("%s/pg_isready -q -h %s"):format(self.bin, self.folder)) do
    if not os.execute(("kill -0 %d 2>/dev/null"):format(self.pid)) then
      error("PostgreSQL does not start: " .. program.read(self.folder .. "/log"))
    end
    core.task.sleep(0.02)
  end
end

--- A shell command that runs SQL.
function Server:command(sql)
  return ("PGPASSWORD=%s %s/psql -X -A -t -q -h %s -U proxylua postgres -c %s 2>&1"):format(
    program.quote(self.password or ""), self.bin, self.folder, program.quote(sql))
end

--- Runs SQL and returns what it printed.
function Server:query(sql)
  return output(self:command(sql))
end

--- Ends the server: by SIGINT (connections are closed), SIGQUIT (as a crash) or SIGKILL, of all its
-- processes.
function Server:halt(signal)
  if not self.pid then return end
  signal = signal or "INT"
  local children = output(("cat /proc/%d/task/*/children"):format(self.pid)):gsub("\n", " ")
  os.execute(("kill -%s %d %s 2>/dev/null"):format(signal, self.pid, signal == "KILL" and children
    or ""))
  while os.execute(("kill -0 %d 2>/dev/null"):format(self.pid)) do core.task.sleep(0.01) end
  self.pid = nil
end

--- Stops all of its processes in the middle of what they do, or lets them go on.
function Server:freeze(stop)
  local line = "kill -%s %d $(cat /proc/%d/task/*/children) 2>/dev/null"
  os.execute(line:format(stop and "STOP" or "CONT", self.pid, self.pid))
end

function Server:stop()
  if self.stopped then return end
  self.stopped = true
  self:halt("QUIT")
  program.remove(self.folder)
end

Server.__gc = Server.stop

return M
