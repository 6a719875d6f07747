#include "base/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The 20th field behind the name, which may hold anything. */
int64_t process_start(int64_t pid)
{
  char path[64], text[1024];
  long long ticks;
  snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
  FILE *file = pid > 0 ? fopen(path, "r") : NULL;
  if (!file) return 0;
  size_t size = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[size] = '\0';
  const char *at = strrchr(text, ')');
  for (int field = 0; at && field < 20; field++) at = strchr(at + 1, ' ');
  return at && sscanf(at, "%lld", &ticks) == 1 ? ticks : 0;
}

void process_host(char name[PROCESS_HOST])
{
  memset(name, 0, PROCESS_HOST);
  if (gethostname(name, PROCESS_HOST - 1) != 0) strcpy(name, "unknown");
}
