# Plays a world: starts its server, runs the program's commands against it as real processes, in
# rounds; then the world falls quiet and shows everything, and each command runs again until it
# has nothing left to do. Everything that the judge needs is returned.
package Driver;
use strict;
use warnings;
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);
use Server;

use constant SETTLE => 0.4;  # seconds
use constant PATIENCE => 60; # after which a process hangs

my $journal_script = <<'END';
local px = require "proxylua"
for e in px.journal.each() do
  print(table.concat({ e.key, e.state, e.endpoint, tostring(e.order_id),
    tostring(e.price or e.quote), (tostring(e.note):gsub("%s", " ")), e.params }, "\t"))
end
END

# A world that is ready: its server runs, and no command has run yet.
sub open {
  my ($class, $world, $program, $store) = @_;
  my $self = bless { world => $world, program => $program, runs => [], ids => {},
    folder => tempdir('proxylua-world-XXXXXX', TMPDIR => 1) }, $class;
  # A database knows accounts by base URL and key, and ports come back.
  $self->{key} = sprintf 'sk_live_worlds_%d_%d', $$, time * 1000;
  $self->{store} = $store // "$self->{folder}/state.db";
  $self->start_server;
  $self->configure;
  $self->make_clock if $world->{clock};
  # The throws for kills must not depend on what made the world.
  srand $world->{seed};
  return $self;
}

sub close {
  my ($self) = @_;
  kill 'KILL', $self->{server};
  waitpid $self->{server}, 0;
  remove_tree($self->{folder});
}

# Plays a whole world. Returns what the judge needs: `runs`, `ledger`, `journal`, `counts`.
sub play {
  my $self = Driver->open(@_);
  $self->round for 1 .. ($self->{world}{rounds} // 1);
  $self->calm_rounds;
  my @lines = split /\n/, $self->ask('ledger');
  $self->{ledger} = [map { { map { split /=/, $_, 2 } split /\t/ } } @lines];
  $self->{counts} = $self->counts;
  $self->read_journal;
  $self->close;
  return $self;
}

# --- the server ---

sub start_server {
  my ($self) = @_;
  my $server = Server->new($self->{world});
  $self->{port} = $server->{port};
  $self->{server} = fork // die "fork: $!";
  if ($self->{server} == 0) {
    eval { $server->serve };
    warn "the emulated API failed: $@" if $@;
    POSIX::_exit(1);
  }
  CORE::close $server->{listener};
}

sub ask {
  my ($self, $name) = @_;
  my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port})
    or die "the emulated API has gone: $!";
  print $socket "GET /_$name HTTP/1.1\r\nHost: x\r\n\r\n";
  my ($head, $body) = ('', '');
  $head .= $_ while $head !~ /\r\n\r\n/ && defined($_ = <$socket>);
  $head =~ /Content-Length: (\d+)/ or die "the emulated API gave no response";
  read $socket, $body, $1;
  return $body;
}

sub counts { my ($self) = @_; return { map { split /=/ } split / /, $self->ask('counts') } }

# --- the clock of the machine ---

# Compiled once for all worlds of a run.
my $clock_library;

sub make_clock {
  my ($self) = @_;
  if (!$clock_library) {
    (my $source = __FILE__) =~ s/Driver\.pm$/clock.c/;
    my $folder = tempdir('proxylua-clock-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    system('cc', '-shared', '-fPIC', '-O1', '-D_GNU_SOURCE', '-o', "$folder/clock.so", $source) == 0
      or die "clock.c does not compile";
    $clock_library = "$folder/clock.so";
  }
  $self->set_clock(0);
}

sub set_clock {
  my ($self, $seconds) = @_;
  my $path = "$self->{folder}/clock";
  CORE::open my $file, -e $path ? '+<' : '>', $path or die $!;
  syswrite $file, pack 'q', $seconds * 1_000_000;
  CORE::close $file;
}

# Sets the clock now and then.
sub move_clock {
  my ($self) = @_;
  my $step = $self->{world}{clock} or return;
  return if time < ($self->{clock_due} // 0);
  $self->{clock_due} = time + 0.1 + rand;
  $self->set_clock((-$step, 0, $step)[rand 3]);
}

# --- one process ---

sub configure {
  my ($self) = @_;
  my $day = $self->{world}{per_day} // '1000000';
  CORE::open my $file, '>', "$self->{folder}/config.lua" or die $!;
  print $file "return { max_wait = '10s', spend = { per_run = '1000000', per_day = '$day' } }\n";
  CORE::close $file;
}

# Starts a command; `may_die` allows it to be killed at a random moment.
sub start {
  my ($self, $command, $may_die) = @_;
  my $out = sprintf '%s/%d', $self->{folder}, scalar @{ $self->{runs} };
  my $run = { command => $command, out => $out, started => time };
  push @{ $self->{runs} }, $run;
  $run->{kill_at} = time + rand() ** 2 * ($command->{lasts} // 0.6) if $may_die;
  $run->{pid} = fork // die "fork: $!";
  return $run if $run->{pid};
  %ENV = (PATH => '/usr/bin:/bin', HOME => $self->{folder}, PROXYLUA_STORE => $self->{store},
    PROXYLUA_BASE_URL => "http://127.0.0.1:$self->{port}/api/v1",
    PROXYLUA_API_KEY => $self->{key}, PROXYLUA_LIMITS => 'general=1000/1,orders=1000/1',
    PROXYLUA_TIMEOUT => ($self->{world}{timeout} // 1) . 's', PROXYLUA_SETTLE => SETTLE . 's',
    PROXYLUA_CONFIG => "$self->{folder}/config.lua",
    $clock_library && $self->{world}{clock}
      ? (LD_PRELOAD => $clock_library, WORLD_CLOCK => "$self->{folder}/clock") : (),
    map({ $ENV{$_} ? ($_ => $ENV{$_}) : () } qw(ASAN_OPTIONS UBSAN_OPTIONS PROXYLUA_LUA_DIR)));
  CORE::open STDIN, '<', '/dev/null';
  CORE::open STDOUT, '>', "$out.out";
  CORE::open STDERR, '>', "$out.err";
  exec $self->{program}, @{ $command->{words} } or POSIX::_exit(127);
}

sub slurp {
  my ($path) = @_;
  CORE::open my $file, '<', $path or return '';
  local $/;
  return <$file> // '';
}

sub ended {
  my ($self, $run, $status) = @_;
  $run->{code} = $status & 127 ? 128 + ($status & 127) : $status >> 8;
  $run->{took} = time - $run->{started};
  $run->{text} = slurp("$run->{out}.out");
  $run->{err} = slurp("$run->{out}.err");
  my $key = $run->{command}{key};
  $self->{ids}{$key} = $1
    if $key && $run->{code} == 0 && $run->{text} =~ /"id"\s*:\s*"(ord_\w+)"/;
}

# Runs commands, some at a time, and waits for their ends.
sub run_all {
  my ($self, $at_once, $commands, $is_noisy) = @_;
  my (@waiting, %running);
  @waiting = @$commands;
  while (@waiting || %running) {
    while (@waiting && keys %running < $at_once) {
      my $run = $self->start(shift @waiting, $is_noisy && rand() < ($self->{world}{kill} // 0));
      $running{ $run->{pid} } = $run;
    }
    for my $pid (keys %running) {
      my $run = $running{$pid};
      if (waitpid($pid, WNOHANG) > 0) {
        $self->ended($run, $?);
        delete $running{$pid};
      } elsif ($run->{kill_at} && time > $run->{kill_at}) {
        kill 'KILL', $pid;
      } elsif (time - $run->{started} > PATIENCE * ($run->{command}{lasts} // 1)) {
        $run->{hangs} = 1;
        kill 'KILL', $pid;
      }
    }
    $self->move_clock if $is_noisy;
    sleep 0.003 if %running;
  }
}

# --- commands ---

# Buys a number of orders in one process, each under a key of its own.
my $batch_script = <<'END';
local px = require "proxylua"
local name, count, only = ...
local types, failed = { "isp", "datacenter", "ipv6", "mobile" }, 0
for n = 1, tonumber(count) do
  local order, err = px.try(px.orders.create, { key = name .. "-" .. n,
    type = only or types[n % 4 + 1], quantity = only and 1 or n % 2 + 1,
    country = not only and n % 3 == 0 and "DE" or "US", period = 30 })
  if not order then
    failed = failed + 1
    io.stderr:write(name, "-", n, ": ", tostring(err), "\n")
    if err.kind == "cancelled" then break end
  end
end
os.exit(failed == 0 and 0 or 4)
END

sub write_batch {
  my ($self) = @_;
  my $path = "$self->{folder}/batch.lua";
  CORE::open my $file, '>', $path or die $!;
  print $file $batch_script;
  CORE::close $file;
  return $path;
}

sub write_pools {
  my ($self, $pool, $type, $country, $quantity, $batch) = @_;
  my $path = "$self->{folder}/$pool.lua";
  CORE::open my $file, '>', $path or die $!;
  print $file "return { { name = '$pool', type = '$type', country = '$country', "
    . "quantity = $quantity, period = 30, batch = $batch } }\n";
  CORE::close $file;
  return $path;
}

# The command of some words of the world; nothing while it extends an order that is not known.
sub command_of {
  my ($self, $kind, @part) = @_;
  if ($kind eq 'buy') {
    my ($key, $type, $quantity, $country, $period) = @part;
    my $price = Server::base_price($type, $quantity, $period);
    my @most = $self->{world}{rise} ? ('--max-price', sprintf '%.2f', $price / 100) : ();
    return { kind => $kind, key => $key, words => ['--json', 'orders', 'create', '--key', $key,
      '--type', $type, '--quantity', $quantity, '--country', $country, '--period', $period,
      @most] };
  }
  if ($kind eq 'extend') {
    my ($key, $order, $days) = @part;
    $order = $self->{ids}{$order} // return if $order =~ /^k\d/;
    return { kind => $kind, key => $key, words => ['--json', 'orders', 'extend', $order, '--key',
      $key, '--period', $days] };
  }
  return { kind => $kind, lasts => 1 + $part[1] / 20, words => [$self->write_batch, @part] }
    if $kind eq 'batch';
  return { kind => $kind, words => ['--json', 'fleet', 'apply', $self->write_pools(@part)] }
    if $kind eq 'fleet';
  return { kind => $kind, words => ['--json', 'renew', '--within', "$part[0]d", '--period',
    $part[1]] };
}

sub commands {
  my ($self) = @_;
  return map { $self->command_of(@$_) } @{ $self->{world}{commands} };
}

sub round {
  my ($self) = @_;
  $self->run_all($self->{world}{parallel} // 1, [$self->commands], 1);
}

# Nothing goes wrong any more, and everything that happened is shown.
sub calm_rounds {
  my ($self) = @_;
  $self->ask('quiet');
  $self->set_clock(0) if $self->{world}{clock};
  for my $round (1 .. 3) {
    sleep SETTLE + 0.1 if $round < 3;
    my $first = @{ $self->{runs} };
    $self->run_all(1, [$self->commands], 0);
    my @runs = @{ $self->{runs} }[$first .. $#{ $self->{runs} }];
    $self->{last_runs} = \@runs;
    last if $round > 1 && !grep { $_->{code} != 0 } @runs;
  }
}

sub read_journal {
  my ($self) = @_;
  my $words = { kind => 'journal', words => ['-e', $journal_script] };
  $self->run_all(1, [$words], 0);
  my $run = $self->{runs}[-1];
  $self->{journal} = [];
  for my $line (split /\n/, $run->{text}) {
    my %entry;
    @entry{qw(key state endpoint order price note params)} = split /\t/, $line;
    push @{ $self->{journal} }, \%entry;
  }
}

1;
