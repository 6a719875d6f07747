/* Files inside a folder and nowhere else, whatever links, "..", or others that rename meanwhile:
 * the kernel follows the path and refuses to leave. */
#ifndef PROXYLUA_PLUGIN_CONFINE_H
#define PROXYLUA_PLUGIN_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

struct beneath {
  const char *folder;        /* absolute */
  const char *path;          /* inside of it, relative */
  const char *const *hidden; /* real paths of folders and files that stay out of reach, there or
                                not, ended by NULL */
};

/* Adds the bytes of a regular file, at most so many. Errors say `path` and nothing of what is
 * elsewhere: not_found, forbidden, store. */
bool confine_read(const struct beneath *where, size_t most, struct buffer *bytes,
                  struct error *err);

/* Writes a file, whole or not at all; its folder must be there. */
bool confine_write(const struct beneath *where, const void *bytes, size_t size, struct error *err);

#endif
