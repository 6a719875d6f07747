#include "sandbox/forward_proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/proxy_head.h"

#define MAX_RELAYS 20000
#define MAX_HEAD 16384
#define MAX_QUEUED \
  262144 /* bytes that wait to be written to one side: then the other side is not read */
#define LOW_QUEUED 65536 /* ... and here it is read again */
#define HEAD_SECONDS 60
#define CONNECT_SECONDS 10
#define IDLE_SECONDS 120
#define LINGER_SECONDS 5

/* READING: the head of a request is missing or incomplete. PAUSED: a fault delays the connection.
 * RELAYING: bytes pass both ways; after the current request's body and the first bytes of its
 * response another head may follow. The end of a response is not known here, so pipelining to
 * several origins is not supported. CLOSING: the proxy's own response was the last; further input
 * is discarded, so that a reset does not destroy the response. */
enum relay_state { READING, PAUSED, CONNECTING, RELAYING, CLOSING };

struct relay {
  struct forward_proxy *proxy;
  enum relay_state state;
  struct bufferevent *client, *origin; /* origin: NULL until the first request */
  struct event *timer;
  struct proxy_head head;       /* of the current request */
  struct rules_exit way;        /* of the current request */
  struct rules_exit origin_way; /* what the origin's connection was made for */
  char origin_host[256];
  int origin_port;
  bool tunnel;
  bool responded;                /* the response to the current request has begun */
  bool active;                   /* bytes came since the timer was set */
  bool client_done, origin_done; /* has sent its last byte */
  bool client_shut, origin_shut; /* the end of input was passed on to it */
  struct relay *next, *previous;
};

struct forward_proxy {
  struct event_base *base;
  struct rules *rules;
  struct evconnlistener *listeners[RULES_PORTS];
  struct relay *relays;
  int count;
};

static void relay_free(struct relay *r)
{
  buffer_free(&r->head.origin);
  if (r->client) bufferevent_free(r->client);
  if (r->origin) bufferevent_free(r->origin);
  if (r->timer) event_free(r->timer);
  if (r->next) r->next->previous = r->previous;
  if (r->previous)
    r->previous->next = r->next;
  else
    r->proxy->relays = r->next;
  r->proxy->count--;
  free(r);
}

static void arm(struct relay *r, double seconds)
{
  struct timeval time = {.tv_sec = (time_t)seconds};
  time.tv_usec = (suseconds_t)((seconds - (double)time.tv_sec) * 1e6);
  r->active = false;
  event_add(r->timer, &time);
}

static size_t unread(struct bufferevent *side)
{
  return evbuffer_get_length(bufferevent_get_input(side));
}

static size_t unsent(struct bufferevent *side)
{
  return evbuffer_get_length(bufferevent_get_output(side));
}

static void send_response(struct relay *r, int status, const char *text, bool keep)
{
  evbuffer_add_printf(
      bufferevent_get_output(r->client),
      "HTTP/1.1 %d %s\r\n%sContent-Type: text/plain\r\nContent-Length: %zu\r\n%s\r\n%s\n", status,
      proxy_head_phrase(status),
      status == 407 ? "Proxy-Authenticate: Basic realm=\"proxylua sandbox\"\r\n" : "",
      strlen(text) + 1, keep ? "" : "Connection: close\r\n", text);
}

static void refuse(struct relay *r, int status, const char *text)
{
  send_response(r, status, text, false);
  if (r->origin) bufferevent_free(r->origin);
  r->origin = NULL;
  r->state = CLOSING;
  arm(r, LINGER_SECONDS);
}

/* Loopback addresses and the name localhost; nothing is looked up. */
static bool resolve(const char *host, int port, struct sockaddr_storage *to, socklen_t *size)
{
  struct sockaddr_in *v4 = (struct sockaddr_in *)to;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;
  memset(to, 0, sizeof *to);
  if (strcasecmp(host, "localhost") == 0) host = "127.0.0.1";
  if (inet_pton(AF_INET, host, &v4->sin_addr) == 1 && ntohl(v4->sin_addr.s_addr) >> 24 == 127) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    *size = sizeof *v4;
    return true;
  }
  if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr)) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    *size = sizeof *v6;
    return true;
  }
  return false;
}

/* A socket that leaves from the proxy's own address; IPv6 has but one loopback address. */
static int exit_socket(int family, const char *address)
{
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), yes = 1;
  if (fd < 0) return -1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (family != AF_INET) return fd;
  struct sockaddr_in from = {.sin_family = AF_INET};
  inet_pton(AF_INET, address, &from.sin_addr);
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
  if (bind(fd, (struct sockaddr *)&from, sizeof from) == 0) return fd;
  close(fd);
  return -1;
}

static void on_client_read(struct bufferevent *side, void *arg);
static void on_origin_read(struct bufferevent *side, void *arg);
static void on_written(struct bufferevent *side, void *arg);
static void on_client_event(struct bufferevent *side, short what, void *arg);
static void on_origin_event(struct bufferevent *side, short what, void *arg);

static void set_up(struct bufferevent *side, bufferevent_data_cb read, bufferevent_event_cb event,
                   struct relay *r)
{
  bufferevent_setcb(side, read, on_written, event, r);
  bufferevent_setwatermark(side, EV_READ, 0, MAX_QUEUED);
  bufferevent_setwatermark(side, EV_WRITE, LOW_QUEUED, 0);
  bufferevent_enable(side, EV_READ | EV_WRITE);
}

static void connect_origin(struct relay *r)
{
  struct sockaddr_storage to;
  socklen_t size;
  if (!resolve(r->head.host, r->head.port, &to, &size)) {
    refuse(r, 403, "This proxy forwards to loopback addresses only.");
    return;
  }
  int fd = exit_socket(to.ss_family, r->way.address);
  r->origin = fd < 0 ? NULL : bufferevent_socket_new(r->proxy->base, fd, BEV_OPT_CLOSE_ON_FREE);
  if (!r->origin) {
    if (fd >= 0) close(fd);
    refuse(r, 503, "This proxy is out of sockets.");
    return;
  }
  r->state = CONNECTING;
  r->origin_done = r->origin_shut = false;
  r->origin_way = r->way;
  r->origin_port = r->head.port;
  memcpy(r->origin_host, r->head.host, sizeof r->origin_host);
  set_up(r->origin, on_origin_read, on_origin_event, r);
  arm(r, CONNECT_SECONDS);
  if (bufferevent_socket_connect(r->origin, (struct sockaddr *)&to, (int)size) != 0)
    refuse(r, 502, "This proxy cannot connect to the origin.");
}

static void start_relaying(struct relay *r)
{
  r->state = RELAYING;
  r->tunnel = r->head.connect;
  r->responded = false;
  arm(r, IDLE_SECONDS);
  if (r->head.connect) {
    bufferevent_write(r->client, "HTTP/1.1 200 Connection established\r\n\r\n", 39);
  } else {
    bufferevent_write(r->origin, r->head.origin.data, r->head.origin.size);
    bufferevent_write(r->origin, r->head.end, strlen(r->head.end));
    buffer_free(&r->head.origin);
  }
}

/* The last request's connection serves this one too when it leads to the same place by the same
 * way. */
static bool fits(const struct relay *r)
{
  return r->origin && !r->origin_done && !r->head.connect && r->origin_port == r->head.port &&
         strcmp(r->origin_host, r->head.host) == 0 &&
         strcmp(r->origin_way.address, r->way.address) == 0;
}

static void go(struct relay *r)
{
  if (fits(r)) {
    start_relaying(r);
    return;
  }
  if (r->origin) {
    bufferevent_write_buffer(r->client, bufferevent_get_input(r->origin));
    bufferevent_free(r->origin);
    r->origin = NULL;
  }
  connect_origin(r);
}

static void ask_for_credentials(struct relay *r)
{
  static const char text[] = "Credentials of an active order are needed.";
  if (!r->head.keep || (!r->head.connect && r->head.body > 0)) {
    refuse(r, 407, text);
    return;
  }
  send_response(r, 407, text, true);
  r->state = READING;
  r->head.body = 0;
  arm(r, HEAD_SECONDS);
}

static bool allowed(struct relay *r)
{
  char target[sizeof r->head.host + 8];
  snprintf(target, sizeof target, "%s:%d", r->head.host, r->head.port);
  return r->head.credentials &&
         rules_authorize(r->proxy->rules, r->head.user, r->head.password, target, &r->way);
}

static void take_head(struct relay *r, const char *text, size_t size)
{
  buffer_free(&r->head.origin);
  int status = proxy_head_read(&r->head, text, size);
  if (status != 0) {
    refuse(r, status,
           "This is a forward proxy: it takes CONNECT host:port and absolute http:// addresses.");
  } else if (!allowed(r)) {
    ask_for_credentials(r);
  } else if (r->way.cut) {
    r->client_done = true;
    r->state = CLOSING;
  } else if (r->way.status != 0) {
    refuse(r, r->way.status, "A fault that the sandbox's settings ask for.");
  } else if (r->way.delay > 0) {
    r->state = PAUSED;
    arm(r, r->way.delay);
  } else {
    go(r);
  }
}

/* False when there is no whole head yet, or never will be. */
static bool read_head(struct relay *r)
{
  struct evbuffer *input = bufferevent_get_input(r->client);
  struct evbuffer_ptr end = evbuffer_search(input, "\r\n\r\n", 4, NULL);
  size_t size = end.pos < 0 ? evbuffer_get_length(input) : (size_t)end.pos + 4;
  if (size > MAX_HEAD) {
    refuse(r, 431, "The head of the request is too large.");
    return false;
  }
  if (end.pos < 0) return false;
  const char *text = (const char *)evbuffer_pullup(input, (ev_ssize_t)size);
  if (!text) {
    refuse(r, 503, "Out of memory.");
    return false;
  }
  take_head(r, text, size);
  evbuffer_drain(input, size);
  return true;
}

/* Moves what there is room for, at most `limit` bytes. */
static size_t move(struct bufferevent *from, struct bufferevent *to, int64_t limit)
{
  size_t queued = unsent(to), size = unread(from);
  size_t room = queued < MAX_QUEUED ? MAX_QUEUED - queued : 0;
  if (size > room) size = room;
  if (limit < (int64_t)size) size = (size_t)limit;
  if (size > 0)
    evbuffer_remove_buffer(bufferevent_get_input(from), bufferevent_get_output(to), size);
  return size;
}

static void move_both(struct relay *r)
{
  if (move(r->origin, r->client, INT64_MAX) > 0) r->responded = true;
  size_t size = move(r->client, r->origin, r->head.body);
  if (r->head.body != PROXY_HEAD_OPEN) r->head.body -= (int64_t)size;
}

static void shut(struct bufferevent *side, bool *done)
{
  *done = true;
  shutdown(bufferevent_getfd(side), SHUT_WR);
}

/* Passes on that one side has ended, when the other has got everything. False when the relay has
 * ended with it. */
static bool settle_relaying(struct relay *r)
{
  bool all_sent = r->origin_done && unread(r->origin) == 0 && unsent(r->client) == 0;
  bool all_asked =
      r->client_done && (unread(r->client) == 0 || r->head.body == 0) && unsent(r->origin) == 0;
  if (all_sent && (!r->tunnel || all_asked)) return false;
  if (all_sent && !r->client_shut) shut(r->client, &r->client_shut);
  if (all_asked && !r->origin_shut) shut(r->origin, &r->origin_shut);
  return true;
}

/* The proxy's own response is being sent: the relay ends when the client has received it. */
static bool settle_closing(struct relay *r)
{
  evbuffer_drain(bufferevent_get_input(r->client), unread(r->client));
  if (unsent(r->client) > 0) return true;
  if (!r->client_shut) shut(r->client, &r->client_shut);
  return !r->client_done;
}

/* False when the relay has ended. */
static bool settle(struct relay *r)
{
  switch (r->state) {
    case READING:
      return !r->client_done || unsent(r->client) > 0;
    case RELAYING:
      return settle_relaying(r);
    case CLOSING:
      return settle_closing(r);
    default:
      return true;
  }
}

/* Continues the relay as far as possible. The relay may be freed afterwards. */
static void advance(struct relay *r)
{
  bool again = true;
  while (again) {
    if (r->state == RELAYING) move_both(r);
    bool due = r->state == READING || (r->state == RELAYING && r->head.body == 0 && r->responded);
    again = due && unread(r->client) > 0 && read_head(r);
  }
  if (!settle(r)) relay_free(r);
}

static void on_client_read(struct bufferevent *side, void *arg)
{
  (void)side;
  struct relay *r = arg;
  r->active = true;
  advance(r);
}

static void on_origin_read(struct bufferevent *side, void *arg)
{
  on_client_read(side, arg);
}

static void on_written(struct bufferevent *side, void *arg)
{
  on_client_read(side, arg);
}

static void on_client_event(struct bufferevent *side, short what, void *arg)
{
  (void)side;
  struct relay *r = arg;
  if (what & BEV_EVENT_ERROR) {
    relay_free(r);
    return;
  }
  r->client_done = true;
  advance(r);
}

static void on_origin_event(struct bufferevent *side, short what, void *arg)
{
  (void)side;
  struct relay *r = arg;
  if (what & BEV_EVENT_CONNECTED) {
    start_relaying(r);
  } else if (r->state == CONNECTING) {
    refuse(r, 502, "This proxy cannot connect to the origin.");
  } else {
    r->origin_done = true;
    if (what & BEV_EVENT_ERROR)
      r->tunnel = false; /* then there is nothing to wait for but what is left to send */
  }
  advance(r);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
  (void)fd, (void)what;
  struct relay *r = arg;
  if (r->state == RELAYING && r->active) {
    arm(r, IDLE_SECONDS);
  } else if (r->state == PAUSED) {
    go(r);
    advance(r);
  } else if (r->state == CONNECTING) {
    refuse(r, 504, "The origin does not respond.");
    advance(r);
  } else {
    relay_free(r);
  }
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
                      int size, void *arg)
{
  (void)listener, (void)from, (void)size;
  struct forward_proxy *proxy = arg;
  struct relay *r = proxy->count < MAX_RELAYS ? calloc(1, sizeof *r) : NULL;
  if (!r) {
    close(fd);
    return;
  }
  r->proxy = proxy;
  r->next = proxy->relays;
  if (r->next) r->next->previous = r;
  proxy->relays = r;
  proxy->count++;
  r->timer = evtimer_new(proxy->base, on_timer, r);
  r->client = bufferevent_socket_new(proxy->base, fd, BEV_OPT_CLOSE_ON_FREE);
  if (!r->client) close(fd);
  if (!r->client || !r->timer) {
    relay_free(r);
    return;
  }
  set_up(r->client, on_client_read, on_client_event, r);
  arm(r, HEAD_SECONDS);
}

struct forward_proxy *forward_proxy_open(struct event_base *base,
                                         struct evconnlistener *listeners[RULES_PORTS],
                                         struct rules *rules, struct error *err)
{
  struct forward_proxy *proxy = calloc(1, sizeof *proxy);
  if (!proxy) {
    for (int i = 0; i < RULES_PORTS; i++) evconnlistener_free(listeners[i]);
    error_set(err, ERROR_INTERNAL, "the sandbox cannot start: out of memory");
    return NULL;
  }
  proxy->base = base;
  proxy->rules = rules;
  for (int i = 0; i < RULES_PORTS; i++) {
    proxy->listeners[i] = listeners[i];
    evconnlistener_set_cb(listeners[i], on_accept, proxy);
  }
  return proxy;
}

void forward_proxy_close(struct forward_proxy *proxy)
{
  if (!proxy) return;
  while (proxy->relays) relay_free(proxy->relays);
  for (int i = 0; i < RULES_PORTS; i++) evconnlistener_free(proxy->listeners[i]);
  free(proxy);
}
