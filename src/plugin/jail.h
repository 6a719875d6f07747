/* The jail of a plugin's process: it may compute, use one descriptor, and end. The kernel kills it
 * for any other system call. The process cannot leave the jail. */
#ifndef PROXYLUA_PLUGIN_JAIL_H
#define PROXYLUA_PLUGIN_JAIL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct jail_limits {
  size_t memory;   /* bytes beside what the process has already */
  unsigned cpu;    /* seconds until SIGXCPU; its parent may allow more as time goes by */
  bool calls_free; /* do not filter system calls, for kernels that cannot */
};

/* Whether this kernel, in this container, filters system calls. */
bool jail_is_possible(void);

/* Closes every descriptor but this one, clears the environment, and jails the process. On false the
 * process must end. */
bool jail_enter(int fd, const struct jail_limits *limits, struct error *err);

/* The numbers of the allowed system calls, some with certain arguments only; ends with -1. */
extern const int jail_calls[];

#endif
