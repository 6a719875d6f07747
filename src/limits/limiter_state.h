/* What the parts of the limiter share. Private to limiter*.c. */
#ifndef PROXYLUA_LIMITS_LIMITER_STATE_H
#define PROXYLUA_LIMITS_LIMITER_STATE_H

#include "limits/limiter.h"

#define LIMITER_BATCH 64 /* takes in one job at most */
#define LIMITER_SETS                                                                              \
  (1 << SLOTS_SCOPES) /* sets of scopes: one queue each, so that a waiting one does not hold back \
                         the others */

struct limiter_ends {
  int64_t *at; /* from `first`, the earliest, on */
  size_t first, count, capacity;
};

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
  int64_t next_told; /* the time reported last, 0: none */

  struct limiter_queue queues[LIMITER_SETS];
  struct limiter_queue expired; /* tickets that will receive an error */
  uint64_t numbers;             /* numbers of tickets, in their order */
  struct loop_timer wake;
  bool busy; /* functions of tickets run: handle new events afterwards */
  bool closed;

  /* State known to this process; times of loop_clock(). */
  int64_t free_at[SLOTS_SCOPES]; /* before this no slot can be free */
  int64_t paused_until[SLOTS_SCOPES];
  int64_t paced_until[SLOTS_SCOPES];
  int64_t pace[SLOTS_SCOPES]; /* while paced: between two requests */
  bool paced_told;            /* the present pacing was reported */

  /* For each scope (limiter_share.c): slots of this process's requests under way, and when those of
   * its ended requests are free again; whether other processes take slots too. */
  int held[SLOTS_SCOPES];
  struct limiter_ends ends[SLOTS_SCOPES];
  bool shared[SLOTS_SCOPES];
  bool full[SLOTS_SCOPES]; /* no slot was free at the last look */
  int64_t ask_at;          /* until then it leaves free slots to the others */

  /* With the limits off. */
  unsigned trying;                             /* scopes that are paused, or wait for a probe */
  struct limiter_ticket *probes[SLOTS_SCOPES]; /* the ticket of the probe */
  int64_t looked_at;

  struct slots_ending *endings; /* to be written by the next job */
  size_t ending_count, ending_capacity;

  bool out; /* the job is queued in the store */
  struct slots_job job;
  size_t job_capacity; /* of job.endings */
  struct slots_taking takings[LIMITER_BATCH];
  struct limiter_ticket *asked[LIMITER_BATCH]; /* its tickets; NULL: cancelled */
};

static inline bool limiter_has(unsigned set, int scope)
{
  return set >> scope & 1;
}

/* Handles everything that can be handled now, and sleeps until the next event. */
void limiter_pump(struct limiter *limiter);

/* Tickets leave their queue and receive the result: their functions may take, end and cancel. */
void limiter_grant(struct limiter_ticket *ticket);
void limiter_fail(struct limiter_ticket *ticket, const struct error *err);

/* The ticket must wait: reports it, and marks it as failed if it cannot succeed. */
void limiter_wait(struct limiter_ticket *ticket, int64_t now);

/* Fails the marked tickets, and all whose max_wait is shorter than a pause. */
void limiter_fail_expired(struct limiter *limiter);

/* Adds what the next job writes to the store. */
void limiter_add_ending(struct limiter *limiter, const struct slots_ending *ending);

/* Sends the store everything that can be sent now; with nothing to send and `look` set, reads the
 * state (limiter_store.c). */
void limiter_ask(struct limiter *limiter, bool look);

/* Fairness among processes (limiter_share.c): how many slots the next job may take, and what
 * follows from a finished job. */
size_t limiter_share(const struct limiter *limiter);
void limiter_note_taken(struct limiter *limiter, int64_t now);

/* A request that had slots has ended. */
void limiter_note_end(struct limiter *limiter, const struct slots_ending *ending);

void limiter_forget_ends(struct limiter *limiter);

/* With the limits off (limiter_off.c): grants what may go, ends a probe, reads other processes'
 * pauses now and then. */
void limiter_let_go(struct limiter *limiter);
void limiter_end_probe(struct limiter *limiter, const struct limiter_ticket *ticket,
                       enum slots_end how);
void limiter_look(struct limiter *limiter);

/* Frees a limiter whose job is not under way. */
void limiter_end(struct limiter *limiter);

/* The length of the set's pause, and the time before which none of its tickets can go. */
int64_t limiter_pause_left(const struct limiter *limiter, unsigned set, int64_t now);
int64_t limiter_wake_at(const struct limiter *limiter, unsigned set);

/* Messages (limiter_report.c). */
void limiter_explain_pause(const struct limiter_ticket *ticket, int64_t left, struct error *err);
void limiter_explain_turn(const struct limiter_ticket *ticket, struct error *err);
void limiter_tell_wait(const struct limiter_ticket *ticket, int64_t now);
void limiter_tell_paced(struct limiter *limiter, unsigned set, int64_t now);
void limiter_tell_next(struct limiter *limiter, unsigned set, int64_t now);

/* The longest pause that a ticket's max_wait allows, in seconds. */
double limiter_longest_pause(const struct limiter_ticket *ticket);

#endif
