/* The functions that OpenSSL calls deprecated: those it recommends read its configuration and set
 * it up whole before the first hash, which takes longer than the rest of a start. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/sha256.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>

bool digest_sha256(const struct digest_part *parts, size_t count, unsigned char digest[DIGEST_SIZE])
{
  SHA256_CTX context;
  bool ok = SHA256_Init(&context);
  for (size_t i = 0; ok && i < count; i++)
    ok = SHA256_Update(&context, parts[i].bytes, parts[i].size);
  ok = ok && SHA256_Final(digest, &context);
  OPENSSL_cleanse(&context, sizeof context);
  return ok;
}

bool digest_hex(const struct digest_part *parts, size_t count, char hex[DIGEST_HEX])
{
  unsigned char digest[DIGEST_SIZE];
  if (!digest_sha256(parts, count, digest)) return false;
  for (size_t i = 0; i < DIGEST_SIZE; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
  return true;
}
