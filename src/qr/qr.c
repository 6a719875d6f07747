#include "qr/qr.h"

#include <errno.h>
#include <qrencode.h>
#include <stdlib.h>
#include <string.h>

#include "base/library.h"
#include "qr/png.h"

struct qrencode {
  __typeof__(&QRcode_encodeString) encode;
  __typeof__(&QRcode_free) release;
};

static bool open_library(struct qrencode *encoder, struct error *err)
{
  const struct library_function functions[] = {{"QRcode_encodeString", &encoder->encode, false},
                                               {"QRcode_free", &encoder->release, false}};
  const struct library library = {.user = "a QR code",
                                  .file = "libqrencode.so.4",
                                  .package = "libqrencode4",
                                  .functions = functions,
                                  .count = sizeof functions / sizeof functions[0]};
  return library_open(&library, err);
}

static bool fail(const char *text, struct error *err)
{
  if (errno == ENOMEM)
    error_set(err, ERROR_INTERNAL, "out of memory");
  else
    error_set(err, ERROR_USAGE, "a QR code cannot hold a text of %zu bytes", strlen(text));
  return false;
}

/* The lowest bit of a module of the library is its colour, the others say what it is for. */
static bool take(struct qr *qr, const QRcode *code, struct error *err)
{
  size_t count = (size_t)code->width * (size_t)code->width;
  qr->width = (size_t)code->width;
  qr->dark = malloc(count);
  if (!qr->dark) {
    error_set(err, ERROR_INTERNAL, "out of memory");
    return false;
  }
  for (size_t i = 0; i < count; i++) qr->dark[i] = code->data[i] & 1;
  return true;
}

bool qr_make(struct qr *qr, const char *text, struct error *err)
{
  struct qrencode encoder;
  *qr = QR_INIT;
  if (!open_library(&encoder, err)) return false;
  QRcode *code = encoder.encode(text, 0, QR_ECLEVEL_M, QR_MODE_8, 1);
  bool made = code ? take(qr, code, err) : fail(text, err);
  if (code) encoder.release(code);
  return made;
}

void qr_free(struct qr *qr)
{
  free(qr->dark);
  *qr = QR_INIT;
}

static bool is_dark(const struct qr *qr, size_t row, size_t column)
{
  row -= QR_MARGIN,
      column -= QR_MARGIN; /* in the margin before the code they wrap around to what is beyond it */
  return row < qr->width && column < qr->width && qr->dark[row * qr->width + column];
}

bool qr_png(const struct qr *qr, size_t scale, struct buffer *out, struct error *err)
{
  struct png png;
  size_t width = (qr->width + 2 * QR_MARGIN) * scale;
  if (!png_begin(&png, width, width)) goto out_of_memory;
  for (size_t y = 0; y < width; y++)
    for (size_t x = 0; x < width; x++)
      if (is_dark(qr, y / scale, x / scale)) png_blacken(&png, x, y);
  bool added = png_add(&png, out);
  png_end(&png);
  if (added) return true;
out_of_memory:
  error_set(err, ERROR_INTERNAL, "out of memory");
  return false;
}
