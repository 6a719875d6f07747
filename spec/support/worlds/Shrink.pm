# Makes a failing world smaller: words are left out, first many at a time, as long as the world
# still fails in the same way.
package Shrink;
use strict;
use warnings;
use Time::HiRes qw(time);

use constant PATIENCE => 120; # seconds for one world

# What a fault has in common with others of its sort: its kind, what it is about (a purchase k01,
# an extension x01, a pool, an old order), and the reason in brackets.
sub sort_of {
  my ($fault) = @_;
  my ($kind, $about) = $fault =~ /^([^:]+): (pool|ord_old|renew|fleet|[a-z]?)/;
  my ($reason) = $fault =~ ($kind =~ /unknown|lost|false/ ? qr/\((.*)\)$/ : qr/(exit \d+)/);
  $reason //= '';
  $reason =~ s/(?:ord|txn)_\w+|[\d.:TZ-]*\d[\d.:TZ-]*/*/g;
  return "$kind $about $reason";
}

# Whether a world fails in the same way in one of some tries: timing differs from play to play.
sub still_fails {
  my ($sort, $play, $tries, @words) = @_;
  for (1 .. $tries) {
    my (undef, @faults) = $play->(@words);
    return 1 if grep { sort_of($_) eq $sort } @faults;
  }
  return 0;
}

# The words of the smallest world found. `play` plays words and returns the play and the faults.
sub shrink {
  my ($sort, $play, $tries, @words) = @_;
  my $until = time + PATIENCE;
  my $size = int(@words / 2);
  while ($size >= 1 && time < $until) {
    my $at = 0;
    while ($at < @words && time < $until) {
      my @less = @words;
      splice @less, $at, $size;
      @less = ($words[0], @less) unless grep { /^seed=/ } @less;
      if (@less < @words && still_fails($sort, $play, $tries, @less)) {
        @words = @less;
      } else {
        $at += $size;
      }
    }
    $size = int($size / 2);
  }
  return @words;
}

1;
