#!/usr/bin/perl
# Prints how many requests a purchase takes, by the emulated API's count: on accounts of several
# sizes, newest first and oldest first; for one purchase on a new store, one more by another
# process, ten in one process, ten by ten processes, and one whose response was lost (bought, and
# not bought).
#   requests.pl [program=PATH] [sizes=0,600,100000]
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Driver;
use World;

my %option = (program => "$FindBin::Bin/../../../build/proxylua", sizes => '0,600,100000');
for (@ARGV) {
  my ($name, $value) = split /=/, $_, 2;
  die "requests.pl: unknown option $_\n" unless defined $value;
  $option{$name} = $value;
}

my $next = 1;

sub purchase { return sprintf 'buy=k%02d:isp:1:US:30', $next++ }

# Requests per purchase of some commands that make `purchases` of them, each run by a process of
# its own, one after the other; with a mark where an outcome is unknown.
sub requests {
  my ($world, $purchases, @commands) = @_;
  my $before = $world->counts->{requests} // 0;
  my @parsed = map { $world->command_of(@$_) } @{ World::parse(@commands)->{commands} };
  $world->run_all(1, \@parsed, 0);
  my @runs = @{ $world->{runs} }[-@parsed .. -1];
  my $count = $world->counts->{requests} - $before;
  my $is_unknown = grep { $_->{code} == 5 || $_->{err} =~ /not known/ } @runs;
  return sprintf '%.*f%s', $purchases > 1 ? 1 : 0, $count / $purchases, $is_unknown ? '*' : '';
}

sub row {
  my (@words) = @_;
  my $world = Driver->open(World::parse('seed=1', 'timeout=30', @words), $option{program});
  my @cells = (requests($world, 1, purchase()), requests($world, 1, purchase()),
    requests($world, 10, 'batch=b1:10:isp'), requests($world, 10, map { purchase() } 1 .. 10));
  $world->close;
  for my $when (qw(after before)) {
    my $parsed = World::parse('seed=1', 'timeout=30', @words, "fault=cut/$when/post/1");
    $world = Driver->open($parsed, $option{program});
    push @cells, requests($world, 1, purchase());
    $world->close;
  }
  return @cells;
}

my $line = "%-8s %-7s %-8s %10s %10s %12s %12s %13s %15s\n";
printf $line, 'orders', 'sorted', 'totals', 'new store', 'next', '10 in one', '10 processes',
  'lost, bought', 'lost, unbought';
for my $size (split /,/, $option{sizes}) {
  for my $words ([], ['oldest'], ['oldest', 'no_total']) {
    printf $line, $size, $words->[0] ? 'oldest' : 'newest', $words->[1] ? 'no' : 'yes',
      row("orders=$size", 'one_type', @$words);
  }
}
print "(requests per purchase; * an outcome is unknown at the end)\n";
