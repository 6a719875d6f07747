/* QR codes: a text as a square of dark and light modules, and the square as a picture. The library
 * that makes them is opened with the first one: most runs need none, and a program that was carried
 * elsewhere runs where it is not installed. */
#ifndef PROXYLUA_QR_QR_H
#define PROXYLUA_QR_QR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

#define QR_MARGIN 4 /* light modules around a code, without which readers do not find it */
#define QR_MOST_SCALE 64

struct qr {
  size_t width;        /* modules a side, without the margin */
  unsigned char *dark; /* width * width of them, row by row: 1 dark, 0 light */
};

#define QR_INIT ((struct qr){0})

/* Makes the code of a text, with correction level M (15 % may be lost). Kinds: usage for a text
 * that no code can hold, config where the library is not there. */
bool qr_make(struct qr *qr, const char *text, struct error *err);
void qr_free(struct qr *qr);

/* Adds the code to a buffer as a PNG: margin included, `scale` pixels a module (1 to
 * QR_MOST_SCALE). */
bool qr_png(const struct qr *qr, size_t scale, struct buffer *out, struct error *err);

#endif
