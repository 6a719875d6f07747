/* A charge under way: what the files of charge/ share. Its steps: the account that pays
 * (account.c), the lock of the account (lock.c), open entries of the account (recover.c), whether
 * the key was used before (find.c), the quote (quote.c), whether it may be spent (decide.c), the
 * baseline (baseline.c; reuse.c has what an earlier charge left), intent and sending (send.c), the
 * outcome (outcome.c), its reconciliation (inquiry.c) if the response was lost, and the price
 * (price.c) if the response has none. */
#ifndef PROXYLUA_CHARGE_FLOW_H
#define PROXYLUA_CHARGE_FLOW_H

#include <stddef.h>

#include "api/response.h"
#include "base/process.h"
#include "charge/charge.h"
#include "charge/reconcile.h"

#define HEX(bytes) (2 * (bytes) + 1)

/* What to do about an unknown outcome; takes the key. */
#define FLOW_WAY_OUT                                                                            \
  "To look it up, run proxylua journal settle %.255s, or place the order again with that key; " \
  "see proxylua help journal"

struct flow;

/* The state of reading a list (pages.c). */
struct walk {
  const char *endpoint, *path;
  struct buffer text; /* the query of this page */
  struct record_query query;
  size_t width;
  struct reconcile_rows *rows;    /* the records are added to these */
  const struct reconcile_case *c; /* read until its baseline; NULL: reads a new baseline */
  int created_at, id;             /* fields of a row */
  int left;                       /* pages that may still be read */
  size_t visited;                 /* records of this page */
  struct list_state state;
  int64_t tail_page;      /* at which reading the end of the list began */
  bool met, stepped_back; /* a record of the baseline, or an older one, was read; the end was looked
                             for one page earlier */
  size_t repeated;     /* rows of the first page, if the second was the same; it is read again with
                          a limit of 1 */
  bool all;            /* the server ignores pages and limits: it always sends all records */
  int64_t known_total; /* records when the hint was taken; 0: unknown */
  bool whole;          /* all records were read */
  bool reach;          /* complete: no record that appeared since the baseline is missing */
  void (*done)(struct flow *charge, bool ok);
};

/* The inquiry into the outcome of an entry (inquiry.c). */
struct inquiry {
  int64_t id;
  struct journal_find find;
  struct journal_list list;
  struct reconcile_case c;
  struct reconcile_traits *asked; /* of the other entries */
  int looked_up;                  /* orders looked up that a transaction names but no list shows */
  char *order_id;
  struct buffer path,
      answer; /* the response with the order: the extended one, or the one that was found */
  struct reconcile_verdict verdict;
  void (*done)(struct flow *charge);
};

/* The open entries of the account, and what the last charge left (recover.c). */
struct recovery {
  struct journal_review review;
  size_t at;
  struct journal_settle settle;
  bool again;       /* this is the second pass over the entries */
  size_t settled;   /* entries in this round */
  int64_t doubtful; /* the first entry that holds this charge back; 0: none */
  char key[256];    /* of the doubtful entry */
  char why[300];
};

/* What the last charge of the account left (reuse.c). Times are from loop_clock(). */
struct left {
  bool there, fresh; /* fresh: its baseline can be used again */
  bool orders;       /* its baseline includes the orders */
  struct snapshot baseline;
  int64_t taken_at;
  bool has_quote; /* for the same parameters, and recent */
  money quote;
  int64_t quoted_at;
};

/* The sum of what the account was charged today without the journal (elsewhere.c). */
struct day_count {
  struct reconcile_day c;
  size_t rows; /* transactions of the baseline; those after them are of further pages */
  bool whole;  /* all transactions were read */
  struct buffer text;
  int64_t page;
  int step, left; /* to the next page; pages that may still be read */
  struct journal_list list;
  void (*done)(struct flow *charge);
};

struct flow {
  struct purchase_charge public; /* first: a caller's pointer is the charge's */
  struct purchase *owner;
  struct flow *next;
  struct purchase_request request;
  char *path, *query, *body; /* owned; the request points to them */
  struct buffer calc;        /* the body that an extension is quoted with */
  struct buffer params;      /* endpoint, path and body: identify the purchase */
  char params_hash[HEX(32)];
  struct reconcile_traits asked;
  char *order_id; /* of an extension, as the server spells it */

  struct client_call *call;    /* the last one that ended, or that is being prepared */
  struct client_call *pending; /* the one under way, NULL when none is */
  bool asking;                 /* a call is not done; `calls` counts them */
  unsigned calls;
  struct loop_timer timer;
  bool sleeping;
  int64_t pause; /* microseconds; the last sleep of a series */
  void (*awake)(struct flow *charge);

  bool questioned; /* the user is being asked */
  bool approved;   /* the user has confirmed the cost */
  money approval;
  bool locking; /* the lock, or the place in its queue, may be held */
  bool told_of_lock;
  int64_t locking_since;
  int64_t token; /* of the lock; 0: not held */
  struct left left;
  struct buffer left_text;                    /* for the next charge */
  struct reconcile_rows orders, transactions; /* as last read */
  struct snapshot before;
  int64_t baseline_at; /* loop_clock() when the baseline was taken, and the quote received */
  int64_t quoted_at;
  money quoted;
  struct buffer snapshot;
  struct buffer idempotency; /* the key as it is sent: a new one after each refused attempt */
  int64_t entry;             /* of the journal, 0 before the intent */
  int64_t committed_at;      /* loop_clock() before the entry was on disk as sent, for may_send */
  bool withheld;             /* may_send returned false */
  bool stale;                /* the quote was too old when the slots were granted */
  int renewals;              /* of the quote */
  int refusals;              /* 429 responses, and the seconds waited for them */
  double refused;
  enum {
    FLOW_BEFORE,   /* nothing has left */
    FLOW_SENDING,  /* holds its slots */
    FLOW_AFTER,    /* the request has ended; its outcome is unknown */
    FLOW_SETTLING, /* the outcome is known and being written; cannot be stopped */
  } stage;
  struct error lost; /* why there is no response */
  int settle_tries;
  bool agreed;       /* the outcome is known: the next charge can use the baseline */
  bool reconciled;   /* the outcome was found by reconciliation */
  bool price_wanted; /* once PLACED is written */
  bool ending;       /* only the lock remains to be given back */
  bool abandoned;
  bool working; /* a job of this charge is queued in the store */
  bool closed;  /* purchase_close was called: free the charge when the job is done */
  void (*done)(void *arg, struct purchase_charge *charge);
  void *arg;
  struct journal_account account;
  char account_name[600]; /* the name to store, and its other names */
  char aliases[JOURNAL_ALIASES][HEX(32)];
  struct journal_lock lock;
  struct journal_find find;
  struct journal_intend intend;
  struct journal_settle settle;
  struct journal_amend amend;
  struct walk walk;
  struct inquiry inquiry;
  struct recovery recovery;
  struct day_count day;
};

struct purchase {
  struct purchase_settings settings;
  char *account; /* base URL and account, once known */
  bool named;    /* all names that this run received are stored */
  char run_id[HEX(16)];
  char host[PROCESS_HOST];
  int64_t started;
  int64_t summed_day; /* for which further pages of transactions were read (elsewhere.c) */
  money told_elsewhere;
  bool told_partial;
  bool overcharged;       /* a charge cost more than its quote: this run makes no more */
  bool has_named_balance; /* read with the name of the account, at this loop_clock() */
  money named_balance;
  int64_t named_at;
  double named_date;  /* the same by the server's Date; 0: unknown */
  int64_t *looked_up; /* entries of other processes that this run has looked up already */
  size_t looked_up_count;
  struct flow *queue; /* the first one is under way */
  size_t closed;      /* charges under way when it was closed, whose jobs still point to it */
};

#define CHARGE_OF(job, field) ((struct flow *)((char *)(job)-offsetof(struct flow, field)))

/* Steps. Each ends by starting the next one, or with flow_end. */
void flow_begin(struct flow *charge);
void flow_lock(struct flow *charge);
void flow_recover(struct flow *charge);
void flow_find(struct flow *charge);
void flow_quote(struct flow *charge);
void flow_decide(struct flow *charge); /* has the quote: refuse, end a dry run, ask, or go on */
void flow_snapshot(struct flow *charge);
void flow_take_baseline(struct flow *charge);
void flow_note_account(struct flow *charge); /* once a run, from the response in charge->call */
void flow_renew(struct flow *charge);      /* the quote is too old: asks for it again, then sends */
void flow_send_again(struct flow *charge); /* after a 429 of the API */
void flow_send(struct flow *charge);
void flow_on_sent(void *arg, struct client_call *call);

/* For a placed charge whose response has no price: finds the transaction that names the order,
 * amends the entry, then ends the charge (price.c). */
void flow_price(struct flow *charge);

/* A price above the quote is reported, and ends the run's spending. */
void flow_check_price(struct flow *charge, money price);

/* What an earlier charge left (reuse.c). False if memory is out. */
bool flow_read_left(struct flow *charge);
bool flow_can_reuse_baseline(const struct flow *charge);
void flow_reuse_baseline(struct flow *charge);
/* The text for the next charge, owned by this one; NULL: none. */
const char *flow_leave(struct flow *charge);

/* elsewhere.c: sums up what the account was charged today that the journal does not have, from the
 * transactions of the baseline (`hidden`: from its orders), then calls `done`. */
void flow_count_elsewhere(struct flow *charge, bool hidden, void (*done)(struct flow *charge));

/* Whether a baseline has that sum, or the charge does not need it; and the sum for the present
 * day. */
bool flow_knows_elsewhere(const struct flow *charge, const struct snapshot *baseline);
money flow_elsewhere(const struct flow *charge);

/* baseline.c: stores the baseline with the time at which the request is about to leave. False if
 * out of memory. */
bool flow_write_baseline(struct flow *charge);

/* Whether the transaction in a row of charge->transactions is in the baseline, by its mark. */
bool flow_is_known(const struct flow *charge, size_t row, const struct ids *known);

/* The amount in a row of charge->transactions, without its sign. False if it cannot be read. */
bool flow_read_amount(const struct flow *charge, size_t row, money *amount);

/* Writes the outcome to the journal, then ends the charge. The note must live as long as the
 * charge, or is NULL. */
void flow_settle(struct flow *charge, enum journal_state state, money price, const char *note);

/* Ends a charge: gives the lock back, then calls `done`; the outcome is in its public part. The
 * next charge in the queue begins. */
void flow_end(struct flow *charge);
void flow_fail(struct flow *charge, enum error_kind kind, const char *message);
void flow_fail_with(struct flow *charge,
                    const struct client_call *call); /* with the server's message */
void flow_free(struct flow *charge);
void flow_free_owner(struct purchase *purchase);

/* To be called first in every completion of a job: true when the module was closed meanwhile, and
 * the charge is freed. */
bool flow_is_closed(struct flow *charge);

/* Whether the charge was abandoned before it was sent: then it has been ended, and no further step
 * may be taken. */
bool flow_is_over(struct flow *charge);

/* Both checks, for a job after which the charge may end. A failed job fails the charge. */
bool flow_has_failed(struct flow *charge, const struct store_job *job);

/* Reports something to the user. */
void flow_tell(const struct flow *charge, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Continues after a pause: FIRST microseconds, then half as long again each time, up to MOST, with
 * some jitter. */
void flow_sleep(struct flow *charge, int64_t first, int64_t most,
                void (*awake)(struct flow *charge));

/* Cancels the call or pause that the charge waits for. False when a completion must arrive first.
 */
bool flow_interrupt(struct flow *charge);

/* Begins a call and releases the previous one. */
void flow_call(struct flow *charge, const struct client_request *request,
               void (*done)(void *arg, struct client_call *call));

/* To be called first in its `done`. */
void flow_take_over(struct flow *charge, struct client_call *call);

/* Calls another endpoint on the way to the charge. */
void flow_ask(struct flow *charge, const char *endpoint, const char *path, const char *query,
              const char *body, void (*done)(void *arg, struct client_call *call));

/* To be called first in its `done`: takes over the call. False when the charge ended here. */
bool flow_answered(struct flow *charge, struct client_call *call);

#define FLOW_PAGES 5

/* Read the orders of all types, or the transactions, into `rows`, at most FLOW_PAGES pages: for a
 * baseline the page where new records appear; for a case as far back as its baseline. `hint`: what
 * an earlier reading showed of the list, or NULL. */
typedef void flow_walked(struct flow *charge, bool ok); /* not ok: the error is in charge->call */
void flow_walk_orders(struct flow *charge, struct reconcile_rows *rows,
                      const struct list_state *hint, const struct reconcile_case *c,
                      flow_walked *done);
void flow_walk_transactions(struct flow *charge, struct reconcile_rows *rows,
                            const struct list_state *hint, const struct reconcile_case *c,
                            flow_walked *done);

/* To be called in `done`: stores what was read as the state of the list. False if out of memory. */
bool flow_keep_known(const struct flow *charge, struct list_state *state);

/* Looks up the outcome of an entry. The result is in charge->inquiry until flow_inquiry_end. */
void flow_inquire(struct flow *charge, int64_t id, void (*done)(struct flow *charge));
void flow_inquiry_end(struct flow *charge);

/* Fills in what is written when an entry is settled as placed: order, price, and the response that
 * the key returns from then on. They live as long as the result. False when out of memory. */
bool flow_inquiry_found(struct flow *charge, struct journal_settle *settle);

/* hex SHA-256 */
void flow_hash(const char *text, size_t size, char hex[HEX(32)]);

/* "orders.create", or the path of a request that the table does not know. */
const char *flow_name(const struct flow *charge);
bool flow_is_extension(const struct flow *charge);

/* decide.c. False with the error set if the quote is above max_price. */
bool flow_check_max_price(struct flow *charge);
bool flow_needs_no_lock(
    const struct flow *charge); /* not yet: it is only priced, or the user is asked first */
struct journal_allowance flow_allowance(const struct flow *charge);
void flow_explain_allowance(struct flow *charge); /* explains a refused reservation */

/* Reserves the amount and writes the intent; a dry run writes nothing. */
void flow_intend(struct flow *charge, bool rehearse, void (*done)(struct store_job *job));

/* A canonical field of a response, as text or as money. False if it is absent. */
bool flow_read(const struct http_transfer *x, enum record_kind kind, const char *field, char *text,
               size_t capacity);
bool flow_read_money(const struct http_transfer *x, enum record_kind kind, const char *field,
                     money *amount);

/* The same of an order as the journal has it, in JSON. */
bool flow_read_order(const char *json, const char *field, char *text, size_t capacity);

/* What an entry of the journal was for, from its parameters (params.c). False when out of memory.
 */
bool flow_read_traits(const char *body, struct reconcile_traits *traits);
bool flow_entry_traits(const struct journal_entry *entry, struct reconcile_traits *traits);
char *flow_entry_order(
    const struct journal_entry *entry); /* of an extension; NULL: none, or out of memory */
char *flow_order_in(const char *path);  /* of "/orders/ID/extend"; the same */

/* Whether both may have created the same order, or extended the same order. */
bool flow_could_be(const struct flow *charge, const struct journal_entry *entry);

#endif
