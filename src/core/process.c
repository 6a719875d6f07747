#include "core/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SLACK_US INT64_C(2000000) /* the kernel's ticks are coarse, and the two clocks are read one after the other */

static int64_t clock_us(clockid_t clock)
{
  struct timespec time = {0};
  clock_gettime(clock, &time);
  return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* When a process began, in ticks since the machine did: the 20th field behind the name, which may hold anything. */
static bool read_start(int64_t pid, unsigned long long *ticks)
{
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
  FILE *file = fopen(path, "r");
  if (!file) return false;
  size_t size = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[size] = '\0';
  const char *at = strrchr(text, ')');
  for (int field = 0; at && field < 20; field++) at = strchr(at + 1, ' ');
  return at && sscanf(at, "%llu", ticks) == 1;
}

bool process_lives(int64_t pid, int64_t moment)
{
  unsigned long long ticks;
  long rate = sysconf(_SC_CLK_TCK);
  if (pid <= 0 || rate <= 0 || !read_start(pid, &ticks)) return false;
  int64_t age = clock_us(CLOCK_BOOTTIME) - (int64_t)(ticks * 1000000 / (unsigned long long)rate);
  return clock_us(CLOCK_REALTIME) - age <= moment + SLACK_US;
}
