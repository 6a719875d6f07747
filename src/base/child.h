/* A child process and a socket to it: this program, or another one whose output goes to the socket.
 * A pidfd identifies the process. child_end ends and reaps it. */
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

/* Processor time that it has used so far, in microseconds; -1 if it has ended. */
int64_t child_cpu(const struct child *child);

/* Sets the processor time, in seconds, after which the kernel ends it. */
void child_allow_cpu(const struct child *child, int64_t seconds);

struct child_end {
  bool killed; /* by the signal `code`; otherwise it ended with the exit code `code` */
  int code;
  int unknown; /* errno; not 0: the kernel did not report how it ended, `killed` and `code` are
                  unset */
};

/* Kills it and the processes that it started, unless it has ended; closes the socket, reaps it. */
struct child_end child_end(struct child *child);

/* The first call of a child: it then dies with its parent. A parent that has already ended has
 * closed the socket. */
bool child_follow_parent(void);

#endif
