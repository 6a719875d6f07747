/* The journal of charges: each purchase is written here, durably, before and after it is sent, so
 * that nothing is ever paid twice. This file has its records and the jobs on them; the procedure
 * that uses them is charge/charge. */
#ifndef PROXYLUA_CHARGE_JOURNAL_H
#define PROXYLUA_CHARGE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

/* Intent: written, but nothing has left. Sent: on disk before the first byte leaves. Unknown: money
 * may have moved. These three are open: they hold their reservation until they are settled as
 * placed or not placed. */
enum journal_state {
  JOURNAL_INTENT,
  JOURNAL_SENT,
  JOURNAL_PLACED,
  JOURNAL_NOT_PLACED,
  JOURNAL_UNKNOWN,
  JOURNAL_STATES
};

#define JOURNAL_OPEN (1u << JOURNAL_INTENT | 1u << JOURNAL_SENT | 1u << JOURNAL_UNKNOWN)
#define JOURNAL_ALL ((1u << JOURNAL_STATES) - 1)
#define JOURNAL_NO_PRICE (-1)
#define JOURNAL_NOT_TIMED \
  INT64_MIN                   /* nothing was sent yet, or the machine has been restarted since */
#define JOURNAL_KEEP_END (-1) /* of journal_settle.ends_in */

/* Money is in units of 10^-8. Texts may be NULL except account, key, endpoint, params, params_hash
 * and run_id. */
struct journal_entry {
  int64_t id;
  char *account;     /* base URL and account, as stored by journal_account */
  char *key;         /* the idempotency key, unique within the account */
  char *endpoint;    /* "orders.create" */
  char *params;      /* canonical JSON */
  char *params_hash; /* of endpoint and params; detects a key reused for another purchase */
  int64_t quote;
  enum journal_state state;
  char *order_id;
  int64_t price;  /* JOURNAL_NO_PRICE while not known */
  char *answer;   /* the server's response, as text */
  char *snapshot; /* what existed before (charge/snapshot); once the entry is settled only the
                     expiry date before an extension, or NULL */
  char *note;     /* why the outcome is unknown, or how it was found */
  char *host;
  int64_t pid, started; /* the process that wrote it: see base/process */
  char *run_id;
  char day[11]; /* UTC; the day whose limit the intent counts against (journal_day) */
  int64_t created_at, updated_at; /* microseconds since 1970, by the store's clock */
  bool pruned;                    /* journal_prune has removed its details */
  int64_t since_ended; /* microseconds since the request has certainly ended, by a clock that cannot
                          be set if there is one (CLOCK_BOOTTIME, or the database's); negative: in
                          the future; JOURNAL_NOT_TIMED */
  int64_t since_intent; /* microseconds since the intent by the same clock; or JOURNAL_NOT_TIMED */
};

/* Frees the texts. */
void journal_entry_free(struct journal_entry *entry);

/* "intent", "sent", "placed", "not_placed", "unknown"; and the reverse, JOURNAL_STATES for any
 * other word. */
const char *journal_state_name(enum journal_state state);
enum journal_state journal_state_from_name(const char *name);

/* Whether the process that wrote an entry certainly runs, and whether it has certainly ended.
 * Processes of other machines cannot be seen. */
bool journal_is_running(const struct journal_entry *entry);
bool journal_is_orphan(const struct journal_entry *entry);

/* Every job: zero it, then fill in job.done and the upper fields. The results are in the lower
 * fields when job.err.kind is ERROR_NONE. Input texts must live until done; the caller frees the
 * returned ones. */

/* The account that a key belongs to. With `put` it is stored first, unless the key or an alias has
 * one already: purchases stay under the first name, whichever key was used first. */
#define JOURNAL_ALIASES 2
struct journal_account {
  struct store_job job;
  const char *key; /* hex SHA-256 of base URL and key, from limiter_key */
  const char *put;
  const char *aliases[JOURNAL_ALIASES]; /* identify the account for another of its keys: hashes like
                                           the key's, or NULL */
  char *account;                        /* NULL: unknown */
};

/* One entry by its account and key, or by its id when `key` is NULL. */
struct journal_find {
  struct store_job job;
  const char *account, *key;
  int64_t id;
  bool found;
  struct journal_entry entry;
};

/* Lists entries in the order of their ids, or of their keys when a prefix is given. With an
 * account, lists of open entries, of those since a time, with a prefix, or of orders or stems read
 * no others. */
struct journal_list {
  struct store_job job;
  const char *account;   /* NULL: all accounts */
  unsigned states;       /* bits, JOURNAL_ALL */
  int64_t after;         /* ids above this; with `newest` ids below this, 0: all */
  int64_t since;         /* changed at this time (microseconds since 1970) or later */
  bool newest;           /* in descending order of ids; not with `since` */
  bool hide_pruned;      /* with `newest` */
  const char *prefix;    /* keys that begin with this and are longer; needs an account; NULL: any */
  const char *after_key; /* with a prefix: keys after this in the order of bytes; NULL: all */
  /* Placed entries of the orders in a JSON array of ids; needs an account; NULL: any. */
  const char *orders;
  /* JSON array of stems, such as "fleet/us/" (a key without the number at its end): for each, the
   * placed purchases that are not retired, the placed entry with the highest number, and the entry
   * with the highest number. Needs an account; NULL: any. */
  const char *stems;
  int limit;
  bool counts; /* with `newest`: `total` receives the number of all entries */
  int64_t total;
  struct journal_entry *entries;
  size_t count;
};

/* Frees the entries of a returned list. */
void journal_list_free(struct journal_list *list);

/* What may be spent; -1: no such limit. All three -1: nothing may be spent. */
struct journal_allowance {
  int64_t per_run, per_day, per_order;
};

/* A budget inside the allowance, for all charges whose keys begin alike and that were made with the
 * same budget. */
struct journal_budget {
  size_t prefix;            /* length in bytes of the key's beginning, ASCII only; 0: no budget */
  int64_t per_run, per_day; /* never more than this */
};

/* The day that per_day counts. An account's day is UTC, by the best clock available: the server's,
 * else the store's (this machine's, or the database's). Setting a clock never begins a new day:
 *
 * - Within one boot of the machine (one cluster, for a database) time goes on from the last intent
 *   by the clock that cannot be set; the wall clock is ignored. A server's time replaces it, and
 * may correct its date either way.
 * - A new period, with nothing spent in it, begins only on another date, and only if midnight of
 * the best clock lies within the time that has really passed since the last intent (plus
 *   JOURNAL_DAY_SLACK, since servers' clocks differ). If the date changes without that, for example
 *   after a wrong clock, the same period continues under another date.
 * - After a restart the time for which the machine was off is unknown: a later date begins a new
 *   period, an earlier one does not. If the wall clock was set far ahead meanwhile, its date stays
 *   until a server's time is known, which corrects it. */
#define JOURNAL_DAY_SLACK INT64_C(300000000) /* microseconds */
struct journal_day {
  int64_t period; /* 0: none yet */
  int64_t day;    /* days since 1970 */
  int64_t time;   /* of the last intent, in microseconds since 1970 */
  char clock[64]; /* the clock that read_at belongs to */
  int64_t read_at;
};

enum journal_decision {
  JOURNAL_RESERVED, /* written, id is set */
  JOURNAL_EXISTS,   /* the key has an entry that is open or placed: `existing` */
  JOURNAL_REFUSED   /* above the allowance; nothing written */
};

/* Writes an intent and reserves its quote within the allowance, in one transaction. It
 * counts what this run (run_id) and this account's day have reserved or spent, in total and from
 * the budget (the table `spent` has the sums). A key whose entry was not
 * placed may be used again: the new entry replaces the old one. */
struct journal_reserve {
  struct store_job job;
  int64_t token; /* of journal_lock; 0: do not check */
  bool dry_run;  /* return what would be decided, and write nothing */
  struct journal_entry
      entry; /* the caller owns its texts; id, state, price, day and times are not read */
  struct journal_allowance allowance;
  struct journal_budget budget;
  int64_t elsewhere;   /* charged today without this journal: counts towards per_day */
  int64_t server_time; /* seconds since 1970 by the API's last Date header; 0: unknown */
  enum journal_decision decision;
  int64_t id;
  char day[11];
  struct journal_entry existing;
  int64_t run_spent; /* by this process, counted in memory; set by journal_reserve */
  const char *limit; /* of a refusal: "nothing is allowed", "per_order", "per_day" or "per_run" */
  int64_t allowed, spent; /* of that limit, before this one */
  bool of_budget;         /* it is a limit of the budget */
};

/* What a charge leaves for the next one, so that it need not read the account again: one text per
 * account, in a form that charge/reuse.c defines (some KB at most). It is written together with the
 * settling or the amendment of an entry, and removed when an entry is written as sent, so that it
 * never describes an account in which a charge is under way. It is not written when the lock under
 * which it was read has been lost. NULL text: the present one stays. */
struct journal_baseline {
  const char *text;
  int64_t token; /* of journal_lock */
};

/* Changes the state of an open entry. NULL texts and JOURNAL_NO_PRICE keep the present values. */
struct journal_settle {
  struct store_job job;
  int64_t token; /* of journal_lock; 0: do not check */
  int64_t id;
  enum journal_state state;
  int64_t ends_in; /* microseconds from now after which its request has certainly ended, or
                      JOURNAL_KEEP_END */
  const char *order_id;
  int64_t price;
  const char *answer, *note;
  struct journal_baseline baseline;
  bool releases;    /* gives the lock back too, or the place in its queue */
  bool proven;      /* by the response: overrules a JOURNAL_NOT_PLACED of another process */
  bool changed;     /* false: the entry does not exist, or is settled already */
  int64_t began_at; /* loop_clock() before any of it can have been on disk */
};

/* Adds later findings to a placed entry, and corrects the amount counted as spent. The state stays.
 * NULL texts and JOURNAL_NO_PRICE keep the present values. */
struct journal_amend {
  struct store_job job;
  int64_t token; /* of journal_lock; 0: do not check */
  int64_t id;
  int64_t price;
  const char *answer, *note;
  struct journal_baseline baseline;
  bool changed; /* false: the entry does not exist, or is not placed */
};

/* Shrinks the settled entries that were last changed before a time. What protects their keys stays:
 * a placed entry keeps its key, order, price, parameters and times, and a response that names the
 * order (that of an extension stays whole, since it has the expiry date). An entry that is not
 * placed is deleted, since its key may buy again. Open entries stay as they are. So do the sums of
 * the allowances, except for runs that have spent nothing for JOURNAL_RUN_AGE. */
#define JOURNAL_RUN_AGE (INT64_C(30) * 86400 * 1000000) /* microseconds */
struct journal_prune {
  struct store_job job;
  const char *account;
  int64_t before; /* microseconds since 1970, by the store's clock */
  int64_t pruned, removed;
};

/* Marks the purchases of orders that have ended. A list of stems leaves them out, so that its work
 * does not grow with the number of purchases ever made. */
struct journal_retire {
  struct store_job job;
  const char *account;
  const char *orders; /* JSON array of ids */
};

/* What a charge must know of its account before it begins, as of one moment and in one round trip:
 * the open entries, oldest first; those that were settled within the last `within` microseconds,
 * newest first; and the baseline. A NULL text: there is no baseline. Its age is in microseconds, by
 * the clock of since_ended; JOURNAL_NOT_TIMED: the age is unknown, do not use the baseline. */
#define JOURNAL_MAX_SETTLED 100
struct journal_review {
  struct store_job job;
  const char *account;
  int64_t within;
  int limit;                         /* for open entries; JOURNAL_MAX_SETTLED for settled ones */
  struct journal_list open, settled; /* only entries and count are used */
  char *baseline;
  int64_t baseline_entry; /* the entry whose charge left it */
  int64_t baseline_age;
};

/* Frees the results of a review. */
void journal_review_free(struct journal_review *review);

/* The lock of an account. One process at a time holds it, among all processes and machines that
 * share the store. It lasts for a lease of some seconds, which the store's thread renews while the
 * process runs; the lock of a process that has ended is free earlier. Repeat the job until `token`
 * is set: a process that has asked once is the next to get the lock. */
struct journal_lock {
  struct store_job job;
  const char *account; /* NULL: releases the lock, or the place in the queue */
  struct journal_review
      *review;               /* the entries, as of the moment at which the lock was taken: the */
  struct journal_find *find; /* upper fields are filled in; results only with a token; or NULL */
  int64_t token; /* 0: another process holds it. A write under this token fails when the lock has
                    been lost */
};

/* All jobs that write are on disk before they are done. Two need less: an intent survives the end
 * of this process, and is on disk once its entry is written as sent; so does a lock. */
void journal_account(struct store *store, struct journal_account *account);
void journal_find(struct store *store, struct journal_find *find);
void journal_list(struct store *store, struct journal_list *list);
void journal_reserve(struct store *store, struct journal_reserve *reservation);
void journal_settle(struct store *store, struct journal_settle *settle);
void journal_amend(struct store *store, struct journal_amend *amend);
void journal_review(struct store *store, struct journal_review *review);
void journal_prune(struct store *store, struct journal_prune *prune);
void journal_retire(struct store *store, struct journal_retire *retire);
void journal_lock(struct store *store, struct journal_lock *lock);

#endif
