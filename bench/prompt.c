/* How long somebody at a terminal waits: for the prompt, and for what Tab offers of a table of
 * 10,000 fields. prompt RUNS PROGRAM [ARGUMENT…]    prints the medians of both in milliseconds */
#include <errno.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_RUNS 1000

static double now(void)
{
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void fail(const char *what)
{
  fprintf(stderr, "prompt: %s: %s\n", what, strerror(errno));
  exit(1);
}

/* Reads what the program writes until a text has come. */
static void await(int terminal, const char *text)
{
  static char seen[1 << 20];
  size_t size = 0;
  do {
    ssize_t got = size + 1 < sizeof seen ? read(terminal, seen + size, sizeof seen - 1 - size) : 0;
    if (got <= 0) fail("the program ended, or never wrote what it should");
    size += (size_t)got;
    seen[size] = '\0';
  } while (!memmem(seen, size, text, strlen(text)));
}

static void type(int terminal, const char *text)
{
  if (write(terminal, text, strlen(text)) < 0) fail("typing");
}

static void run(char **command, double *start, double *completion)
{
  int terminal;
  struct winsize size = {.ws_row = 40, .ws_col = 120};
  double before = now();
  pid_t pid = forkpty(&terminal, NULL, NULL, &size);
  if (pid < 0) fail("forkpty");
  if (pid == 0) {
    setenv("TERM", "xterm", 1);
    execvp(command[0], command);
    _exit(127);
  }
  await(terminal, "px> ");
  *start = now() - before;
  type(terminal,
       "big = {} for i = 1, 10000 do big[('field%05d'):format(i)] = i end done = 'ready' "
       "print(done)\r");
  await(terminal, "ready\r\n\033[?2004hpx> ");
  type(terminal, "big.f");
  await(terminal, "f");
  before = now();
  type(terminal, "\t");
  await(terminal, "10000 in all");
  *completion = now() - before;
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  close(terminal);
}

static int by_size(const void *a, const void *b)
{
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
  static double starts[MOST_RUNS], completions[MOST_RUNS];
  int runs = argc > 2 ? atoi(argv[1]) : 0;
  if (runs < 1 || runs > MOST_RUNS) {
    fputs("usage: prompt RUNS PROGRAM [ARGUMENT...]\n", stderr);
    return 2;
  }
  alarm(120);
  for (int i = 0; i < runs; i++) run(argv + 2, &starts[i], &completions[i]);
  qsort(starts, (size_t)runs, sizeof *starts, by_size);
  qsort(completions, (size_t)runs, sizeof *completions, by_size);
  printf("%g %g\n", starts[runs / 2], completions[runs / 2]);
  return 0;
}
