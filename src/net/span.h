/* Parts of a message's head. Nothing here is terminated by a NUL. */
#ifndef PROXYLUA_NET_SPAN_H
#define PROXYLUA_NET_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
  const char *at;
  size_t size;
};

/* Whether the span is this word, in any case. */
bool span_is(struct span span, const char *word);
bool span_same(struct span a, struct span b);

/* Without the blanks at both ends. */
struct span span_trim(struct span span);

/* Cuts off and returns what comes before the separator; all of it when there is none. */
struct span span_cut(struct span *rest, char separator);

/* A token of RFC 9110, such as the name of a header. */
bool span_is_token(struct span span);

/* Without control characters but tabs. */
bool span_is_text(struct span span);

/* Digits only; -1 when it is not a number from 0 to `max`. */
int64_t span_number(struct span span, int64_t max);

/* Whether a list of words with commas has this one, in any case. */
bool span_lists(struct span list, struct span word);

/* host, host:port or [address]:port, with `port` where there is none. The host is written without
 * brackets and ends with a NUL. False for what cannot be one. */
bool span_authority(struct span authority, char *host, size_t room, int *port);

#endif
