-- A server of any bytes on loopback, for responses that no honest server sends: a process of its
-- own (server.pl).

local program = require "spec.support.program"

local M = {}
local Server = {}
Server.__index = Server

local function write_answer(folder, path, number, answer)
  if type(answer) == "string" then answer = { answer } end
  local base = ("%s/%s.%d"):format(folder, path:gsub("^/", ""):gsub("/", "%%2F"), number)
  for _, name in ipairs{ "keep", "hold" } do
    if answer[name] then program.write(base .. "." .. name, "") end
  end
  if answer.endless then program.write(base .. ".endless", answer.endless) end
  program.write(base, answer[1])
end

--- An answer of status 200 with a body, that keeps the connection.
function M.ok(body, headers)
  local text = ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s"):format(#body, headers or "",
    body)
  return { text, keep = true }
end

--- Starts a server.
-- @param answers table of path -> response, or list of responses, each used once except the last. A
--   response is the bytes of the whole response; or a table with these at [1] and `keep` (wait for
--   another request), `hold` (leave the connection open) or `endless` (bytes to repeat until the
--   client has had enough). Anything else is closed behind the last byte.
-- @return server, with the fields url and port, and the methods requests and stop
function M.start(answers)
  local folder = program.folder()
  for path, list in pairs(answers) do
    if type(list) == "string" or type(list[1]) == "string"
      and (list.keep or list.hold or list.endless) then
      list = { list }
    end
    for number, answer in ipairs(list) do write_answer(folder, path, number, answer) end
  end
  local pipe = assert(io.popen(("exec perl spec/support/server.pl %s"):format(
    program.quote(folder))))
  local port, pid = pipe:read("n", "n")
  assert(pid, "the server did not start")
  return setmetatable({
    folder = folder, pipe = pipe, port = port, pid = pid,
      url = ("http://127.0.0.1:%d"):format(port),
  }, Server)
end

--- The texts of all requests so far, in the order of their arrival.
function Server:requests()
  local log = io.open(self.folder .. "/log", "rb")
  local list = {}
  if not log then return list end
  local text, at = log:read("a"), 1
  log:close()
  while at <= #text do list[#list + 1], at = string.unpack(">s4", text, at) end
  return list
end

function Server:stop()
  if self.stopped then return end
  self.stopped = true
  os.execute(("kill -KILL -%d"):format(self.pid))
  self.pipe:close()
  program.remove(self.folder)
end

-- One that a failed test left behind would otherwise be waited for when its pipe is collected.
Server.__gc = Server.stop

return M
