/* The description of the app at the end of a program's file. It is in the program's data, which
 * strip keeps: a program whose app was removed can report that. */
#ifndef PROXYLUA_BUNDLE_MARKER_H
#define PROXYLUA_BUNDLE_MARKER_H

#include <stdint.h>

#include "base/sha256.h"

/* Offsets are those in the program's file. All but the magic is 0 in a program without an app. */
struct bundle_marker {
  char magic[24];
  uint64_t begin, end;               /* of the zip, which ends with the file */
  unsigned char digest[DIGEST_SIZE]; /* SHA-256 of the zip */
};

/* Volatile: the compiler must not assume its bytes, which differ in a bundle. */
extern const volatile struct bundle_marker bundle_marker;

/* The file that this process runs, open for reading; -1 with errno set. */
int bundle_open_program(void);

#endif
