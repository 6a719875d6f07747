-- TCP servers on loopback that behave badly, or plainly: tcp.pl has their modes.

local program = require "spec.support.program"

local M = {}
local Server = {}
Server.__index = Server

--- Starts a server.
-- @param mode as tcp.pl has it
-- @param bytes that it sends, with \r, \n and \xHH written out; may be left out
-- @return server, with the field port and the method stop
function M.start(mode, bytes)
  local pipe = assert(io.popen(("exec perl spec/support/tcp.pl %s %s"):format(mode,
    program.quote(bytes or ""))))
  local port, pid = pipe:read("n", "n")
  return setmetatable({ pipe = pipe, port = assert(port), pid = pid }, Server)
end

function Server:stop()
  if self.stopped then return end
  self.stopped = true
  os.execute(("kill -KILL -%d 2>/dev/null"):format(self.pid)) -- with its children
  self.pipe:close()
end

Server.__gc = Server.stop

return M
