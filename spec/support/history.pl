# An API whose account has many transactions, each of another order: `perl history.pl COUNT`
# prints its port, and ends when its output is closed or its parent has ended. It serves one client
# at a time, from one text that holds all records.
use strict;
use warnings;
use IO::Poll qw(POLLERR);
use IO::Select;
use IO::Socket::INET;

my $count = shift;
my $parent = getppid;
my $now = time;
my $all = '';
for my $n (1 .. $count) {
  my @t = gmtime($now - int($n * 25 * 86400 / $count));
  $all .= sprintf '{"id":"txn_%08d","type":"charge","amount":"%d.%02d","order_id":"ord_%08d",'
    . '"created_at":"%04d-%02d-%02dT%02d:%02d:%02dZ"},', $n, 1 + $n % 9, $n % 100, $n,
    $t[5] + 1900, $t[4] + 1, @t[3, 2, 1, 0];
}
my $width = length($all) / $count;

my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 16) or die "listen: $!";
$| = 1;
print $listener->sockport, "\n";

sub body_of {
  my ($path) = @_;
  return '{"success":true,"data":{"balance":"100.00","email":"a@example.org"}}'
    if $path =~ m{/account$};
  my ($page) = $path =~ /[?&]page=(\d+)/;
  my ($limit) = $path =~ /[?&]limit=(\d+)/;
  ($page, $limit) = ($page || 1, $limit || 20);
  my $total = $path =~ m{/transactions} ? $count : 0;
  my $from = ($page - 1) * $limit;
  my $size = $from >= $total ? 0 : $total - $from < $limit ? $total - $from : $limit;
  my $records = substr $all, $from * $width, $size ? $size * $width - 1 : 0;
  return sprintf '{"success":true,"data":[%s],"meta":{"page":%d,"perPage":%d,"total":%d,'
    . '"totalPages":%d}}', $records, $page, $limit, $total, ($total + $limit - 1) / $limit;
}

$SIG{PIPE} = 'IGNORE';
my $ready = IO::Select->new($listener);
# A pipe whose reader has gone is in error.
my $poll = IO::Poll->new;
$poll->mask(\*STDOUT => POLLERR);
while (getppid == $parent) {
  last if $poll->poll(0) > 0;
  next unless $ready->can_read(0.2);
  my $client = $listener->accept or next;
  while (sysread $client, my $request, 65536) {
    my $body = body_of((split / /, $request)[1]);
    syswrite $client, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
      . length($body) . "\r\n\r\n$body";
  }
}
