# Compares what the program says with what the server's ledger holds. A verdict is a list of
# texts, each "KIND: what"; an empty one means that all is right.
package Judge;
use strict;
use warnings;

# Cents of a decimal text.
sub cents { my ($text) = @_; return ($text // '') =~ /^(-?\d+)(?:\.(\d\d))?/ ? $1 * 100 + ($2 // 0) : 0 }

# The key that a charge was for. The program may add to it when it tries again.
sub key_of {
  my ($line) = @_;
  my $key = $line->{key} // '';
  return $1 if $key =~ m{^([kx]\d\d|b\d+-\d+)(?!\d)};
  return $1 if $key =~ m{^(fleet/\w+)/};
  return $key =~ m{^renew/} ? 'renew' : $key;
}

sub verdict {
  my ($play) = @_;
  my $self = bless { play => $play, world => $play->{world}, texts => [], by_key => {},
    entries => {} }, __PACKAGE__;
  for my $line (grep { $_->{by} eq 'own' } @{ $play->{ledger} }) {
    push @{ $self->{by_key}{ key_of($line) } }, $line;
  }
  $self->{entries}{ $_->{key} } = $_ for @{ $play->{journal} };
  $self->judge_runs;
  for my $command (@{ $self->{world}{commands} }) {
    my ($kind, @part) = @$command;
    $self->judge_key($kind, @part) if $kind eq 'buy' || $kind eq 'extend';
    $self->judge_fleet(@part) if $kind eq 'fleet';
    next unless $kind eq 'batch';
    $self->judge_key('buy', "$part[0]-$_") for 1 .. $part[1];
  }
  $self->judge_extensions;
  $self->judge_money;
  return @{ $self->{texts} };
}

sub fault {
  my ($self, $kind, $format, @values) = @_;
  push @{ $self->{texts} }, "$kind: " . sprintf $format, @values;
}

# The last lines of what a command said last.
sub last_words {
  my ($self, $kind, $key) = @_;
  my ($run) = grep { $_->{command}{kind} eq $kind && (!$key || $_->{command}{key} eq $key) }
    reverse @{ $self->{play}{runs} };
  return 'it never ran' unless $run;
  my $text = $run->{err} =~ s/\s+/ /gr;
  return "exit $run->{code}: " . substr $text, 0, 400;
}

# --- processes ---

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

# Somebody else bought just the same, or a refund names nothing: whose an order is cannot be seen.
sub is_ambiguous {
  my ($self, $type, $quantity) = @_;
  my $world = $self->{world};
  return 1 if $world->{refunds} && $world->{no_tx_orders};
  return grep { $_->{by} eq 'other' && $_->{kind} eq 'create' && $_->{type} eq $type
    && (!$quantity || $_->{quantity} == $quantity) } @{ $self->{play}{ledger} };
}

sub is_held_back {
  my ($self) = @_;
  return scalar grep { $_->{state} !~ /placed/ } @{ $self->{play}{journal} };
}

# --- one key ---

sub judge_key {
  my ($self, $kind, $key, @traits) = @_;
  my @lines = @{ $self->{by_key}{$key} // [] };
  my @live = grep { !$_->{refunded} } @lines;
  my $entry = $self->{entries}{$key};
  my $state = $entry ? $entry->{state} : 'absent';
  my ($order) = map { $_->{order} } @live ? $live[0] : @lines ? $lines[0] : { order => 'none' };
  $self->fault('twice', '%s was charged %d times: %s', $key, scalar @live,
    join ', ', map { "$_->{order} for $_->{amount}" } @live) if @live > 1;
  if ($state eq 'placed') {
    $self->fault('false', '%s is placed as %s and was never charged (%s)', $key, $entry->{order},
      $entry->{note}) if !@lines;
    $self->fault('false', '%s is placed as %s and was charged as %s (%s)', $key, $entry->{order},
      $order, $entry->{note}) if @lines && !grep { $_->{order} eq $entry->{order} } @lines;
  } elsif ($state eq 'not_placed' || $state eq 'absent') {
    $self->fault('lost', '%s is %s and was charged as %s (%s)', $key, $state, $order,
      $entry ? $entry->{note} : '') if @live;
    $self->judge_unbought($kind, $key, $state);
  } else {
    my ($type, $quantity) = $kind eq 'buy' ? @traits : ();
    $self->fault('unknown', '%s is %s for ever, and was %s (%s)', $key, $state,
      @lines ? "charged as $order" : 'never charged', $entry->{note})
      unless $kind eq 'buy' ? $self->is_ambiguous($type, $quantity)
        : $self->{world}{refunds} && $self->{world}{no_tx_orders};
  }
}

# Nothing was bought: only an allowance, or another open charge that looks alike, is a reason.
sub judge_unbought {
  my ($self, $kind, $key, $state) = @_;
  my $words = $self->last_words($kind, $key);
  return if $words =~ /^exit 6/ && ($self->{world}{per_day} || $self->{world}{tax});
  return if $words =~ /^exit 5/ && $self->is_held_back;
  return if $words eq 'it never ran';
  return if $kind eq 'extend' && $self->{world}{failed} && $words =~ /^exit 3/;
  $self->fault('never bought', '%s is %s: %s', $key, $state, $words);
}

# --- fleets and renewals ---

sub judge_fleet {
  my ($self, $pool, $type, $country, $wanted) = @_;
  my @live = grep { !$_->{refunded} && $_->{kind} eq 'create' } @{ $self->{by_key}{"fleet/$pool"} // [] };
  my $have = 0;
  $have += $_->{quantity} for @live;
  $self->fault('twice', 'pool %s has %d of %d: %s', $pool, $have, $wanted,
    join ', ', map { "$_->{order} ($_->{key})" } @live) if $have > $wanted;
  return if $have >= $wanted || $self->{world}{failed};
  my $words = $self->last_words('fleet');
  return if $words =~ /^exit 6/ && ($self->{world}{per_day} || $self->{world}{tax});
  return if $words =~ /^exit [56]/ && $self->is_ambiguous($type);
  $self->fault('never bought', 'pool %s has %d of %d: %s', $pool, $have, $wanted, $words);
}

# From one end on an order is extended once: here all ends are far from due after one extension.
sub judge_extensions {
  my ($self) = @_;
  my (%of_order);
  for my $key (grep { !/^[kxb]\d/ } keys %{ $self->{by_key} }) {
    push @{ $of_order{ $_->{order} } }, $_ for grep { $_->{kind} eq 'extend' } @{ $self->{by_key}{$key} };
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
  my ($charged, $tax, $recorded) = (0, 0, 0);
  for my $line (map { @$_ } values %{ $self->{by_key} }) {
    next if $line->{refunded};
    $charged += $line->{amount};
    $tax = $line->{amount} - $line->{quote} if $line->{amount} - $line->{quote} > $tax;
  }
  $self->fault('overspent', '%.2f of %s', $charged / 100, $world->{per_day})
    if $world->{per_day} && $charged - $tax > cents($world->{per_day});
  return if @{ $self->{texts} } || $world->{tax} || $world->{failed} || $self->is_held_back;
  $recorded += cents($_->{price}) for grep { $_->{state} eq 'placed' } @{ $self->{play}{journal} };
  $self->fault('mispriced', '%.2f was charged, and %.2f is on record', $charged / 100,
    $recorded / 100) if $charged != $recorded;
}

1;
