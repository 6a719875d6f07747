# A server that counts requests as an API might, and notes of each what became of it: counter.lua starts it.
#   perl counter.pl NAME=VALUE…
# Prints its port and process id. Each GET is counted, except /_log, which returns the notes, oldest first, a line each:
#   arrived counted ended fate allowed late
# in microseconds since the server's start; ended is the time of the response or of the close, counted and ended are - when it did not
# come to that. fate: `answered`, cut (closed without a response), hung (never responds), gone (the client closed while the
# response was due), open (none of these yet). allowed: 1, 0 (over the limit), - (not counted yet). late: how late
# the server itself was in counting it, which shows a busy machine.
use strict;
use warnings;
use IO::Socket::INET;
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

my %o = (algorithm => 'sliding', count => 60, window => 60, seed => 1, hold => '0', delay => '0', cut => 0, hang => 0,
         lag => 0, calm => 1e9);
for (@ARGV) { my ($name, $value) = /^(\w+)=(.*)$/ or die "what is '$_'?"; $o{$name} = $value }
srand $o{seed};
my ($N, $W) = @o{qw(count window)};
my $parent = getppid;
$SIG{PIPE} = 'IGNORE';
$| = 1;

my $began = clock_gettime(CLOCK_MONOTONIC);
sub now { clock_gettime(CLOCK_MONOTONIC) - $began }

sub between {
  my ($low, $high) = split /-/, $_[0];
  return defined $high ? $low + rand() * ($high - $low) : $low;
}

# Counting: each returns 0 and counts, or returns the seconds until it would.

my $phase = rand() * $W;
my ($index, $count, $before) = (-1, 0, 0);

sub turn {
  my ($position) = @_;
  my $i = int $position;
  return if $i == $index;
  ($before, $count, $index) = ($i == $index + 1 ? $count : 0, 0, $i);
}

my $burst = $o{burst} || $N;
my ($tokens, $filled, @times) = ($burst, 0);

my %algorithms = (
  fixed => sub {
    my $position = ($_[0] + $phase) / $W;
    turn($position);
    return ($index + 1 - $position) * $W if $count >= $N;
    $count++;
    return 0;
  },
  sliding => sub {
    my ($now) = @_;
    shift @times while @times && $times[0] <= $now - $W;
    return $times[0] + $W - $now if @times >= $N;
    push @times, $now;
    return 0;
  },
  bucket => sub {
    my ($now) = @_;
    $tokens += ($now - $filled) * $N / $W;
    $tokens = $burst if $tokens > $burst;
    $filled = $now;
    return (1 - $tokens) * $W / $N if $tokens < 1;
    $tokens--;
    return 0;
  },
  weighted => sub { # this window's count and the last one's, by how much of it the last W seconds still cover
    my $position = ($_[0] + $phase) / $W;
    turn($position);
    my $weight = 1 - ($position - $index);
    if ($before * $weight + $count + 1 > $N) {
      my $room = $N - $count - 1;
      return $room >= 0 ? ($weight - $room / $before) * $W : $weight * $W;
    }
    $count++;
    return 0;
  },
);
my $take = $algorithms{$o{algorithm}} or die "algorithm $o{algorithm}?";

# --- what is due when ---

my @due; # [time, function], the earliest last

sub later {
  my ($time, $function) = @_;
  my ($low, $high) = (0, scalar @due);
  while ($low < $high) {
    my $middle = ($low + $high) >> 1;
    if ($due[$middle][0] > $time) { $low = $middle + 1 } else { $high = $middle }
  }
  splice @due, $low, 0, [$time, $function];
}

# --- requests ---

my @log;
my %clients;
my $watched = '';

sub forget {
  my ($client) = @_;
  vec($watched, fileno $client->{socket}, 1) = 0;
  delete $clients{fileno $client->{socket}};
  close $client->{socket};
  $client->{socket} = undef;
}

# Responses are far smaller than a socket's buffer.
sub answer {
  my ($client, $status, $head, $body) = @_;
  return unless $client->{socket};
  my $text = sprintf "HTTP/1.1 %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
    $status, $head, length $body, $body;
  forget($client) unless syswrite($client->{socket}, $text) == length $text;
}

sub finish {
  my ($entry, $client, $wait) = @_;
  return if $entry->{fate} ne 'open';
  @$entry{qw(ended fate)} = (now(), 'answered');
  $client->{entry} = undef;
  return answer($client, '200 OK', '', '{"success":true,"data":{"id":"acc_1","balance":"9.30"}}') if $wait == 0;
  my $seconds = int($wait) + ($wait > int $wait ? 1 : 0);
  answer($client, '429 Too Many Requests', "Retry-After: $seconds\r\n", '{"error":"too many requests"}');
}

sub count_it {
  my ($entry, $client, $due, $answered) = @_;
  my $now = now();
  my $wait = $take->($now);
  @$entry{qw(counted allowed late)} = ($now, $wait > 0 ? 0 : 1, $now - $due);
  later($now + between($o{delay}), sub { finish($entry, $client, $wait) }) if $answered;
}

# Steps of the golden ratio from a random start: spread so evenly that a few dozens of requests meet every fault.
my $chance = rand();

# One that is cut is counted up to `lag` seconds after the close, as an API might that works off what it has received.
sub begin {
  my ($client) = @_;
  my $now = now();
  my $entry = { arrived => $now, fate => 'open' };
  push @log, $entry;
  $chance += 0.6180339887;
  $chance -= 1 if $chance >= 1;
  my $calm = $now - $log[0]{arrived} > $o{calm};
  my $cut = !$calm && $chance < $o{cut};
  my $hang = !$calm && !$cut && $chance < $o{cut} + $o{hang};
  my $due = $now + between($o{hold}) + ($cut || $hang ? between("0-$o{lag}") : 0);
  $client->{entry} = $entry unless $cut;
  $client->{hung} = $hang;
  later($due, sub { count_it($entry, $client, $due, !$cut && !$hang) });
  return unless $cut;
  @$entry{qw(ended fate)} = ($now, 'cut');
  forget($client);
}

sub whole { # microseconds
  return defined $_[0] ? int($_[0] * 1e6) : '-';
}

sub show_log {
  my ($client) = @_;
  my $text = '';
  for my $e (@log) {
    $text .= join(' ', whole($e->{arrived}), whole($e->{counted}), whole($e->{ended}), $e->{fate}, $e->{allowed} // '-',
                  whole($e->{late})) . "\n";
  }
  answer($client, '200 OK', '', $text);
}

sub read_client {
  my ($client) = @_;
  my $got = sysread $client->{socket}, $client->{text}, 65536, length $client->{text};
  if (!$got) {
    my $entry = $client->{entry};
    @$entry{qw(ended fate)} = (now(), $client->{hung} ? 'hung' : 'gone') if $entry;
    return forget($client);
  }
  while ($client->{socket} && $client->{text} =~ s/^(.*?)\r\n\r\n//s) {
    $1 =~ m{^GET /_log } ? show_log($client) : begin($client);
  }
}

my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1024, ReuseAddr => 1, Blocking => 0)
  or die "listen: $!";
vec($watched, fileno $listener, 1) = 1;
print $listener->sockport, " $$\n";

while (getppid == $parent) {
  my $wait = @due ? $due[-1][0] - now() : 1;
  $wait = $wait < 0 ? 0 : $wait > 1 ? 1 : $wait;
  my $count = select my $ready = $watched, undef, undef, $wait;
  (pop @due)->[1]->() while @due && $due[-1][0] <= now();
  next unless $count > 0;
  for my $fd (keys %clients) {
    my $client = $clients{$fd};
    read_client($client) if $client && $client->{socket} && vec($ready, $fd, 1);
  }
  next unless vec($ready, fileno $listener, 1);
  while (my $socket = $listener->accept) {
    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
    $clients{fileno $socket} = { socket => $socket, text => '' };
    vec($watched, fileno $socket, 1) = 1;
  }
}
