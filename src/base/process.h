/* Other processes of this machine. */
#ifndef PROXYLUA_BASE_PROCESS_H
#define PROXYLUA_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#define PROCESS_HOST 128

struct process_view {
  int64_t pid;
  char name[32]; /* printable ASCII */
  bool stopped;  /* by a signal, as with Ctrl-Z, or by a debugger */
};

/* When a process began, in ticks since the machine did: with its id it names the process. 0 when
 * there is none. */
int64_t process_start(int64_t pid);

/* What a process is and does now. False when there is none. */
bool process_look(int64_t pid, struct process_view *view);

/* This machine's name, "unknown" when it has none. */
void process_host(char name[PROCESS_HOST]);

#endif
