/* What the files of the gateway share. The data that flows: bytes of a client become a request
 * (inbound.c: HTTP heads, SOCKS 5), a proxy is picked for it (choose.c), a connection to that proxy
 * is made or reused and led to the target (upstream.c), bytes pass both ways (relay.c). */
#ifndef PROXYLUA_GATEWAY_STATE_H
#define PROXYLUA_GATEWAY_STATE_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "gateway/body.h"
#include "gateway/gateway.h"
#include "gateway/reply_head.h"
#include "gateway/rules.h"
#include "gateway/side.h"
#include "gateway/tls.h"
#include "net/proxy_head.h"
#include "net/resolver.h"

#define SCRATCH 65536    /* bytes of one read, and the most that wait for one side */
#define MAX_HEAD 32768   /* bytes of a request's head */
#define MAX_REPLY 65536  /* bytes of a response's head */
#define MAX_IDLE 1024    /* connections to proxies that wait for another request */
#define HEAD_SECONDS 60  /* for a head, and between two requests */
#define LINGER_SECONDS 2 /* until a client must have read an error */
#define KEEP_SECONDS 15  /* a connection to a proxy waits for another request */
#define MAX_TARGET (256 + 8)

/* One of the list. It outlives its place there while connections use it. */
struct proxy {
  char *url, *host, *label;
  char *user, *password;
  char *basic; /* the value of Proxy-Authorization, or NULL */
  enum gateway_protocol protocol;
  int port;
  char country[3]; /* "" when it is not known */
  uint64_t requests, failures, sent, received;
  int open; /* connections through it */
  int held; /* what keeps it beside the list */
  bool listed;
  unsigned list; /* number of the list that had it last */
  UT_hash_handle hh;
};

/* The pool of one country; that of "" has all. */
struct country {
  char code[3];
  struct pool *pool;
  UT_hash_handle hh;
};

struct user {
  char *name, *password;
  struct user *next;
};

struct listener {
  struct gateway *gateway;
  struct loop_socket socket;
  struct loop_timer pause;
  bool metrics;
  struct listener *next;
};

/* A connection to a proxy. */
struct upstream {
  struct gateway *gateway;
  struct conn *conn; /* NULL while it waits for another request */
  struct proxy *proxy;
  struct side side;
  struct loop_timer timer;
  bool reused;
  char target[MAX_TARGET];      /* that it leads to; "" where each request names it */
  struct upstream *prev, *next; /* of those that wait */
};

/* HEAD: a request is due. GREETING to REQUEST: SOCKS 5. TARGET: a name is looked up for the rules.
 * LOOKUP, CONNECTING, SECURING, LEADING: of the proxy. `EXCHANGE`: an HTTP request. TUNNEL: bytes.
 * CLOSING: an error was sent, and the client may read it. */
enum state {
  FIRST,
  HEAD,
  GREETING,
  LOGIN,
  REQUEST,
  TARGET,
  LOOKUP,
  CONNECTING,
  SECURING,
  LEADING,
  EXCHANGE,
  TUNNEL,
  CLOSING
};

/* user-session-NAME-country-CC */
struct user_parts {
  size_t name_size; /* of the user's own name, at the start */
  const char *session;
  size_t session_size; /* 0: none */
  char country[3];
};

struct conn {
  struct gateway *gateway;
  struct conn *prev, *next;
  enum state state;
  bool socks, metrics;
  bool gone;  /* to be freed when its functions have returned */
  bool reset; /* ... so that the client sees that something was lost */
  bool entered;
  struct side client;
  struct upstream *upstream;
  struct loop_timer timer, again;
  int64_t deadline;
  char peer[64];

  /* the request */
  struct proxy_head head; /* of SOCKS too: connect, host, port, user, password */
  char address[64];       /* of the target, where it was looked up here; "" otherwise */
  char country[3];
  struct body request_body, response_body; /* bodies of the request and of the response */
  bool head_sent;                          /* bytes of the request have left */
  bool replied;                            /* bytes of the response have reached the client */
  bool client_keep, upstream_keep;
  int status;
  bool retried, fresh; /* a second proxy is in use; no connection is to be reused */
  bool reported;
  const char *error;
  struct proxy *tried; /* that failed, held; NULL: none */
  int64_t begun, proxy_begun;
  uint64_t sent, received;

  /* the way to the proxy */
  struct resolver_query *query;
  struct resolver_result addresses;
  int address_at;
  int step; /* of SOCKS */
};

struct gateway {
  struct gateway_options options;
  struct loop *loop;
  struct resolver *resolver;
  struct ssl_ctx_st *tls;
  struct rules rules;
  struct user *users;
  struct listener *listeners;
  struct conn *conns;
  struct upstream *idle; /* the one that waits longest first */
  int idle_count, conn_count, max_conns;
  struct proxy *proxies;
  struct country *countries;
  unsigned list;
  struct gateway_totals totals;
  bool draining;
  void (*drained)(void *arg);
  void *drained_arg;
  struct loop_timer drain_timer, drained_timer;
  char scratch[SCRATCH];
};

/* conn.c */
struct conn *conn_open(struct gateway *gateway, int fd, const char *peer, bool metrics);
void conn_free(struct conn *conn, bool reset);
void conn_end(struct conn *conn, bool reset); /* soon */
void conn_advance(struct conn *conn);
void conn_wait(struct conn *conn, double seconds);
void conn_fail(struct conn *conn, int status, const char *error, const char *details);

/* accept.c */
void accept_some(struct gateway *gateway); /* a connection has ended: others may be accepted */

/* inbound.c */
void inbound_step(struct conn *conn);
void inbound_next(struct conn *conn);  /* another request may come */
bool inbound_grant(struct conn *conn); /* the tunnel is ready */
bool inbound_is_idle(const struct conn *conn);
void inbound_close(struct conn *conn); /* when it has read what was sent */
void inbound_refuse(struct conn *conn, int status, const char *error, const char *details);

/* choose.c; the errors are the tokens of RFC 9209, for the header Proxy-Status */
bool choose_read_user(const char *user, struct user_parts *parts); /* false: not valid */
void choose_begin(struct conn *conn); /* the request is complete: judge it and pick a proxy */
void choose_failed(struct conn *conn, const char *error, bool blame, const char *details);
void choose_worked(struct conn *conn); /* the proxy of this connection has responded */

/* upstream.c */
void upstream_start(struct conn *conn, struct proxy *proxy);
void upstream_step(struct conn *conn);
void upstream_release(struct conn *conn, bool reuse, bool reset);
void upstream_free(struct upstream *upstream, bool reset);

/* relay.c */
void relay_begin_request(struct conn *conn);
void relay_begin_tunnel(struct conn *conn);
void relay_step(struct conn *conn);

/* list.c */
struct country *list_country(const struct gateway *gateway, const char *code);
struct proxy *list_find(const struct gateway *gateway, const char *url);
void list_hold(struct proxy *proxy);
void list_release(struct gateway *gateway, struct proxy *proxy);
void list_free(struct gateway *gateway);

/* report.c */
void report_write(struct gateway *gateway, const char *line, size_t size);
void report_request(struct conn *conn);
void report_metrics(struct conn *conn, const char *path);

#endif
