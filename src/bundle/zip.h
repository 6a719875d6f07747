/* The layout of a zip, as far as its offsets are concerned: numbers are little-endian, and stand
 * where these say. */
#ifndef PROXYLUA_BUNDLE_ZIP_H
#define PROXYLUA_BUNDLE_ZIP_H

#include <stddef.h>
#include <stdint.h>

enum {
  ZIP_LOCAL = 30, /* bytes of a local header before its name */
  ZIP_LOCAL_NAME = 26,
  ZIP_CENTRAL = 46, /* of an entry of the central directory before its name */
  ZIP_CENTRAL_PACKED = 20,
  ZIP_CENTRAL_SIZE = 24,
  ZIP_CENTRAL_NAME = 28,
  ZIP_CENTRAL_OFFSET = 42,
  ZIP_END = 22, /* of the record at the end, without a comment */
  ZIP_END_COUNT = 10,
  ZIP_END_DIRECTORY = 16
};

static inline uint16_t zip_u16(const char *at)
{
  const unsigned char *byte = (const unsigned char *)at;
  return (uint16_t)(byte[0] | byte[1] << 8);
}

static inline uint32_t zip_u32(const char *at)
{
  return zip_u16(at) | (uint32_t)zip_u16(at + 2) << 16;
}

static inline void zip_put_u32(char *at, uint32_t value)
{
  for (int i = 0; i < 4; i++) at[i] = (char)(value >> 8 * i);
}

/* Bytes of a local header, and of an entry of the central directory, with all that follows the
 * fixed part. */
static inline size_t zip_local_size(const char *at)
{
  return (size_t)ZIP_LOCAL + zip_u16(at + ZIP_LOCAL_NAME) + zip_u16(at + ZIP_LOCAL_NAME + 2);
}

static inline size_t zip_central_size(const char *at)
{
  const char *sizes = at + ZIP_CENTRAL_NAME;
  return (size_t)ZIP_CENTRAL + zip_u16(sizes) + zip_u16(sizes + 2) + zip_u16(sizes + 4);
}

#endif
