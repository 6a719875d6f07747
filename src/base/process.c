#include "base/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STAT 1024

/* Returns the end of the name in /proc/PID/stat, which may hold anything; NULL: no such process. */
static const char *read_stat(int64_t pid, char text[STAT])
{
  char path[64];
  snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
  FILE *file = pid > 0 ? fopen(path, "re") : NULL;
  if (!file) return NULL;
  size_t size = fread(text, 1, STAT - 1, file);
  fclose(file);
  text[size] = '\0';
  return strrchr(text, ')');
}

/* The 20th field behind the name. */
int64_t process_start(int64_t pid)
{
  char text[STAT];
  long long ticks;
  const char *at = read_stat(pid, text);
  for (int field = 0; at && field < 20; field++) at = strchr(at + 1, ' ');
  return at && sscanf(at, "%lld", &ticks) == 1 ? ticks : 0;
}

bool process_look(int64_t pid, struct process_view *view)
{
  char text[STAT], state;
  const char *end = read_stat(pid, text), *name = end ? strchr(text, '(') : NULL;
  if (!name || sscanf(end, ") %c", &state) != 1) return false;
  *view = (struct process_view){.pid = pid, .stopped = state == 'T' || state == 't'};
  for (size_t i = 0; ++name < end && i < sizeof view->name - 1; i++) view->name[i] = *name;
  for (char *at = view->name; *at; at++)
    if (*at < ' ' || *at > '~') *at = '?';
  return true;
}

void process_host(char name[PROCESS_HOST])
{
  memset(name, 0, PROCESS_HOST);
  if (gethostname(name, PROCESS_HOST - 1) != 0) strcpy(name, "unknown");
}
