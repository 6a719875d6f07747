#include <string.h>

#include "gateway/state.h"

#define RESPONSE_TIMES 3 /* the time for a proxy, until a response begins */
#define ROUNDS 16        /* reads before other connections have their turn */

static void on_again(void *arg)
{
  conn_advance(arg);
}

static void count(struct conn *conn, bool upwards, size_t size)
{
  struct proxy *proxy = conn->upstream->proxy;
  struct gateway_totals *totals = &conn->gateway->totals;
  *(upwards ? &conn->sent : &conn->received) += size;
  *(upwards ? &proxy->sent : &proxy->received) += size;
  *(upwards ? &totals->sent : &totals->received) += size;
}

static void out_of_memory(struct conn *conn)
{
  conn_end(conn, true);
}

/* Passes on bytes that were read before. The number that belonged to the body. */
static size_t pass_queued(struct side *from, struct side *to, struct body *body, bool *ok)
{
  const char *bytes = queue_bytes(&from->in);
  size_t size = body ? body_take(body, bytes, from->in.size) : from->in.size;
  *ok = side_send(to, bytes, size);
  queue_drop(&from->in, size);
  return size;
}

/* Reads and passes on at once; what the other side does not take waits there, and what does not
 * belong to the body here. */
static size_t pass_read(struct conn *conn, struct side *from, struct side *to, struct body *body,
                        bool *ok)
{
  char *bytes = conn->gateway->scratch;
  size_t read = side_read(from, bytes, SCRATCH);
  size_t size = body ? body_take(body, bytes, read) : read;
  *ok = side_send(to, bytes, size) && queue_add(&from->in, bytes + size, read - size);
  return size;
}

/* Moves bytes one way while both sides can. `body`: where they end; NULL: at the end. */
static void pump(struct conn *conn, struct side *from, struct side *to, struct body *body)
{
  bool moved = false;
  int round = 0;
  for (; round < ROUNDS && !(body && (body->done || body->bad)); round++) {
    bool ok = true;
    if (!side_flush(to) || to->broken) break;
    size_t size =
        from->in.size > 0 ? pass_queued(from, to, body, &ok) : pass_read(conn, from, to, body, &ok);
    if (!ok) {
      out_of_memory(conn);
      return;
    }
    if (size == 0) break;
    count(conn, from == &conn->client, size);
    moved = true;
  }
  side_flush(to);
  if (moved) conn_wait(conn, conn->gateway->options.idle);
  if (round == ROUNDS && !loop_timer_set(conn->gateway->loop, &conn->again, 0, on_again, conn))
    out_of_memory(conn);
}

/* The path becomes an absolute URL where the proxy reads the request itself. */
static bool write_request(const struct conn *conn, struct buffer *out)
{
  const struct proxy_head *head = &conn->head;
  const struct proxy *proxy = conn->upstream->proxy;
  const char *text = head->origin.data;
  bool absolute = proxy->protocol == GATEWAY_HTTP || proxy->protocol == GATEWAY_HTTPS, ok = true;
  ok = buffer_add(out, text, head->path_at);
  if (absolute) {
    const char *host = memmem(text, head->headers_at, "\r\nHost: ", 8);
    const char *from = host + 8, *end = text + head->headers_at - 2;
    ok = ok && buffer_add_text(out, "http://") && buffer_add(out, from, (size_t)(end - from));
  }
  ok = ok && buffer_add(out, text + head->path_at, head->headers_at - head->path_at);
  if (absolute && proxy->basic)
    ok = ok && buffer_print(out, "Proxy-Authorization: %s\r\n", proxy->basic);
  ok = ok && buffer_add(out, text + head->headers_at, head->origin.size - head->headers_at);
  return ok && buffer_add_text(out, head->upgrade ? "Connection: upgrade\r\n\r\n" : "\r\n");
}

void relay_begin_request(struct conn *conn)
{
  const struct proxy_head *head = &conn->head;
  struct buffer out = {0};
  conn->state = EXCHANGE;
  body_start(&conn->request_body, head->chunked ? BODY_CHUNKED : BODY_LENGTH, head->length);
  body_start(&conn->response_body, BODY_UNTIL_END, 0);
  conn->head_sent = true;
  conn->deadline = 0;
  loop_timer_clear(conn->gateway->loop, &conn->timer);
  conn_wait(conn, RESPONSE_TIMES * conn->gateway->options.timeout);
  bool ok = write_request(conn, &out) && side_send(&conn->upstream->side, out.data, out.size);
  if (ok) count(conn, true, out.size);
  buffer_free(&out);
  if (!ok) out_of_memory(conn);
}

void relay_begin_tunnel(struct conn *conn)
{
  conn->state = TUNNEL;
  buffer_free(&conn->head.origin);
  conn_wait(conn, conn->gateway->options.idle);
}

/* The head of the response, when it is complete. `size`: 0 while it is not. */
static bool read_reply(struct conn *conn, struct reply_head *reply, size_t *size)
{
  struct side *side = &conn->upstream->side;
  *size = 0;
  if (!side_fill(side, MAX_REPLY, conn->gateway->scratch, SCRATCH)) {
    out_of_memory(conn);
    return false;
  }
  const char *bytes = queue_bytes(&side->in);
  const char *end = bytes ? memmem(bytes, side->in.size, "\r\n\r\n", 4) : NULL;
  if (!end) {
    if (side->in.size >= MAX_REPLY)
      choose_failed(conn, "http_response_header_section_size", false,
                    "the head of the response is too large");
    else if (side->ended || side->broken)
      choose_failed(conn, "connection_terminated", true,
                    "the connection ended before a response came");
    return false;
  }
  *size = (size_t)(end - bytes) + 4;
  bool ok = reply_head_read(reply, bytes, *size, conn->head.without_body, conn->head.upgrade);
  if (ok && reply->kind == BODY_CHUNKED && !conn->head.modern) ok = false;
  if (!ok) {
    buffer_free(&reply->out);
    choose_failed(conn, "http_protocol_error", false, "the response is not valid HTTP");
  }
  return ok;
}

static bool send_reply(struct conn *conn, struct reply_head *reply)
{
  const char *end = reply->status == 101                         ? "Connection: upgrade\r\n\r\n"
                    : reply->status >= 200 && !conn->client_keep ? "Connection: close\r\n\r\n"
                                                                 : "\r\n";
  bool ok = buffer_add_text(&reply->out, end) &&
            side_send(&conn->client, reply->out.data, reply->out.size);
  if (ok) count(conn, false, reply->out.size);
  if (!ok) out_of_memory(conn);
  return ok;
}

/* True when the body of the response comes next, or another head. */
static bool take_reply(struct conn *conn, struct reply_head *reply, size_t size)
{
  if (reply->status == 407) {
    choose_failed(conn, "proxy_configuration_error", true,
                  "the proxy does not accept user name and password");
    return false;
  }
  queue_drop(&conn->upstream->side.in, size);
  conn->client_keep = conn->head.keep && reply->kind != BODY_UNTIL_END && conn->request_body.done &&
                      !conn->gateway->draining;
  conn->upstream_keep = reply->keep && conn->head.modern && conn->request_body.done;
  if (reply->status >= 200 || reply->status == 101) choose_worked(conn);
  if (!send_reply(conn, reply)) return false;
  if (reply->status == 101) {
    conn->status = 101;
    conn->replied = true;
    relay_begin_tunnel(conn);
    return false;
  }
  if (reply->status < 200) return true;
  conn->status = reply->status;
  conn->replied = true;
  body_start(&conn->response_body, reply->kind, reply->length);
  return true;
}

static bool read_replies(struct conn *conn)
{
  const struct upstream *upstream = conn->upstream;
  while (!conn->replied) {
    struct reply_head reply;
    size_t size;
    if (!read_reply(conn, &reply, &size)) return false;
    bool more = take_reply(conn, &reply, size);
    buffer_free(&reply.out);
    if (!more || conn->gone || conn->upstream != upstream) return false;
  }
  return true;
}

static void finish_request(struct conn *conn)
{
  report_request(conn);
  upstream_release(conn, conn->upstream_keep && conn->request_body.done, false);
  if (conn->client_keep)
    inbound_next(conn);
  else
    inbound_close(conn);
}

static void step_request(struct conn *conn)
{
  struct side *client = &conn->client, *side = &conn->upstream->side;
  if (client->hung || client->broken) {
    conn_end(conn, false);
    return;
  }
  pump(conn, client, side, &conn->request_body);
  if (conn->gone) return;
  if (conn->request_body.bad) {
    conn_fail(conn, 400, "http_request_error", "the chunks of the request are not valid");
    return;
  }
  if (!conn->request_body.done && client->ended && client->in.size == 0) {
    conn_end(conn, false);
    return;
  }
  if (!read_replies(conn) || conn->gone) return;
  pump(conn, side, client, &conn->response_body);
  if (conn->gone) return;
  bool ended = side->in.size == 0 && (side->ended || side->broken);
  if (conn->response_body.done ||
      (ended && conn->response_body.kind == BODY_UNTIL_END && !side->broken && !side->cut))
    finish_request(conn);
  else if (conn->response_body.bad || ended)
    conn_end(conn, true);
}

/* What one side has said completely is passed on, and then that there is no more. */
static void end_way(struct side *from, struct side *to)
{
  if (from->ended && from->in.size == 0 && side_flush(to)) side_shut(to);
}

static void step_tunnel(struct conn *conn)
{
  struct side *client = &conn->client, *side = &conn->upstream->side;
  pump(conn, client, side, NULL);
  if (!conn->gone) pump(conn, side, client, NULL);
  if (conn->gone) return;
  end_way(client, side);
  end_way(side, client);
  if (client->broken || side->broken)
    conn_end(conn, true);
  else if (client->shut && side->shut)
    conn_end(conn, false);
}

void relay_step(struct conn *conn)
{
  if (conn->state == TUNNEL)
    step_tunnel(conn);
  else
    step_request(conn);
}
