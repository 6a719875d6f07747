/* The head of a request to a forward proxy: read strictly, since anybody can send one, and
 * rewritten for the origin. */
#ifndef PROXYLUA_NET_PROXY_HEAD_H
#define PROXYLUA_NET_PROXY_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

#define PROXY_HEAD_OPEN INT64_MAX /* everything that follows belongs to this request */

struct proxy_head {
  bool connect;      /* CONNECT: a tunnel */
  bool modern;       /* HTTP/1.1 */
  bool keep;         /* the client expects another response on this connection */
  bool safe;         /* GET or HEAD */
  bool without_body; /* HEAD: the response has no body */
  bool upgrade;      /* to WebSocket, which a response of 101 begins */
  bool chunked;      /* the body is in chunks */
  char host[256];    /* without the brackets of an IPv6 literal */
  int port;
  bool credentials; /* user and password were given */
  char user[256], password[256];
  int64_t length;       /* Content-Length; 0 without */
  int64_t body;         /* bytes that follow the head, or PROXY_HEAD_OPEN */
  struct buffer origin; /* the head as the origin gets it, without its end; empty for CONNECT */
  const char *end;      /* ends that head for a caller who does not follow chunks */
  size_t path_at;       /* where the path begins in `origin` */
  size_t headers_at;    /* where the headers begin that come after Host */
};

/* Reads a head of `size` bytes, its closing empty line included. Headers of this hop are left out.
 * 0, or the HTTP status that refuses it. The caller frees `head->origin` in any case. */
int proxy_head_read(struct proxy_head *head, const char *text, size_t size);

/* The words behind the status of a response to a client, such as "Bad Gateway". */
const char *proxy_head_phrase(int status);

#endif
