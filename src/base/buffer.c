#include "base/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool buffer_reserve(struct buffer *buffer, size_t extra)
{
  if (extra >= SIZE_MAX - buffer->size) return false;
  size_t needed = buffer->size + extra + 1;
  if (needed <= buffer->capacity) return true;
  size_t capacity = buffer->capacity < SIZE_MAX / 2 ? buffer->capacity * 2 : needed;
  if (capacity < needed) capacity = needed < 64 ? 64 : needed;
  char *data = realloc(buffer->data, capacity);
  if (!data) return false;
  buffer->data = data;
  buffer->capacity = capacity;
  return true;
}

bool buffer_add(struct buffer *buffer, const void *bytes, size_t size)
{
  if (!buffer_reserve(buffer, size)) return false;
  if (size > 0) memcpy(buffer->data + buffer->size, bytes, size);
  buffer->size += size;
  buffer->data[buffer->size] = '\0';
  return true;
}

bool buffer_add_text(struct buffer *buffer, const char *text)
{
  return buffer_add(buffer, text, strlen(text));
}

bool buffer_print(struct buffer *buffer, const char *format, ...)
{
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int size = vsnprintf(NULL, 0, format, args);
  bool done = size >= 0 && buffer_reserve(buffer, (size_t)size);
  if (done) {
    vsnprintf(buffer->data + buffer->size, (size_t)size + 1, format, again);
    buffer->size += (size_t)size;
  }
  va_end(again);
  va_end(args);
  return done;
}

bool buffer_add_json(struct buffer *buffer, const char *text, size_t size)
{
  if (!buffer_reserve(buffer, size + 2) || !buffer_add(buffer, "\"", 1)) return false;
  size_t plain = 0;
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7F) continue;
    if (!buffer_add(buffer, text + plain, i - plain)) return false;
    plain = i + 1;
    static const char names[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *name = c ? strchr(names, c) : NULL;
    char letter[2] = {'\\', name ? letters[name - names] : 0};
    if (!(name ? buffer_add(buffer, letter, 2) : buffer_print(buffer, "\\u%04x", c))) return false;
  }
  return buffer_add(buffer, text + plain, size - plain) && buffer_add(buffer, "\"", 1);
}

void buffer_free(struct buffer *buffer)
{
  free(buffer->data);
  *buffer = (struct buffer){0};
}

/* The size of the UTF-8 character that a text begins with, 0 when there is none. */
static size_t character_size(const unsigned char *text, size_t left)
{
  unsigned char first = text[0];
  size_t size = first < 0x80   ? 1
                : first < 0xc2 ? 0
                : first < 0xe0 ? 2
                : first < 0xf0 ? 3
                : first < 0xf5 ? 4
                               : 0;
  if (size > left) return 0;
  for (size_t i = 1; i < size; i++)
    if ((text[i] & 0xc0) != 0x80) return 0;
  bool overlong = (first == 0xe0 && text[1] < 0xa0) || (first == 0xf0 && text[1] < 0x90);
  bool surrogate = first == 0xed && text[1] > 0x9f, beyond = first == 0xf4 && text[1] > 0x8f;
  return overlong || surrogate || beyond ? 0 : size;
}

bool buffer_is_utf8(const char *text, size_t size)
{
  size_t at = 0, step = 1;
  while (at < size && step > 0)
    at += step = character_size((const unsigned char *)text + at, size - at);
  return at == size;
}

bool buffer_add_utf8(struct buffer *buffer, const char *text, size_t size)
{
  bool ok = true;
  for (size_t at = 0, step = 1; at < size && ok; at += step) {
    size_t whole = character_size((const unsigned char *)text + at, size - at);
    step = whole > 0 ? whole : 1;
    ok = whole > 0 ? buffer_add(buffer, text + at, whole) : buffer_add(buffer, "?", 1);
  }
  return ok;
}
