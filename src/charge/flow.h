/* A charge under way: what the files of charge/ share. Its steps: whose money it is (account.c),
 * the lock of the account (lock.c), open entries of the account (recover.c), whether the key was
 * used before (find.c), the quote (quote.c) and whether it may be spent (decide.c), the baseline
 * (baseline.c; reuse.c has what an earlier charge left), intent and sending (send.c), the outcome
 * (outcome.c), which is reconciled (inquiry.c) if the response was lost, and the price (price.c) if
 * the response has none. */
#ifndef PROXYLUA_CHARGE_FLOW_H
#define PROXYLUA_CHARGE_FLOW_H

#include <stddef.h>

#include "base/process.h"
#include "charge/charge.h"
#include "charge/reconcile.h"

#define HEX(bytes) (2 * (bytes) + 1)

/* The way out of an unknown outcome; takes the key. */
#define FLOW_WAY_OUT                                                                        \
  "The same key looks it up again, and so does proxylua journal settle %.255s; if you see " \
  "whether proxylua orders list shows "                                                     \
  "it, add placed --order-id ID, or not_placed"

struct flow;

/* The reading of a list (pages.c). */
struct walk {
  const char *endpoint, *path;
  struct buffer text; /* the query of this page */
  struct record_query query;
  size_t width;
  struct reconcile_rows *rows;    /* what was found is added to these */
  const struct reconcile_case *c; /* whose baseline is to be met; NULL: a baseline is taken */
  int created_at, id;             /* fields of a row */
  int left;                       /* pages that may still be read */
  size_t visited;                 /* records of this page */
  struct list_state state;
  bool met, stepped_back; /* a record of the baseline, or an older one, was read; the end was sought
                             one page earlier */
  size_t repeated;     /* rows of the first page, if the second was the same; it is read again with
                          a limit of 1 */
  bool all;            /* the server ignores pages and limits: it always sends all records */
  int64_t known_total; /* records when the hint was taken; 0: unknown */
  bool whole;          /* all records were read */
  bool reach;          /* none that appeared since the baseline is missing */
  void (*done)(struct flow *charge, bool ok);
};

/* The question what became of an entry (inquiry.c). */
struct inquiry {
  int64_t id;
  struct journal_find find;
  struct journal_list list;
  struct reconcile_case c;
  struct reconcile_traits *asked; /* of the others */
  int looked_up;                  /* orders that a transaction names and no list shows */
  char *order_id;
  struct buffer path,
      answer; /* of the order that is extended; what is told of it, or of the one that was found */
  struct reconcile_verdict verdict;
  void (*done)(struct flow *charge);
};

/* The open entries of the account, and what the last charge left (recover.c). */
struct recovery {
  struct journal_review review;
  size_t at;
  struct journal_settle settle;
  bool again;       /* the entries are visited for the second time */
  size_t settled;   /* entries in this round */
  int64_t doubtful; /* the first entry that holds this charge back; 0: none */
  char key[256];    /* of it */
  char why[300];
};

/* What the last charge of the account left (reuse.c). Times are of loop_clock(). */
struct left {
  bool there, fresh; /* fresh: its baseline can be used again */
  bool orders;       /* and it has the orders */
  struct snapshot baseline;
  int64_t taken_at;
  bool has_quote; /* for the same parameters, and recent */
  money quote;
  int64_t quoted_at;
};

struct flow {
  struct purchase_charge public; /* first: a caller's pointer is the charge's */
  struct purchase *owner;
  struct flow *next;
  struct purchase_request request;
  char *path, *query, *body; /* what the request points to */
  struct buffer calc;        /* the body that an extension is quoted with */
  struct buffer params;      /* endpoint, path and body: what makes it the same purchase again */
  char params_hash[HEX(32)];
  struct reconcile_traits asked;
  char *order_id; /* of an extension, as the server spells it */

  struct client_call *call;    /* the last one that is done, or that prepares its sending */
  struct client_call *pending; /* the one under way, NULL when none is */
  bool asking;                 /* a call is not done; `calls` counts them */
  unsigned calls;
  struct loop_timer timer;
  bool sleeping;
  int64_t pause; /* microseconds, of the last sleep of a series */
  void (*awake)(struct flow *charge);

  bool questioned; /* a person is being asked */
  bool approved;   /* has said yes to what it costs */
  money approval;
  bool locking; /* the lock, or the place in its queue, may be ours */
  bool told_of_lock;
  int64_t locking_since;
  int64_t token; /* of the lock, 0: not ours */
  struct left left;
  struct buffer left_text;                    /* for the next charge */
  struct reconcile_rows orders, transactions; /* as they were read last */
  struct snapshot before;
  int64_t baseline_at; /* loop_clock() when the baseline was taken, and the quote received */
  int64_t quoted_at;
  money quoted;
  struct buffer snapshot;
  struct buffer
      idempotency;      /* the key as it is sent: another one for each attempt that was refused */
  int64_t entry;        /* of the journal, 0 before the intent */
  int64_t committed_at; /* loop_clock() before the sending was on disk, for may_send */
  bool withheld;        /* may_send said no */
  bool stale;           /* the quote was too old when the slots were there */
  int renewals;         /* of the quote */
  int refusals;         /* 429s that it met, and the seconds of their pauses */
  double refused;
  enum {
    FLOW_BEFORE,   /* nothing has left */
    FLOW_SENDING,  /* slots in hand */
    FLOW_AFTER,    /* the exchange has ended, and its outcome is unknown */
    FLOW_SETTLING, /* the outcome is known and is written down: nothing stops that */
  } stage;
  struct error lost; /* why the answer is not there */
  int settle_tries;
  bool agreed;       /* what came of it is known: the baseline holds for the next charge */
  bool price_wanted; /* once PLACED is written */
  bool ending;       /* all that is left is to give the right to charge back */
  bool abandoned;
  bool working; /* a job of its own is out at the store */
  bool closed;  /* purchase_close was called meanwhile: free it when the job comes back */
  void (*done)(void *arg, struct purchase_charge *charge);
  void *arg;
  struct journal_account account;
  char account_name[600]; /* as it is to be remembered, and by what else it can be told */
  char aliases[JOURNAL_ALIASES][HEX(32)];
  struct journal_lock lock;
  struct journal_find find;
  struct journal_intend intend;
  struct journal_settle settle;
  struct journal_amend amend;
  struct walk walk;
  struct inquiry inquiry;
  struct recovery recovery;
};

struct purchase {
  struct purchase_settings settings;
  char *account; /* base URL and account, once known */
  bool named;    /* all its names are remembered, as this run was told them */
  char run_id[HEX(16)];
  char host[PROCESS_HOST];
  int64_t started;
  bool overcharged;       /* a charge came out above its quote: no more of them in this run */
  bool has_named_balance; /* that came with the name of the account, at this loop_clock() */
  money named_balance;
  int64_t named_at;
  int64_t *looked_up; /* entries of others that this run has inquired about without any need */
  size_t looked_up_count;
  struct flow *queue; /* the first one is under way */
  size_t closed; /* charges that were under way when it was closed, and whose jobs borrow from it */
};

#define CHARGE_OF(job, field) ((struct flow *)((char *)(job)-offsetof(struct flow, field)))

/* Steps. Each ends in the next one, or in flow_end. */
void flow_begin(struct flow *charge);
void flow_lock(struct flow *charge);
void flow_recover(struct flow *charge);
void flow_find(struct flow *charge);
void flow_quote(struct flow *charge);
void flow_decide(struct flow *charge); /* quote in hand: refuse, answer a dry run, ask, or go on */
void flow_snapshot(struct flow *charge);
void flow_take_baseline(struct flow *charge);
void flow_note_account(struct flow *charge); /* once a run, from the response in charge->call */
void flow_renew(struct flow *charge);      /* the quote is too old: asks for it again, then sends */
void flow_send_again(struct flow *charge); /* after a 429 of the API */
void flow_send(struct flow *charge);
void flow_on_sent(void *arg, struct client_call *call);

/* It is placed, and the response has no price: looks for a transaction that names the order, amends
 * the entry, then ends the charge (price.c). */
void flow_price(struct flow *charge);

/* A price above the quote is reported, and ends the run's spending. */
void flow_check_price(struct flow *charge, money price);

/* What an earlier charge left (reuse.c). False if memory is out. */
bool flow_read_left(struct flow *charge);
bool flow_can_reuse_baseline(const struct flow *charge);
void flow_reuse_baseline(struct flow *charge);
/* The text for the next charge, owned by this one; NULL: none. */
const char *flow_leave(struct flow *charge);

/* baseline.c: writes the baseline down, with the time at which the request is about to leave. False
 * if memory is out. */
bool flow_write_baseline(struct flow *charge);

/* Whether the transaction in a row of charge->transactions is a known one, by its mark. */
bool flow_is_known(const struct flow *charge, size_t row, const struct ids *known);

/* The amount in a row of charge->transactions, without its sign. False if it cannot be read. */
bool flow_read_amount(const struct flow *charge, size_t row, money *amount);

/* Writes the outcome down, then ends the charge. The note lives as long as the charge, or is NULL.
 */
void flow_settle(struct flow *charge, enum journal_state state, money price, const char *note);

/* Ends a charge: gives the right to charge back, then tells; the outcome is in its public part. The
 * next in the queue begins. */
void flow_end(struct flow *charge);
void flow_fail(struct flow *charge, enum error_kind kind, const char *message);
void flow_fail_with(struct flow *charge,
                    const struct client_call *call); /* with what the server said */
void flow_free(struct flow *charge);
void flow_free_owner(struct purchase *purchase);

/* First in every completion of a job: true when the module was closed meanwhile, and the charge is
 * gone. */
bool flow_is_closed(struct flow *charge);

/* Nobody waits any more, and nothing is being sent: then it has been ended, and no further step is
 * taken. */
bool flow_is_over(struct flow *charge);

/* Both, for a job after which the charge may end; and when the job has failed, so has the charge.
 */
bool flow_has_failed(struct flow *charge, const struct store_job *job);

/* Says what must be said. */
void flow_tell(const struct flow *charge, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Goes on after a while: FIRST, then half as long again each time up to MOST (microseconds), with a
 * little disorder. */
void flow_sleep(struct flow *charge, int64_t first, int64_t most,
                void (*awake)(struct flow *charge));

/* Begins a call, releasing the one before. */
void flow_call(struct flow *charge, const struct client_request *request,
               void (*done)(void *arg, struct client_call *call));

/* First in its `done`. */
void flow_take_over(struct flow *charge, struct client_call *call);

/* Calls another endpoint on the way to the charge. */
void flow_ask(struct flow *charge, const char *endpoint, const char *path, const char *query,
              const char *body, void (*done)(void *arg, struct client_call *call));

/* First in its `done`: takes it over. False when the charge ended here. */
bool flow_answered(struct flow *charge, struct client_call *call);

#define FLOW_PAGES 5

/* Read the orders, of all types, or the transactions into `rows`, at most FLOW_PAGES pages: for a
 * baseline the page where new records appear; for a case as far as its baseline. `hint`: what an
 * earlier reading showed of the list, or NULL. */
typedef void flow_walked(struct flow *charge, bool ok); /* not ok: the error is in charge->call */
void flow_walk_orders(struct flow *charge, struct reconcile_rows *rows,
                      const struct list_state *hint, const struct reconcile_case *c,
                      flow_walked *done);
void flow_walk_transactions(struct flow *charge, struct reconcile_rows *rows,
                            const struct list_state *hint, const struct reconcile_case *c,
                            flow_walked *done);

/* In `done`: keeps what was read as the state of the list. False if memory is out. */
bool flow_keep_known(const struct flow *charge, struct list_state *state);

/* Asks what became of an entry. The verdict is in charge->inquiry, and stays until
 * flow_inquiry_end. */
void flow_inquire(struct flow *charge, int64_t id, void (*done)(struct flow *charge));
void flow_inquiry_end(struct flow *charge);

/* Fills in what a settling as placed writes down: order, price, and the answer that the key gives
 * from then on. They live as long as the verdict. False when memory is out. */
bool flow_inquiry_found(struct flow *charge, struct journal_settle *settle);

/* hex SHA-256 */
bool flow_hash(const char *text, size_t size, char hex[HEX(32)]);

/* "orders.create", or the path of a request that the table does not know. */
const char *flow_name(const struct flow *charge);
bool flow_is_extension(const struct flow *charge);

/* decide.c. False with the error set if the quote is above max_price. */
bool flow_check_max_price(struct flow *charge);
bool flow_needs_no_lock(
    const struct flow *charge); /* yet: it is only priced, or a person is asked first */
struct journal_allowance flow_allowance(const struct flow *charge);
void flow_explain_allowance(struct flow *charge); /* of an intend that was refused */

/* Writes the intent, or finds out what would be said to it. */
void flow_intend(struct flow *charge, bool rehearse, void (*done)(struct store_job *job));

/* A canonical field of an answer, as text or as money. False when there is none. */
bool flow_read(const struct flow *charge, enum record_kind kind, const struct http_exchange *x,
               const char *field, char *text, size_t capacity);
bool flow_read_money(const struct flow *charge, enum record_kind kind,
                     const struct http_exchange *x, const char *field, money *amount);

/* What an entry of the journal was for, from its parameters (params.c). False when memory is out.
 */
bool flow_read_traits(const struct flow *charge, const char *body, struct reconcile_traits *traits);
bool flow_entry_traits(const struct flow *charge, const struct journal_entry *entry,
                       struct reconcile_traits *traits);
char *flow_entry_order(
    const struct journal_entry *entry); /* of an extension; NULL: none, or memory is out */
char *flow_order_in(const char *path);  /* of "/orders/ID/extend"; the same */

/* Whether both can have brought about the same order, or move the same expiry. */
bool flow_could_be(const struct flow *charge, const struct journal_entry *entry);

#endif
