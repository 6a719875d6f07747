/* The named steps of a charge as `make crash` has them: PROXYLUA_CRASH="STEP[:N][=SIGNAL]" sends
 * this process a signal when it passes that step for the N-th time (the first): kill (the default),
 * stop, term or int. Stands in for src/charge/crash_point.c. */
#include "charge/crash_point.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int signal_of(const char *name)
{
  static const struct {
    const char *name;
    int number;
  } signals[] = {{"kill", SIGKILL}, {"stop", SIGSTOP}, {"term", SIGTERM}, {"int", SIGINT}};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
    if (strcmp(signals[i].name, name) == 0) return signals[i].number;
  fprintf(stderr, "PROXYLUA_CRASH: there is no signal %s\n", name);
  abort();
}

/* A step that is not there would never come: the specs hold the names against those in the sources.
 */
void crash_point(const char *name)
{
  static int passed;
  char wanted[64] = "", which[16] = "kill";
  int at = 1;
  const char *order = getenv("PROXYLUA_CRASH");
  if (!order || sscanf(order, "%63[^:=]", wanted) != 1 || strcmp(wanted, name) != 0) return;
  order += strlen(wanted);
  if (*order == ':') at = (int)strtol(order + 1, (char **)&order, 10);
  if (*order == '=') snprintf(which, sizeof which, "%s", order + 1);
  if (++passed == at) kill(getpid(), signal_of(which));
}
