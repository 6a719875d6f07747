/* Who may send when: requests take slots (limits/slots.h) from the store that all processes with
 * this key share, wait for them first come first served, and keep the pauses that the server
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

struct limiter_rules {
  bool off; /* no slots are taken; pauses are kept all the same */
  struct slots_rule scopes[SLOTS_SCOPES];
};

/* 60 requests a minute in all, 10 a minute of them POST /orders. */
#define LIMITER_DEFAULT_RULES \
  ((struct limiter_rules){.scopes = {{60, 60 * SLOTS_SECOND}, {10, 60 * SLOTS_SECOND}}})

/* Reads "general=60/60,orders=10/60" (requests/seconds; seconds may have six decimals; a scope that
 * is not named keeps its default) or "off". False with a config error. */
bool limiter_rules_parse(const char *text, struct limiter_rules *rules, struct error *err);

/* "general" or "orders". */
const char *limiter_scope_name(enum slots_scope scope);

/* A request's claim; a field of whatever sends it. Zero it once; it can be taken again after it has
 * ended. */
struct limiter_ticket {
  unsigned scopes; /* what it was taken for */

  struct limiter *limiter; /* the rest is the limiter's */
  enum { LIMITER_IDLE, LIMITER_WAITING, LIMITER_GRANTED } state;
  bool waiting; /* it was told to wait */
  int asked;    /* its place in the job that is out, from 1 */
  uint64_t number;
  double max_wait;
  int64_t lease, since;
  int64_t lease_until; /* by loop_clock(), no later than the store has it */
  void (*granted)(void *arg, const struct error *err);
  void *arg;
  struct limiter_queue *queue;
  struct limiter_ticket *next, *previous;
  struct loop_timer deadline;
  struct slots_hold holds[SLOTS_SCOPES];
};

/* `base_url` as the client uses it, without a slash at the end. A hash of it and the API key names
 * the slots; the key is not kept. The store must outlive the limiter. NULL with an error when
 * memory is out. */
struct limiter *limiter_open(struct loop *loop, struct store *store, const char *base_url,
                             const char *key, const struct limiter_rules *rules, struct error *err);

/* Tickets that still wait are dropped, `granted` is not called for them; those granted must have
 * ended. What the store was not yet told is told before store_close returns. NULL is fine. */
void limiter_close(struct limiter *limiter);

/* How long a pause that the server imposed is waited for when a take has no max_wait of its own;
 * LIMITER_MAX_PAUSE. */
void limiter_max_pause(struct limiter *limiter, double seconds);

/* Takes a slot in each of the scopes. `granted` is called once: with NULL when they are there,
 * perhaps before this returns (always so with the limits off and no pause); or with an error:
 * `store`, or `rate_limited` at once when the server imposed a longer pause than max_wait allows,
 * or when max_wait is over. `lease`: microseconds after which the request has surely ended, at most
 * SLOTS_LONGEST_LEASE: a process that dies gives its slots back then. `max_wait`: seconds;
 * negative: for its turn as long as it takes, for a pause what limiter_max_pause says. */
void limiter_take(struct limiter *limiter, struct limiter_ticket *ticket, unsigned scopes,
                  int64_t lease, double max_wait,
                  void (*granted)(void *arg, const struct error *err), void *arg);

/* Microseconds for which a granted ticket's slots are surely its own. The process, the machine or
 * the store may have stood still for so long that they have gone to others: then nothing may be
 * sent with them, and limiter_unused gives them back. */
int64_t limiter_lease_left(const struct limiter_ticket *ticket);

/* Exactly one of these ends a granted ticket; for one that has ended they do nothing. The first
 * also ends one that waits, whose `granted` is then not called. */
void limiter_cancel(struct limiter_ticket *ticket); /* as unused */
void limiter_unused(
    struct limiter_ticket *ticket); /* no byte has left: the slots are as free as before */
void limiter_headed(
    struct limiter_ticket *ticket); /* the head of the answer is there, and is no 429 */
void limiter_lost(
    struct limiter_ticket *ticket); /* closed without an answer: it may be counted for 10 s yet */

/* The server responded with 429: pauses the ticket's scopes for every process; afterwards one
 * request tries, then they are paced at one per 1.01 W/(N-2) for an hour, and at half of that after
 * each further 429. May follow limiter_headed, but in its place it cannot be mistaken for a try
 * that went well. `retry_after`: seconds, as http_retry_after returns them; not positive (absent or
 * not usable): W of the scope, the longest of several, or a minute with the limits off. Returns the
 * seconds of the pause. */
double limiter_refused(struct limiter_ticket *ticket, double retry_after);

/* News of waits: one for each take that has to wait; and before the first of them that waits since
 * its scope is paced, one of that. */
struct limiter_news {
  enum { LIMITER_TURN, LIMITER_PAUSE, LIMITER_PACED } what;
  const char *scope;
  double seconds; /* expected wait, an estimate in a long queue; for LIMITER_PACED how long the
                     pacing lasts */
  double pace;    /* of LIMITER_PACED: seconds between two requests */
};

/* NULL: nobody is told. */
void limiter_on_wait(struct limiter *limiter,
                     void (*tell)(void *arg, const struct limiter_news *news), void *arg);

/* Told whenever the moment changes at which the first of all that wait may go: when, and what it
 * waits for; NULL when nobody waits for a moment. */
void limiter_on_next(struct limiter *limiter,
                     void (*next)(void *arg, const struct limiter_news *news), void *arg);

/* hex SHA-256 of base URL, newline and key: what the store knows them by. */
const char *limiter_key(const struct limiter *limiter);

/* A look at the scopes; zero it, and keep it until `done`. */
struct limiter_status {
  struct store_slots job;
  void (*done)(void *arg, const struct limiter_status *status,
               const struct error *err); /* err NULL: it worked */
  void *arg;
  bool off; /* then count, window and free of the scopes are 0 */
  struct {
    const char *name;
    int count;
    double window;
    int free;
    double next;    /* seconds until the next slot can be free, 0: one is */
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
