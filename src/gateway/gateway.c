#include "gateway/gateway.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utlist.h>

#include "gateway/state.h"
#include "net/address.h"

#define BACKLOG 4096
#define PAUSE_MICROSECONDS 50000
#define RESERVED 128 /* descriptors for everything else */
#define MICROSECONDS 1e6

/* Each connection needs a descriptor for either side. */
static int default_connections(void)
{
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > 2000000) return 1000000;
  return limit.rlim_cur > RESERVED + 16 ? (int)(limit.rlim_cur - RESERVED) / 2 : 8;
}

struct gateway *gateway_open(const struct gateway_options *options, struct error *err)
{
  struct gateway *gateway = calloc(1, sizeof *gateway);
  if (!gateway || !(gateway->resolver = resolver_open(options->loop))) {
    free(gateway);
    if (options->log >= 0) close(options->log);
    error_set(err, ERROR_INTERNAL, "the gateway cannot start: out of memory");
    return NULL;
  }
  gateway->options = *options;
  gateway->loop = options->loop;
  gateway->max_conns =
      options->max_connections > 0 ? options->max_connections : default_connections();
  return gateway;
}

static void close_listeners(struct gateway *gateway)
{
  struct listener *listener, *following;
  LL_FOREACH_SAFE(gateway->listeners, listener, following)
  {
    loop_timer_clear(gateway->loop, &listener->pause);
    loop_remove_socket(gateway->loop, &listener->socket);
    close(listener->socket.fd);
    free(listener);
  }
  gateway->listeners = NULL;
}

void gateway_close(struct gateway *gateway)
{
  struct user *user, *following;
  if (!gateway) return;
  gateway->draining = true;
  close_listeners(gateway);
  while (gateway->conns) conn_free(gateway->conns, false);
  while (gateway->idle) upstream_free(gateway->idle, false);
  loop_timer_clear(gateway->loop, &gateway->drain_timer);
  loop_timer_clear(gateway->loop, &gateway->drained_timer);
  resolver_close(gateway->resolver);
  list_free(gateway);
  rules_free(&gateway->rules);
  LL_FOREACH_SAFE(gateway->users, user, following)
  {
    free(user->name);
    free(user->password);
    free(user);
  }
  tls_close(gateway->tls);
  if (gateway->options.log >= 0) close(gateway->options.log);
  free((char *)gateway->options.ca_file);
  free(gateway);
}

bool gateway_add_user(struct gateway *gateway, const char *name, const char *password)
{
  struct user *user = calloc(1, sizeof *user);
  if (!user) return false;
  user->name = strdup(name);
  user->password = strdup(password);
  if (!user->name || !user->password) {
    free(user->name);
    free(user->password);
    free(user);
    return false;
  }
  LL_PREPEND(gateway->users, user);
  return true;
}

const char *gateway_add_rule(struct gateway *gateway, bool allow, const char *text)
{
  return rules_add(&gateway->rules, allow, text);
}

static bool is_exhausted(int why)
{
  return why == EMFILE || why == ENFILE || why == ENOBUFS || why == ENOMEM;
}

static void accept_one(struct listener *listener, int fd, const struct sockaddr_storage *from)
{
  char address[48] = "?", peer[64];
  int yes = 1;
  bool six = from->ss_family == AF_INET6;
  const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
  const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
  if (six)
    inet_ntop(AF_INET6, &v6->sin6_addr, address, sizeof address);
  else
    inet_ntop(AF_INET, &v4->sin_addr, address, sizeof address);
  snprintf(peer, sizeof peer, "%s %d", address, ntohs(six ? v6->sin6_port : v4->sin_port));
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
  conn_open(listener->gateway, fd, peer, listener->metrics);
}

/* Out of descriptors, the connections stay in the backlog, and are looked at again later: asking
 * again at once would use the processor for nothing. */
static void accept_all(void *arg)
{
  struct listener *listener = arg;
  struct gateway *gateway = listener->gateway;
  while (gateway->conn_count < gateway->max_conns || listener->metrics) {
    struct sockaddr_storage from;
    socklen_t size = sizeof from;
    int fd =
        accept4(listener->socket.fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      accept_one(listener, fd, &from);
    } else if (is_exhausted(errno)) {
      gateway->totals.accept_pauses++;
      loop_timer_set(gateway->loop, &listener->pause, PAUSE_MICROSECONDS, accept_all, listener);
      return;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      return;
    }
  }
}

static void on_listener(void *arg, struct loop_events events)
{
  struct listener *listener = arg;
  if (events.input && listener->pause.position == 0) accept_all(listener);
}

static void on_drained(void *arg)
{
  struct gateway *gateway = arg;
  void (*done)(void *) = gateway->drained;
  while (gateway->conns) conn_free(gateway->conns, true);
  loop_timer_clear(gateway->loop, &gateway->drain_timer);
  loop_timer_clear(gateway->loop, &gateway->drained_timer);
  gateway->drained = NULL;
  if (done) done(gateway->drained_arg);
}

void accept_some(struct gateway *gateway)
{
  struct listener *listener;
  if (gateway->draining && gateway->conn_count == 0 && gateway->drained)
    loop_timer_set(gateway->loop, &gateway->drained_timer, 0, on_drained, gateway);
  if (gateway->conn_count != gateway->max_conns - 1) return;
  LL_FOREACH(gateway->listeners, listener)
  if (listener->pause.position == 0)
    loop_timer_set(gateway->loop, &listener->pause, 0, accept_all, listener);
}

static bool read_address(const char *text, int port, struct sockaddr_storage *address,
                         socklen_t *size)
{
  struct sockaddr_in *v4 = (struct sockaddr_in *)address;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
  memset(address, 0, sizeof *address);
  if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    *size = sizeof *v4;
    return true;
  }
  if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1) return false;
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons((uint16_t)port);
  *size = sizeof *v6;
  return true;
}

/* A socket that listens, or -1 with errno. */
static int open_socket(const struct sockaddr_storage *address, socklen_t size)
{
  int yes = 1, fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (address->ss_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
  if (bind(fd, (const struct sockaddr *)address, size) == 0 && listen(fd, BACKLOG) == 0) return fd;
  int why = errno;
  close(fd);
  errno = why;
  return -1;
}

static int port_of(int fd)
{
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  if (getsockname(fd, (struct sockaddr *)&address, &size) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                             : ((struct sockaddr_in *)&address)->sin_port);
}

int gateway_listen(struct gateway *gateway, const char *text, int port, bool metrics,
                   struct error *err)
{
  struct sockaddr_storage address;
  socklen_t size;
  if (!read_address(text, port, &address, &size)) {
    error_set(err, ERROR_USAGE, "cannot listen on %.100s: expected an IP address", text);
    return 0;
  }
  if (!address_is_loopback((struct sockaddr *)&address) && (metrics || !gateway->users)) {
    error_set(err, ERROR_USAGE,
              metrics ? "cannot listen on %.100s: the counters are for this machine alone; use "
                        "127.0.0.1"
                      : "cannot listen on %.100s without credentials: everybody could use the "
                        "proxies; give --users FILE, or listen on 127.0.0.1",
              text);
    return 0;
  }
  int fd = open_socket(&address, size);
  struct listener *listener = fd < 0 ? NULL : calloc(1, sizeof *listener);
  if (listener) {
    listener->gateway = gateway;
    listener->metrics = metrics;
    listener->socket = (struct loop_socket){.fd = fd, .ready = on_listener, .arg = listener};
  }
  if (!listener || !loop_add_socket(gateway->loop, &listener->socket)) {
    error_set(err, ERROR_CONFIG, "cannot listen on %.100s:%d: %s", text, port, strerror(errno));
    if (fd >= 0) close(fd);
    free(listener);
    return 0;
  }
  LL_PREPEND(gateway->listeners, listener);
  return port_of(fd);
}

void gateway_drain(struct gateway *gateway, double seconds, void (*done)(void *arg), void *arg)
{
  struct conn *conn, *following;
  gateway->draining = true;
  gateway->drained = done;
  gateway->drained_arg = arg;
  close_listeners(gateway);
  while (gateway->idle) upstream_free(gateway->idle, false);
  DL_FOREACH_SAFE(gateway->conns, conn, following)
  {
    if (inbound_is_idle(conn) || conn->metrics) conn_free(conn, false);
  }
  bool set = gateway->conn_count == 0
                 ? loop_timer_set(gateway->loop, &gateway->drained_timer, 0, on_drained, gateway)
                 : loop_timer_set(gateway->loop, &gateway->drain_timer,
                                  (int64_t)(seconds * MICROSECONDS), on_drained, gateway);
  if (!set) on_drained(gateway);
}

struct gateway_totals gateway_count(const struct gateway *gateway)
{
  struct gateway_totals totals = gateway->totals;
  totals.open = gateway->conn_count;
  return totals;
}
