#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "gateway/socks.h"
#include "gateway/state.h"

/* The steps of LEADING with SOCKS 5; the other protocols have one. */
enum { CHOICE, LOGGED_IN, LED };

static void on_ready(void *arg, struct loop_events events)
{
  struct upstream *upstream = arg;
  side_ready(&upstream->side, events);
  if (upstream->conn)
    conn_advance(upstream->conn);
  else if (events.input || events.failed) /* closed, or a response to nothing */
    upstream_free(upstream, false);
}

void upstream_free(struct upstream *upstream, bool reset)
{
  struct gateway *gateway = upstream->gateway;
  if (!upstream->conn) {
    DL_DELETE(gateway->idle, upstream);
    gateway->idle_count--;
  }
  loop_timer_clear(gateway->loop, &upstream->timer);
  side_close(&upstream->side, gateway->loop, reset);
  upstream->proxy->open--;
  list_release(gateway, upstream->proxy);
  free(upstream);
}

static void on_idle_end(void *arg)
{
  upstream_free(arg, false);
}

static bool keep(struct upstream *upstream)
{
  struct gateway *gateway = upstream->gateway;
  const struct side *side = &upstream->side;
  if (gateway->draining || !upstream->proxy->listed) return false;
  if (side->ended || side->broken || side->hung || side->in.size > 0 || side->out.size > 0)
    return false;
  if (!loop_timer_set(gateway->loop, &upstream->timer, KEEP_SECONDS * INT64_C(1000000), on_idle_end,
                      upstream))
    return false;
  upstream->conn = NULL;
  DL_APPEND(gateway->idle, upstream);
  if (++gateway->idle_count > MAX_IDLE) upstream_free(gateway->idle, false);
  return true;
}

void upstream_release(struct conn *conn, bool reuse, bool reset)
{
  struct upstream *upstream = conn->upstream;
  if (conn->query) resolver_cancel(conn->query);
  conn->query = NULL;
  conn->upstream = NULL;
  if (upstream && !(reuse && keep(upstream))) upstream_free(upstream, reset);
}

static bool is_socks(const struct proxy *proxy)
{
  return proxy->protocol >= GATEWAY_SOCKS4;
}

static const char *target_of(const struct conn *conn)
{
  return *conn->address ? conn->address : conn->head.host;
}

/* What a connection leads to: with SOCKS and CONNECT the target itself. */
static void write_target(const struct conn *conn, const struct proxy *proxy, char out[MAX_TARGET])
{
  out[0] = '\0';
  if (conn->head.connect || is_socks(proxy))
    snprintf(out, MAX_TARGET, "%s %d", target_of(conn), conn->head.port);
}

/* A connection on which an earlier request ended. Only what can be repeated is sent over one, since
 * the proxy may close it at the same moment. */
static struct upstream *find_idle(const struct conn *conn, const struct proxy *proxy)
{
  const struct proxy_head *head = &conn->head;
  struct upstream *upstream;
  char target[MAX_TARGET];
  bool plain = head->safe && head->length == 0 && !head->chunked && !head->upgrade;
  if (head->connect || !plain || conn->fresh) return NULL;
  write_target(conn, proxy, target);
  DL_FOREACH(conn->gateway->idle, upstream)
  {
    if (upstream->proxy == proxy && strcmp(upstream->target, target) == 0) return upstream;
  }
  return NULL;
}

static void reuse(struct conn *conn, struct upstream *upstream)
{
  struct gateway *gateway = conn->gateway;
  DL_DELETE(gateway->idle, upstream);
  gateway->idle_count--;
  loop_timer_clear(gateway->loop, &upstream->timer);
  upstream->conn = conn;
  upstream->reused = true;
  conn->upstream = upstream;
  relay_begin_request(conn);
}

static void connect_next(struct conn *conn, int why);

static void on_addresses(void *arg, const struct resolver_result *result)
{
  struct conn *conn = arg;
  conn->query = NULL;
  conn->addresses = *result;
  if (result->count == 0)
    choose_failed(conn, "dns_error", true, "the name of the proxy has no address");
  else
    connect_next(conn, 0);
  conn_advance(conn);
}

void upstream_start(struct conn *conn, struct proxy *proxy)
{
  struct gateway *gateway = conn->gateway;
  struct upstream *upstream = find_idle(conn, proxy);
  conn->proxy_begun = loop_clock();
  if (upstream) {
    reuse(conn, upstream);
    return;
  }
  upstream = calloc(1, sizeof *upstream);
  if (!upstream) {
    conn_fail(conn, 503, "proxy_internal_error", "out of memory");
    return;
  }
  *upstream =
      (struct upstream){.gateway = gateway, .conn = conn, .proxy = proxy, .side.socket.fd = -1};
  list_hold(proxy);
  proxy->open++;
  write_target(conn, proxy, upstream->target);
  conn->upstream = upstream;
  conn->address_at = conn->step = 0;
  conn->state = LOOKUP;
  conn_wait(conn, gateway->options.timeout);
  if (resolver_know(gateway->resolver, proxy->host, &conn->addresses) &&
      conn->addresses.count > 0) {
    connect_next(conn, 0);
    return;
  }
  conn->query = resolver_ask(gateway->resolver, proxy->host, on_addresses, conn);
  if (!conn->query) conn_fail(conn, 503, "proxy_internal_error", "names cannot be looked up");
}

/* An errno, or 0 when the connection is under way. */
static int begin_connect(struct conn *conn, struct sockaddr_storage *address)
{
  struct upstream *upstream = conn->upstream;
  bool six = address->ss_family == AF_INET6;
  socklen_t size = six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
  int yes = 1, fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  if (six)
    ((struct sockaddr_in6 *)address)->sin6_port = htons((uint16_t)upstream->proxy->port);
  else
    ((struct sockaddr_in *)address)->sin_port = htons((uint16_t)upstream->proxy->port);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
  if (connect(fd, (struct sockaddr *)address, size) != 0 && errno != EINPROGRESS) {
    int why = errno;
    close(fd);
    return why;
  }
  side_close(&upstream->side, conn->gateway->loop, false);
  if (side_open(&upstream->side, conn->gateway->loop, fd, on_ready, upstream)) return 0;
  return ENOMEM;
}

static void connect_next(struct conn *conn, int why)
{
  conn->state = CONNECTING;
  while (conn->address_at < conn->addresses.count) {
    why = begin_connect(conn, &conn->addresses.address[conn->address_at++]);
    if (why == 0) return;
    if (why == EMFILE || why == ENFILE || why == ENOBUFS || why == ENOMEM) {
      conn_fail(conn, 503, "connection_limit_reached", "out of descriptors or memory");
      return;
    }
  }
  char details[128];
  snprintf(details, sizeof details, "cannot connect: %s", strerror(why));
  choose_failed(conn, why == ECONNREFUSED ? "connection_refused" : "destination_ip_unroutable",
                true, details);
}

static void failed_with(struct conn *conn, int reply)
{
  static const struct {
    int reply;
    const char *error, *details;
  } words[] = {{1, "proxy_internal_error", "the proxy reports a general failure"},
               {2, "http_request_denied", "the rules of the proxy do not allow this target"},
               {3, "destination_ip_unroutable", "the proxy cannot reach the target's network"},
               {4, "destination_ip_unroutable", "the proxy cannot reach the target"},
               {5, "connection_refused", "the target refused the connection"},
               {91, "proxy_internal_error", "the proxy rejected the request"},
               {92, "proxy_internal_error", "the proxy rejected the request (identd)"},
               {93, "proxy_internal_error", "the proxy rejected the user"}};
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    if (words[i].reply == reply) {
      choose_failed(conn, words[i].error, false, words[i].details);
      return;
    }
  choose_failed(conn, "proxy_internal_error", false, "the proxy reports an unknown failure");
}

static void send_text(struct conn *conn, const void *bytes, size_t size)
{
  if (!side_send(&conn->upstream->side, bytes, size))
    conn_fail(conn, 503, "proxy_internal_error", "out of memory");
}

static void send_connect(struct conn *conn)
{
  const struct proxy *proxy = conn->upstream->proxy;
  const char *host = target_of(conn);
  bool six = strchr(host, ':') != NULL;
  struct buffer out = {0};
  char place[MAX_TARGET + 4];
  snprintf(place, sizeof place, "%s%s%s:%d", six ? "[" : "", host, six ? "]" : "", conn->head.port);
  bool ok = buffer_print(&out, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", place, place);
  if (proxy->basic) ok = ok && buffer_print(&out, "Proxy-Authorization: %s\r\n", proxy->basic);
  ok = ok && buffer_add_text(&out, "\r\n") && side_send(&conn->upstream->side, out.data, out.size);
  buffer_free(&out);
  if (!ok) conn_fail(conn, 503, "proxy_internal_error", "out of memory");
}

static void send_socks_request(struct conn *conn)
{
  const struct proxy *proxy = conn->upstream->proxy;
  char out[SOCKS_MAX];
  size_t size = proxy->protocol == GATEWAY_SOCKS5
                    ? socks_write_request(out, target_of(conn), conn->head.port)
                    : socks4_write_request(out, target_of(conn), conn->head.port,
                                           proxy->user ? proxy->user : "");
  conn->step = LED;
  if (size > 0)
    send_text(conn, out, size);
  else
    choose_failed(conn, "proxy_configuration_error", false, "SOCKS 4 has no IPv6 addresses");
}

/* The connection stands: leads it to the target where that takes a message. */
static void lead(struct conn *conn)
{
  static const char greetings[] = {5, 1, 0, 5, 2, 0, 2};
  const struct proxy *proxy = conn->upstream->proxy;
  if (!conn->head.connect && !is_socks(proxy)) {
    relay_begin_request(conn);
    return;
  }
  conn->state = LEADING;
  if (!is_socks(proxy)) {
    send_connect(conn);
  } else if (proxy->protocol == GATEWAY_SOCKS5) {
    conn->step = CHOICE;
    send_text(conn, greetings + (proxy->user ? 3 : 0), proxy->user ? 4 : 3);
  } else {
    send_socks_request(conn);
  }
}

static void begin_tls(struct conn *conn)
{
  struct gateway *gateway = conn->gateway;
  struct upstream *upstream = conn->upstream;
  struct error err = ERROR_INIT;
  conn->state = SECURING;
  error_set(&err, ERROR_INTERNAL, "out of memory");
  if (!gateway->tls) gateway->tls = tls_open(gateway->options.ca_file, &err);
  if (gateway->tls)
    upstream->side.tls = tls_start(gateway->tls, upstream->side.socket.fd, upstream->proxy->host);
  if (!upstream->side.tls) choose_failed(conn, "tls_protocol_error", false, err.message);
}

static void finish_connecting(struct conn *conn)
{
  struct upstream *upstream = conn->upstream;
  struct side *side = &upstream->side;
  int why = 0;
  socklen_t size = sizeof why;
  if (!side->writable && !side->hung) return;
  getsockopt(side->socket.fd, SOL_SOCKET, SO_ERROR, &why, &size);
  if (why != 0) {
    connect_next(conn, why);
  } else if (upstream->proxy->protocol == GATEWAY_HTTPS) {
    begin_tls(conn);
  } else {
    lead(conn);
  }
}

static void secure(struct conn *conn)
{
  const char *why;
  char details[200];
  enum tls_result result = tls_connect(conn->upstream->side.tls, &why);
  if (result == TLS_WAIT) return;
  if (result == TLS_DONE) {
    lead(conn);
    return;
  }
  snprintf(details, sizeof details, "TLS fails: %s", why);
  choose_failed(conn, result == TLS_CERTIFICATE ? "tls_certificate_error" : "tls_protocol_error",
                true, details);
}

static void led(struct conn *conn)
{
  if (!conn->head.connect) {
    relay_begin_request(conn);
    return;
  }
  choose_worked(conn);
  if (inbound_grant(conn)) relay_begin_tunnel(conn);
}

static void read_connect(struct conn *conn)
{
  struct queue *in = &conn->upstream->side.in;
  const char *end = in->size > 0 ? memmem(queue_bytes(in), in->size, "\r\n\r\n", 4) : NULL;
  struct reply_head head;
  if (!end) {
    if (in->size >= MAX_REPLY)
      choose_failed(conn, "http_protocol_error", true, "the response of the proxy is too large");
    return;
  }
  size_t size = (size_t)(end - queue_bytes(in)) + 4;
  bool ok = reply_head_read(&head, queue_bytes(in), size, true, false);
  buffer_free(&head.out);
  char details[64];
  snprintf(details, sizeof details, "the proxy refused CONNECT with status %d", head.status);
  if (!ok) {
    choose_failed(conn, "http_protocol_error", true, "the response of the proxy is not valid");
  } else if (head.status / 100 == 2) {
    queue_drop(in, size);
    led(conn);
  } else if (head.status == 407 || head.status == 401) {
    choose_failed(conn, "proxy_configuration_error", true,
                  "the proxy does not accept user name and password");
  } else if (head.status / 100 == 1) {
    queue_drop(in, size);
    read_connect(conn);
  } else {
    choose_failed(conn, head.status / 100 == 4 ? "http_request_denied" : "proxy_internal_error",
                  false, details);
  }
}

static void send_login(struct conn *conn)
{
  const struct proxy *proxy = conn->upstream->proxy;
  char out[SOCKS_MAX];
  size_t size = socks_write_login(out, proxy->user, proxy->password ? proxy->password : "");
  conn->step = LOGGED_IN;
  if (size > 0)
    send_text(conn, out, size);
  else
    choose_failed(conn, "proxy_configuration_error", true,
                  "user name or password is too long for SOCKS 5");
}

/* The two bytes that choose how to log in, or say how that went. */
static void read_socks_login(struct conn *conn)
{
  struct queue *in = &conn->upstream->side.in;
  const struct proxy *proxy = conn->upstream->proxy;
  if (in->size < 2) return;
  const char *bytes = queue_bytes(in), first = bytes[0], second = bytes[1];
  queue_drop(in, 2);
  if (conn->step == CHOICE && first != 5)
    choose_failed(conn, "proxy_internal_error", true, "the proxy does not speak SOCKS 5");
  else if (conn->step == CHOICE && second == 2 && proxy->user)
    send_login(conn);
  else if (second == 0)
    send_socks_request(conn);
  else
    choose_failed(conn, "proxy_configuration_error", true,
                  "the proxy does not accept user name and password");
}

static void read_socks_reply(struct conn *conn)
{
  struct queue *in = &conn->upstream->side.in;
  int reply = 0, size = socks_read_reply(queue_bytes(in), in->size, &reply);
  if (size < 0) {
    choose_failed(conn, "proxy_internal_error", true, "the response of the proxy is not valid");
  } else if (size > 0 && reply != 0) {
    failed_with(conn, reply);
  } else if (size > 0) {
    queue_drop(in, (size_t)size);
    led(conn);
  }
}

static void read_reply(struct conn *conn)
{
  struct gateway *gateway = conn->gateway;
  const struct upstream *upstream = conn->upstream;
  struct side *side = &conn->upstream->side;
  int step;
  side_flush(side);
  if (!side_fill(side, MAX_REPLY, gateway->scratch, SCRATCH)) {
    conn_fail(conn, 503, "proxy_internal_error", "out of memory");
    return;
  }
  do {
    step = conn->step;
    if (!is_socks(upstream->proxy))
      read_connect(conn);
    else if (conn->step < LED)
      read_socks_login(conn);
    else
      read_socks_reply(conn);
  } while (conn->upstream == upstream && conn->state == LEADING && conn->step != step);
  if (conn->upstream == upstream && conn->state == LEADING && (side->ended || side->broken))
    choose_failed(conn, "connection_terminated", true,
                  "the proxy closed the connection before it led to the target");
}

void upstream_step(struct conn *conn)
{
  if (conn->client.hung)
    conn_end(conn, false);
  else if (conn->state == CONNECTING)
    finish_connecting(conn);
  else if (conn->state == SECURING)
    secure(conn);
  else if (conn->state == LEADING)
    read_reply(conn);
}
