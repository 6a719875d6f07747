# Compares what the program says with what the server's ledger holds. A verdict is a list of
# texts, each "KIND: what"; an empty one means that all is right. The kinds:
#   twice         a key was charged twice, an end extended twice, a pool has too much
#   lost          a charge that happened is called not_placed, or is not in the journal
#   false         what never happened, or another's order, is called placed
#   unknown       an outcome is still unknown although the server shows everything
#   never bought  nothing was bought in the end, for a reason that has passed
#   overspent     more than was allowed
#   mispriced     what is on record is not what was charged
#   hangs, crash
package Judge;
use strict;
use warnings;

# Cents of a decimal text.
sub cents {
  my ($text) = @_;
  return ($text // '') =~ /^(-?\d+)(?:\.(\d\d))?/ ? $1 * 100 + ($2 // 0) : 0;
}

sub verdict {
  my ($play) = @_;
  my $self = bless { play => $play, world => $play->{world}, texts => [], entries => {},
    own => [grep { $_->{by} eq 'own' } @{ $play->{ledger} }],
    others => [grep { $_->{by} eq 'other' } @{ $play->{ledger} }] }, __PACKAGE__;
  $self->{entries}{ $_->{key} } = $_ for @{ $play->{journal} };
  $self->assign_lines;
  $self->judge_runs;
  for my $command (@{ $self->{world}{commands} }) {
    my ($kind, @part) = @$command;
    $self->judge_key($kind, @part) if $kind eq 'buy' || $kind eq 'extend';
    $self->judge_fleet(@part) if $kind eq 'fleet';
    $self->judge_renewal if $kind eq 'renew';
    next unless $kind eq 'batch';
    $self->judge_key('buy', "$part[0]-$_", $part[2]) for 1 .. $part[1];
  }
  $self->judge_entry($_) for @{ $play->{journal} };
  $self->judge_ends;
  $self->judge_money;
  return @{ $self->{texts} };
}

sub fault {
  my ($self, $kind, $format, @values) = @_;
  push @{ $self->{texts} }, "$kind: " . sprintf $format, @values;
}

# The program may add to a key when it tries again: a line is the longest key's that its
# Idempotency-Key begins with.
sub assign_lines {
  my ($self) = @_;
  my %is_key = map { $_ => 1 } keys %{ $self->{entries} };
  for my $command (@{ $self->{world}{commands} }) {
    my ($kind, $name, $count) = @$command;
    $is_key{$name} = 1 if $kind eq 'buy' || $kind eq 'extend';
    if ($kind eq 'batch') { $is_key{"$name-$_"} = 1 for 1 .. $count }
  }
  for my $line (@{ $self->{own} }) {
    my $key = $line->{key};
    $key =~ s/[^\w]?\w+$// while length $key && !$is_key{$key};
    $line->{owner} = length $key ? $key : $line->{key};
    push @{ $self->{lines}{ $line->{owner} } }, $line;
    $self->fault('lost', 'a charge under %s for %s is not in the journal', @$line{qw(key order)})
      unless length $key;
  }
}

# What a command said last.
sub last_run {
  my ($self, $kind, $key) = @_;
  my ($run) = grep { $_->{command}{kind} eq $kind
    && (!defined $key || ($_->{command}{key} // '') eq $key) } reverse @{ $self->{play}{runs} };
  return $run;
}

sub words_of {
  my ($run) = @_;
  return 'it never ran' unless $run;
  return "exit $run->{code}: " . substr $run->{err} =~ s/\s+/ /gr, 0, 400;
}

sub judge_runs {
  my ($self) = @_;
  for my $run (@{ $self->{play}{runs} }) {
    my $name = join ' ', @{ $run->{command}{words} };
    my $code = $run->{code};
    if ($run->{hangs}) {
      $self->fault('hangs', '%s', $name);
    } elsif ($code == 1 || $code == 127 || ($code > 130 && $code != 137 && $code != 143)) {
      $self->fault('crash', '%s ended with %d: %s', $name, $code, $run->{err});
    }
  }
}

# --- what the world cannot show ---

# Somebody else bought just the same, so that nothing tells whose an order is.
sub is_alike {
  my ($self, $type, $quantity, $country) = @_;
  my $world = $self->{world};
  return scalar grep { $_->{kind} eq 'create' && $_->{type} eq $type
    && (!$quantity || $_->{quantity} == $quantity)
    && ($world->{no_country} || !$country || $_->{country} eq $country) } @{ $self->{others} };
}

# Money moved that names nothing, and may hide what was charged.
sub is_hidden {
  my ($self) = @_;
  my $world = $self->{world};
  return $world->{deposits}
    || ($world->{no_tx_orders}
      && ($world->{tax} || @{ $self->{others} } || grep { $_->{refunded} } @{ $self->{own} }));
}

# The newest of a list that is oldest first are on a last page that nothing tells.
sub is_out_of_reach {
  my ($self) = @_;
  my $world = $self->{world};
  return $world->{oldest} && $world->{no_total} && !$world->{unpaged}
    && ($world->{orders} // 0) > 80;
}

sub is_extended_by_others {
  my ($self, $order) = @_;
  return scalar grep { $_->{kind} eq 'extend' && $_->{order} eq $order } @{ $self->{others} };
}

sub is_held_back {
  my ($self) = @_;
  return scalar grep { $_->{state} !~ /placed/ } @{ $self->{play}{journal} };
}

# A limit of money, which may have stopped a purchase.
sub is_limited { my ($self) = @_; return grep { $self->{world}{$_} } qw(per_day tax rise) }

sub may_stay_unknown {
  my ($self, $kind, @traits) = @_;
  return 1 if $self->is_hidden || $self->is_out_of_reach;
  return $self->is_alike(@traits) if $kind eq 'buy';
  return $self->is_extended_by_others($self->{play}{ids}{ $traits[0] } // $traits[0]);
}

# --- the journal ---

# An entry that is placed names an order that was charged for it.
sub judge_entry {
  my ($self, $entry) = @_;
  return if $entry->{state} ne 'placed';
  my @lines = @{ $self->{lines}{ $entry->{key} } // [] };
  return if grep { $_->{order} eq $entry->{order} } @lines;
  # Keys that ask for the same may have each other's orders, as long as each has one of its own.
  my ($swapped) = grep { $_->{order} eq $entry->{order} && $_->{kind} eq 'create' }
    @{ $self->{own} };
  my @claims = grep { $_->{state} eq 'placed' && $_->{endpoint} eq 'orders.create'
    && $_->{order} eq $entry->{order} } @{ $self->{play}{journal} };
  return if $swapped && $entry->{endpoint} eq 'orders.create' && $self->is_same($entry, $swapped)
    && @claims == 1;
  my ($other) = grep { $_->{order} eq $entry->{order} } @{ $self->{others} };
  # Of two that are alike either may be taken for ours, and only one was.
  return if $other && $other->{kind} eq 'create' && $entry->{endpoint} eq 'orders.create'
    && $self->is_same($entry, $other);
  return if $entry->{endpoint} eq 'orders.extend'
    && $self->is_extended_by_others($entry->{order});
  $self->fault('false', '%s is placed as %s and was %s (%s)', $entry->{key}, $entry->{order},
    @lines ? "charged as $lines[0]{order}" : 'never charged', $entry->{note});
}

# Whether an order of the ledger is what the entry's parameters ask for.
sub is_same {
  my ($self, $entry, $other) = @_;
  my $world = $self->{world};
  my ($quantity) = $entry->{params} =~ /"quantity":"?(\d+)/;
  my ($country) = $entry->{params} =~ /"country":"(\w+)"/;
  return $entry->{params} =~ /"type":"$other->{type}"/ && $quantity == $other->{quantity}
    && ($world->{no_country} || !$country || $country eq $other->{country});
}

# --- one key ---

sub judge_key {
  my ($self, $kind, $key, @traits) = @_;
  my @live = grep { !$_->{refunded} } @{ $self->{lines}{$key} // [] };
  my $entry = $self->{entries}{$key};
  my $state = $entry ? $entry->{state} : 'absent';
  $self->fault('twice', '%s was charged %d times: %s', $key, scalar @live,
    join ', ', map { "$_->{order} for $_->{amount}" } @live) if @live > 1;
  return if $state eq 'placed';
  my $charged = @live ? "charged as $live[0]{order}" : 'never charged';
  if ($state eq 'not_placed' || $state eq 'absent') {
    $self->fault('lost', '%s is %s and was %s (%s)', $key, $state, $charged,
      $entry ? $entry->{note} : '') if @live;
    $self->judge_unbought($kind, $key, $state);
  } elsif (!$self->may_stay_unknown($kind, @traits)) {
    $self->fault('unknown', '%s is %s for ever, and was %s (%s)', $key, $state, $charged,
      $entry->{note});
  }
}

# Nothing was bought: only an allowance, or another open charge that looks alike, is a reason.
sub judge_unbought {
  my ($self, $kind, $key, $state) = @_;
  my $run = $self->last_run($kind, $key);
  return if !$run;
  return if $run->{code} == 6 && $self->is_limited;
  return if $run->{code} == 5 && $self->is_held_back;
  # An order that failed cannot be extended, and a quantity that cannot be read has no price.
  return if $kind eq 'extend' && $run->{code} == 3
    && ($self->{world}{failed} || $self->{world}{loose});
  $self->fault('never bought', '%s is %s: %s', $key, $state, words_of($run));
}

# --- fleets and renewals ---

sub judge_fleet {
  my ($self, $pool, $type, $country, $wanted) = @_;
  my @live = grep { !$_->{refunded} && $_->{kind} eq 'create'
    && $_->{owner} =~ m{^fleet/\Q$pool\E/} } @{ $self->{own} };
  my $have = 0;
  $have += $_->{quantity} for @live;
  $self->fault('twice', 'pool %s has %d of %d: %s', $pool, $have, $wanted,
    join ', ', map { "$_->{order} ($_->{key})" } @live) if $have > $wanted;
  return if $have >= $wanted;
  # An order of the pool that failed is not bought again in every run.
  return if grep { $_->{refunded} && $_->{owner} =~ m{^fleet/\Q$pool\E/} } @{ $self->{own} };
  my $run = $self->last_run('fleet');
  return if $run->{code} == 6 && $self->is_limited;
  return if $self->is_alike($type, undef, $country);
  return if $run->{code} == 5 && ($self->is_hidden || $self->is_out_of_reach);
  # Old orders of a country that cannot be read fit the pool.
  return if $run->{err} =~ /ignore-existing/
    && ($self->{world}{loose} || $self->{world}{no_country});
  $self->fault('never bought', 'pool %s has %d of %d: %s', $pool, $have, $wanted, words_of($run));
}

# The old orders that end within 4 days: Server.pm makes them so.
sub judge_renewal {
  my ($self) = @_;
  return if $self->{world}{loose}; # a quantity that cannot be read has no price
  my $run = $self->last_run('renew');
  return if $run->{code} == 6 && $self->is_limited;
  return if $run->{code} == 5 && ($self->is_hidden || $self->is_out_of_reach);
  my %has = map { $_->{order} => 1 } @{ $self->{own} },
    grep { $_->{kind} eq 'refund' } @{ $self->{others} };
  for my $n (grep { $_ % 25 == 1 } 1 .. $self->{world}{orders} // 0) {
    $self->fault('never bought', 'ord_old%d was not extended: %s', $n, words_of($run))
      unless $has{"ord_old$n"};
  }
}

# From one end on an order is extended once: after an extension, no end is due here.
sub judge_ends {
  my ($self) = @_;
  my %of_order;
  for my $line (grep { $_->{kind} eq 'extend' } @{ $self->{own} }) {
    next unless $line->{owner} =~ m{^(?:renew|fleet)/};
    push @{ $of_order{ $line->{order} } }, $line;
  }
  for my $order (sort keys %of_order) {
    my @lines = @{ $of_order{$order} };
    $self->fault('twice', '%s was extended %d times: %s', $order, scalar @lines,
      join ', ', map { $_->{key} } @lines) if @lines > 1;
  }
}

# --- money ---

sub judge_money {
  my ($self) = @_;
  my $world = $self->{world};
  my ($charged, $quoted, $tax) = (0, 0, 0);
  for my $line (grep { !$_->{refunded} } @{ $self->{own} }) {
    $charged += $line->{amount};
    $quoted += $line->{quote};
    $tax = $line->{amount} - $line->{quote} if $line->{amount} - $line->{quote} > $tax;
    $self->fault('overspent', '%s cost %.2f, above its --max-price', $line->{owner},
      $line->{amount} / 100)
      if $world->{rise} && $line->{owner} =~ /^k\d/ && $line->{quote} > $line->{base};
    $self->judge_price($line) unless $world->{tax};
  }
  # A tax shows at the next baseline: the last one may come on top, and all where nothing shows it.
  my $counted = $tax && ($self->is_hidden || $self->is_out_of_reach) ? $quoted : $charged - $tax;
  $self->fault('overspent', '%.2f of %s', $charged / 100, $world->{per_day})
    if $world->{per_day} && $counted > cents($world->{per_day});
}

sub judge_price {
  my ($self, $line) = @_;
  my $entry = $self->{entries}{ $line->{owner} };
  return if !$entry || $entry->{state} ne 'placed' || $entry->{order} ne $line->{order};
  return if @{ $self->{lines}{ $line->{owner} } } > 1 || cents($entry->{price}) == $line->{amount};
  $self->fault('mispriced', '%s cost %.2f, and %s is on record (%s)', $line->{owner},
    $line->{amount} / 100, $entry->{price}, $entry->{note});
}

1;
