-- A real server behind TLS: nginx, with HTTP/1.1 and HTTP/2, compression, and a certificate of a CA
-- made for the occasion.

local core = require "proxylua.core"
local program = require "spec.support.program"

local M = {}
local Server = {}
Server.__index = Server

local CERTIFICATES = [[
cd %s
key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30'
openssl req -x509 $key -subj /CN=test-CA -keyout ca.key -out ca.pem
openssl req -x509 $key -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE \
  -CA ca.pem -CAkey ca.key -keyout server.key -out server.pem
]]

local CONFIGURATION = [[
daemon off; master_process off; pid nginx.pid; error_log error.log;
events {}
http {
  access_log access.log; default_type application/json;
  gzip on; gzip_types application/json; gzip_min_length 1;
  client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp; uwsgi_temp_path temp; scgi_temp_path temp;
  server {
    listen 127.0.0.1:%d ssl http2; ssl_certificate server.pem; ssl_certificate_key server.key;
    root documents;
  }
  server {
    listen 127.0.0.1:%d ssl; ssl_certificate server.pem; ssl_certificate_key server.key; root documents;
    location /unsized/ { chunked_transfer_encoding off; }
  }
}
]]

local function answers(port)
  local ok, err = pcall(core.http.get, ("https://127.0.0.1:%d/"):format(port))
  return ok or not tostring(err):find("Failed to connect", 1, true)
end

local function start(folder)
  local http2, http1 = program.free_port(), program.free_port()
  program.write(folder .. "/nginx.conf", CONFIGURATION:format(http2, http1))
  local line = "PATH=$PATH:/usr/sbin; cd %s && exec nginx -p . -c nginx.conf 2>start.log & echo $!"
  local pipe = io.popen(line:format(folder))
  local pid = pipe:read("n")
  pipe:close()
  while not (answers(http2) and answers(http1)) do
    if not os.execute(("kill -0 %d 2>/dev/null"):format(pid)) then return nil end
    core.task.sleep(0.01)
  end
  return setmetatable({ folder = folder, pid = pid, ca = folder .. "/ca.pem",
    url = ("https://127.0.0.1:%d"):format(http2),
    http1_url = ("https://127.0.0.1:%d"):format(http1) }, Server)
end

--- Starts the server.
-- @param documents table of path -> text
-- @return server: url (HTTP/2), http1_url (HTTP/1.1 alone), ca (the file of its CA), and the
--   methods log and stop
function M.start(documents)
  local folder = program.folder()
  assert(os.execute(("sh -e >%s/openssl.log 2>&1 <<'END'\n%sEND"):format(folder,
    CERTIFICATES:format(folder))))
  for path, text in pairs(documents) do
    assert(os.execute(("mkdir -p %s/documents%s"):format(folder, path:match("^(.*)/"))))
    program.write(folder .. "/documents" .. path, text)
  end
  for _ = 1, 5 do -- somebody may take the port between its choice and its use
    local server = start(folder)
    if server then return server end
  end
  error("nginx does not start: " .. program.read(folder .. "/start.log"))
end

--- The access log's lines.
function Server:log()
  return program.read(self.folder .. "/access.log")
end

function Server:stop()
  os.execute(("kill -KILL %d"):format(self.pid))
  program.remove(self.folder)
end

return M
