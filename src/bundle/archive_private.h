/* What the files of the archive share: memory in the place of minizip's file, and the list of
 * files. */
#ifndef PROXYLUA_BUNDLE_ARCHIVE_PRIVATE_H
#define PROXYLUA_BUNDLE_ARCHIVE_PRIVATE_H

#include <minizip/ioapi.h>

#include "bundle/archive.h"

struct archive_memory {
  const char *bytes; /* read from; NULL: `out` is written */
  struct buffer *out;
  size_t size, position;
  size_t base; /* what minizip takes the first byte's position to be */
};

/* Fills in the functions that work on `memory`. */
void archive_memory_functions(struct archive_memory *memory, zlib_filefunc64_def *functions);

/* Adds a file whose data was allocated; the archive owns it then. False when memory is out. */
bool archive_put(struct archive *archive, const char *name, size_t name_size, char *data,
                 size_t size);

/* Sorts by name; refuses a name that is there twice, or as a file and as a folder. */
bool archive_sort(struct archive *archive, struct error *err);

/* Sets the error and returns false. */
bool archive_refuse(struct error *err, const char *name, const char *why);

#endif
