/* Follows the body of an HTTP message through its bytes, to know where it ends. Chunks are read
 * strictly: what two programs could read differently is an error. */
#ifndef PROXYLUA_GATEWAY_BODY_H
#define PROXYLUA_GATEWAY_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum body_kind { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_UNTIL_END };

struct body {
  enum body_kind kind;
  int state;        /* inside of a chunk */
  int64_t left;     /* bytes of the body or of the chunk */
  size_t line_size; /* bytes of the current line, or of all trailers */
  bool done, bad;
};

/* `length`: for BODY_LENGTH. */
void body_start(struct body *body, enum body_kind kind, int64_t length);

/* How many of these bytes belong to the body. Sets `done` behind its last byte, and `bad` when the
 * chunks are not valid. */
size_t body_take(struct body *body, const char *bytes, size_t size);

#endif
