/* Bundles: a program with an app at the end of its file, as a zip. The marker in the program's data
 * has the hash of the zip. The zip is read only after its hash was checked. */
#ifndef PROXYLUA_BUNDLE_BUNDLE_H
#define PROXYLUA_BUNDLE_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"
#include "bundle/archive.h"

struct bundle;

struct bundle_file {
  const char *name; /* without a NUL behind it */
  size_t name_size;
  size_t size; /* unpacked */
};

/* The app of this program. NULL if it has none; NULL with a config error if its app was changed or
 * removed. */
struct bundle *bundle_open(struct error *err);
void bundle_close(struct bundle *bundle);

/* Its files, in the order of the zip. False behind the last one. */
bool bundle_list(const struct bundle *bundle, size_t at, struct bundle_file *file);

bool bundle_has(const struct bundle *bundle, const char *name);

/* Unpacks a file into an empty buffer. */
bool bundle_read(const struct bundle *bundle, const char *name, struct buffer *out,
                 struct error *err);

/* Writes this program with the archive's files at its end, whole or not at all. A usage error in a
 * program that has an app itself. */
bool bundle_write(struct archive *archive, const char *path, struct error *err);

#endif
