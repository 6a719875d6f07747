/* The operations of a kind of store. Each function runs on the store's thread, does its work in one
 * transaction and returns false with job.err set when it failed. Private to store*.c. */
#ifndef PROXYLUA_STORE_DRIVER_H
#define PROXYLUA_STORE_DRIVER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "charge/journal.h"
#include "store/notes.h"
#include "store/store.h"

/* What this process remembers of the store that it began with, to detect a replaced one. It
 * outlives a driver. */
struct store_run {
  char id[40];    /* set when the store was created; empty: not read yet */
  bool replaced;  /* the present store has another id: this run spends no more */
  int64_t newest; /* the highest id of an entry that this process has committed */
  struct store_reserved {
    int64_t id, amount;
  } * reserved; /* what this process's entries count towards per_run, in ascending order of ids;
                   changes of the store by others cannot reduce it */
  size_t count, capacity;
  int64_t total; /* sum of these */
};

struct store_ops {
  /* `hurry` becomes true when the program is ending: no long waits from then on. */
  struct store_driver *(*open)(const char *location, const atomic_bool *hurry,
                               struct store_run *run, struct error *err);
  void (*close)(struct store_driver *driver);
  /* Whether the file at the location is not the one that was opened. */
  bool (*stale)(struct store_driver *driver);

  bool (*pooled)(struct store_driver *driver, struct store_check *check); /* NULL: never pooled */
  bool (*slots)(struct store_driver *driver, struct store_slots *slots);
  bool (*account)(struct store_driver *driver, struct journal_account *account);
  bool (*find)(struct store_driver *driver, struct journal_find *find);
  bool (*list)(struct store_driver *driver, struct journal_list *list);
  bool (*intend)(struct store_driver *driver, struct journal_intend *intend);
  bool (*settle)(struct store_driver *driver, struct journal_settle *settle);
  bool (*amend)(struct store_driver *driver, struct journal_amend *amend);
  bool (*review)(struct store_driver *driver, struct journal_review *review);
  bool (*prune)(struct store_driver *driver, struct journal_prune *prune);
  bool (*retire)(struct store_driver *driver, struct journal_retire *retire);
  bool (*lock)(struct store_driver *driver, struct journal_lock *lock);
  /* Does periodic work when there is no job, and returns in how many microseconds it wants to be
   * called again; negative: not before the next job. NULL: there is no periodic work. */
  int64_t (*tend)(struct store_driver *driver);
  bool (*notes_get)(struct store_driver *driver, struct notes_get *get);
  bool (*notes_put)(struct store_driver *driver, struct notes_put *put);
  bool (*notes_list)(struct store_driver *driver, struct notes_list *list);
  bool (*notes_forget)(struct store_driver *driver, struct notes_forget *forget);
};

/* SQL for both stores: a key without the number at its end. */
#define JOURNAL_STEM "rtrim(key, '0123456789')"

/* SQL for both stores: decodes the escapes that an order's id is likely to have in a path. */
#define JOURNAL_UNESCAPED(text)                                           \
  "replace(replace(replace(replace(replace(replace(replace(replace(" text \
  ", '%3A', ':'), "                                                       \
  "'%2F', '/'), '%3D', '='), '%2B', '+'), '%40', '@'), '%2C', ','), '%20', ' '), '%25', '%')"

struct store_driver {
  const struct store_ops *ops;
  struct store_run *run;
  int64_t token; /* of the account's lock that is held (journal_lock); 0: none */
};

extern const struct store_ops store_sqlite, store_postgres;

/* The name of a location for messages: a database without its user, password and parameters. The
 * caller frees it; NULL when out of memory. */
char *store_name(const char *location);

/* Whether the lock under which a job began is still held. If not, sets a store error (journal_lost)
 * and returns false. */
bool journal_lost(struct error *err);
bool journal_holds(const struct store_driver *driver, int64_t token, struct error *err);

/* Compares the id that was read with the one that this process began with; remembers the first. */
void store_identify(struct store_run *run, const char *id);

/* False with a store error when the store is not the one that this process began with. */
bool journal_is_same(const struct store_run *run, struct error *err);

/* False with a store error when the id of a new entry shows that the store has been rolled back:
 * this process has written it, or a higher one, before. */
bool journal_is_new(const struct store_run *run, int64_t id, struct error *err);

/* The first text after all that begin with a prefix (ASCII, not empty), in the order of bytes. The
 * caller frees it; NULL when out of memory. */
char *journal_prefix_end(const char *prefix);

/* Endings, takings and views, between loading the states and saving the changed ones. `now` is the
 * time of `clock`, `asked_at` a time of loop_clock() that is not after it. */
void store_slots_apply(struct store_slots *slots, struct slots_state *states, const char *clock,
                       int64_t now, int64_t asked_at);

#endif
