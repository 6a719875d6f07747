-- Real proxies on loopback: squid, tinyproxy, microsocks and dante, each with a free port and one
-- user, "bob" with the password "s3c".

local core = require "proxylua.core"
local program = require "spec.support.program"

local M = {}
local Proxy = {}
Proxy.__index = Proxy

local function listens(port)
  return os.execute(("bash -c '</dev/tcp/127.0.0.1/%d' 2>/dev/null"):format(port))
end

local function start(command, files)
  local folder = program.folder()
  assert(os.execute("chmod a+rwx " .. folder))
  local port = program.free_port()
  local function fill(text) return (text:gsub("@(%l+)@", { folder = folder, port = port })) end
  for name, text in pairs(files or {}) do program.write(folder .. "/" .. name, fill(text)) end
  local line = "PATH=$PATH:/usr/sbin; cd %s && exec setsid %s >log 2>&1 & echo $!"
  local pipe = io.popen(line:format(folder, fill(command)))
  local pid = pipe:read("n")
  pipe:close()
  while not listens(port) do
    if not os.execute(("kill -0 %d 2>/dev/null"):format(pid)) then
      error(command .. " does not start: " .. program.read(folder .. "/log"))
    end
    core.task.sleep(0.01)
  end
  return setmetatable({ folder = folder, pid = pid, port = port }, Proxy)
end

local SQUID = [[
http_port 127.0.0.1:@port@
pid_filename none
cache deny all
cache_log @folder@/cache.log
access_log none
netdb_filename none
pinger_enable off
shutdown_lifetime 0 seconds
logfile_rotate 0
coredump_dir @folder@
%s
acl users proxy_auth REQUIRED
http_access deny !users
http_access allow all
]]

local schemes = {
  digest = "auth_param digest program /usr/lib/squid/digest_file_auth @folder@/users\n"
    .. "auth_param digest children 1\nauth_param digest realm squid",
  ntlm = "auth_param ntlm program /usr/lib/squid/ntlm_fake_auth\nauth_param ntlm children 1",
}

--- Squid with "digest" or "ntlm" alone.
function M.squid(scheme)
  return start("squid -N -f @folder@/squid.conf", { ["squid.conf"] = SQUID:format(schemes[scheme]),
    users = "bob:s3c\n" })
end

function M.tinyproxy()
  return start("tinyproxy -d -c @folder@/tinyproxy.conf", { ["tinyproxy.conf"] =
    'Port @port@\nListen 127.0.0.1\nLogFile "@folder@/tiny.log"\nBasicAuth bob s3c\n' })
end

function M.microsocks()
  return start("microsocks -i 127.0.0.1 -p @port@ -u bob -P s3c")
end

--- dante, whose rules allow no destination. Nil where it is not installed.
function M.dante()
  if not os.execute("PATH=$PATH:/usr/sbin command -v danted >/dev/null") then return nil end
  return start("danted -f @folder@/danted.conf -p @folder@/pid", { ["danted.conf"] = [[
logoutput: @folder@/dante.log
internal: 127.0.0.1 port = @port@
external: lo
clientmethod: none
socksmethod: none
user.unprivileged: nobody
client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
socks block { from: 0.0.0.0/0 to: 0.0.0.0/0 }
]] })
end

function Proxy:url(scheme, user)
  return ("%s://%s127.0.0.1:%d"):format(scheme, user and user .. "@" or "", self.port)
end

function Proxy:stop()
  os.execute(("kill -KILL -%d"):format(self.pid)) -- with its children
  program.remove(self.folder)
end

return M
