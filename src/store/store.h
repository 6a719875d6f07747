/* What outlives a run (the slots of the rate limits, the journal of charges, notes), shared by
 * every process that uses the same location: a file (SQLite) or a database (PostgreSQL). All work
 * runs on a separate thread, first in first out, so that a busy file or a slow disk does not block
 * the loop; each job ends with a completion on the loop's thread. */
#ifndef PROXYLUA_STORE_STORE_H
#define PROXYLUA_STORE_STORE_H

#include <stddef.h>

#include "base/error.h"
#include "net/loop.h"

struct store;
struct store_driver;

/* A piece of work: the first field of the struct that it works on, which must live, and not move,
 * until `done` has run. */
struct store_job {
  struct store_job *next;
  void (*work)(struct store_job *job, struct store_driver *driver); /* on the store's thread */
  void (*done)(struct store_job *job); /* on the loop's thread, in loop_turn or store_close */
  void *arg;                           /* for `done` */
  struct error err;                    /* kind ERROR_NONE on success */
};

/* Stores the location: a path, ":memory:" (lost when closed),
 * postgres://user:password@host/database in libpq's syntax, or NULL for
 * $XDG_STATE_HOME/proxylua/state.db. Opens nothing before the first job, which fails with an error
 * of kind `store` when the store cannot be opened (`config` without libpq); the next job tries
 * again. NULL with a config error for an invalid location. */
struct store *store_open(struct loop *loop, const char *location, struct error *err);

/* Finishes every job, runs its completion (which may submit more), and closes. Waits for at most
 * one second for a lock of others. NULL is allowed. */
void store_close(struct store *store);

/* The path, or the database without user and password, for messages. */
const char *store_location(const struct store *store);

/* Submits a job whose work and done are set. */
void store_submit(struct store *store, struct store_job *job);

/* Opens the store, if it is not open. */
struct store_check {
  struct store_job job;
  bool pooled; /* the result: a connection pooler is between this process and the database */
};

void store_check(struct store *store, struct store_check *check);

#endif
