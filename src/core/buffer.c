#include "core/buffer.h"

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
