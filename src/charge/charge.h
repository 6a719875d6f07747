/* A charge from quote to settled journal entry: the only way in which a request that moves money
 * leaves. What it may spend is decided here, so no script reaches past it; what became of it is on
 * disk before anybody is told. */
#ifndef PROXYLUA_CHARGE_CHARGE_H
#define PROXYLUA_CHARGE_CHARGE_H

#include <stdbool.h>
#include <stddef.h>

#include "api/client.h"
#include "api/record.h"
#include "base/money.h"
#include "charge/journal.h"

/* Bytes of an order's id. */
#define PURCHASE_MAX_ID 512

struct purchase;
struct purchase_charge;

/* How the core reads an answer without knowing its format: copies the text of a canonical field of
 * the record in `body`
 * ("price" of a quote) to `text`. False when the answer cannot be read or has no such field, or it
 * is too long. */
typedef bool purchase_reader(void *arg, enum record_kind kind, const char *body, size_t size,
                             const char *field, char *text, size_t capacity);

/* And a list: visits its records with the texts of the fields of the query (NULL: absent). False if
 * it cannot be read, or a visit returned false. */
typedef bool purchase_lister(void *arg, const struct record_query *query, const char *body,
                             size_t size, struct record_listing *listing,
                             bool (*visit)(void *arg, const char *const *texts), void *visit_arg);

/* Whether a response is the API's own refusal: an object with "success": false, or with an error
 * that is not null and no id of an order. A gateway's page is not. */
typedef bool purchase_refusal(void *arg, const char *body, size_t size);

/* What a person is asked before a charge that nothing else allows. */
struct purchase_question {
  const char *name; /* "orders.create", or a path */
  const char *params;
  money quote;
  bool estimate; /* of an extension the quote is that of a new order like it */
  bool has_balance;
  money balance;
};

struct purchase_settings {
  struct loop *loop;
  struct client *client;
  struct store *store;
  const char *key_hash; /* of base URL and key, as limiter_key answers; outlives the module */
  struct journal_allowance allowance; /* what this run, a day and an order may spend */
  bool dry_run;
  double timeout; /* seconds an exchange can take at most */
  double settle;  /* seconds after the end of an exchange after which what is not to be seen is not
                     to come */
  purchase_reader *read;
  purchase_lister *list;
  purchase_refusal *refuses;
  void *read_arg;
  void (*tell)(void *arg,
               const char *text); /* what must be said whether or not anybody asked; never NULL */
  void *tell_arg;
  /* Asks, and answers through purchase_answer, perhaps before it returns; or is told that nobody
   * wants to know any more, and then does not answer. One question at a time. NULL: nobody is there
   * to ask. */
  void (*ask)(void *arg, struct purchase_charge *charge, const struct purchase_question *question);
  void (*unask)(void *arg);
  void *ask_arg;
};

/* Texts are copied. */
struct purchase_request {
  bool inquiry; /* charges nothing: finds out what became of the open entry of `key`, and nothing
                   else is read */
  const struct endpoint
      *endpoint; /* of class charge, or NULL for a path that the table does not know */
  const char *method, *path, *query, *body;
  size_t body_size;
  const char *key; /* NULL: a random one */
  struct journal_purse purse;
  bool has_max_price;
  money max_price; /* stands in for the quote where `endpoint` is NULL */
  double timeout, max_wait;
};

/* What came of it; the caller's to read until purchase_release. */
struct purchase_charge {
  struct error error;   /* kind ERROR_NONE: placed, found placed, or a dry run */
  struct buffer answer; /* the server's answer, perhaps from the journal; of a failure too, where
                           there was one */
  money quote;          /* and once it is known that it cost more, that */
  bool has_quote;
  bool dry_run;                       /* nothing was bought */
  bool repeated;                      /* an earlier charge of the same key, from the journal */
  char order_id[PURCHASE_MAX_ID + 1]; /* "" if unknown */
  char key[256];
};

#define PURCHASE_RANDOM_KEY 33

/* A key that nobody has used; false when the system has no randomness to give. */
bool purchase_random_key(char key[PURCHASE_RANDOM_KEY]);

/* NULL when memory is out. */
struct purchase *purchase_open(const struct purchase_settings *settings);

/* Nothing may be under way (purchase_busy), or it is left to the next run as it stands in the
 * journal. */
void purchase_close(struct purchase *purchase);

/* Charges have not been settled yet. */
bool purchase_busy(const struct purchase *purchase);

/* Begins a charge; charges go one at a time. `done` is called once, perhaps before this returns.
 * NULL when memory is out. */
struct purchase_charge *purchase_begin(struct purchase *purchase,
                                       const struct purchase_request *request,
                                       void (*done)(void *arg, struct purchase_charge *charge),
                                       void *arg);

/* A person's answer. */
void purchase_answer(struct purchase_charge *charge, bool yes);

/* Nobody waits any more: `done` is not called. What has not been sent is not sent; what has is
 * settled all the same, or stays unknown in the journal. Answers whether money may move. */
bool purchase_abandon(struct purchase_charge *charge);

void purchase_release(struct purchase_charge *charge);

#endif
