# tcp.pl MODE [BYTES]: a TCP server on loopback that behaves badly, or plainly. Prints its port and
# process. BYTES may have \r, \n and \xHH.
#   refuse  takes no connection: its port is closed again
#   silent  accepts and says nothing
#   close   closes each connection at once
#   say     sends BYTES when something came, and closes
#   hold    the same, and leaves the connection open
#   count   when the client has ended its side, sends how many bytes came
#   echo    sends back what comes
#   cut     sends back what comes, and resets the connection after 1000 bytes
use strict;
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_LINGER);
my ($mode, $bytes) = @ARGV;
$bytes = "" unless defined $bytes;
$bytes =~ s/\\r/\r/g;
$bytes =~ s/\\n/\n/g;
$bytes =~ s/\\x([0-9a-f]{2})/chr hex $1/gie;
$| = 1;
$SIG{CHLD} = "IGNORE";
$SIG{PIPE} = "IGNORE";
setpgrp;
my $listener = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 1024) or die "listen: $!";
print $listener->sockport, " $$\n";
if ($mode eq "refuse") { $listener->close; sleep; }

sub serve {
  my $socket = shift;
  my ($piece, $count) = ("", 0);
  return if $mode eq "close";
  sleep if $mode eq "silent";
  while (sysread $socket, $piece, 65536) {
    $count += length $piece;
    if ($mode eq "say" || $mode eq "hold") {
      syswrite $socket, $bytes;
      sleep if $mode eq "hold";
      return;
    }
    syswrite $socket, $piece if $mode eq "echo" || $mode eq "cut";
    if ($mode eq "cut" && $count >= 1000) {
      setsockopt $socket, SOL_SOCKET, SO_LINGER, pack "ii", 1, 0;
      return;
    }
  }
  syswrite $socket, "received $count\n" if $mode eq "count";
}

while (1) {
  my $socket = $listener->accept or next;
  my $child = fork;
  if (defined $child && $child == 0) {
    $listener->close;
    serve($socket);
    close $socket;
    exit 0;
  }
  close $socket;
}
