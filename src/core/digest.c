#include "core/digest.h"

#include <openssl/evp.h>
#include <stdio.h>

/* The context is wiped when it is freed. */
bool digest_sha256(const struct digest_part *parts, size_t count, unsigned char digest[DIGEST_SIZE])
{
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  bool ok = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL);
  for (size_t i = 0; ok && i < count; i++) ok = EVP_DigestUpdate(context, parts[i].bytes, parts[i].size);
  ok = ok && EVP_DigestFinal_ex(context, digest, NULL);
  EVP_MD_CTX_free(context);
  return ok;
}

bool digest_hex(const struct digest_part *parts, size_t count, char hex[DIGEST_HEX])
{
  unsigned char digest[DIGEST_SIZE];
  if (!digest_sha256(parts, count, digest)) return false;
  for (size_t i = 0; i < DIGEST_SIZE; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
  return true;
}
