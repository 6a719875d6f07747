#!/usr/bin/perl
# Plays random worlds against the program and judges them by the emulated API's ledger.
#   run.pl [worlds=N] [seed=S] [jobs=N] [program=PATH] [store=URL] [shrink=0]
#   run.pl world='WORDS' [repeat=N] [verbose=1]     plays one world, as a failure prints it
# Each failure prints its seed and the command that repeats it; of each sort of failure the first
# world is made smaller. The exit code is 1 when there was any.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Time::HiRes qw(time);
use Driver;
use Judge;
use Shrink;
use World;

$| = 1;
my %option = (worlds => 20, seed => 1, jobs => 0, shrink => 1, repeat => 1, tries => 3,
  program => "$FindBin::Bin/../../../build/proxylua");
for (@ARGV) {
  my ($name, $value) = split /=/, $_, 2;
  die "run.pl: unknown option $_\n" unless defined $value;
  $option{$name} = $value;
}
chomp(my $processors = `nproc`);
$option{jobs} ||= 3 * $processors;

# Plays a line of words. Returns the play and its result.
sub play {
  my (@words) = @_;
  my $play = Driver::play(World::parse(@words), $option{program}, $option{store});
  return ($play, Judge::verdict($play));
}

# --- one world ---

sub show_runs {
  my ($play) = @_;
  for my $run (@{ $play->{runs} }) {
    my $name = join ' ', grep { defined } @{ $run->{command}{words} }[0 .. 4];
    printf "%s -> %s (%.2f s) %s %s\n", $name, $run->{code}, $run->{took},
      map({ substr s/\s+/ /gr, 0, 160 } @$run{qw(text err)})
      unless $run->{command}{kind} eq 'journal';
  }
  print "ledger:\n";
  for my $line (@{ $play->{ledger} }) {
    print '  ', join(' ', map { "$_=" . ($line->{$_} // '') } qw(at by kind key order amount)),
      "\n";
  }
  print "journal:\n";
  print '  ', join(' ', map { $_ // '' } @$_{qw(key state order price note)}), "\n"
    for @{ $play->{journal} };
}

if ($option{world}) {
  my $failed = 0;
  for (1 .. $option{repeat}) {
    my ($play, @faults) = play(split ' ', $option{world});
    show_runs($play) if $option{verbose};
    print "! $_\n" for @faults;
    $failed ||= @faults;
  }
  print $failed ? "failed\n" : "passed\n";
  exit($failed ? 1 : 0);
}

# --- many worlds ---

# Does work for each item in a process of its own, some at a time; calls `take` with what each
# printed.
sub in_parallel {
  my ($items, $work, $take) = @_;
  my @items = @$items;
  my %reader;
  while (@items || %reader) {
    while (@items && keys %reader < $option{jobs}) {
      my $item = shift @items;
      my $pid = open(my $pipe, '-|') // die "fork: $!";
      if ($pid == 0) {
        print eval { $work->($item) } // "failed: $@";
        exit 0;
      }
      $reader{$pid} = $pipe;
    }
    my $bits = '';
    vec($bits, fileno $_, 1) = 1 for values %reader;
    select $bits, undef, undef, undef;
    for my $pid (grep { vec $bits, fileno $reader{$_}, 1 } keys %reader) {
      my $pipe = delete $reader{$pid};
      local $/;
      $take->(<$pipe> // '');
      close $pipe;
    }
  }
}

# One world: a line of sums, and a line for each fault.
sub report {
  my ($seed) = @_;
  my ($play, @faults) = play(World::make($seed));
  return join "\n", sprintf('world %d runs %d charges %d faults %d open %d failed %d', $seed,
    scalar @{ $play->{runs} }, scalar(grep { $_->{by} eq 'own' } @{ $play->{ledger} }),
    $play->{counts}{faults} // 0, scalar(grep { $_->{state} !~ /placed/ } @{ $play->{journal} }),
    @faults ? 1 : 0), @faults;
}

sub command { return 'spec/support/worlds/run.pl world=' . "'" . join(' ', @_) . "'" }

my %total = map { $_ => 0 } qw(worlds runs charges faults open failed);
my (%first_of, %count_of); # sort of fault -> seed, number of worlds

sub sum_up {
  my ($text) = @_;
  my ($line, @faults) = split /\n/, $text;
  my %sums = (split(/ /, $line // ''), worlds => 1);
  if (!defined $sums{failed}) {
    print "! a world ended without a verdict: $text\n";
    $total{failed}++;
    return;
  }
  $total{$_} += $sums{$_} for keys %total;
  return unless @faults;
  print "! seed $sums{world}:\n", map({ "    $_\n" } @faults), '    ',
    command(World::make($sums{world})), "\n";
  my %sorts = map { Shrink::sort_of($_) => 1 } @faults;
  for my $sort (keys %sorts) {
    $count_of{$sort}++;
    $first_of{$sort} = $sums{world} if $sums{world} < ($first_of{$sort} // 1e18);
  }
}

my $began = time;
in_parallel([$option{seed} .. $option{seed} + $option{worlds} - 1], \&report, \&sum_up);
in_parallel([$option{shrink} ? sort keys %first_of : ()], sub {
  my ($sort) = @_;
  return "$count_of{$sort} worlds: $sort\n    the first (seed $first_of{$sort}) made smaller: "
    . command(Shrink::shrink($sort, \&play, $option{tries}, World::make($first_of{$sort}))) . "\n";
}, sub { print @_ });
printf "%d worlds from seed %d: %d runs, %d charges, %d faults, %d left open, %d failed (%d s)\n",
  $total{worlds}, $option{seed}, @total{qw(runs charges faults open failed)}, time - $began;
exit($total{failed} ? 1 : 0);
