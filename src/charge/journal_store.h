/* What the files of the journal share. Private to journal*.c and lock_store.c; they run on the
 * store's thread. */
#ifndef PROXYLUA_CHARGE_JOURNAL_STORE_H
#define PROXYLUA_CHARGE_JOURNAL_STORE_H

#include "charge/journal.h"
#include "store/driver.h"

/* What this process remembers of the journal. */
struct journal_run {
  int64_t newest; /* the highest id of an entry that this process has committed */
  struct journal_reserved {
    int64_t id, amount;
  } * reserved; /* what this process's entries count towards per_run, in ascending order of ids;
                   changes of the store by others cannot reduce it */
  size_t count, capacity;
  int64_t total;    /* sum of these */
  int64_t token;    /* of the account's lock that is held; 0: none */
  int64_t asking;   /* with which a lock is asked for; 0: none */
  int64_t renew_at; /* loop_clock() when the lease of the lock is renewed */
};

/* NULL with the error set when out of memory. */
struct journal_run *journal_run(const struct store_driver *driver, struct error *err);

/* Makes room for one more entry; adds it; corrects its amount. */
bool journal_make_room(struct journal_run *run, struct error *err);
void journal_remember(struct journal_run *run, int64_t id, int64_t amount);
void journal_correct(struct journal_run *run, int64_t id, int64_t amount);

/* The clocks at an intent. */
struct journal_now {
  const char *clock; /* a boot id, or a cluster's system identifier */
  int64_t read_at;   /* microseconds of it */
  int64_t wall;      /* the store's, in microseconds since 1970 */
  int64_t server;    /* microseconds since 1970; 0: not known */
};

/* Moves an account's day on to the present time. */
void journal_day_advance(struct journal_day *day, const struct journal_now *now);
void journal_day_format(int64_t day, char text[11]);

struct journal_spent {
  int64_t run, day;
};

/* Whether the quote fits into the allowance and the budget, given what was spent before. If not,
 * fills in limit, allowed, spent and of_budget, and returns false. */
bool journal_allows(struct journal_reserve *reservation, const struct journal_spent *all,
                    const struct journal_spent *budget);

/* A condition of a statement: its parameter, a token, is 0 or that of a lock that is held. */
#define JOURNAL_HELD(token) \
  "(CAST(" token " AS bigint) = 0 OR EXISTS (SELECT 1 FROM locks WHERE token = " token "))"

/* In a transaction: renews the lease of a lock, so that no other process takes the lock before the
 * commit. `held` receives 0 when the lock has been lost; a token of 0 is not checked. */
bool journal_hold(struct store_driver *driver, int64_t token, int64_t *held, struct error *err);

/* In a transaction: gives back the lock that this process has, and its place in the queue; and what
 * follows when it is committed. */
bool journal_release(struct store_driver *driver, struct error *err);
bool journal_forget_lock(struct store_driver *driver, struct error *err);

/* In a transaction: the reading parts of these jobs. They set the results anew, from valid ones. */
bool journal_read_review(struct store_driver *driver, struct journal_review *job,
                         struct error *err);
bool journal_read_find(struct store_driver *driver, struct journal_find *job, struct error *err);

/* Sets a store error when a lock has been lost (journal_hold). */
bool journal_has_lock(struct store_driver *driver, int64_t token, int64_t held, struct error *err);

#endif
