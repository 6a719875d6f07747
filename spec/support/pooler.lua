-- A real PgBouncer in transaction mode before a PostgreSQL server of the specs' own, reached by a
-- socket in a folder of its own.

local core = require "proxylua.core"
local program = require "spec.support.program"

local M = {}
local Pooler = {}
Pooler.__index = Pooler

local CONFIG = [[
[databases]
postgres = host=%s user=proxylua
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = %s
auth_type = trust
auth_file = %s/users
pool_mode = %s
default_pool_size = %d
logfile = %s/log
]]

--- Starts one.
-- @param server as spec.support.postgres starts it
-- @param size connections to the server
-- @param mode pool_mode; transaction if absent
-- @return pooler, with the field url and the method stop
function M.start(server, size, mode)
  local folder = program.folder()
  local self = setmetatable({ folder = folder }, Pooler)
  program.write(folder .. "/users", '"proxylua" ""\n')
  local config = program.write(folder .. "/config", CONFIG:format(server.folder, folder, folder,
    mode or "transaction", size, folder))
  local binary = core.system.kind("/usr/sbin/pgbouncer") and "/usr/sbin/pgbouncer" or "pgbouncer"
  local user = server.as:match("reuid=(%S+)")
  if user then assert(os.execute(("chown -R %s %s"):format(user, folder))) end
  local pipe = assert(io.popen(("%s%s %s >/dev/null 2>&1 </dev/null & echo $!"):format(server.as,
    binary, config)))
  self.pid = tonumber(pipe:read("l"))
  pipe:close()
  while not os.execute(("test -S %s/.s.PGSQL.6432"):format(folder)) do
    if not os.execute(("kill -0 %d 2>/dev/null"):format(self.pid)) then
      error("PgBouncer ended: " .. program.read(folder .. "/log"), 2)
    end
    core.task.sleep(0.01)
  end
  self.url = ("postgres://proxylua@/postgres?host=%s&port=6432"):format(folder)
  return self
end

function Pooler:stop()
  os.execute(("kill -INT %d 2>/dev/null"):format(self.pid))
  while os.execute(("kill -0 %d 2>/dev/null"):format(self.pid)) do core.task.sleep(0.01) end
  program.remove(self.folder)
end

return M
