-- Sends any bytes to a port on loopback, and reads what comes back until the other side closes: for
-- input that no honest client sends.

local program = require "spec.support.program"

local M = {}

local script = [[
use IO::Socket::INET;
my ($port, $path, $shut) = @ARGV;
$SIG{PIPE} = "IGNORE";
alarm 60;
my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $port) or die "connect: $!";
open my $file, "<:raw", $path or die "open: $!";
my $bytes = do { local $/; <$file> };
while (length $bytes) { my $sent = syswrite $socket, $bytes or last; substr $bytes, 0, $sent, ""; }
shutdown $socket, 1 if $shut;
while (sysread $socket, my $piece, 65536) { syswrite STDOUT, $piece }
]]

--- Sends bytes, without waiting for what comes back.
-- @param port number
-- @param bytes text
-- @param shut true: say that nothing more will come
-- @return function that reads until the connection ends and returns what came
function M.send(port, bytes, shut)
  local folder = program.folder()
  program.write(folder .. "/bytes", bytes)
  program.write(folder .. "/script", script)
  local pipe = assert(io.popen(("perl %s %d %s %s"):format(
    program.quote(folder .. "/script"), port, program.quote(folder .. "/bytes"), shut and "1"
      or "''")))
  return function()
    local answer = pipe:read("a")
    local ok, how, code = pipe:close()
    program.remove(folder)
    assert(ok, ("the connection to port %d did not end: %s %s"):format(port, how, code))
    return answer
  end
end

--- Sends bytes and returns what comes back until the connection ends.
function M.talk(port, bytes, shut)
  return M.send(port, bytes, shut)()
end

return M
