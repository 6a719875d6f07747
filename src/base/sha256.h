/* SHA-256, the one hash of the program: of texts in one go, and without a copy left behind (they
 * may hold the key). */
#ifndef PROXYLUA_BASE_SHA256_H
#define PROXYLUA_BASE_SHA256_H

#include <stddef.h>

#define DIGEST_SIZE 32
#define DIGEST_HEX (2 * DIGEST_SIZE + 1)

struct digest_part {
  const void *bytes;
  size_t size;
};

/* Of all parts, one behind the other. */
void digest_sha256(const struct digest_part *parts, size_t count,
                   unsigned char digest[DIGEST_SIZE]);

/* The same as a text in lower case. */
void digest_hex(const struct digest_part *parts, size_t count, char hex[DIGEST_HEX]);

#endif
