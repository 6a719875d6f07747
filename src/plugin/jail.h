/* What the process of a plugin may do: compute, talk over one descriptor, and end. The kernel ends
 * it for anything else, and there is no way back out. */
#ifndef PROXYLUA_PLUGIN_JAIL_H
#define PROXYLUA_PLUGIN_JAIL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct jail_limits {
  size_t memory;   /* bytes beside what the process has already */
  unsigned cpu;    /* seconds until SIGXCPU; its parent may allow more as time goes by */
  bool calls_free; /* leave the system calls alone: for where the kernel cannot filter them */
};

/* Whether this kernel, in this container, filters system calls. */
bool jail_is_possible(void);

/* Closes every descriptor but this one, wipes the environment, and locks the process in. False when
 * that failed: then the process must end. */
bool jail_enter(int fd, const struct jail_limits *limits, struct error *err);

/* The numbers of the system calls that are left, some of them for certain arguments alone; ends
 * with -1. */
extern const int jail_calls[];

#endif
