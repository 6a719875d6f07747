/* Where slots, pauses and the journal of charges live, shared by every process that uses the same
 * store: a file (SQLite) or a database (PostgreSQL). All work runs on a thread of its own, first in
 * first out, so neither a busy file nor a slow disk holds up the loop; a completion on the loop's
 * thread ends each job. */
#ifndef PROXYLUA_STORE_STORE_H
#define PROXYLUA_STORE_STORE_H

#include <stddef.h>

#include "base/error.h"
#include "limits/slots.h"
#include "net/loop.h"

struct store;
struct store_driver;

/* A piece of work: the first field of what it works on, which must live, and keep still, until
 * `done` has run. */
struct store_job {
  struct store_job *next;
  void (*work)(struct store_job *job, struct store_driver *driver); /* on the store's thread */
  void (*done)(struct store_job *job); /* on the loop's thread, in loop_turn or store_close */
  struct error err;                    /* kind ERROR_NONE when it worked */
};

/* Takes note of the location: a path, ":memory:" (gone when closed),
 * postgres://user:password@host/database as libpq reads it, or NULL for
 * $XDG_STATE_HOME/proxylua/state.db. Opens nothing before the first job, which fails with an error
 * of kind `store` when it cannot be opened (`config` without libpq); the next one tries again. NULL
 * with a config error for a location that no store understands. */
struct store *store_open(struct loop *loop, const char *location, struct error *err);

/* Finishes every job, runs its completion (which may submit more), and closes. A lock that others
 * hold is waited for one second at most. NULL is fine. */
void store_close(struct store *store);

/* The path, or the database without user and password, for messages. */
const char *store_location(const struct store *store);

/* Hands in a job whose work and done are set. */
void store_submit(struct store *store, struct store_job *job);

/* Opens the store if it is not open, and no more. */
void store_check(struct store *store, struct store_job *job);

/* Ends, takes and looks, in this order, in one transaction. With nothing to end or take it only
 * reads. */
struct store_slots {
  struct store_job job;
  char key[65];    /* whose slots: hex SHA-256 of base URL and key */
  unsigned scopes; /* those that `views` is wanted of; all that endings and takings name must be
                      among them */
  struct slots_rule rules[SLOTS_SCOPES];
  struct slots_ending *endings;
  size_t ending_count;
  struct slots_taking *takings; /* answered in place */
  size_t taking_count;
  int64_t asked_at; /* a moment of loop_clock() before the takings, from which leases surely last */
  struct slots_view views[SLOTS_SCOPES]; /* the answer, as it is after all takings */
  int64_t answered_at;                   /* loop_clock() from which the views' durations count */
};

/* job.done must be set. Errors are of kind `store`: nothing was taken then; what was to end keeps
 * its lease. */
void store_slots(struct store *store, struct store_slots *slots);

#endif
