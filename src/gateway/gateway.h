/* A forward proxy in front of many: HTTP and SOCKS 5 come in, and each request leaves through one
 * of the proxies of a list. Everything runs on the loop's thread; a connection holds a bounded
 * number of bytes, and is not read while its other side does not take them. */
#ifndef PROXYLUA_GATEWAY_GATEWAY_H
#define PROXYLUA_GATEWAY_GATEWAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "net/loop.h"
#include "pool/pool.h"

struct gateway;

struct gateway_options {
  struct loop *loop;
  enum pool_strategy strategy;
  bool sticky;          /* a client without a session keeps its proxy too */
  double quarantine;    /* seconds */
  double timeout;       /* seconds until a proxy must be ready for the target */
  double idle;          /* seconds without a byte after which a connection is closed */
  int max_connections;  /* 0: what the limit of descriptors allows */
  bool resolve_locally; /* names of targets, to judge them by their addresses */
  const char *ca_file;  /* of https proxies; NULL: the system's */
  int log;              /* descriptor of the log, which the gateway closes; -1: none */
};

/* NULL with the reason: memory, or the CA file. The log is closed on failure too. */
struct gateway *gateway_open(const struct gateway_options *options, struct error *err);

/* Closes all connections at once. NULL is fine. */
void gateway_close(struct gateway *gateway);

/* Before gateway_listen. Without any, every user name is accepted, and loopback addresses alone can
 * be listened on. False when memory is out. */
bool gateway_add_user(struct gateway *gateway, const char *user, const char *password);

/* A rule for targets (gateway/rules.h). NULL, or why it is not one. */
const char *gateway_add_rule(struct gateway *gateway, bool allow, const char *text);

/* Listens on an IP address; port 0 picks a free one. `metrics`: for /metrics and /stats, on
 * loopback alone. The port, or 0 with the reason. */
int gateway_listen(struct gateway *gateway, const char *address, int port, bool metrics,
                   struct error *err);

enum gateway_protocol {
  GATEWAY_HTTP,
  GATEWAY_HTTPS,
  GATEWAY_SOCKS4,
  GATEWAY_SOCKS4A,
  GATEWAY_SOCKS5
};

struct gateway_proxy {
  const char *url; /* names it */
  enum gateway_protocol protocol;
  const char *host;
  int port;
  const char *user, *password; /* NULL without */
  const char *country;         /* two letters; NULL: not known */
};

/* Replaces the list: begin, put each proxy, end. Connections through proxies that are gone go on.
 * False when memory is out; the list then has what it had and what was put. */
void gateway_begin_list(struct gateway *gateway);
bool gateway_put(struct gateway *gateway, const struct gateway_proxy *proxy);
void gateway_end_list(struct gateway *gateway);

struct gateway_row {
  const char *label; /* the URL without its password; belongs to the gateway */
  const char *url, *country;
  uint64_t requests, failures;
  uint64_t sent, received; /* bytes, to and from the proxy */
  int open;                /* connections */
  double latency;          /* seconds; negative: not measured */
  double left;             /* seconds of its quarantine */
};

struct gateway_totals {
  uint64_t connections, requests, refused, failed, retried, sent, received, log_dropped;
  uint64_t accept_pauses; /* for want of descriptors */
  int open, proxies;
};

/* Calls `visit`, which must not change the list, for each proxy of it. */
void gateway_each(const struct gateway *gateway,
                  void (*visit)(void *arg, const struct gateway_row *row), void *arg);
struct gateway_totals gateway_count(const struct gateway *gateway);

/* Accepts nothing more and closes idle connections; `done` is called from a turn of the loop when
 * the others have ended, or after so many seconds, when they are cut. */
void gateway_drain(struct gateway *gateway, double seconds, void (*done)(void *arg), void *arg);

#endif
