/* What the parts of the limiter share. Private to limiter*.c. */
#ifndef PROXYLUA_LIMITS_LIMITER_PRIVATE_H
#define PROXYLUA_LIMITS_LIMITER_PRIVATE_H

#include "limits/limiter.h"

#define LIMITER_BATCH 64 /* takes in one job at most */

/* Sets of scopes: one queue each, so that a waiting one does not hold back the others. */
#define LIMITER_SETS (1 << SLOTS_SCOPES)

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
  void (*report)(void *arg, const struct limiter_notice *notice);
  void *report_arg;
  void (*next)(void *arg, const struct limiter_notice *notice);
  void *next_arg;
  int64_t next_reported; /* the time reported last, 0: none */

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
  bool paced_reported;        /* the present pacing was reported */

  /* For each scope: slots of this process's requests under way, and when those of its ended
   * requests are free again; whether other processes take slots too. */
  int held[SLOTS_SCOPES];
  struct limiter_ends ends[SLOTS_SCOPES];
  bool shared[SLOTS_SCOPES];
  bool full[SLOTS_SCOPES]; /* no slot was free at the last look */
  int64_t ask_at;          /* until then it leaves free slots to the others */

  /* Scopes that are paused, or were and no request has shown since that the server accepts them. */
  unsigned unproven;
  int64_t looked_at; /* when they were last read because of a request without a limit */

  struct slots_ending *endings; /* to be written by the next job */
  size_t ending_count, ending_capacity;

  bool job_under_way;
  struct slots_job job;
  size_t job_capacity; /* of job.endings */
  struct slots_taking takings[LIMITER_BATCH];
  struct limiter_ticket *asked[LIMITER_BATCH]; /* its tickets; NULL: cancelled */
};

static inline bool limiter_has(unsigned set, int scope)
{
  return set >> scope & 1;
}

/* Queues the job for the store (limiter_store.c). job.done must be set. Errors are of kind `store`:
 * then no slot was taken, and endings keep their leases. */
void slots_submit(struct store *store, struct slots_job *slots);

/* The length of the set's pause, and the time before which none of its tickets can go. */
int64_t limiter_pause_left(const struct limiter *limiter, unsigned set, int64_t now);
int64_t limiter_wake_at(const struct limiter *limiter, unsigned set);

/* Messages (limiter_report.c): why a ticket failed, that it waits, that requests are paced, and
 * when the first ticket of the set can go (0: none can by itself). */
void limiter_explain(const struct limiter_ticket *ticket, struct error *err);
void limiter_report_wait(const struct limiter_ticket *ticket, int64_t now);
void limiter_report_paced(struct limiter *limiter, unsigned set, int64_t now);
void limiter_report_next(struct limiter *limiter, unsigned set, int64_t now);

#endif
