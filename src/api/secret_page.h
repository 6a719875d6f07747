/* How a key gets into its locked page: the sources (secret_source.c) write straight into it, so no
 * other buffer ever holds the key. Private to secret*.c. */
#ifndef PROXYLUA_API_SECRET_PAGE_H
#define PROXYLUA_API_SECRET_PAGE_H

#include <stddef.h>

#include "base/error.h"

#define SECRET_MIN 8
#define SECRET_MAX 512

/* Room for more than a key, so that one that is too long is seen as such. */
struct secret {
  size_t size;
  char text[4096 - sizeof(size_t)];
};

/* An empty page. NULL when memory is out. */
struct secret *secret_page_open(struct error *err);

/* Checks the secret->size bytes that were read and makes a key of them; closes the page when they
 * are none. `origin` says in the message where they came from. */
struct secret *secret_page_finish(struct secret *secret, const char *origin, struct error *err);

#endif
