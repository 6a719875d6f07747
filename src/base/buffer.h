/* Bytes that grow: one allocation, doubled, bounded by the caller's limit. Every failure is a
 * return value. */
#ifndef PROXYLUA_BASE_BUFFER_H
#define PROXYLUA_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct buffer {
  char *data; /* NULL until something was added; always followed by a NUL that `size` does not count
               */
  size_t size;
  size_t capacity;
};

/* Makes room for `extra` more bytes and the closing NUL. False when memory is out. */
bool buffer_reserve(struct buffer *buffer, size_t extra);

bool buffer_add(struct buffer *buffer, const void *bytes, size_t size);
bool buffer_add_text(struct buffer *buffer, const char *text);
bool buffer_print(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds `text` as a JSON string with its quotes. Bytes that are not UTF-8 pass as they are. */
bool buffer_add_json(struct buffer *buffer, const char *text, size_t size);

/* Adds `text` with a ? for every byte that belongs to no UTF-8 character. */
bool buffer_add_utf8(struct buffer *buffer, const char *text, size_t size);

/* Whether a text is UTF-8 from end to end. */
bool buffer_is_utf8(const char *text, size_t size);

/* Frees the bytes; the buffer is empty and usable again. */
void buffer_free(struct buffer *buffer);

#endif
