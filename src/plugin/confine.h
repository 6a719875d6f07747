/* Access to files inside one folder. The kernel resolves each path (openat2) and refuses to leave
 * the folder, also through links, "..", and folders that are renamed meanwhile. */
#ifndef PROXYLUA_PLUGIN_CONFINE_H
#define PROXYLUA_PLUGIN_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

struct confined_path {
  const char *folder;        /* absolute */
  const char *path;          /* inside of it, relative */
  const char *const *hidden; /* real paths of folders and files that stay out of reach, there or
                                not, ended by NULL */
};

/* Adds the bytes of a regular file, at most `most`. Errors (not_found, forbidden, store) name
 * `path` and reveal nothing outside the folder. */
bool confine_read(const struct confined_path *where, size_t most, struct buffer *bytes,
                  struct error *err);

/* Writes a file, whole or not at all; its folder must exist. */
bool confine_write(const struct confined_path *where, const void *bytes, size_t size,
                   struct error *err);

#endif
