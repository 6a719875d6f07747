/* The head of a response that came through a proxy: read strictly, and rewritten for the client. */
#ifndef PROXYLUA_GATEWAY_REPLY_HEAD_H
#define PROXYLUA_GATEWAY_REPLY_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "gateway/body.h"

struct reply_head {
  int status;
  bool keep;   /* the connection can serve another request when the body has ended */
  bool pinned; /* its authentication belongs to the connection (NTLM, Negotiate) */
  enum body_kind kind;
  int64_t length;
  struct buffer out; /* the head for the client, without its end */
};

/* Reads a head of `size` bytes, its closing empty line included. `without_body`: the request was
 * HEAD; `upgrade`: it asked for an upgrade. False when it is not valid or memory is out. The caller
 * frees `head->out` in any case. */
bool reply_head_read(struct reply_head *head, const char *text, size_t size, bool without_body,
                     bool upgrade);

#endif
