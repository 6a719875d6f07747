# A world is a line of words. What a word leaves out is as the API's description has it, so each
# word can be removed and a smaller world is left: that is how run.pl shrinks one that fails.
#
#   seed=N                   the chances
#   orders=N one_type        in the account at the beginning; isp alone
#   bare names=camel|other strings id_only no_price no_created negative dates=epoch|milliseconds
#   no_account_id no_tx_ids no_tx_orders no_tx_dates      the dialect, and what it leaves out
#   no_country loose zone=HOURS long_ids                  traits as words; local time labelled Z
#   oldest no_total cap=N unpaged                         the lists
#   lag_list=MS lag_order=MS lag_transactions=MS lag_balance=MS flap late=MS setup=MS
#   drift date=SECONDS       ends differ by a second; the Date header is ahead or behind
#   clock=SECONDS            the clock of the machine is set forward and back by so much, also
#                            while processes run; in the end it is right
#   equal=P different=P extends=P refunds=P deposits=P    other people on the account, per request
#   tax=PERCENT failed=P idempotent
#   rise                     prices double while the client waits after a 429; purchases have a
#                            --max-price
#   fault=KIND/before|after/post|get/P                    see Server.pm
#   kill=P                   a process is killed at a random moment
#   per_day=AMOUNT rounds=N parallel=N timeout=SECONDS
#   buy=KEY:TYPE:QUANTITY:COUNTRY:PERIOD    extend=KEY:ORDER OR KEY:DAYS
#   fleet=POOL:TYPE:COUNTRY:QUANTITY:BATCH  renew=DAYS:PERIOD
#   batch=NAME:COUNT:TYPE    one process buys NAME-1 to NAME-COUNT, equal ones of a type or mixed
package World;
use strict;
use warnings;

my %is_list = map { $_ => 1 } qw(fault buy extend fleet renew batch);

sub parse {
  my (@words) = @_;
  my %world = (seed => 1, faults => [], commands => []);
  for my $word (@words) {
    my ($name, $value) = split /=/, $word, 2;
    $value //= 1;
    if ($name eq 'fault') {
      push @{ $world{faults} }, $value;
    } elsif ($is_list{$name}) {
      push @{ $world{commands} }, [$name, split /:/, $value];
    } else {
      $world{$name} = $value;
    }
  }
  return \%world;
}

# --- making one ---

sub chance { return rand() < $_[0] }
sub one_of { return $_[rand @_] }

my @responses = qw(html400 html401 html402 html403 html404 html429 html500 html502 garbage empty
  accepted document bare_document blank stale);
my @refusals = qw(error400 error402 error403 error404);
my @waits = ('1', '0.5', 'date', '', 'iso', '3000ms', '-1', 'epoch');

sub some_faults {
  my @words;
  my $add = sub { push @words, sprintf 'fault=%s/%s/%s/%s', @_ };
  $add->('cut', one_of(qw(before after)), 'post', one_of(0.1, 0.3)) if chance(0.4);
  $add->(one_of(@responses), one_of(qw(before after after)), 'post', one_of(0.1, 0.3))
    for 1 .. int rand 4;
  $add->('truncated', 'after', 'post', 0.2) if chance(0.2);
  $add->('slow', 'after', 'post', 0.1) if chance(0.1);
  $add->(one_of(@refusals), 'before', 'post', 0.2) if chance(0.2);
  $add->('limit' . one_of(@waits), 'before', 'post', 0.1) if chance(0.1);
  $add->(one_of(qw(kill kill kill int term stop)), one_of(qw(before after)), 'post', 0.2)
    if chance(0.4);
  $add->(one_of(qw(kill kill int stop)), one_of(qw(before after)), 'get', 0.03) if chance(0.2);
  $add->(one_of('cut', @responses[2 .. 11]), 'before', 'get', 0.03) if chance(0.3);
  return @words;
}

sub some_dialect {
  my @words;
  push @words, 'bare' if chance(0.4);
  push @words, 'names=' . one_of(qw(camel other)) if chance(0.3);
  for (['strings', 0.3], ['id_only', 0.2], ['no_price', 0.1], ['no_created', 0.2],
    ['negative', 0.2], ['no_account_id', 0.3], ['no_tx_ids', 0.15], ['no_tx_orders', 0.15],
    ['no_tx_dates', 0.15], ['oldest', 0.3], ['no_total', 0.2], ['drift', 0.3], ['flap', 0.2],
    ['idempotent', 0.15], ['no_country', 0.05], ['loose', 0.1], ['long_ids', 0.05]) {
    push @words, $_->[0] if chance($_->[1]);
  }
  push @words, 'dates=' . one_of(qw(epoch milliseconds)) if chance(0.2);
  push @words, one_of('cap=20', 'cap=50', 'unpaged') if chance(0.2);
  push @words, 'orders=' . one_of(1, 20, 90, 130, 250, 600) if chance(0.6);
  push @words, 'date=' . one_of(-150, -90, 90, 150) if chance(0.15);
  push @words, 'zone=' . one_of(-5, 2, 9) if chance(0.1);
  return @words;
}

# Of the balance and the transactions one shows a charge before the settling time is over: where
# all evidence comes later, nothing could be right.
sub some_lag {
  my ($has_refunds) = @_;
  my @words;
  for my $name (qw(list order)) {
    push @words, "lag_$name=" . one_of(50, 150, 600, 2500) if chance(0.25);
  }
  if (chance(0.3)) {
    my $name = one_of(qw(transactions balance));
    push @words, "lag_$name=" . one_of(50, 600, 2500) unless $has_refunds;
  }
  push @words, 'late=' . one_of(200, 700, 1500) if chance(0.2);
  push @words, 'setup=' . one_of(200, 700, 1500) if chance(0.15);
  return @words;
}

sub some_commands {
  my @words;
  my @kinds = map { [one_of(qw(isp isp datacenter ipv6)), 1 + int rand 2, one_of(qw(US DE)), 30] }
    1 .. 2;
  my $count = 1 + int rand 5;
  for my $n (1 .. $count) {
    push @words, 'buy=' . join ':', sprintf('k%02d', $n), @{ one_of(@kinds) };
    next unless chance(0.25);
    push @words, sprintf 'extend=x%02d:k%02d:%d', $n, $n, one_of(30, 30, 60);
    push @words, sprintf 'extend=x%02d:k%02d:30', $n + 50, $n if chance(0.2);
  }
  # No old order is in this country: what fits a pool and is not known to it may stop a purchase.
  push @words, 'fleet=fr:isp:FR:' . one_of('3:1', '2:2', '4:2') if chance(0.25);
  push @words, 'renew=4:30' if chance(0.2);
  return @words;
}

sub make {
  my ($seed) = @_;
  srand $seed;
  my @words = ("seed=$seed", some_dialect());
  my $has_refunds = chance(0.15);
  push @words, one_of(qw(refunds deposits)) . '=' . one_of(0.02, 0.1) if $has_refunds;
  push @words, some_lag($has_refunds);
  push @words, 'equal=' . one_of(0.01, 0.05) if chance(0.15);
  push @words, 'different=' . one_of(0.02, 0.1) if chance(0.3);
  push @words, 'extends=0.02' if chance(0.1);
  push @words, 'tax=20' if chance(0.1);
  push @words, 'failed=0.2' if chance(0.05);
  push @words, some_faults();
  push @words, 'rise', 'fault=limit1/before/post/0.5' if chance(0.05);
  push @words, 'kill=0.2' if chance(0.25);
  push @words, 'per_day=' . one_of('6.20', '12.40') if chance(0.15);
  push @words, 'parallel=' . one_of(2, 3) if chance(0.4);
  push @words, 'rounds=' . one_of(1, 2, 3);
  my @commands = some_commands();
  push @words, 'clock=' . one_of(2, 90, 4000, 50000) if chance(0.15);
  # A renewal needs orders that are due.
  push @words, 'orders=20' if grep({ /^renew/ } @commands) && !grep { /^orders/ } @words;
  return (@words, @commands);
}

1;
