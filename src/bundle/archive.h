/* Archives: a zip as a list of named files in memory. Reading refuses names that lead out of the
 * folder that it is unpacked to, ambiguous archives, and files that unpack to more than the limits.
 * Writing the same files gives the same bytes. */
#ifndef PROXYLUA_BUNDLE_ARCHIVE_H
#define PROXYLUA_BUNDLE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

#define ARCHIVE_NAME 200 /* bytes of a file's longest name, folders included */

struct archive_file {
  char *name; /* "folder/name": relative, UTF-8, no segment is empty, . or .. */
  char *data; /* owned, never NULL */
  size_t size;
};

/* After reading and after writing, the files are in the order of their names. */
struct archive {
  struct archive_file *files;
  size_t count, capacity;
};

#define ARCHIVE_INIT ((struct archive){0})

/* Limits for reading. `ratio`: how many times larger than packed a file may be, beyond the first
 * 64 KiB. */
struct archive_limits {
  size_t count, file, total, ratio;
};

#define ARCHIVE_LIMITS \
  ((struct archive_limits){.count = 1000, .file = 16 << 20, .total = 64 << 20, .ratio = 100})

/* Why a name is refused; NULL for a valid one. */
const char *archive_check_name(const char *name, size_t size);

/* Adds a copy of a file. */
bool archive_add(struct archive *archive, const char *name, size_t name_size, const void *data,
                 size_t size, struct error *err);

/* Fills an empty archive from the bytes of a zip, or from a range of a file (`size` 0: up to its
 * end); what is wrong with the bytes is of kind config, and names the file in the archive. On
 * failure the archive holds what was read so far. */
bool archive_read(struct archive *archive, const void *bytes, size_t size,
                  const struct archive_limits *limits, struct error *err);
bool archive_load(struct archive *archive, const char *path, uint64_t offset, uint64_t size,
                  const struct archive_limits *limits, struct error *err);

/* Appends the zip to a buffer. `base`: bytes of the file that will stand before the zip; the
 * offsets in it count from there. */
bool archive_write(struct archive *archive, size_t base, struct buffer *out, struct error *err);

void archive_free(struct archive *archive);

#endif
