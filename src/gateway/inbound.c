#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/socks.h"
#include "gateway/state.h"

#define DRAINED 16 /* reads of what a client sends behind an error, in one go */

static void fill(struct conn *conn, size_t most)
{
  struct gateway *gateway = conn->gateway;
  if (!side_fill(&conn->client, most, gateway->scratch, SCRATCH)) conn_end(conn, true);
}

/* Takes the same time wherever two texts of one size differ. */
static bool same_text(const char *a, size_t size, const char *b)
{
  unsigned char different = 0;
  if (strlen(b) != size) return false;
  for (size_t i = 0; i < size; i++) different |= (unsigned char)(a[i] ^ b[i]);
  return different == 0;
}

/* Whether the user name and the password are those of a user; what follows the name asks for a
 * session and a country. */
static bool is_known(const struct conn *conn, size_t name_size)
{
  const struct proxy_head *head = &conn->head;
  const struct user *user = conn->gateway->users;
  bool known = !user;
  for (; user && head->credentials; user = user->next)
    if (same_text(head->user, name_size, user->name) &&
        same_text(head->password, strlen(head->password), user->password))
      known = true;
  return known;
}

/* 0, or the status that refuses it. */
static int authorize(struct conn *conn)
{
  struct user_parts parts;
  bool valid = choose_read_user(conn->head.credentials ? conn->head.user : "", &parts);
  if (!is_known(conn, parts.name_size)) return 407;
  memcpy(conn->country, parts.country, sizeof conn->country);
  return valid ? 0 : 400;
}

void inbound_close(struct conn *conn)
{
  conn->state = CLOSING;
  conn->deadline = 0;
  loop_timer_clear(conn->gateway->loop, &conn->timer);
  conn_wait(conn, conn->client.out.size > 0 ? conn->gateway->options.idle : LINGER_SECONDS);
}

static void refuse_socks(struct conn *conn, int status, const char *error)
{
  char reply[10] = {5, SOCKS_FAILED, 0, 1};
  if (conn->state < REQUEST) {
    conn_end(conn, false);
    return;
  }
  if (status == 403)
    reply[1] = SOCKS_NOT_ALLOWED;
  else if (strcmp(error, "connection_refused") == 0)
    reply[1] = SOCKS_REFUSED;
  else if (status == 502 || status == 504)
    reply[1] = SOCKS_UNREACHABLE;
  if (!side_send(&conn->client, reply, sizeof reply)) conn_end(conn, true);
  inbound_close(conn);
}

void inbound_refuse(struct conn *conn, int status, const char *error, const char *details)
{
  struct buffer out = {0};
  char quoted[600];
  if (conn->socks) {
    refuse_socks(conn, status, error);
    return;
  }
  snprintf(quoted, sizeof quoted, "%s", details);
  for (char *c = quoted; *c; c++)
    if (*c == '"' || *c == '\\' || (unsigned char)*c < 0x20) *c = '\'';
  bool ok = buffer_print(&out,
                         "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
                         "Content-Length: %zu\r\nConnection: close\r\n"
                         "Proxy-Status: proxylua; error=%s; details=\"%s\"\r\n%s\r\n",
                         status, proxy_head_phrase(status), strlen(quoted) + 19, error, quoted,
                         status == 407 ? "Proxy-Authenticate: Basic realm=\"proxylua\"\r\n" : "");
  if (!conn->head.without_body) ok = ok && buffer_print(&out, "proxylua gateway: %s\n", quoted);
  ok = ok && side_send(&conn->client, out.data, out.size);
  buffer_free(&out);
  if (!ok) conn_end(conn, true);
  inbound_close(conn);
}

static void refuse_head(struct conn *conn, int status)
{
  static const char expected[] =
      "expected CONNECT host:port, or an absolute http:// URL, in a valid request";
  conn->status = status;
  conn->gateway->totals.refused++;
  if (status == 407)
    inbound_refuse(conn, status, "http_request_denied", "user name or password is not accepted");
  else if (status == 431)
    inbound_refuse(conn, status, "http_request_error", "the head of the request is too large");
  else
    inbound_refuse(conn, status, "http_request_error", expected);
}

static void take_metrics(struct conn *conn, const char *text, size_t size)
{
  char path[64];
  const char *space = memchr(text, ' ', size), *end;
  size_t method = space ? (size_t)(space - text) : 0;
  end = space ? memchr(space + 1, ' ', size - method - 1) : NULL;
  if (!end || method != 3 || memcmp(text, "GET", 3) != 0) {
    inbound_refuse(conn, 405, "http_request_error", "GET /metrics, or GET /stats");
    return;
  }
  snprintf(path, sizeof path, "%.*s", (int)(end - space - 1), space + 1);
  /* A page of another origin may lead a browser here under a name of its own. */
  const char *host = memmem(text, size, "\r\nHost: ", 8);
  if (!host) host = memmem(text, size, "\r\nhost: ", 8);
  bool local = host && (strncmp(host + 8, "127.", 4) == 0 || strncmp(host + 8, "[::1]", 5) == 0 ||
                        strncmp(host + 8, "localhost", 9) == 0);
  if (local)
    report_metrics(conn, path);
  else
    inbound_refuse(conn, 403, "http_request_denied", "the host must be this machine");
}

static void take_head(struct conn *conn, const char *text, size_t size)
{
  if (conn->metrics) {
    take_metrics(conn, text, size);
    return;
  }
  buffer_free(&conn->head.origin);
  int status = proxy_head_read(&conn->head, text, size);
  if (status == 0) status = authorize(conn);
  queue_drop(&conn->client.in, size);
  if (status == 0)
    choose_begin(conn);
  else
    refuse_head(conn, status);
}

static void read_head(struct conn *conn)
{
  struct queue *in = &conn->client.in;
  if (!side_flush(&conn->client)) return; /* responses wait: no more requests until they are read */
  fill(conn, MAX_HEAD);
  while (in->size >= 2 && memcmp(queue_bytes(in), "\r\n", 2) == 0) queue_drop(in, 2);
  const char *end = in->size > 0 ? memmem(queue_bytes(in), in->size, "\r\n\r\n", 4) : NULL;
  if (end)
    take_head(conn, queue_bytes(in), (size_t)(end - queue_bytes(in)) + 4);
  else if (in->size >= MAX_HEAD)
    refuse_head(conn, 431);
  else if (in->size > 0 && memmem(queue_bytes(in), in->size, "\n\n", 2))
    refuse_head(conn, 400); /* lines that end in LF alone: the end that is waited for never comes */
  else if (conn->client.ended || conn->client.broken || (conn->gateway->draining && in->size == 0))
    conn_end(conn, false);
}

static void send_socks(struct conn *conn, char first, char second)
{
  char reply[2] = {first, second};
  if (!side_send(&conn->client, reply, sizeof reply)) conn_end(conn, true);
}

/* With a user name where the client has one, since it may name a session. */
static int take_greeting(struct conn *conn, const char *bytes, size_t size)
{
  bool without, with;
  int taken = socks_read_greeting(bytes, size, &without, &with);
  if (taken <= 0) return taken;
  if (!with && (!without || conn->gateway->users)) {
    send_socks(conn, 5, (char)0xFF);
    inbound_close(conn);
    return taken;
  }
  send_socks(conn, 5, with ? 2 : 0);
  conn->state = with ? LOGIN : REQUEST;
  return taken;
}

static int take_login(struct conn *conn, const char *bytes, size_t size)
{
  struct proxy_head *head = &conn->head;
  int taken = socks_read_login(bytes, size, head->user, head->password);
  if (taken <= 0) return taken;
  head->credentials = true;
  bool accepted = authorize(conn) == 0;
  send_socks(conn, 1, accepted ? 0 : 1);
  if (accepted)
    conn->state = REQUEST;
  else
    inbound_close(conn);
  return taken;
}

static int take_request(struct conn *conn, const char *bytes, size_t size)
{
  enum socks_reply refusal;
  struct proxy_head *head = &conn->head;
  int taken = socks_read_request(bytes, size, head->host, &head->port, &refusal);
  if (taken <= 0) return taken;
  head->connect = true;
  if (refusal != SOCKS_GRANTED) {
    char reply[10] = {5, (char)refusal, 0, 1};
    if (!side_send(&conn->client, reply, sizeof reply)) conn_end(conn, true);
    inbound_close(conn);
  }
  return taken;
}

static void read_socks(struct conn *conn)
{
  struct queue *in = &conn->client.in;
  enum state state = conn->state;
  fill(conn, SOCKS_MAX);
  const char *bytes = queue_bytes(in);
  int taken = state == GREETING ? take_greeting(conn, bytes, in->size)
              : state == LOGIN  ? take_login(conn, bytes, in->size)
                                : take_request(conn, bytes, in->size);
  if (taken < 0 || (taken == 0 && (conn->client.ended || conn->client.broken)))
    conn_end(conn, false);
  if (taken <= 0) return;
  queue_drop(in, (size_t)taken);
  if (state == REQUEST && conn->state == REQUEST) choose_begin(conn);
}

static void read_first(struct conn *conn)
{
  fill(conn, MAX_HEAD);
  if (conn->client.in.size > 0) {
    conn->socks = *queue_bytes(&conn->client.in) == 5;
    conn->state = conn->socks ? GREETING : HEAD;
  } else if (conn->client.ended || conn->client.broken || conn->gateway->draining) {
    conn_end(conn, false);
  }
}

/* What the client still sends is thrown away, lest a reset takes the error from it. */
static void finish_closing(struct conn *conn)
{
  struct side *client = &conn->client;
  char *scratch = conn->gateway->scratch;
  queue_free(&client->in);
  if (side_flush(client) && !client->shut) {
    side_shut(client);
    conn->deadline = 0;
    conn_wait(conn, LINGER_SECONDS);
  }
  for (int i = 0; i < DRAINED && side_read(client, scratch, SCRATCH) > 0; i++) continue;
  if (client->broken || (client->ended && client->shut)) conn_end(conn, false);
}

void inbound_step(struct conn *conn)
{
  if (conn->state == FIRST)
    read_first(conn);
  else if (conn->state == HEAD)
    read_head(conn);
  else if (conn->state == CLOSING)
    finish_closing(conn);
  else
    read_socks(conn);
}

bool inbound_is_idle(const struct conn *conn)
{
  return conn->state <= HEAD && conn->client.in.size == 0 && conn->client.out.size == 0;
}

void inbound_next(struct conn *conn)
{
  if (conn->tried) list_release(conn->gateway, conn->tried);
  conn->tried = NULL;
  conn->head_sent = conn->replied = conn->retried = conn->fresh = conn->reported = false;
  conn->status = 0;
  conn->error = NULL;
  conn->address[0] = '\0';
  conn->sent = conn->received = 0;
  conn->state = HEAD;
  conn_wait(conn, HEAD_SECONDS);
}

bool inbound_grant(struct conn *conn)
{
  static const char http[] = "HTTP/1.1 200 Connection established\r\n\r\n",
                    socks[10] = {5, SOCKS_GRANTED, 0, 1};
  conn->status = 200;
  conn->replied = true;
  bool ok = conn->socks ? side_send(&conn->client, socks, sizeof socks)
                        : side_send(&conn->client, http, sizeof http - 1);
  if (!ok) conn_end(conn, true);
  return ok;
}
