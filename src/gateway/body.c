#include "gateway/body.h"

#define MAX_DIGITS 15
#define MAX_LINE 4096      /* of a chunk's size with its extensions */
#define MAX_TRAILERS 16384 /* in all */

enum state {
  SIZE,
  EXTENSION,
  SIZE_END,
  DATA,
  DATA_CR,
  DATA_LF,
  TRAILER,
  TRAILER_TEXT,
  LINE_END,
  END
};

void body_start(struct body *body, enum body_kind kind, int64_t length)
{
  *body = (struct body){.kind = kind, .state = SIZE, .left = kind == BODY_LENGTH ? length : 0};
  body->done = kind == BODY_NONE || (kind == BODY_LENGTH && length == 0);
}

static int digit_of(char c)
{
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static bool is_text(char c)
{
  return (unsigned char)c >= 0x20 ? c != 0x7F : c == '\t';
}

/* The state behind a byte of the line with a chunk's size; -1 for an invalid one. */
static int in_size(struct body *body, char c)
{
  int digit = digit_of(c);
  if (++body->line_size > MAX_LINE) return -1;
  if (body->state == SIZE && digit >= 0) {
    if (body->line_size > MAX_DIGITS) return -1;
    body->left = body->left * 16 + digit;
    return SIZE;
  }
  if (body->line_size == 1) return -1;
  if (body->state == SIZE_END) return c != '\n' ? -1 : body->left > 0 ? DATA : TRAILER;
  if (c == '\r') return SIZE_END;
  if (body->state == SIZE && c != ';' && c != ' ' && c != '\t') return -1;
  return is_text(c) ? EXTENSION : -1;
}

static int in_trailers(struct body *body, char c)
{
  if (++body->line_size > MAX_TRAILERS) return -1;
  if (body->state == END) return c == '\n' ? END : -1;
  if (body->state == LINE_END) return c == '\n' ? TRAILER : -1;
  if (c == '\r') return body->state == TRAILER ? END : LINE_END;
  return is_text(c) ? TRAILER_TEXT : -1;
}

static void next_state(struct body *body, char c)
{
  int before = body->state, state;
  if (before == DATA_CR)
    state = c == '\r' ? DATA_LF : -1;
  else if (before == DATA_LF)
    state = c == '\n' ? SIZE : -1;
  else
    state = before < DATA ? in_size(body, c) : in_trailers(body, c);
  if (before == DATA_LF || state == DATA || (state == TRAILER && before == SIZE_END))
    body->line_size = 0;
  body->bad = state < 0;
  body->done = before == END && state == END;
  body->state = state;
}

static size_t take_data(struct body *body, size_t size)
{
  if ((int64_t)size > body->left) size = (size_t)body->left;
  body->left -= (int64_t)size;
  return size;
}

size_t body_take(struct body *body, const char *bytes, size_t size)
{
  if (body->done || body->bad) return 0;
  if (body->kind == BODY_UNTIL_END) return size;
  if (body->kind == BODY_LENGTH) {
    size_t taken = take_data(body, size);
    body->done = body->left == 0;
    return taken;
  }
  size_t at = 0;
  while (at < size && !body->done && !body->bad) {
    if (body->state != DATA) {
      next_state(body, bytes[at++]);
      continue;
    }
    at += take_data(body, size - at);
    if (body->left == 0) body->state = DATA_CR;
  }
  return at;
}
