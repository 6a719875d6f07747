/* The API client, the only way to the API: takes the slots, attaches the key, sends the request,
 * and retries it if that is safe; a charge is never retried, not even after a 429. No other module
 * sends the key. Deadlines do not include waits for slots and pauses. */
#ifndef PROXYLUA_API_CLIENT_H
#define PROXYLUA_API_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/endpoint.h"
#include "base/error.h"
#include "limits/limiter.h"
#include "net/http.h"
#include "net/loop.h"

struct client;
struct client_call;
struct secret;
struct trace;

struct client_settings {
  const char *base_url;     /* https, or loopback */
  const struct secret *key; /* outlives the client, as do the limiter and the trace */
  struct limiter *limiter;
  struct trace *trace; /* NULL: none */
  const char *ca_file; /* CA certificates; NULL: the usual ones */
  double timeout;      /* seconds of an HTTP request */
  double
      max_wait; /* seconds that the server may make one call pause, all its 429s taken together */
  bool only_clock; /* the API's clock is the only one: it is emulated, and can be advanced */
  void (*report)(void *arg,
                 const char *text); /* --verbose: reports each retry; NULL: not reported */
  void (*warn)(void *arg,
               const char *text); /* prints a warning, also without --verbose; never NULL */
  void *report_arg;               /* of both */
};

/* Strings are borrowed until the call is released. */
struct client_request {
  const struct endpoint *endpoint; /* NULL for a path that the table does not know */
  enum endpoint_class kind;        /* how often it may be sent */
  bool order_scope;
  const char *method, *path; /* the path is encoded and begins with a slash */
  const char *query;         /* without "?", or NULL */
  const char *body;          /* JSON, or NULL */
  size_t body_size;
  const char *save_as;         /* a download's file, or NULL */
  const char *idempotency_key; /* sent along, never relied on; NULL: none */
  double timeout;  /* seconds for the whole call, waits for slots excepted; 0: the default */
  double max_wait; /* seconds to wait for a rate-limit slot; negative: no limit */
  int refusals;    /* 429s that this charge met before, and the seconds of their pauses: they */
  double refused;  /* count as if this call had met them */
  /* A charge: called when it has its slots, before it is sent. It responds later through
   * client_go or client_stop. */
  void (*prepare)(void *arg, struct client_call *call);
  bool (*may_send)(void *arg); /* a charge: asked when the first byte is about to leave */
};

struct client_call {
  struct client *client;
  struct client_request request;
  struct error error;             /* kind ERROR_NONE: the response has arrived */
  struct http_transfer *exchange; /* the last HTTP request, with its response, which is parsed
                                     (`json`); NULL if none was begun */
  bool sent;       /* a byte may have left that no 429 refused; a charge's 429 refuses nothing */
  bool may_repeat; /* of a charge whose error is `rate_limited` with status 429: its scopes pause,
                      and the same request may wait for that and be sent once more */

  void (*done)(void *arg, struct client_call *call);
  void *arg;
  enum { CALL_SLOTS, CALL_PREPARE, CALL_EXCHANGE, CALL_BACKOFF, CALL_DONE } state;
  struct limiter_ticket ticket;
  bool has_slots;
  bool late; /* not sent, since its slots' lease was over */
  struct loop_timer timer;
  struct curl_slist *headers; /* its own, when it has an idempotency key */
  char *url;
  int attempts, refusals; /* the latter by 429 */
  double refused;         /* seconds of their pauses */
  int64_t left_us;        /* of the deadline */
  int64_t began_us;       /* start of the current request or backoff */
  struct client_call *next, *previous;
};

/* The settings are copied, what they point to is borrowed. NULL with a config error for a bad base
 * URL. */
struct client *client_open(struct loop *loop, const struct client_settings *settings,
                           struct error *err);

/* Ends everything under way without calling `done`. */
void client_close(struct client *client);

/* "https://host/path" without a slash at the end. */
const char *client_base_url(const struct client *client);

/* The API's time, in seconds since 1970, from the Date of its responses; 0 before the first one. */
double client_clock(const struct client *client);

/* How far the clocks may differ. */
#define CLIENT_MAX_SKEW 86400 /* seconds */

/* The time by both clocks, in seconds since 1970. False while no response of this process had a
 * Date: both are the local time then. Where the API's clock is the only one, both are its time. */
bool client_clock_skew(const struct client *client, int64_t *local, int64_t *server);

/* Whether money may be spent as far as the clocks go: false with a config error that names both
 * times when they differ by more than CLIENT_MAX_SKEW. True while the API's is not known. */
bool client_clocks_agree(const struct client *client, struct error *err);

/* Begins a call; `done` is called once, perhaps before this returns. NULL when memory is out. End
 * it with client_release. */
struct client_call *client_send(struct client *client, const struct client_request *request,
                                void (*done)(void *arg, struct client_call *call), void *arg);

/* The results of `prepare`: send now, or end the call with this error and its slots unused. */
void client_go(struct client_call *call);
void client_stop(struct client_call *call, const struct error *err);

/* Stops a call that is not done; `done` is not called, and the call is released. */
void client_cancel(struct client_call *call);

void client_release(struct client_call *call);

#endif
