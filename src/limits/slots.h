/* The slot rule: which request may leave when, so that no window of W seconds at the server ever
 * has more than N requests. Pure functions over the state of a scope; the drivers load and save it
 * inside one transaction and pass the time.
 *
 * A scope of N requests per W seconds owns N slots. A slot keeps the moment at which its last
 * request ended and is free again slots_window() after it. The server counts a request between its
 * taking and its end. */
#ifndef PROXYLUA_LIMITS_SLOTS_H
#define PROXYLUA_LIMITS_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The server's scopes, and sets of them as bits. */
enum slots_scope { SLOTS_GENERAL, SLOTS_ORDERS, SLOTS_SCOPES };

#define SLOTS_MAX 10000               /* N at most */
#define SLOTS_SECOND INT64_C(1000000) /* all times and durations here are microseconds */
#define SLOTS_LONGEST_LEASE \
  (3600 * SLOTS_SECOND) /* what ends later is damage, and counts from first sight */
#define SLOTS_LONGEST_PAUSE (86400 * SLOTS_SECOND)
#define SLOTS_PACED_TIME (3600 * SLOTS_SECOND)
#define SLOTS_NO_RESPONSE_TIME                                                                    \
  (10 * SLOTS_SECOND) /* how long after closing the server may count a request without a response \
                       */

struct slots_rule {
  int count;      /* N; 0: the scope is not limited, but can be paused */
  int64_t window; /* W */
};

/* The state of a scope as it lies in the store. Times are those of one clock, whose id (a boot, a
 * database) it carries. */
struct slots_state {
  char clock[64];
  int64_t seen_at;      /* when it was last saved */
  int64_t paused_until; /* the server asked for silence until then; kept until a probe has shown
                           that it is over. 0: no pause */
  int64_t probe_until;  /* when the lease of the probe ends; 0: no probe */
  int64_t paced_until;  /* after a pause: one request per 1.01 W/(N-2) until then; 0: not paced */
  int64_t next_at;      /* when the next request may leave at that pace */
  int slowed;           /* how often that pace was halved after further 429 responses */
  int count;            /* number of slots that were ever taken */
  int64_t *ended_at;    /* [capacity]; in the future while a request is under way */
  int capacity;
  bool changed; /* must be saved */
};

/* A slot held by a request. */
struct slots_hold {
  int slot; /* its place; -1: none */
  bool probe;
  int64_t until;  /* the end of its lease, stored when it was taken; if the stored value differs,
                     another request has taken the slot since */
  int64_t before; /* its value before it was taken */
};

/* How a request ended: its head arrived; it closed without a response; no part of it was sent; the
 * response was 429. */
enum slots_end { SLOTS_RESPONDED, SLOTS_NO_RESPONSE, SLOTS_NOT_SENT, SLOTS_RATE_LIMITED };

struct slots_ending {
  unsigned scopes;
  enum slots_end how;
  int64_t at;    /* when, by loop_clock() */
  int64_t pause; /* length of the pause, for SLOTS_RATE_LIMITED */
  struct slots_hold holds[SLOTS_SCOPES];
};

struct slots_taking {
  unsigned scopes;
  int64_t lease;
  bool granted;
  struct slots_hold holds[SLOTS_SCOPES];
};

/* The public view of a scope. Durations from now on; 0: none. */
struct slots_view {
  int free;     /* slots that could be taken now */
  int busy;     /* slots that are taken, or were less than a window ago */
  int64_t wait; /* until the earliest time at which the next request can leave */
  int64_t paused;
  int64_t paced;
  int64_t pace;  /* while paced: between two requests */
  bool unproven; /* paused, or no probe has shown yet that the server accepts requests again */
};

/* How long after its end a slot stays taken: W, 5 ms for the resolution of clocks, and 0.1 % for
 * their drift. */
int64_t slots_window(const struct slots_rule *rule);

/* Converts the state to this clock and time. A state of another clock (an earlier boot), or from
 * before this clock went back, is shifted as a whole, so that not more time has passed since it was
 * saved than is known. An impossibly late end is set to now. */
void slots_refresh(struct slots_state *state, const char *clock, int64_t now);

/* Ends a request in one scope; `when`: the time of its end by the clock of `now`. */
void slots_end(struct slots_state *state, const struct slots_ending *ending, enum slots_scope scope,
               int64_t when, int64_t now);

/* Takes one slot in each of the scopes, or nothing at all. The states must have room for
 * rule->count slots (slots_reserve). */
void slots_take(struct slots_state *states, const struct slots_rule *rules,
                struct slots_taking *taking, int64_t now);

struct slots_view slots_view(const struct slots_state *state, const struct slots_rule *rule,
                             int64_t now);

/* Makes room for `count` slots. False when out of memory. */
bool slots_reserve(struct slots_state *state, int count);
void slots_free(struct slots_state *state);

/* Resets to the state of an unused scope; keeps its memory. */
void slots_clear(struct slots_state *state);

#endif
