#include "qr/png.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define SIGNATURE "\x89PNG\r\n\x1a\n"
#define BITS 1    /* a pixel */
#define GREYS 0   /* the kind of colours: of one bit these are black and white */
#define HEADER 13 /* bytes of the chunk IHDR */

bool png_begin(struct png *png, size_t width, size_t height)
{
  *png = (struct png){.width = width, .height = height, .stride = 1 + (width + 7) / 8};
  png->lines = malloc(png->stride * height);
  if (!png->lines) return false;
  memset(png->lines, 0xFF, png->stride * height);
  for (size_t y = 0; y < height; y++) png->lines[y * png->stride] = 0; /* no filter */
  return true;
}

void png_blacken(struct png *png, size_t x, size_t y)
{
  png->lines[y * png->stride + 1 + x / 8] &= (unsigned char)~(0x80 >> x % 8);
}

void png_end(struct png *png)
{
  free(png->lines);
  png->lines = NULL;
}

static void put_number(unsigned char *bytes, size_t number)
{
  for (int i = 0; i < 4; i++) bytes[i] = (unsigned char)(number >> (24 - 8 * i));
}

static bool add_number(struct buffer *out, size_t number)
{
  unsigned char bytes[4];
  put_number(bytes, number);
  return buffer_add(out, bytes, sizeof bytes);
}

/* Length, name, bytes, and a checksum of name and bytes. */
static bool add_chunk(struct buffer *out, const char *name, const void *bytes, size_t size)
{
  uLong sum = crc32(0, (const Bytef *)name, 4);
  if (size > 0) sum = crc32(sum, bytes, (uInt)size); /* of no bytes it would begin anew */
  return add_number(out, size) && buffer_add(out, name, 4) && buffer_add(out, bytes, size) &&
         add_number(out, sum);
}

static bool add_header(const struct png *png, struct buffer *out)
{
  unsigned char header[HEADER] = {[8] = BITS, [9] = GREYS};
  put_number(header, png->width);
  put_number(header + 4, png->height);
  return add_chunk(out, "IHDR", header, sizeof header);
}

static bool add_pixels(const struct png *png, struct buffer *out)
{
  uLong size = png->stride * png->height;
  uLongf packed = compressBound(size);
  unsigned char *bytes = malloc(packed);
  bool added = bytes && compress2(bytes, &packed, png->lines, size, Z_BEST_COMPRESSION) == Z_OK &&
               add_chunk(out, "IDAT", bytes, packed);
  free(bytes);
  return added;
}

bool png_add(const struct png *png, struct buffer *out)
{
  return buffer_add(out, SIGNATURE, sizeof SIGNATURE - 1) && add_header(png, out) &&
         add_pixels(png, out) && add_chunk(out, "IEND", "", 0);
}
