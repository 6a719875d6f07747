/* What the parts of the limiter share. Private to limiter*.c. */
#ifndef PROXYLUA_LIMITS_LIMITER_STATE_H
#define PROXYLUA_LIMITS_LIMITER_STATE_H

#include "limits/limiter.h"

#define LIMITER_PARTS 8  /* of a window, in which takings are counted */
#define LIMITER_BATCH 64 /* takes in one job at most */
#define LIMITER_SETS                                                                              \
  (1 << SLOTS_SCOPES) /* sets of scopes: one queue each, so that one that must wait holds back no \
                         other */

struct limiter_queue {
  struct limiter_ticket *first, *last;
  size_t length;
};

struct limiter {
  struct loop *loop;
  struct store *store;
  char key[65];
  struct limiter_rules rules;
  double max_pause;
  void (*tell)(void *arg, const struct limiter_news *news);
  void *tell_arg;
  void (*next)(void *arg, const struct limiter_news *news);
  void *next_arg;
  int64_t next_told; /* the moment that was told last, 0: none */

  struct limiter_queue queues[LIMITER_SETS];
  struct limiter_queue hopeless; /* set aside to learn of an error */
  uint64_t numbers;              /* of tickets, in the order in which they came */
  struct loop_timer wake;
  bool busy; /* tickets are being called: what comes up meanwhile is seen to afterwards */
  bool closed;

  /* What this process knows, by loop_clock(). */
  int64_t free_at[SLOTS_SCOPES]; /* before this no slot can be free */
  int64_t paused_until[SLOTS_SCOPES];
  int64_t paced_until[SLOTS_SCOPES];
  int64_t pace[SLOTS_SCOPES]; /* while paced: between two requests */
  bool paced_told;            /* of the pacing that goes on */

  /* Of each scope (limiter_share.c): slots that this process took lately, by parts of a window, the
   * last of which has this number; whether other processes take some too. */
  int taken[SLOTS_SCOPES][LIMITER_PARTS + 1];
  int64_t part[SLOTS_SCOPES];
  bool shared[SLOTS_SCOPES];
  int64_t ask_at; /* before this it leaves free slots to the others */

  /* With the limits off. */
  unsigned trying; /* scopes that are paused, or in which one must try first */
  struct limiter_ticket *probes[SLOTS_SCOPES]; /* who tries */
  int64_t looked_at;

  struct slots_ending *endings; /* to be told in the next job */
  size_t ending_count, ending_capacity;

  bool out; /* the job is in the store's hands */
  struct store_slots job;
  size_t job_capacity; /* of job.endings */
  struct slots_taking takings[LIMITER_BATCH];
  struct limiter_ticket *asked[LIMITER_BATCH]; /* for whom; NULL: it wants no longer */
};

static inline bool limiter_has(unsigned set, int scope)
{
  return set >> scope & 1;
}

/* Sees to all that can be seen to now, and sleeps until the next that can. */
void limiter_pump(struct limiter *limiter);

/* Tickets leave their queue and learn how it went: their functions may take, end and cancel. */
void limiter_grant(struct limiter_ticket *ticket);
void limiter_fail(struct limiter_ticket *ticket, const struct error *err);

/* The ticket has to wait: tells of it, and sets it aside when that is in vain. */
void limiter_wait(struct limiter_ticket *ticket, int64_t now);

/* Fails those that were set aside, and all that cannot outwait a pause. */
void limiter_fail_hopeless(struct limiter *limiter);

/* Adds what the next job shall tell the store. */
void limiter_add_ending(struct limiter *limiter, const struct slots_ending *ending);

/* Asks the store for all that can be asked for now, or with nothing to ask and `look` set, how
 * things stand (limiter_store.c). */
void limiter_ask(struct limiter *limiter, bool look);

/* Fairness among processes (limiter_share.c): how many takings the next job may have, and what
 * follows from one that is back. */
size_t limiter_share(const struct limiter *limiter);
void limiter_note_taken(struct limiter *limiter, int64_t now);

/* With the limits off (limiter_off.c): lets go all that may, ends a try, looks for others' pauses
 * now and then. */
void limiter_let_go(struct limiter *limiter);
void limiter_end_probe(struct limiter *limiter, const struct limiter_ticket *ticket,
                       enum slots_end how);
void limiter_look(struct limiter *limiter);

/* Frees a limiter whose job is not out. */
void limiter_end(struct limiter *limiter);

/* How long the set's pause will last, and the moment before which none of it can move. */
int64_t limiter_pause_left(const struct limiter *limiter, unsigned set, int64_t now);
int64_t limiter_wake_at(const struct limiter *limiter, unsigned set);

/* Words (limiter_report.c). */
void limiter_explain_pause(const struct limiter_ticket *ticket, int64_t left, struct error *err);
void limiter_explain_turn(const struct limiter_ticket *ticket, struct error *err);
void limiter_tell_wait(const struct limiter_ticket *ticket, int64_t now);
void limiter_tell_paced(struct limiter *limiter, unsigned set, int64_t now);
void limiter_tell_next(struct limiter *limiter, unsigned set, int64_t now);

/* What a ticket's max_wait allows a pause to last, in seconds. */
double limiter_longest_pause(const struct limiter_ticket *ticket);

#endif
