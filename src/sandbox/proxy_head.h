/* The head of a request to a forward proxy: read strictly, since anybody can send one, and
 * rewritten for the origin. */
#ifndef PROXYLUA_SANDBOX_PROXY_HEAD_H
#define PROXYLUA_SANDBOX_PROXY_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

#define PROXY_HEAD_OPEN INT64_MAX /* everything that follows belongs to this request */

struct proxy_head {
  bool connect;   /* CONNECT: a tunnel */
  bool keep;      /* the client expects another answer on this connection */
  char host[256]; /* without the brackets of an IPv6 literal */
  int port;
  bool credentials; /* user and password were given */
  char user[256], password[256];
  int64_t body;         /* bytes that follow the head, or PROXY_HEAD_OPEN */
  struct buffer origin; /* the head as the origin gets it; empty for CONNECT */
};

/* Reads a head of `size` bytes, its closing empty line included. 0, or the HTTP status that refuses
 * it. The caller frees `head->origin` in any case. */
int proxy_head_read(struct proxy_head *head, const char *text, size_t size);

#endif
