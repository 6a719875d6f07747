# A server that responds to requests with the bytes of files, however wrong these are: server.lua writes them.
#   perl server.pl FOLDER
# Prints its port and process id, which is its group's. A response to /x/y is FOLDER/x%2Fy.N; the lowest N is used up first, the highest stays. Beside the bytes
# may lie .keep (wait for the next request), .hold (leave the connection open and silent) and `.endless` (bytes to repeat).
use strict;
use warnings;
use IO::Socket::INET;
use IO::Select;

my ($folder) = @ARGV;
my $parent = getppid;
$SIG{CHLD} = 'IGNORE';
$SIG{PIPE} = 'IGNORE';
$| = 1;

my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1024, ReuseAddr => 1) or die "listen: $!";
setpgrp;
print $listener->sockport, " $$\n";

sub slurp {
  my ($path) = @_;
  open my $file, '<:raw', $path or return undef;
  local $/;
  return <$file>;
}

# The path of the answer to use, without what may lie beside it.
sub choose {
  my ($target) = @_;
  $target =~ s{^https?://[^/]*}{};
  $target =~ s{\?.*}{};
  $target =~ s{^/}{};
  $target =~ s{/}{%2F}g;
  for my $n (1 .. 99) {
    my $path = "$folder/$target.$n";
    my $next = "$folder/$target." . ($n + 1);
    return $path if -e $path && !-e $next;
    return "$path.used" if -e $path && rename $path, "$path.used";
  }
  return undef;
}

sub send_all {
  my ($client, $bytes) = @_;
  while (length $bytes) {
    my $sent = syswrite $client, $bytes or return 0;
    substr $bytes, 0, $sent, '';
  }
  return 1;
}

# A request's head and body, undef when there is none any more.
sub read_request {
  my ($client, $rest) = @_;
  my $text = $$rest;
  while ($text !~ /\r\n\r\n/) {
    sysread $client, $text, 65536, length $text or return undef;
  }
  my $size = index($text, "\r\n\r\n") + 4 + ($text =~ /^Content-Length:\s*(\d+)/mi ? $1 : 0);
  while (length $text < $size) {
    sysread $client, $text, 65536, length $text or return undef;
  }
  $$rest = substr $text, $size, length($text), '';
  open my $log, '>>:raw', "$folder/log" or die "log: $!";
  syswrite $log, pack('N/a*', $text);
  return $text;
}

sub serve {
  my ($client) = @_;
  my $rest = '';
  while (defined(my $request = read_request($client, \$rest))) {
    my $path = choose((split / /, $request)[1]);
    return send_all($client, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") unless $path;
    send_all($client, slurp($path)) or return;
    my $base = $path =~ s/\.used$//r;
    if (defined(my $piece = slurp("$base.endless"))) {
      1 while send_all($client, $piece);
    }
    sysread $client, my $unused, 65536 if -e "$base.hold";
    return unless -e "$base.keep";
  }
}

my $waiting = IO::Select->new($listener);
while (getppid == $parent) {
  next unless $waiting->can_read(1);
  my $client = $listener->accept or next;
  my $child = fork;
  if (!defined $child) { die "fork: $!" }
  if ($child) { close $client; next }
  close $listener;
  close STDOUT;
  serve($client);
  exit;
}
