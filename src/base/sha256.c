#include "base/sha256.h"

#include <sha2.h>
#include <stdio.h>
#include <string.h>

void digest_sha256(const struct digest_part *parts, size_t count, unsigned char digest[DIGEST_SIZE])
{
  SHA2_CTX context;
  SHA256Init(&context);
  for (size_t i = 0; i < count; i++) SHA256Update(&context, parts[i].bytes, parts[i].size);
  SHA256Final(digest, &context);
  explicit_bzero(&context, sizeof context);
}

void digest_hex(const struct digest_part *parts, size_t count, char hex[DIGEST_HEX])
{
  unsigned char digest[DIGEST_SIZE];
  digest_sha256(parts, count, digest);
  for (size_t i = 0; i < DIGEST_SIZE; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}
