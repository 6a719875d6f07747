/* measure RUNS COMMAND… [-- COMMAND…]…: runs the commands in turn, each RUNS times, and prints for
 * each a line of medians: wall and CPU (user + system) in seconds, largest resident size in KiB.
 * Their standard output is dropped; one that fails ends the measurement. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { COMMANDS = 5 };

struct runs {
  double *wall, *cpu, *size;
};

static double now(void)
{
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double seconds(struct timeval time)
{
  return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void run_child(char **command)
{
  int null = open("/dev/null", O_WRONLY);
  if (null < 0 || dup2(null, STDOUT_FILENO) < 0) _exit(126);
  execvp(command[0], command);
  perror(command[0]);
  _exit(127);
}

static void run(char **command, struct runs *runs, int i)
{
  struct rusage usage;
  int status;
  double start = now();
  pid_t child = fork();
  if (child == 0) run_child(command);
  if (child < 0 || wait4(child, &status, 0, &usage) < 0) {
    perror("measure");
    exit(1);
  }
  runs->wall[i] = now() - start;
  runs->cpu[i] = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  runs->size[i] = (double)usage.ru_maxrss;
  if (status == 0) return;
  fprintf(stderr, "measure: failed:");
  for (; *command; command++) fprintf(stderr, " %s", *command);
  fputc('\n', stderr);
  exit(1);
}

static int ascending(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values, int count)
{
  qsort(values, (size_t)count, sizeof *values, ascending);
  return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static double *numbers(int count)
{
  double *values = calloc((size_t)count, sizeof *values);
  if (!values) exit(1);
  return values;
}

/* Cuts the arguments into commands at each "--". */
static int split(char **args, char ***commands)
{
  int count = 0;
  commands[count++] = args;
  for (; *args; args++) {
    if (strcmp(*args, "--") != 0) continue;
    if (count == COMMANDS) return 0;
    *args = NULL;
    commands[count++] = args + 1;
  }
  return count;
}

int main(int argc, char **argv)
{
  char **commands[COMMANDS];
  struct runs runs[COMMANDS];
  int count = argc > 2 ? atoi(argv[1]) : 0;
  int command_count = count > 0 ? split(argv + 2, commands) : 0;
  if (command_count == 0) return fputs("usage: measure RUNS COMMAND… [-- COMMAND…]…\n", stderr), 2;
  for (int c = 0; c < command_count; c++)
    runs[c] = (struct runs){numbers(count), numbers(count), numbers(count)};
  for (int i = 0; i < count; i++)
    for (int c = 0; c < command_count; c++) run(commands[c], &runs[c], i);
  for (int c = 0; c < command_count; c++)
    printf("%.6f %.6f %.0f\n", median(runs[c].wall, count), median(runs[c].cpu, count),
           median(runs[c].size, count));
  return 0;
}
