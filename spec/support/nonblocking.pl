# Runs a program with a non-blocking end of a pipe.
#   nonblocking.pl output PROGRAM ...   as standard output; prints how many bytes came
#   nonblocking.pl error PROGRAM ...    as standard error; the same
#   nonblocking.pl input PROGRAM ...    as standard input, which has the lines "one" and "two", the
#                                       second of them once the program has read the first
use strict;
use warnings;
use Fcntl;
use IO::Handle;

sub pipe_with {
    my ($end) = @_;
    pipe(my $read, my $write) or die "pipe: $!";
    my $shared = $end eq 'read' ? $read : $write;
    fcntl($shared, F_SETFL, fcntl($shared, F_GETFL, 0) | O_NONBLOCK) or die "fcntl: $!";
    return ($read, $write);
}

# Until the process sleeps: it has filled the pipe, or wants to read.
sub wait_until_asleep {
    my ($pid) = @_;
    for (1 .. 100_000) {
        open(my $file, '<', "/proc/$pid/stat") or return;
        return if <$file> =~ /\) [SZ] /;
        select(undef, undef, undef, 0.001);
    }
    die "the program does not wait";
}

my ($kind, @program) = @ARGV;
my ($read, $write) = pipe_with($kind eq 'input' ? 'read' : 'write');
my $pid = fork // die "fork: $!";
if ($pid == 0) {
    open(STDIN,  '<&', $read)  or die if $kind eq 'input';
    open(STDOUT, '>&', $write) or die if $kind eq 'output';
    open(STDERR, '>&', $write) or die if $kind eq 'error';
    close $read;
    close $write;
    exec @program or die "exec: $!";
}
if ($kind eq 'input') {
    close $read;
    for my $line ("one\n", "two\n") {
        wait_until_asleep($pid);
        syswrite($write, $line);
    }
    close $write;
} else {
    close $write;
    wait_until_asleep($pid);
    my $count = 0;
    while (my $got = sysread($read, my $bytes, 4096)) { $count += $got }
    print "$count\n";
}
waitpid($pid, 0);
exit($? >> 8);
