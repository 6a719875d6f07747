/* Another process at the other end of a socket: one of this program, or a program whose output it
 * is. Told apart from all others by a descriptor, ended and reaped. */
#ifndef PROXYLUA_BASE_CHILD_H
#define PROXYLUA_BASE_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

#define CHILD_SOCKET 3 /* the child's end */

struct child {
  pid_t pid;
  int handle; /* pidfd; -1: there is no process */
  int socket; /* ours, non-blocking */
};

#define CHILD_NONE ((struct child){.handle = -1, .socket = -1})

/* Starts this program with these arguments (argv[0] first, NULL ends them), in this environment,
 * with default signals, and with nothing of ours but the socket. */
bool child_start(struct child *child, char *const *arguments, char *const *environment,
                 struct error *err);

/* Starts a program, whose output goes to the socket; it reads nothing, and shares our standard
 * error. */
bool child_run(struct child *child, const char *path, char *const *arguments,
               char *const *environment, struct error *err);

/* Processor time that it has used so far, in microseconds; -1 when it has gone. */
int64_t child_cpu(const struct child *child);

/* Moves on the time at which the kernel ends it, in seconds of processor time. */
void child_allow_cpu(const struct child *child, int64_t seconds);

struct child_end {
  bool killed; /* by the signal `code`; otherwise it ended with the exit code `code` */
  int code;
  int unknown; /* errno; not 0: the kernel did not report how it ended, `killed` and `code` are
                  unset */
};

/* Ends it and those it started, if it has not ended by itself, closes the socket and takes what it
 * left. */
struct child_end child_end(struct child *child);

/* What a child asks for first: to die with its parent. One that has gone already has closed the
 * socket. */
bool child_follow_parent(void);

#endif
