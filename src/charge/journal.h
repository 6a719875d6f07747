/* The journal of charges: every purchase is written here, durably, before and after it is sent, so
 * that nothing is ever paid twice. These are its records and the jobs on them; the flow that uses
 * them is charge/charge. */
#ifndef PROXYLUA_CHARGE_JOURNAL_H
#define PROXYLUA_CHARGE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

/* Intent: written, and nothing has left. Sent: on disk before the first byte leaves. Unknown: may
 * or may not have moved money. These three are open: they hold their reservation until they are
 * settled as placed or not placed. */
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
  INT64_MIN /* nothing was sent yet, or the machine has been started again since */
#define JOURNAL_KEEP_END (-1) /* of journal_settle.ends_in */

/* Money is in units of 10^-8. Texts may be NULL except account, key, endpoint, params, params_hash
 * and run_id. */
struct journal_entry {
  int64_t id;
  char *account;     /* base URL and account, as remembered by journal_account */
  char *key;         /* the idempotency key, unique within the account */
  char *endpoint;    /* "orders.create" */
  char *params;      /* canonical JSON */
  char *params_hash; /* of endpoint and params, to tell a key used twice for two things */
  int64_t quote;
  enum journal_state state;
  char *order_id;
  int64_t price;  /* JOURNAL_NO_PRICE while not known */
  char *answer;   /* the server's, as text */
  char *snapshot; /* what existed before (charge/snapshot); once it is settled only the end that an
                     extension began from, or NULL */
  char *note;     /* why the outcome is unknown, or how it was found out */
  char *host;
  int64_t pid, started; /* who: see base/process */
  char *run_id;
  char day[11];                   /* UTC, of the intent, as it was accounted (journal_day) */
  int64_t created_at, updated_at; /* microseconds since 1970, by the store's clock */
  bool pruned;                    /* journal_prune has taken its details away */
  int64_t since_ended; /* microseconds since the exchange has surely ended, by a clock that nobody
                          sets where there is one (CLOCK_BOOTTIME, or the database's); negative: to
                          come; JOURNAL_NOT_TIMED */
};

/* Frees the texts. */
void journal_entry_free(struct journal_entry *entry);

/* "intent", "sent", "placed", "not_placed", "unknown"; and back, JOURNAL_STATES for any other word.
 */
const char *journal_state_name(enum journal_state state);
enum journal_state journal_state_from_name(const char *name);

/* Whether the process that wrote an entry is known to live, and known to be gone. Those of other
 * machines cannot be seen. */
bool journal_is_running(const struct journal_entry *entry);
bool journal_is_orphan(const struct journal_entry *entry);

/* Every job: zero it, fill in job.done and the upper fields; the answer is in the lower ones when
 * job.err.kind is ERROR_NONE. Texts given must live until done; those answered are the caller's to
 * free. */

/* The right to charge an account, which one has at a time among all processes and machines that
 * share the store. In a file it is gone with the process that has it; in a database it lasts for a
 * lease of some seconds, which the store's thread renews while the process runs. Asked for again
 * and again until `token` is there: whoever has asked once is the next to get it. */
struct journal_lock {
  struct store_job job;
  const char *account; /* NULL: gives it, or the place in the queue, back */
  int64_t token; /* 0: somebody else has it. What is written under this token fails when the right
                    has been lost */
};

/* The account that a key belongs to. With `put` it is remembered first, unless one is already,
 * under the key or under an alias: what was bought lies under that name, whoever found it out
 * first. */
#define JOURNAL_ALIASES 2
struct journal_account {
  struct store_job job;
  const char *key; /* hex SHA-256 of base URL and key, as limiter_key answers */
  const char *put;
  const char *aliases[JOURNAL_ALIASES]; /* by which another key of it can be told: hashes like the
                                           key's, or NULL */
  char *account;                        /* NULL: not known */
};

/* One entry by its account and key, or by its id when `key` is NULL. */
struct journal_find {
  struct store_job job;
  const char *account, *key;
  int64_t id;
  bool found;
  struct journal_entry entry;
};

/* Entries in the order of their ids, or of their keys when a prefix is given. With an account,
 * lists of open entries, of those since a time, with a prefix, or of orders or stems read no
 * others. */
struct journal_list {
  struct store_job job;
  const char *account;   /* NULL: of all */
  unsigned states;       /* bits, JOURNAL_ALL */
  int64_t after;         /* ids above this; with `newest` ids below this, 0: all */
  int64_t since;         /* changed at this time (microseconds since 1970) or later */
  bool newest;           /* in the order of falling ids, without `since` */
  bool hide_pruned;      /* with `newest` */
  const char *prefix;    /* keys that begin so, and are longer; needs an account; NULL: any */
  const char *after_key; /* with a prefix: keys after this in the order of bytes; NULL: all */
  /* Placed entries of the orders in a JSON array of ids; needs an account; NULL: any. */
  const char *orders;
  /* JSON array of stems, such as "fleet/us/" (a key without the number at its end): for each, the
   * placed purchases that are not retired, the placed entry with the highest number, and the entry
   * with the highest number. Needs an account; NULL: any. */
  const char *stems;
  int limit;
  bool counts; /* with `newest`: how many there are all in all goes to `total` */
  int64_t total;
  struct journal_entry *entries;
  size_t count;
};

/* Frees the entries of an answered list. */
void journal_list_free(struct journal_list *list);

/* What may be spent; -1: not limited by this one. All three -1: nothing may be spent. */
struct journal_allowance {
  int64_t per_run, per_day, per_order;
};

/* A ceiling of its own, inside of the allowance, for all charges whose keys begin alike and that
 * were made with a purse of that beginning. */
struct journal_purse {
  size_t prefix;            /* how many bytes of the key, all of them ASCII; 0: there is none */
  int64_t per_run, per_day; /* never more than this */
};

/* The day that per_day counts. An account's day is UTC, by the best clock at hand: the server's,
 * else the store's (this machine's, or the database's). No clock that is set makes a new day:
 *
 * - Within one boot of the machine (one cluster, for a database) time goes on from the last intent
 *   by the clock that nobody sets; the wall clock is not looked at. A server's time replaces it,
 *   and may correct its date either way.
 * - A new period, with nothing spent in it, begins only on another date, and when midnight of the
 *   best clock lies within the time that has really passed since the last intent (and
 *   JOURNAL_DAY_SLACK, since servers' clocks differ). A date that changes without that, such as
 *   after a wrong clock, is another name for the same period.
 * - After a restart nobody knows how long the machine was off: a later date begins a new period, an
 *   earlier one does not. A wall clock that was set far ahead meanwhile holds the date there until
 * a server's time is known, which puts it right. */
#define JOURNAL_DAY_SLACK INT64_C(300000000) /* microseconds */
struct journal_day {
  int64_t period; /* 0: none yet */
  int64_t day;    /* days since 1970 */
  int64_t time;   /* of the last intent, in microseconds since 1970 */
  char clock[64]; /* whose microseconds read_at is */
  int64_t read_at;
};

/* The clocks at an intent. */
struct journal_now {
  const char *clock; /* a boot id, or a cluster's system identifier */
  int64_t read_at;   /* microseconds of it */
  int64_t wall;      /* the store's, in microseconds since 1970 */
  int64_t server;    /* microseconds since 1970; 0: not known */
};

/* Moves an account's day on to now. For the stores. */
void journal_day_advance(struct journal_day *day, const struct journal_now *now);
void journal_day_format(int64_t day, char text[11]);

enum journal_verdict {
  JOURNAL_RESERVED, /* written, id is set */
  JOURNAL_EXISTS,   /* the key has an entry that is open or placed: `existing` */
  JOURNAL_REFUSED   /* above the allowance; nothing written */
};

/* Writes an intent and reserves its quote within the allowance, in one durable transaction: what
 * this run (run_id) and this account's day have reserved or spent, all in all and from the purse,
 * is counted inside of it (the table `spent` has the sums, which triggers keep). A key whose entry
 * was not placed may be used again: its new entry takes the place of the old one. */
struct journal_intend {
  struct store_job job;
  int64_t token; /* of journal_lock; 0: whoever has the right */
  bool rehearse; /* answer what would be decided, and write nothing */
  struct journal_entry
      entry; /* texts stay the caller's; id, state, price, day and times are not read */
  struct journal_allowance allowance;
  struct journal_purse purse;
  int64_t
      server_time; /* seconds since 1970 by the API's Date header of a moment ago; 0: not known */
  enum journal_verdict verdict;
  int64_t id;
  char day[11];
  struct journal_entry existing;
  int64_t run_spent; /* by this process, as it remembers itself; set by journal_intend */
  const char *limit; /* of a refusal: "nothing is allowed", "per_order", "per_day" or "per_run" */
  int64_t allowed, spent; /* of that limit, before this one */
  bool of_purse;          /* it is one of the purse's */
};

/* What a charge leaves for the next one to begin with, in place of reading the account again: one
 * text per account, whose form the charge flow chooses (some KB at most). It is written together
 * with the settling or the amendment of an entry, and removed when an entry is written as sent, so
 * that it never describes an account in which a charge is under way. It is not written when the
 * right to charge under which it was seen has been lost. NULL text: what is there stays. */
struct journal_baseline {
  const char *text;
  int64_t token; /* of journal_lock */
};

/* Moves an open entry on. NULL texts and JOURNAL_NO_PRICE keep what is there. */
struct journal_settle {
  struct store_job job;
  int64_t token; /* of journal_lock; 0: whoever has the right */
  int64_t id;
  enum journal_state state;
  int64_t ends_in; /* microseconds from now on after which its exchange has surely ended, or
                      JOURNAL_KEEP_END */
  const char *order_id;
  int64_t price;
  const char *answer, *note;
  struct journal_baseline baseline;
  bool changed;     /* false: there is no such entry, or it is placed or not placed already */
  int64_t began_at; /* loop_clock() before anything of it can have been on disk */
};

/* Adds to an entry that is placed what was found out later, and corrects what is counted as spent.
 * The state stays. NULL texts and JOURNAL_NO_PRICE keep what is there. */
struct journal_amend {
  struct store_job job;
  int64_t token; /* of journal_lock; 0: whoever has the right */
  int64_t id;
  int64_t price;
  const char *answer, *note;
  struct journal_baseline baseline;
  bool changed; /* false: there is no such entry, or it is not placed */
};

/* Makes the settled entries smaller that were last changed before a time. What protects their keys
 * stays: an entry that is placed keeps its key, order, price, parameters and times, and a response
 * that names the order (an extension its own, which has the end); an entry that is not placed goes
 * whole, since its key may buy again. Open entries, and the sums of the allowances, are left alone,
 * but for those of runs that have spent nothing for JOURNAL_RUN_AGE. */
#define JOURNAL_RUN_AGE (INT64_C(30) * 86400 * 1000000) /* microseconds */
struct journal_prune {
  struct store_job job;
  const char *account;
  int64_t before; /* microseconds since 1970, by the store's clock */
  size_t pruned, removed;
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
 * newest first; and the baseline. A text of NULL: there is no baseline. Its age is in microseconds,
 * by the clock of since_ended; JOURNAL_NOT_TIMED: of unknown age, do not use it. */
#define JOURNAL_MAX_SETTLED 100
struct journal_review {
  struct store_job job;
  const char *account;
  int64_t within;
  int limit;                         /* of the open ones; of the others JOURNAL_MAX_SETTLED */
  struct journal_list open, settled; /* only entries and count are used */
  char *baseline;
  int64_t baseline_entry; /* whose charge left it */
  int64_t baseline_age;
};

/* Frees what a review has answered. */
void journal_review_free(struct journal_review *review);

/* All but the reading ones are on disk before they are done. */
void journal_account(struct store *store, struct journal_account *account);
void journal_find(struct store *store, struct journal_find *find);
void journal_list(struct store *store, struct journal_list *list);
void journal_intend(struct store *store, struct journal_intend *intend);
void journal_settle(struct store *store, struct journal_settle *settle);
void journal_amend(struct store *store, struct journal_amend *amend);
void journal_review(struct store *store, struct journal_review *review);
void journal_prune(struct store *store, struct journal_prune *prune);
void journal_retire(struct store *store, struct journal_retire *retire);
void journal_lock(struct store *store, struct journal_lock *lock);

struct journal_spent {
  int64_t run, day;
};

/* Whether the quote fits into the allowance and the purse, given what was spent before: fills in
 * limit, allowed, spent and of_purse, and answers false when it does not. For the stores. */
bool journal_allows(struct journal_intend *intend, const struct journal_spent *all,
                    const struct journal_spent *purse);

#endif
