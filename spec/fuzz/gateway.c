/* Untrusted input of the gateway: heads of requests and responses, chunks, SOCKS messages,
 * rules and user names. `make fuzz` runs it with random changes of spec/fuzz/gateway/
 * (FUZZ='seconds'). Beside crashes it looks for heads that would be read differently at the other
 * end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/socks.h"
#include "gateway/state.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* What is sent on has no bare line ends, and one framing at most. */
static void check_written(const struct buffer *head)
{
  int framings = 0;
  for (size_t i = 0; i < head->size; i++) {
    char c = head->data[i];
    if (c == '\0' || (c == '\n' && (i == 0 || head->data[i - 1] != '\r'))) abort();
    if (c == '\r' && (i + 1 == head->size || head->data[i + 1] != '\n')) abort();
  }
  if (!head->data) return;
  for (const char *at = head->data; (at = strcasestr(at, "\ncontent-length:")); at++) framings |= 1;
  for (const char *at = head->data; (at = strcasestr(at, "\ntransfer-encoding:")); at++)
    framings |= 2;
  if (framings == 3) abort();
}

static void read_heads(const char *text, size_t size)
{
  struct proxy_head request;
  struct reply_head reply;
  if (proxy_head_read(&request, text, size) == 0) {
    check_written(&request.origin);
    if (request.port < 1 || request.port > 65535 || !*request.host) abort();
    if (!request.connect && request.path_at >= request.headers_at) abort();
  }
  buffer_free(&request.origin);
  if (reply_head_read(&reply, text, size, size & 1, size & 2)) check_written(&reply.out);
  buffer_free(&reply.out);
}

/* In one piece or byte by byte, a body ends at the same place. */
static void read_body(const char *text, size_t size)
{
  struct body whole, bytes;
  body_start(&whole, BODY_CHUNKED, 0);
  body_start(&bytes, BODY_CHUNKED, 0);
  size_t taken = body_take(&whole, text, size), count = 0;
  while (count < size && body_take(&bytes, text + count, 1) == 1) count++;
  if (taken != count || whole.done != bytes.done || whole.bad != bytes.bad) abort();
}

static void read_socks(const char *text, size_t size)
{
  bool without, with;
  char host[256], user[256], password[256], out[SOCKS_MAX];
  int port, reply, taken;
  enum socks_reply refusal;
  if (socks_read_greeting(text, size, &without, &with) > (int)size) abort();
  if (socks_read_login(text, size, user, password) > (int)size) abort();
  if (socks_read_reply(text, size, &reply) > (int)size) abort();
  taken = socks_read_request(text, size, host, &port, &refusal);
  if (taken > (int)size) abort();
  if (taken <= 0 || refusal != SOCKS_GRANTED) return;
  if (socks_write_request(out, host, port) > SOCKS_MAX) abort();
  if (socks4_write_request(out, host, port, "user") > SOCKS_MAX) abort();
}

static void read_texts(const char *text)
{
  struct rules rules = {0};
  struct user_parts parts;
  char host[256];
  snprintf(host, sizeof host, "%s", text);
  choose_read_user(text, &parts);
  rules_add(&rules, true, text);
  rules_refuse(&rules, host, 80);
  rules_free(&rules);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
  char *text = malloc(size + 1);
  if (!text) return 0;
  memcpy(text, data, size);
  text[size] = '\0';
  read_heads(text, size);
  read_body(text, size);
  read_socks(text, size);
  read_texts(text);
  free(text);
  return 0;
}
