/* A charge, from the quote to the settled journal entry. A request that moves money leaves in no
 * other way. The limits on spending are enforced here, out of reach of scripts; the outcome is on
 * disk before the caller learns it. */
#ifndef PROXYLUA_CHARGE_CHARGE_H
#define PROXYLUA_CHARGE_CHARGE_H

#include <stdbool.h>
#include <stddef.h>

#include "api/client.h"
#include "api/record.h"
#include "base/json.h"
#include "base/money.h"
#include "charge/journal.h"

/* Size limit of an order's id, in bytes. */
#define PURCHASE_MAX_ID 512

struct purchase;
struct purchase_charge;

/* What the user must confirm before a charge that no allowance covers. */
struct purchase_question {
  const char *name; /* "orders.create", or a path */
  const char *params;
  money quote;
  bool estimate; /* the quote of an extension: the price of a new order like it */
  bool has_balance;
  money balance;
};

struct purchase_settings {
  struct loop *loop;
  struct client *client;
  struct store *store;
  const char *key_hash; /* of base URL and key, from limiter_key; outlives the module */
  struct journal_allowance allowance; /* what this run, a day and an order may spend */
  bool ignore_elsewhere;              /* per_day counts only what the journal has */
  bool dry_run;
  double timeout; /* maximum seconds of one request */
  double settle;  /* seconds after the end of a request after which an effect that is not visible
                     will not appear any more */
  void (*tell)(void *arg,
               const char *text); /* reports text even if no call waits for it; never NULL */
  void *tell_arg;
  /* A charge whose caller stopped waiting was placed, by the request `params` ("POST /orders {…}").
   * It is released afterwards. NULL: not wanted. */
  void (*placed_late)(void *arg, const struct purchase_charge *charge,
                      const struct endpoint *endpoint, const char *params);
  void *placed_late_arg;
  /* Asks the user; the reply arrives through purchase_answer, perhaps before `ask` returns. `unask`
   * withdraws the question; then no reply may follow. One question at a time. NULL: cannot ask. */
  void (*ask)(void *arg, struct purchase_charge *charge, const struct purchase_question *question);
  void (*unask)(void *arg);
  void *ask_arg;
};

/* Texts are copied. */
struct purchase_request {
  bool inquiry; /* charges nothing: finds the outcome of the open entry of `key` and reads nothing
                   else */
  const struct endpoint
      *endpoint; /* of class charge, or NULL for a path that the table does not know */
  const char *method, *path, *query, *body;
  size_t body_size;
  const char *key; /* NULL: a random one */
  struct journal_budget budget;
  bool has_max_price;
  money max_price; /* used as the quote where `endpoint` is NULL */
  double timeout, max_wait;
};

/* The outcome; the caller may read it until purchase_release. */
struct purchase_charge {
  struct error error;   /* kind ERROR_NONE: placed, found placed, or a dry run */
  struct buffer answer; /* the server's response, perhaps from the journal; also of a failure, if
                           there was a response */
  struct json_document response; /* the answer, parsed; without a root if it is not JSON */
  money quote;                   /* the actual cost, once it is known to be higher */
  bool has_quote;
  bool dry_run;                       /* nothing was bought */
  bool repeated;                      /* an earlier charge of the same key, from the journal */
  char order_id[PURCHASE_MAX_ID + 1]; /* "" if unknown */
  char key[256];
};

#define PURCHASE_RANDOM_KEY 33

/* A new random key; false when the system has no random bytes. */
bool purchase_random_key(char key[PURCHASE_RANDOM_KEY]);

/* NULL when out of memory. */
struct purchase *purchase_open(const struct purchase_settings *settings);

/* Closes the module. A charge that is under way (purchase_busy) is left to the next run, as it
 * stands in the journal. */
void purchase_close(struct purchase *purchase);

/* Allows this run to spend an amount that the user has confirmed. Returns false if settings allow
 * spending: a confirmation never raises their limits. */
bool purchase_allow(struct purchase *purchase, money total);

/* Whether there are charges that have not been settled. */
bool purchase_busy(const struct purchase *purchase);

/* Begins a charge; charges run one at a time. `done` is called once, perhaps before this returns.
 * NULL when out of memory. */
struct purchase_charge *purchase_begin(struct purchase *purchase,
                                       const struct purchase_request *request,
                                       void (*done)(void *arg, struct purchase_charge *charge),
                                       void *arg);

/* The user's reply to the question. */
void purchase_answer(struct purchase_charge *charge, bool yes);

/* The caller stops waiting: `done` is not called. A charge that was not sent is dropped; one that
 * was sent is still settled, or stays unknown in the journal. Returns whether money may move. */
bool purchase_abandon(struct purchase_charge *charge);

void purchase_release(struct purchase_charge *charge);

#endif
