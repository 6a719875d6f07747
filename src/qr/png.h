/* Pictures of black and white as PNG: one bit a pixel. zlib does what is hard about it, and is in
 * the process already, since libcurl needs it; libpng would be one more library at every start, for
 * the few lines that are left. */
#ifndef PROXYLUA_QR_PNG_H
#define PROXYLUA_QR_PNG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

struct png {
  size_t width, height; /* pixels */
  size_t stride;        /* bytes a line: what filters it, then the pixels */
  unsigned char *lines;
};

/* A white picture, from 1 by 1 to 100,000 by 100,000. False when memory is out. */
bool png_begin(struct png *png, size_t width, size_t height);
void png_blacken(struct png *png, size_t x, size_t y);

/* Adds the file to a buffer. False when memory is out. */
bool png_add(const struct png *png, struct buffer *out);
void png_end(struct png *png);

#endif
