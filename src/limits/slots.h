/* The slot rule: which request may leave when, so that no window of W seconds at the server ever
 * holds more than N. Pure functions over the state of a scope; the stores load and save it inside
 * one transaction and bring the time with them.
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
#define SLOTS_LOST_TIME \
  (10 *                 \
   SLOTS_SECOND) /* how long after its close an exchange without an answer may yet be counted */

struct slots_rule {
  int count;      /* N; 0: the scope is not limited, it only knows pauses */
  int64_t window; /* W */
};

/* The state of a scope as it lies in the store. Times are those of one clock, whose id (a boot, a
 * database) it carries. */
struct slots_state {
  char clock[64];
  int64_t seen_at;      /* when it was last saved */
  int64_t paused_until; /* the server asked for silence until then; kept until a probe has shown
                           that it is over. 0: no pause */
  int64_t probe_until;  /* when the lease of the request that tries this ends; 0: nobody tries */
  int64_t paced_until;  /* after a pause: one request per 1.01 W/(N-2) until then; 0: not paced */
  int64_t next_at;      /* when the next one may leave at that pace */
  int slowed;        /* how often that pace was halved, since even at it the server answered 429 */
  int count;         /* slots that have ever been taken */
  int64_t *ended_at; /* [capacity]; a moment to come while a request is under way */
  int capacity;
  bool changed; /* must be saved */
};

/* A slot in a request's hands. */
struct slots_hold {
  int slot; /* its place; -1: none */
  bool probe;
  int64_t until;  /* the end of its lease, by which it is recognised: what others took since is left
                     alone */
  int64_t before; /* what it was before the taking */
};

/* How a request ended: its head came; it closed without an answer; nothing of it left; it was
 * answered by 429. */
enum slots_end { SLOTS_HEADED, SLOTS_LOST, SLOTS_UNUSED, SLOTS_REFUSED };

struct slots_ending {
  unsigned scopes;
  enum slots_end how;
  int64_t at;    /* when, by loop_clock() */
  int64_t pause; /* how long, of SLOTS_REFUSED */
  struct slots_hold holds[SLOTS_SCOPES];
};

struct slots_taking {
  unsigned scopes;
  int64_t lease;
  bool granted;
  struct slots_hold holds[SLOTS_SCOPES];
};

/* What a scope looks like from outside. Durations from now on, 0: no such thing. */
struct slots_view {
  int free;     /* slots that could be taken now */
  int busy;     /* slots that are taken, or were less than a window ago */
  int64_t wait; /* until the earliest moment at which the next request can possibly leave */
  int64_t paused;
  int64_t paced;
  int64_t pace; /* while paced: between two requests */
  bool probing; /* the pause is over and one request finds out whether the server agrees */
};

/* How long after its end a slot stays taken: W, 5 ms for clocks' grains, and 0.1 % for clocks'
 * drift. */
int64_t slots_window(const struct slots_rule *rule);

/* Makes the state one of this clock and this moment: a state of another clock (a boot before this
 * one), or from before this clock went back, is moved as a whole, so that no more time has passed
 * since it was saved than is known. What ends absurdly late ends now. */
void slots_refresh(struct slots_state *state, const char *clock, int64_t now);

/* Ends a request in one scope, `when` being the moment of its end by the clock of `now`. */
void slots_end(struct slots_state *state, const struct slots_ending *ending, enum slots_scope scope,
               int64_t when, int64_t now);

/* Takes one slot in each of the scopes, or nothing at all. The states must have room for
 * rule->count slots (slots_reserve). */
void slots_take(struct slots_state *states, const struct slots_rule *rules,
                struct slots_taking *taking, int64_t now);

struct slots_view slots_view(const struct slots_state *state, const struct slots_rule *rule,
                             int64_t now);

/* Room for `count` slots. False when memory is out. */
bool slots_reserve(struct slots_state *state, int count);
void slots_free(struct slots_state *state);

/* The state of a scope that nobody used; keeps its room. */
void slots_clear(struct slots_state *state);

#endif
