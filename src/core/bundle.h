/* Bundles: a program with an app at the end of its file, as a zip. What the zip holds is told by hashes all the way down: the
 * marker in the program's data has the one of the zip's directory and of SHA256SUMS, which has those of the files. So a start
 * reads these two, and each file is unpacked and checked when it is asked for. */
#ifndef PROXYLUA_BUNDLE_H
#define PROXYLUA_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/archive.h"
#include "core/buffer.h"
#include "core/error.h"

struct bundle;

struct bundle_file {
  const char *name;
  size_t name_size;
  size_t size;        /* unpacked */
  const char *sha256; /* 64 digits, without a NUL behind them */
};

/* The app of this program. NULL when it has none; NULL with the reason, of kind config, when it had one that is not what it
 * was. */
struct bundle *bundle_open(struct error *err);
void bundle_close(struct bundle *bundle);

/* Its files, in the order of the zip, SHA256SUMS left out. False behind the last one. */
bool bundle_list(const struct bundle *bundle, size_t at, struct bundle_file *file);

bool bundle_has(const struct bundle *bundle, const char *name);

/* Unpacks a file that is there into an empty buffer. False with the reason when it is not what it was. */
bool bundle_read(const struct bundle *bundle, const char *name, struct buffer *out, struct error *err);

/* Whether every byte of the zip is what it was. */
bool bundle_verify(const struct bundle *bundle, struct error *err);

/* Writes this program with the archive's files at its end, whole or not at all; the archive gets SHA256SUMS too. A usage error
 * in a program that has an app itself. */
bool bundle_write(struct archive *archive, const char *path, struct error *err);

#endif
