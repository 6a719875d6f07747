/* Whether other users could change a file or folder that this process believes. */
#ifndef PROXYLUA_BASE_TRUST_H
#define PROXYLUA_BASE_TRUST_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/error.h"

/* A file or folder that others can change. */
struct distrust {
  char path[PATH_MAX];
  const char *why; /* "can be changed by others" */
};

/* Whether only this user and root can change the file with this status. A group may write only if
 * it is the user's own private group: named like the user, the user's primary group, without other
 * members. Safe on any thread, like the functions below. */
bool trust_status(const char *path, const struct stat *status, struct distrust *found);

/* Whether only this user and root can replace the file: it looks at all folders above it, those of
 * the path and those that links lead to. Others may write to a sticky folder, since they cannot
 * rename or remove there what is not theirs. */
bool trust_folders(const char *path, struct distrust *found);

/* Both. Sets an error of this kind that begins with `what`, and ends with what to do. */
bool trust_file(const char *path, const struct stat *status, enum error_kind kind, const char *what,
                struct error *err);

/* What to do, as a command that the path of the distrust follows. */
const char *trust_remedy(const struct distrust *found);

#endif
