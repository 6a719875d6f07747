/* What a program knows of the app at the end of its own file. It stands in the program's data, where strip leaves it alone: a
 * program whose app is gone can tell so. */
#ifndef PROXYLUA_BUNDLE_MARKER_H
#define PROXYLUA_BUNDLE_MARKER_H

#include <stdint.h>

#include "core/digest.h"

#define BUNDLE_SUMS "SHA256SUMS" /* the file of the zip that has the hashes of all others, as sha256sum writes them */

/* Offsets are those in the program's file. All but the magic is 0 in a program without an app. */
struct bundle_marker {
  char magic[24];
  uint64_t begin, directory, end;   /* of the zip, of its central directory, of both and of the file */
  unsigned char whole[DIGEST_SIZE]; /* SHA-256 of the zip */
  unsigned char index[DIGEST_SIZE]; /* of its central directory with all that follows */
  unsigned char sums[DIGEST_SIZE];  /* of BUNDLE_SUMS */
};

/* Volatile: the compiler must not take its bytes for granted, since a bundle has others. */
extern const volatile struct bundle_marker bundle_marker;

/* The file that this process runs, open for reading; -1 with errno set. */
int bundle_open_program(void);

#endif
