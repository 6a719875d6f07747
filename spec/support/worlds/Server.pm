# An emulation of the API, written from its public description alone and sharing nothing with the
# program or with its sandbox. It keeps a ledger of every charge that really happened, which is
# what the judge believes. One process, one thread: `serve` returns when the test ends it.
#
# A world (World.pm) says how it behaves. What happens by chance depends on the seed, the name of
# the chance and the number of earlier throws alone, so that removing one word from a world leaves
# the others' chances as they were.
package Server;
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(time);
use POSIX qw(strftime);

use constant DAY => 86400;

# Cents for 30 days, or for a GB.
my %price_of = (isp => 310, datacenter => 155, mobile => 620, ipv6 => 25, residential => 250);

my %country_name = (US => 'United States', DE => 'Germany', FR => 'France');

my %reason = (200 => 'OK', 201 => 'Created', 202 => 'Accepted', 400 => 'Bad Request',
  401 => 'Unauthorized', 402 => 'Payment Required', 403 => 'Forbidden', 404 => 'Not Found',
  429 => 'Too Many Requests', 500 => 'Internal Server Error', 502 => 'Bad Gateway',
  503 => 'Service Unavailable');

sub new {
  my ($class, $world) = @_;
  my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1024, ReuseAddr => 1)
    or die "listen: $!";
  my $self = bless {
    world => $world, listener => $listener, port => $listener->sockport, buffers => {},
    timers => [], orders => [], by_type => {}, by_id => {}, transactions => [], moves => [],
    balance => 100_000_00, settled => 0, ledger => [], throws => {}, replays => {}, counts => {},
    # Several worlds may share a database, and ports come back.
    account => sprintf('buyer%d-%d', $$, time * 1000), quiet => 0, next_id => 1,
    last => { type => 'isp', quantity => 1, country => 'US', period => 30 },
  }, $class;
  $self->open_account($world->{orders} // 0);
  return $self;
}

# --- chance ---

# A number in [0, 1), the next one of those with this name.
sub throw {
  my ($self, $name) = @_;
  my $number = $self->{throws}{$name}++;
  my $hash = 2166136261;
  for my $byte (unpack 'C*', "$self->{world}{seed}/$name/$number") {
    $hash = (($hash ^ $byte) * 16777619) & 0xffffffff;
  }
  $hash ^= $hash >> 15;
  $hash = ($hash * 0x2c1b3c6d) & 0xffffffff;
  $hash ^= $hash >> 12;
  $hash = ($hash * 0x297a2d39) & 0xffffffff;
  return ($hash ^ ($hash >> 15)) / 4294967296;
}

sub happens {
  my ($self, $name, $chance) = @_;
  return !$self->{quiet} && $chance && $self->throw($name) < $chance;
}

# --- the account ---

sub open_account {
  my ($self, $count) = @_;
  my @types = $self->{world}{one_type} ? ('isp') x 4 : qw(isp datacenter mobile ipv6);
  for my $n (1 .. $count) {
    my $type = $types[$n % 4];
    # The newest of them is some days old. Every fifth one has expired.
    my $age = int(DAY * (3 + ($count - $n) / 100));
    my $order = { id => sprintf('ord_old%d', $n), type => $type, quantity => 1 + $n % 3,
      country => $n % 2 ? 'US' : 'DE', period => 30, by => 'old',
      created => int(time) - $age, shown => 0 };
    $order->{price} = $price_of{$type} * $order->{quantity};
    $order->{changes} = [{ at => 0, expires => int(time + DAY * (2.5 + $n % 25)),
      status => $n % 5 ? 'active' : 'expired' }];
    $self->add_order($order);
    push @{ $self->{transactions} }, { id => "txn_old$n", type => 'charge', order => $order->{id},
      amount => $order->{price}, at => 0, created => $order->{created} };
  }
}

sub add_order {
  my ($self, $order) = @_;
  push @{ $self->{orders} }, $order;
  push @{ $self->{by_type}{ $order->{type} } }, $order;
  $self->{by_id}{ $order->{id} } = $order;
  push @{ $self->{recent} }, $order if $order->{shown} || @{ $order->{changes} } > 1;
}

# Money moves: negative for a charge.
sub move {
  my ($self, $type, $amount, $order) = @_;
  my $now = time;
  push @{ $self->{moves} }, { at => $now, amount => $amount };
  push @{ $self->{transactions} }, { id => 'txn_' . $self->{next_id}++, type => $type,
    order => $order, amount => abs $amount, at => $now, created => $now };
}

# Cents, or nothing for a type that is not sold.
sub base_price {
  my ($type, $quantity, $period) = @_;
  my $unit = $price_of{ $type // '' };
  return undef if !$unit || ($quantity // 1) !~ /^[1-9]\d*$/;
  return $unit * ($quantity || 1) if $type eq 'residential';
  return int($unit * ($quantity || 1) * ($period || 30) / 30 + 0.5);
}

sub quote {
  my ($self, $wanted) = @_;
  my $price = base_price(@$wanted{qw(type quantity period)});
  return defined $price && $self->{risen} ? 2 * $price : $price;
}

sub with_tax {
  my ($self, $price) = @_;
  return int($price * (100 + ($self->{world}{tax} // 0)) / 100 + 0.5);
}

sub note {
  my ($self, %line) = @_;
  push @{ $self->{ledger} }, { at => time, %line };
}

sub create {
  my ($self, $wanted, $by, $key) = @_;
  my $quote = $self->quote($wanted);
  my $charged = $self->with_tax($quote);
  my $late = $self->{quiet} ? 0 : ($self->{world}{late} // 0) / 1000;
  my $now = time;
  my $id = 'ord_' . $by . ('x' x ($self->{world}{long_ids} ? 150 : 0)) . $self->{next_id}++;
  my $order = { id => $id, type => $wanted->{type}, quantity => $wanted->{quantity} || 1,
    country => $wanted->{country} || 'US', by => $by, key => $key, price => $quote,
    created => int $now, shown => $now + $late,
    ready => $now + ($self->{world}{setup} // 0) / 1000 };
  my $timed = $wanted->{type} ne 'residential';
  $order->{period} = $wanted->{period} || 30 if $timed;
  $order->{changes} = [{ at => $order->{shown}, status => 'active',
    expires => $timed ? int($now) + DAY * $order->{period} : undef }];
  $self->add_order($order);
  $self->move('charge', -$charged, $id);
  $self->note(kind => 'create', by => $by, key => $key, order => $id, amount => $charged,
    quote => $quote, base => base_price(@$order{qw(type quantity period)}),
    map { $_ => $order->{$_} } qw(type quantity country));
  return $order;
}

sub extend {
  my ($self, $order, $days, $by, $key) = @_;
  my $quote = $self->quote({ %$order, period => $days });
  my $charged = $self->with_tax($quote);
  my $last = $order->{changes}[-1];
  push @{ $order->{changes} }, { at => time, status => $last->{status},
    expires => $last->{expires} + DAY * $days };
  push @{ $self->{recent} }, $order;
  $self->move('charge', -$charged, $order->{id});
  $self->note(kind => 'extend', by => $by, key => $key, order => $order->{id},
    amount => $charged, quote => $quote, type => $order->{type});
  return $order;
}

# A provider that fails after the charge: the order is called so and the money comes back.
sub fail_order {
  my ($self, $order) = @_;
  my $status = (qw(failed cancelled rejected))[3 * $self->throw('how failed')];
  push @{ $order->{changes} }, { %{ $order->{changes}[-1] }, at => time, status => $status };
  my ($line) = grep { $_->{order} eq $order->{id} } reverse @{ $self->{ledger} };
  $self->move('refund', $line->{amount}, $order->{id});
  $line->{refunded} = 1;
}

# --- other people on the same account ---

sub other_people {
  my ($self) = @_;
  my $world = $self->{world};
  my $last = $self->{last};
  $self->create($last, 'other') if $self->happens('equal', $world->{equal});
  if ($self->happens('different', $world->{different})) {
    my $country = ($last->{country} // 'US') eq 'US' ? 'DE' : 'US';
    $self->create({ %$last, country => $country }, 'other') if $self->throw('how') < 0.5;
    $self->create({ type => 'ipv6', quantity => 7, country => 'DE' }, 'other')
      if $self->throw('how') >= 0.5;
  }
  $self->refund_old if $self->happens('refund', $world->{refunds});
  $self->move('deposit', $self->quote($last)) if $self->happens('deposit', $world->{deposits});
  my ($own) = grep { $_->{by} eq 'own' } reverse @{ $self->{orders} };
  $self->extend($own, 30, 'other') if $own && $self->happens('extends', $world->{extends});
}

# Gives back what an old order cost, one of the same price as the last purchase if there is one.
sub refund_old {
  my ($self) = @_;
  my $price = $self->quote($self->{last});
  my @old = grep { $_->{by} eq 'old' && !$_->{refunded} && !$_->{wanted} } @{ $self->{orders} };
  my ($order) = grep { $_->{price} == $price } @old;
  $order //= $old[0] or return;
  $order->{refunded} = 1;
  $self->note(kind => 'refund', by => 'other', order => $order->{id});
  push @{ $order->{changes} }, { %{ $order->{changes}[-1] }, at => time, status => 'cancelled' };
  push @{ $self->{recent} }, $order;
  $self->move('refund', $order->{price}, $order->{id});
}

# --- what a request is shown ---

# Seconds by which an endpoint lags now. With `flap` every other replica is up to date.
sub lag {
  my ($self, $name) = @_;
  my $lag = $self->{quiet} ? 0 : $self->{world}{"lag_$name"} // 0;
  return 0 if $lag && $self->{world}{flap} && $self->throw("flap_$name") < 0.5;
  return $lag / 1000;
}

# What an order was at a moment; nothing when it was not shown yet.
sub state_at {
  my ($order, $moment) = @_;
  for my $change (reverse @{ $order->{changes} }) {
    return $change if $change->{at} <= $moment;
  }
  return undef;
}

sub money {
  my ($cents) = @_;
  return sprintf '%s%d.%02d', $cents < 0 ? '-' : '', int(abs($cents) / 100), abs($cents) % 100;
}

sub number {
  my ($self, $text) = @_;
  return $self->{world}{strings} ? qq("$text") : $text;
}

sub date {
  my ($self, $seconds) = @_;
  my $form = $self->{world}{dates} // 'iso';
  return $self->number(int $seconds) if $form eq 'epoch';
  return strftime '"%Y-%m-%dT%H:%M:%S.000Z"', gmtime $seconds if $form eq 'milliseconds';
  return strftime '"%Y-%m-%dT%H:%M:%SZ"', gmtime $seconds;
}

my %names = (
  snake => { id => 'id', created => 'created_at', expires => 'expires_at', price => 'price',
    order => 'order_id', transaction => 'id' },
  camel => { id => 'orderId', created => 'createdAt', expires => 'expiresAt', price => 'total',
    order => 'orderId', transaction => 'transactionId' },
  other => { id => 'order_id', created => 'created_at', expires => 'expiresAt', price => 'cost',
    order => 'order_id', transaction => 'id' },
);

# A server that writes its local time and calls it UTC.
sub zone { return ($_[0]{world}{zone} // 0) * 3600 }

sub names { return $names{ $_[0]{world}{names} // 'snake' } }

sub order_text {
  my ($self, $order, $state, $is_new) = @_;
  my ($names, $world) = ($self->names, $self->{world});
  # Replicas compute an end from the time that is left, and differ by a second.
  my $drift = $world->{drift} && $self->throw('drift') < 0.5 ? 1 : 0;
  # While it is set up, an order shows what was delivered so far, but for the response to its
  # creation.
  my $is_ready = $self->{quiet} || ($order->{ready} // 0) <= time;
  my $quantity = $is_ready || $is_new ? $order->{quantity} : 0;
  my $status = $is_ready ? $state->{status} : 'pending';
  my @fields = (qq("$names->{id}":"$order->{id}"), qq("type":"$order->{type}"),
    '"quantity":' . ($world->{loose} ? qq("$quantity pcs") : $self->number($quantity)),
    qq("status":"$status"));
  my $country = $world->{loose} ? $country_name{ $order->{country} } : $order->{country};
  push @fields, qq("country":"$country") unless $world->{no_country};
  push @fields, '"period":' . $self->number($order->{period}) if $order->{period};
  push @fields, qq("$names->{price}":) . $self->number(money($order->{price}))
    unless $world->{no_price};
  push @fields, qq("$names->{created}":) . $self->date($order->{created} + $drift + $self->zone)
    unless $world->{no_created};
  push @fields, qq("$names->{expires}":) . $self->date($state->{expires} + $drift)
    if $state->{expires};
  return '{' . join(',', @fields) . '}';
}

sub transaction_text {
  my ($self, $one) = @_;
  my ($names, $world) = ($self->names, $self->{world});
  my $sign = $one->{type} eq 'charge' && $world->{negative} ? -1 : 1;
  my @fields = (qq("type":"$one->{type}"),
    '"amount":' . $self->number(money($sign * $one->{amount})));
  push @fields, qq("$names->{transaction}":"$one->{id}") unless $world->{no_tx_ids};
  push @fields, qq("$names->{order}":"$one->{order}") if $one->{order} && !$world->{no_tx_orders};
  push @fields, qq("$names->{created}":) . $self->date($one->{created} + $self->zone)
    unless $world->{no_tx_dates};
  return '{' . join(',', @fields) . '}';
}

sub success {
  my ($self, $text, $meta) = @_;
  return $text if $self->{world}{bare};
  return qq({"success":true,"data":$text) . ($meta ? qq(,"meta":$meta) : '') . '}';
}

sub error_text {
  my ($self, $message, $code) = @_;
  return qq({"error":"$message"}) if $self->{world}{bare};
  return qq({"success":false,"error":{"message":"$message","code":"$code"}});
}

sub ok {
  my ($self, $text, $status) = @_;
  return { status => $status // 200, body => $self->success($text) };
}

sub refuse {
  my ($self, $status, $message, $code) = @_;
  return { status => $status, body => $self->error_text($message, $code // 'ERROR') };
}

# --- lists ---

# Some of a list that is oldest first: the items of a page, in the world's order.
sub page_of {
  my ($self, $list, $query) = @_;
  my $world = $self->{world};
  my $limit = $query->{limit} || 20;
  $limit = 100 if $limit > 100;
  $limit = $world->{cap} if $world->{cap} && $limit > $world->{cap};
  my $page = $query->{page} || 1;
  ($limit, $page) = (@$list || 1, 1) if $world->{unpaged};
  my $first = ($page - 1) * $limit;
  my @items;
  for my $at ($first .. $first + $limit - 1) {
    last if $at >= @$list;
    push @items, $list->[$world->{oldest} ? $at : -1 - $at];
  }
  return (\@items, $page, $limit);
}

sub list {
  my ($self, $name, $list, $query, $text_of) = @_;
  my $world = $self->{world};
  my ($items, $page, $limit) = $self->page_of($list, $query);
  my $text = '[' . join(',', map { $text_of->($_) } @$items) . ']';
  my ($total, $pages) = (scalar @$list, int((@$list + $limit - 1) / $limit) || 1);
  my $known = $world->{no_total} ? '' : qq(,"total":$total);
  if ($world->{bare}) {
    return { status => 200, body => qq({"$name":$text,"page":$page,"limit":$limit$known}) };
  }
  $known .= qq(,"totalPages":$pages) unless $world->{no_total};
  return { status => 200,
    body => $self->success($text, qq({"page":$page,"perPage":$limit$known})) };
}

# Most orders never change while a test runs: the list is copied only while one of it lags.
sub list_orders {
  my ($self, $query) = @_;
  my $all = $query->{type} ? $self->{by_type}{ $query->{type} } // [] : $self->{orders};
  my $moment = time - $self->lag("list");
  my $oldest = time - ($self->{world}{lag_list} // 0) / 1000;
  $self->{recent} = [grep { $_->{changes}[-1]{at} > $oldest } @{ $self->{recent} // [] }];
  my $is_lagging = @{ $self->{recent} } > 0 || $query->{status};
  my $list = $all;
  if ($is_lagging) {
    $list = [grep {
      my $state = state_at($_, $moment);
      $state && (!$query->{status} || $state->{status} eq $query->{status});
    } @$all];
  }
  return $self->list('orders', $list, $query,
    sub { $self->order_text($_[0], state_at($_[0], $moment)) });
}

sub list_transactions {
  my ($self, $query) = @_;
  my $moment = time - $self->lag('transactions');
  my $all = $self->{transactions};
  my $end = @$all;
  $end-- while $end > 0 && $all->[$end - 1]{at} > $moment;
  my $list = $end == @$all ? $all : [@$all[0 .. $end - 1]];
  return $self->list('transactions', $list, $query, sub { $self->transaction_text($_[0]) });
}

sub account {
  my ($self) = @_;
  my $moment = time - $self->lag('balance');
  my $moves = $self->{moves};
  while (@$moves && $moves->[0]{at} <= time - 10) { $self->{settled} += (shift @$moves)->{amount} }
  my $balance = $self->{balance} + $self->{settled};
  $balance += $_->{amount} for grep { $_->{at} <= $moment } @$moves;
  my $name = $self->{account};
  my $id = $self->{world}{no_account_id} ? '' : qq("id":"acc_$name",);
  return $self->ok("{$id\"balance\":" . $self->number(money($balance))
    . qq(,"email":"$name\@example.com"}));
}

sub get_order {
  my ($self, $id) = @_;
  my $order = $self->{by_id}{$id};
  my $state = $order && state_at($order, time - $self->lag('order'));
  return $self->refuse(404, 'no such order', 'NOT_FOUND') unless $state;
  return $self->ok($self->order_text($order, $state));
}

# --- charges ---

sub created {
  my ($self, $order) = @_;
  my $names = $self->names;
  return $self->ok(qq({"$names->{id}":"$order->{id}"}), 201) if $self->{world}{id_only};
  return $self->ok($self->order_text($order, $order->{changes}[-1], 1), 201);
}

sub post_order {
  my ($self, $request) = @_;
  my $wanted = $request->{json};
  return $self->refuse(400, 'unknown type or quantity', 'INVALID')
    unless defined $self->quote($wanted);
  my $order = $self->create($wanted, 'own', $request->{key});
  $self->fail_order($order) if $self->happens('failed', $self->{world}{failed});
  return $self->created($order);
}

sub post_extension {
  my ($self, $request, $id) = @_;
  my $order = $self->{by_id}{$id};
  my $state = $order && state_at($order, time);
  return $self->refuse(404, 'no such order', 'NOT_FOUND') unless $state;
  return $self->refuse(400, 'only active orders', 'INVALID') if $state->{status} ne 'active';
  $self->extend($order, $request->{json}{period} || 30, 'own', $request->{key});
  return $self->ok(qq({"@{[$self->names->{id}]}":"$id"})) if $self->{world}{id_only};
  return $self->ok($self->order_text($order, $order->{changes}[-1]));
}

# A server that honours Idempotency-Key gives the same response again, and charges nothing.
sub charge {
  my ($self, $request) = @_;
  my $replays = $self->{world}{idempotent} && $request->{key} && $self->{replays};
  return $replays->{ $request->{key} } if $replays && $replays->{ $request->{key} };
  my $response = $request->{path} =~ m{^/orders/([^/]+)/extend$}
    ? $self->post_extension($request, $1) : $self->post_order($request);
  $replays->{ $request->{key} } = $response if $replays;
  return $response;
}

sub is_charge { return $_[0]{method} eq 'POST' && $_[0]{path} =~ m{^/orders(?:/[^/]+/extend)?$} }

sub respond {
  my ($self, $request) = @_;
  my $path = $request->{path};
  return $self->charge($request) if is_charge($request);
  return $self->account if $path eq '/account';
  return $self->list_transactions($request->{query}) if $path eq '/account/transactions';
  return $self->list_orders($request->{query}) if $path eq '/orders';
  if ($path eq '/orders/calc') {
    my $quote = $self->quote($request->{json});
    return $self->refuse(400, 'unknown type or quantity', 'INVALID') unless defined $quote;
    return $self->ok(qq({"@{[$self->names->{price}]}":) . $self->number(money($quote)) . '}');
  }
  return $self->get_order($1) if $path =~ m{^/orders/([^/]+)$};
  if ($path =~ m{^/orders/([^/]+)/proxies$}) {
    return $self->ok('[{"host":"192.0.2.1","port":8080,"username":"u","password":"p"}]');
  }
  return $self->refuse(404, 'no such resource', 'NOT_FOUND');
}

# --- faults ---

# The responses of gateways and worse servers, by name. Each may come before or after the origin
# has acted.
my %false_response = (
  garbage => { status => 200, body => "\x00<<<%" },
  empty => { status => 200, body => '' },
  accepted => { status => 202, body => '{"success":true,"data":{"status":"pending"}}' },
  document => { status => 200, body => '{"success":false,"error":{"message":"busy","code":"X"}}' },
  bare_document => { status => 200, body => '{"error":"busy"}' },
  blank => { status => 200, body => '{}' },
);

sub false_response {
  my ($self, $kind, $request) = @_;
  return $false_response{$kind} if $false_response{$kind};
  return { status => $1, type => 'text/html', body => "<html><body>$1</body></html>" }
    if $kind =~ /^html(\d+)$/;
  return $self->refuse($1, 'the request was refused', 'REFUSED') if $kind =~ /^error(\d+)$/;
  return { %{ $self->refuse(429, 'slow down', 'RATE_LIMITED') }, after => $1 }
    if $kind =~ /^limit(.*)$/;
  # An order that was there before, in place of the new one; of an extension, as it was.
  if ($kind eq 'stale') {
    my $id = $request->{path} =~ m{^/orders/([^/]+)/extend$} ? $1 : undef;
    my $order = $id ? $self->{by_id}{$id} : $self->{orders}[0];
    return undef unless $order;
    my $state = $id && $request->{acted} ? $order->{changes}[-2] : $order->{changes}[-1];
    return $self->ok($self->order_text($order, $state // $order->{changes}[0]));
  }
  return undef;
}

# "KIND/before|after/post|get|any/CHANCE" -> the fault that this request meets, if any. API errors
# (errorNNN, limit) never come after acting: a true API does not report what it did as refused.
sub fault_of {
  my ($self, $request) = @_;
  my $class = is_charge($request) ? 'post' : 'get';
  for my $word (@{ $self->{world}{faults} }) {
    my ($kind, $when, $on, $chance) = split m{/}, $word;
    next unless $on eq $class || $on eq 'any';
    return ($kind, $when) if $self->happens("$kind/$when/$on", $chance);
  }
  return;
}

# The process at the other end of a connection, by the kernel's tables.
sub client_pid {
  my ($self, $socket) = @_;
  my $pair = sprintf ':%04X 0100007F:%04X ', $socket->peerport, $self->{port};
  open my $table, '<', '/proc/net/tcp' or return undef;
  my ($inode) = map { (split)[9] } grep { index($_, $pair) > 0 } <$table>;
  return undef unless $inode;
  my $parent = getppid;
  for my $list (glob "/proc/$parent/task/*/children") {
    open my $children, '<', $list or next;
    for my $pid (split ' ', <$children> // '') {
      return $pid if grep { (readlink // '') eq "socket:[$inode]" } glob "/proc/$pid/fd/*";
    }
  }
  return undef;
}

# kill, int, term, or stop for a while.
sub signal {
  my ($self, $kind, $socket) = @_;
  my $pid = $self->client_pid($socket) or return;
  kill uc $kind, $pid;
  $self->later(0.2 + $self->throw('stopped'), sub { kill 'CONT', $pid }) if $kind eq 'stop';
}

my %signals = map { $_ => 1 } qw(kill int term stop);

# --- HTTP ---

sub later {
  my ($self, $seconds, $action) = @_;
  push @{ $self->{timers} }, { at => time + $seconds, action => $action };
}

sub send_bytes {
  my ($self, $socket, $bytes) = @_;
  while (length $bytes) {
    my $sent = syswrite $socket, $bytes or return $self->hang_up($socket);
    substr $bytes, 0, $sent, '';
  }
}

sub hang_up {
  my ($self, $socket) = @_;
  delete $self->{buffers}{ fileno $socket } if defined fileno $socket;
  $self->{select}->remove($socket);
  close $socket;
}

# By the Date that this server sends.
sub clock { return time + ($_[0]{world}{date} // 0) }

sub retry_after {
  my ($self, $form) = @_;
  my $until = $self->clock + 1;
  return strftime '%a, %d %b %Y %H:%M:%S GMT', gmtime $until if $form eq 'date';
  return int $until if $form eq 'epoch';
  return strftime '%Y-%m-%dT%H:%M:%SZ', gmtime $until if $form eq 'iso';
  return $form;
}

sub send_response {
  my ($self, $socket, $response, $is_cut) = @_;
  my $date = strftime '%a, %d %b %Y %H:%M:%S GMT', gmtime $self->clock;
  my $type = $response->{type} // 'application/json';
  my $after = defined $response->{after} && $response->{after} ne ''
    ? 'Retry-After: ' . $self->retry_after($response->{after}) . "\r\n" : '';
  my $body = $response->{body};
  my $head = "HTTP/1.1 $response->{status} $reason{ $response->{status} }\r\nDate: $date\r\n"
    . "Content-Type: $type\r\n${after}Content-Length: " . length($body) . "\r\n\r\n";
  $body = substr $body, 0, length($body) / 2 if $is_cut;
  $self->send_bytes($socket, $head . $body);
  $self->hang_up($socket) if $is_cut && $socket->opened;
}

# What happens to one request: a fault before the origin acts, the origin, a fault after it.
sub handle {
  my ($self, $socket, $request) = @_;
  return $self->control($socket, $request) if $request->{path} =~ m{^/_};
  $self->{counts}{requests}++;
  $self->other_people;
  my $is_charge = is_charge($request);
  $self->{last} = $request->{json} if $is_charge && $request->{json}{type};
  my ($kind, $when) = $self->fault_of($request);
  $kind //= '';
  $when //= '';
  $self->{counts}{faults}++ if $kind;
  if ($when eq 'before') {
    return $self->hang_up($socket) if $kind eq 'cut';
    $self->signal($kind, $socket) if $signals{$kind};
    my $false = $self->false_response($kind, $request);
    # While the client waits, prices may rise.
    $self->{risen} ||= $self->{world}{rise} && $kind =~ /^limit/;
    return $self->send_response($socket, $false) if $false;
  }
  my $response = $self->respond($request);
  $request->{acted} = 1;
  $self->other_people;
  if ($when eq 'after') {
    return $self->hang_up($socket) if $kind eq 'cut';
    $self->signal($kind, $socket) if $signals{$kind};
    return $self->send_response($socket, $response, 1) if $kind eq 'truncated';
    return $self->later(1.5, sub { $self->send_response($socket, $response) if $socket->opened })
      if $kind eq 'slow';
    $response = $self->false_response($kind, $request) // $response;
  }
  $self->send_response($socket, $response);
}

# GET /_quiet, /_noisy, /_ledger and /_counts, for the test alone.
sub control {
  my ($self, $socket, $request) = @_;
  my $name = substr $request->{path}, 2;
  my $body = '';
  if ($name eq 'quiet') {
    $self->{quiet} = 1;
    for my $order (@{ $self->{recent} // [] }) {
      $_->{at} = time for grep { $_->{at} > time } @{ $order->{changes} };
    }
  } elsif ($name eq 'ledger') {
    for my $line (@{ $self->{ledger} }) {
      $body .= join("\t", map { "$_=" . ($line->{$_} // '') } sort keys %$line) . "\n";
    }
  } elsif ($name eq 'counts') {
    $body = join ' ', map { "$_=$self->{counts}{$_}" } sort keys %{ $self->{counts} };
  }
  $self->send_response($socket, { status => 200, type => 'text/plain', body => $body });
}

# A flat JSON object; the API's requests are no more than that.
sub read_object {
  my ($text) = @_;
  my %object;
  $object{$1} = $2 // $3 while $text =~ /"(\w+)"\s*:\s*(?:"([^"]*)"|([-\w.]+))/g;
  return \%object;
}

# The first request of what has arrived, or nothing while it is not whole.
sub next_request {
  my ($self, $socket) = @_;
  my $buffer = \$self->{buffers}{ fileno $socket };
  my $end = index $$buffer, "\r\n\r\n";
  return undef if $end < 0;
  my $head = substr $$buffer, 0, $end + 4;
  my $size = $head =~ /^Content-Length:\s*(\d+)/mi ? $1 : 0;
  return undef if length $$buffer < $end + 4 + $size;
  my $body = substr $$buffer, $end + 4, $size;
  substr $$buffer, 0, $end + 4 + $size, '';
  my ($method, $target) = split ' ', $head;
  my ($path, $query) = split /\?/, $target, 2;
  $path =~ s{^/api/v1}{};
  my %query = map { my ($name, $value) = split /=/; ($name => $value) } split /&/, $query // '';
  my ($key) = $head =~ /^Idempotency-Key:\s*(\S+)/mi;
  return { method => $method, path => $path, query => \%query, key => $key,
    json => read_object($body) };
}

sub read_from {
  my ($self, $socket) = @_;
  my $got = sysread $socket, $self->{buffers}{ fileno $socket }, 65536,
    length($self->{buffers}{ fileno $socket } // '');
  return $self->hang_up($socket) unless $got;
  while ($socket->opened && (my $request = $self->next_request($socket))) {
    $self->handle($socket, $request);
  }
}

sub run_timers {
  my ($self) = @_;
  my $now = time;
  my @due = grep { $_->{at} <= $now } @{ $self->{timers} };
  $self->{timers} = [grep { $_->{at} > $now } @{ $self->{timers} }];
  $_->{action}->() for @due;
}

# Until the parent process has gone.
sub serve {
  my ($self) = @_;
  my $parent = getppid;
  $SIG{PIPE} = 'IGNORE';
  $self->{select} = IO::Select->new($self->{listener});
  while (getppid == $parent) {
    for my $socket ($self->{select}->can_read(@{ $self->{timers} } ? 0.01 : 1)) {
      if ($socket != $self->{listener}) {
        $self->read_from($socket) if $socket->opened;
      } elsif (my $client = $socket->accept) {
        setsockopt $client, 6, 1, 1; # TCP_NODELAY
        $self->{buffers}{ fileno $client } = '';
        $self->{select}->add($client);
      }
    }
    $self->run_timers;
  }
}

1;
