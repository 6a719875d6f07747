/* Lua patterns in linear time: single-character classes with the repetitions * + - ? and the
 * anchors ^ and $. Captures, %b, %f and back references are refused. */
#ifndef PROXYLUA_BASE_PATTERN_H
#define PROXYLUA_BASE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATTERN_MAX_ITEMS 63

/* State i is active when the items before i have matched. One bit a state. */
struct pattern {
  uint64_t accepts[256]; /* states whose item takes this byte */
  uint64_t repeats;      /* states that stay active after their item has matched */
  uint64_t optional;     /* states that may be skipped */
  int items;
  bool anchored, to_end;
};

/* Compiles `size` bytes of text. NULL, or why the pattern is refused (a static string). */
const char *pattern_compile(struct pattern *pattern, const char *text, size_t size);

/* Whether the pattern matches somewhere in `size` bytes. Takes time proportional to size. */
bool pattern_matches(const struct pattern *pattern, const char *bytes, size_t size);

#endif
