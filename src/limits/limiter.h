/* Decides when a request may be sent: requests take slots (limits/slots.h) from the store, which
 * all processes with this key share, wait for them in order, and respect the pauses that the server
 * imposes. It knows no HTTP. */
#ifndef PROXYLUA_LIMITS_LIMITER_H
#define PROXYLUA_LIMITS_LIMITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "limits/slots.h"
#include "net/loop.h"
#include "store/store.h"

struct limiter;

/* Sets of scopes. */
#define LIMITER_GENERAL (1u << SLOTS_GENERAL)
#define LIMITER_ORDERS (1u << SLOTS_ORDERS)

#define LIMITER_MAX_PAUSE 120.0 /* seconds */

/* A count of 0: the scope takes no slots ("off"); pauses are still respected. */
struct limiter_rules {
  struct slots_rule scopes[SLOTS_SCOPES];
};

/* 60 requests a minute, of which 10 may be POST /orders. */
#define LIMITER_DEFAULT_RULES \
  ((struct limiter_rules){.scopes = {{60, 60 * SLOTS_SECOND}, {10, 60 * SLOTS_SECOND}}})

/* Reads "general=60/60,orders=10/60" (requests/seconds; seconds may have six decimals; a scope that
 * is not named keeps its default) or "off". False with a config error. */
bool limiter_rules_parse(const char *text, struct limiter_rules *rules, struct error *err);

/* "general" or "orders". */
const char *limiter_scope_name(enum slots_scope scope);

/* A request's claim; embed it in what sends the request. Zero it once; it can be taken again after
 * it has ended. */
struct limiter_ticket {
  unsigned scopes; /* the scopes it was taken for */

  struct limiter *limiter; /* the rest is the limiter's */
  enum { LIMITER_IDLE, LIMITER_WAITING, LIMITER_GRANTED } state;
  bool waiting; /* a wait was reported */
  bool stored;  /* granted by the store: its end is written there */
  int asked;    /* its place in the job under way, from 1 */
  uint64_t number;
  double max_wait;
  int64_t lease, since;
  int64_t lease_until; /* by loop_clock(), not later than in the store */
  void (*granted)(void *arg, const struct error *err);
  void *arg;
  struct limiter_queue *queue;
  struct limiter_ticket *next, *previous;
  struct loop_timer deadline;
  struct slots_hold holds[SLOTS_SCOPES];
};

/* `base_url` as the client uses it, without a slash at the end. A hash of it and the API key names
 * the slots; the key is not stored. The store must outlive the limiter. NULL with an error when out
 * of memory. */
struct limiter *limiter_open(struct loop *loop, struct store *store, const char *base_url,
                             const char *key, const struct limiter_rules *rules, struct error *err);

/* Drops waiting tickets without calling `granted`; granted tickets must have ended. What the store
 * has not received yet is written before store_close returns. NULL is allowed. */
void limiter_close(struct limiter *limiter);

/* The longest pause of the server that a take without max_wait waits for; default:
 * LIMITER_MAX_PAUSE. */
void limiter_max_pause(struct limiter *limiter, double seconds);

/* Takes a slot in each of the scopes. `granted` is called once, perhaps before this returns (always
 * so without limits and pauses): with NULL when the slots are there; or with an error:
 * `store`, or `rate_limited` when max_wait is over, or at once when the server's pause is longer
 * than max_wait. `lease`: microseconds after which the request has certainly ended, at most
 * SLOTS_LONGEST_LEASE: after that, the slots of a process that died are free. `max_wait`: seconds;
 * negative: no limit for slots, and limiter_max_pause for pauses. */
void limiter_take(struct limiter *limiter, struct limiter_ticket *ticket, unsigned scopes,
                  int64_t lease, double max_wait,
                  void (*granted)(void *arg, const struct error *err), void *arg);

/* Microseconds for which a granted ticket's slots are still valid. If the process, the machine or
 * the store stood still, others may have taken them: then nothing may be sent, and limiter_not_sent
 * gives them back. */
int64_t limiter_lease_left(const struct limiter_ticket *ticket);

/* Exactly one of these ends a granted ticket; on one that has ended they do nothing.
 * cancel: as not_sent; also ends a waiting ticket, whose `granted` is then not called.
 * not_sent: no byte was sent, the slots are as free as before.
 * responded: the head of the response has arrived, and is not a 429.
 * no_response: closed without one; the server may still count the request for 10 s. */
void limiter_cancel(struct limiter_ticket *ticket);
void limiter_not_sent(struct limiter_ticket *ticket);
void limiter_responded(struct limiter_ticket *ticket);
void limiter_no_response(struct limiter_ticket *ticket);

/* The server responded with 429: pauses the ticket's scopes for every process. After the pause one
 * request is sent as a probe; then requests are paced at one per 1.01 W/(N-2) for an hour, and at
 * half of that after each further 429. May follow limiter_responded, but if it replaces it, the
 * probe cannot count as successful. `retry_after`: seconds, as http_retry_after returns them; not
 * positive (absent or unusable): W of the scope, the longest of several, or a minute without
 * limits. Returns the seconds of the pause. */
double limiter_rate_limited(struct limiter_ticket *ticket, double retry_after);

/* Reports of waits: one for each take that must wait; and before the first one since a scope is
 * paced, a report of the pacing. */
struct limiter_notice {
  enum { LIMITER_SLOT, LIMITER_PAUSE, LIMITER_PACED } what;
  const char *scope;
  double seconds; /* expected wait, an estimate in a long queue; for LIMITER_PACED how long the
                     pacing lasts */
  double pace;    /* for LIMITER_PACED: seconds between two requests */
};

/* NULL: no reports. */
void limiter_on_wait(struct limiter *limiter,
                     void (*report)(void *arg, const struct limiter_notice *notice), void *arg);

/* Called whenever the time changes at which the first waiting request can go: with the time and the
 * reason; with NULL when no request waits for a time. */
void limiter_on_next(struct limiter *limiter,
                     void (*next)(void *arg, const struct limiter_notice *notice), void *arg);

/* hex SHA-256 of base URL, newline and key: the name of the slots in the store. */
const char *limiter_key(const struct limiter *limiter);

/* Endings, takings and views, in this order, in one transaction. Without endings and takings it
 * only reads. */
struct slots_job {
  struct store_job job;
  char key[65];    /* the owner of the slots: hex SHA-256 of base URL and key */
  unsigned scopes; /* those wanted in `views`; must include the scopes of all endings and
                      takings */
  struct slots_rule rules[SLOTS_SCOPES];
  struct slots_ending *endings;
  size_t ending_count;
  struct slots_taking *takings; /* the results are written here */
  size_t taking_count;
  int64_t begun_at; /* a time of loop_clock() before the takings, from which the leases count */
  struct slots_view views[SLOTS_SCOPES]; /* the result, after all takings */
  int64_t done_at;                       /* loop_clock() from which the views' durations count */
};

/* A reading of the scopes; zero it, and keep it until `done`. */
struct limiter_status {
  struct slots_job job;
  void (*done)(void *arg, const struct limiter_status *status,
               const struct error *err); /* err NULL: success */
  void *arg;
  bool off; /* no scope has a limit: count, window and free are 0 */
  struct {
    const char *name;
    int count;
    double window;
    int free;
    double next;    /* seconds until the next slot can be free; 0: one is free */
    double paused;  /* seconds, 0: not paused */
    double paced;   /* seconds, 0: not paced */
    size_t waiting; /* requests of this process */
  } scopes[SLOTS_SCOPES];
};

void limiter_status(struct limiter *limiter, struct limiter_status *status,
                    void (*done)(void *arg, const struct limiter_status *status,
                                 const struct error *err),
                    void *arg);

#endif
