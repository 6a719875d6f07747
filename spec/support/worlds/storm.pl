#!/usr/bin/perl
# A storm: thousands of purchases by processes that are killed, against faults, in an account that
# holds thousands of orders.
#   storm.pl [purchases=N] [orders=N] [parallel=N] [seed=N] [program=PATH] [store=URL]
# Prints the sums and each thing that is wrong; the exit code is 1 when there was any.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Time::HiRes qw(time);
use Driver;
use Judge;
use World;

use constant BATCH => 50;

my %option = (purchases => 10000, orders => 5000, parallel => 4, seed => time % 100000,
  program => "$FindBin::Bin/../../../build/proxylua");
for (@ARGV) {
  my ($name, $value) = split /=/, $_, 2;
  die "storm.pl: unknown option $_\n" unless defined $value;
  $option{$name} = $value;
}

my @words = ("seed=$option{seed}", "orders=$option{orders}", "parallel=$option{parallel}",
  qw(kill=0.3 rounds=2 different=0.001 fault=cut/before/post/0.005 fault=cut/after/post/0.01
  fault=html502/after/post/0.005 fault=html404/after/post/0.003 fault=document/before/post/0.003
  fault=truncated/after/post/0.005 fault=kill/after/post/0.003 fault=kill/before/post/0.002
  fault=stop/after/post/0.001 fault=html502/before/get/0.001 fault=kill/after/get/0.0005));
my $batches = int(($option{purchases} + BATCH - 1) / BATCH);
push @words, map { "batch=b$_:" . BATCH } 1 .. $batches;

my $began = time;
my $play = Driver::play(World::parse(@words), $option{program}, $option{store});
my @faults = Judge::verdict($play);
my %count = map { $_ => 0 } qw(twice lost false unknown), 'never bought';
for (@faults) {
  /^([^:]+)/;
  $count{$1}++;
  print "! $_\n";
}
my $kills = grep { $_->{code} == 137 } @{ $play->{runs} };
my $charges = grep { $_->{by} eq 'own' } @{ $play->{ledger} };
my $lost = $count{lost} + $count{false} + $count{'never bought'};
printf "%d purchases (seed %d) in an account of %d orders: %d charges, %d faults, %d kills, "
  . "%d runs; ",
  $batches * BATCH, $option{seed}, $option{orders}, $charges, $play->{counts}{faults}, $kills,
  scalar @{ $play->{runs} };
printf "%d duplicates, %d lost, %d open, %d other failures (%d s)\n", $count{twice}, $lost,
  $count{unknown}, @faults - $count{twice} - $lost - $count{unknown}, time - $began;
exit(@faults ? 1 : 0);
