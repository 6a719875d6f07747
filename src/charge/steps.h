/* A charge under way: what the files of charge/ share. charge.c has the procedure from top to
 * bottom. It runs on a thread of its own, in turns with the loop's (thread.h), and calls the
 * functions of wait.c for everything that takes time.
 *
 * A function that may wait returns false when the charge is over: it was refused, failed, or was
 * cancelled by its caller, or the program ends. Its error is set then, and the caller only cleans
 * up and returns false too. */
#ifndef PROXYLUA_CHARGE_STEPS_H
#define PROXYLUA_CHARGE_STEPS_H

#include <stddef.h>

#include "api/response.h"
#include "base/process.h"
#include "charge/charge.h"
#include "charge/reconcile.h"
#include "charge/thread.h"

#define HEX(bytes) (2 * (bytes) + 1)

/* What to do about an unknown outcome; takes the key. */
#define CHARGE_ADVICE                                                                           \
  "To look it up, run proxylua journal settle %.255s, or place the order again with that key; " \
  "see proxylua help journal"

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

/* What the thread of the charge waits for, and how the wait begins on the loop's thread (wait.c).
 */
struct charge;
struct charge_wait {
  enum { WAIT_NOTHING, WAIT_JOB, WAIT_CALL, WAIT_TIME, WAIT_USER } what;
  void (*begin)(struct charge *c); /* on the loop's thread; or NULL */
  bool done, driving;
  bool abandoned, closed; /* by purchase_abandon and purchase_close */
  const struct client_request *request;
  struct client_call *call; /* under way, or it has its slots and waits; NULL: none */
  bool calling;             /* a call was begun and has not ended */
  bool prepared;            /* it has its slots */
  struct loop_timer timer;
  int64_t delay; /* microseconds */
  const struct purchase_question *question;
  bool confirmed;
  const char *text; /* to report */
};

struct charge {
  struct purchase_charge public; /* first: a caller's pointer is the charge's */
  struct purchase *owner;
  struct charge *next; /* in the owner's queue */
  void (*done)(void *arg, struct purchase_charge *charge);
  void *arg;

  /* The request; the same from begin to end. */
  struct purchase_request request;
  char *path, *query, *body; /* owned; the request points to them */
  struct buffer params;      /* endpoint, path and body: identify the purchase */
  char params_hash[HEX(32)];
  struct reconcile_traits asked;
  char *order_id; /* of an extension, as the server spells it */

  bool begun; /* its thread has been started */
  struct thread thread;
  struct charge_wait wait;

  struct client_call *call; /* the last one that ended: its response can be read */

  /* The account, by take_lock and charge_settle_open_entries (recover.c). */
  bool locking;  /* the lock, or the place in its queue, may be held */
  int64_t token; /* of the lock; 0: not held */
  struct journal_review review;
  struct journal_find find; /* the entry of the key */
  struct left left;

  /* The price, by get_quote; and the one that the user confirmed. */
  struct buffer calc; /* the body that an extension is quoted with */
  money quoted;
  int64_t quoted_at; /* loop_clock() */
  bool approved;
  money approval;

  /* The account before the charge, by charge_take_baseline (baseline.c). */
  struct snapshot before;
  int64_t baseline_at; /* loop_clock() */

  /* The request that moves money, by send_request. */
  struct buffer idempotency; /* the key as it is sent: a new one after each refused attempt */
  int64_t entry;             /* of the journal, 0 before the intent */
  int64_t committed_at;      /* loop_clock() before the entry was on disk as sent, for may_send */
  bool withheld;             /* may_send returned false */
  int renewals;              /* of the quote */
  int refusals;              /* 429 responses, and the seconds waited for them */
  double refused;
  enum {
    STAGE_BEFORE,   /* nothing has left */
    STAGE_SENDING,  /* holds its slots */
    STAGE_AFTER,    /* the request has ended; its outcome is unknown */
    STAGE_SETTLING, /* the outcome is known and being written; cannot be stopped */
  } stage;

  /* The outcome, by read_response. */
  enum journal_state outcome;
  bool agreed;       /* the outcome is known: the next charge can use the baseline */
  bool reconciled;   /* the outcome was found by reconciliation */
  struct error lost; /* why there is no response */
};

struct purchase {
  struct purchase_settings settings;
  char *account; /* base URL and account, once known */
  bool named;    /* all names that this run received are stored */
  char run_id[HEX(16)];
  char host[PROCESS_HOST];
  int64_t started;
  int64_t summed_day; /* for which further pages of transactions were read (elsewhere.c) */
  money reported_elsewhere;
  bool reported_partial;
  bool overcharged;       /* a charge cost more than its quote: this run makes no more */
  bool has_named_balance; /* read with the name of the account, at this loop_clock() */
  money named_balance;
  int64_t named_at;
  double named_date;  /* the same by the server's Date; 0: unknown */
  int64_t *looked_up; /* entries of other processes that this run has looked up already */
  size_t looked_up_count;
  struct charge *queue; /* the first one is under way */
  size_t closed;        /* charges under way when it was closed, whose jobs still point to it */
};

/* What is read of the account's entries. */
#define CHARGE_MAX_OPEN 1000
#define CHARGE_RECENT \
  INT64_C(3600000000) /* microseconds: for how long lists may lag behind a charge */

/* charge.c: the procedure, run by the charge's thread. */
void charge_run(void *charge);

/* Waiting (wait.c). */

/* A job of the journal, which its function has submitted: `charge_job(c, &find.job)`. The job is
 * done in any case. charge_finish_job returns false only if the program ends; charge_job also when
 * the charge was cancelled, or when the job failed, whose error is then the charge's. */
#define CHARGE_JOB(c)                 \
  {                                   \
    .done = charge_on_job, .arg = (c) \
  }
void charge_on_job(struct store_job *job);
bool charge_finish_job(struct charge *c);
bool charge_job(struct charge *c, const struct store_job *job);
bool charge_check_job(struct charge *c,
                      const struct store_job *job); /* charge_job without its wait */

/* Whether the charge was cancelled before it was sent, or while its outcome was unknown: that is in
 * the journal, and the next run settles it. */
bool charge_is_over(struct charge *c);

/* A request; its outcome is in c->call. charge_request returns false if it failed too, and then the
 * charge has its error. */
bool charge_call(struct charge *c, const char *endpoint, const char *path, const char *query,
                 const char *body);
bool charge_request(struct charge *c, const char *endpoint, const char *path, const char *body);

/* The request of the charge itself, in parts. charge_begin waits until it has its slots or has
 * ended; then charge_go sends it, and charge_stop ends it unsent with the charge's error. All
 * return whether it has its slots (again), false: it has ended, see c->call, which is NULL if it
 * was cancelled. */
bool charge_begin(struct charge *c, const struct client_request *request);
bool charge_go(struct charge *c);
void charge_stop(struct charge *c);

/* A pause of FIRST microseconds, then half as long again each time, up to MOST, with some jitter.
 * `pause` is 0 at the beginning of a series. */
bool charge_pause(struct charge *c, int64_t *pause, int64_t first, int64_t most);

/* From now until charge_clear_deadline: the requests that are under way after so many microseconds
 * are cancelled, and the wait for them returns false. */
bool charge_set_deadline(struct charge *c, int64_t delay);
void charge_clear_deadline(struct charge *c);

/* Asks the user; whether the user agreed is in c->wait.confirmed. */
bool charge_confirm(struct charge *c, const struct purchase_question *question);

/* Reports something to the user. */
void charge_report(struct charge *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* On the loop's thread: continues the charge until it waits again or ends; cancels what it waits
 * for, unless it is a job, and continues it. */
void charge_drive(struct charge *c);
void charge_interrupt(struct charge *c);

/* Set the error of the charge; return false. charge_fail_with: that of its last call, with the
 * server's message. */
bool charge_fail(struct charge *c, enum error_kind kind, const char *message);
bool charge_fail_with(struct charge *c);

/* queue.c: the charge's thread has ended; calls `done`, and begins the next charge. */
void charge_finish(struct charge *c);

/* recover.c: settles the entries that earlier processes left open. */
bool charge_settle_open_entries(struct charge *c);

/* allowance.c: whether the charge may be made at its price. */
bool charge_check_price(struct charge *c); /* false: above max_price, with the error set */
bool charge_must_ask(const struct charge *c);
struct journal_allowance charge_allowance(const struct charge *c);
void charge_explain_refusal(struct charge *c, const struct journal_reserve *reservation);

/* baseline.c */
bool charge_take_baseline(struct charge *c);

/* Writes the baseline with the time at which the request is about to leave. False if out of
 * memory. */
bool charge_write_baseline(struct charge *c, struct buffer *text);

/* Whether a transaction is in the baseline, by its mark. */
bool charge_is_known(const struct reconcile_rows *transactions, size_t row,
                     const struct ids *known);

/* The amount of a transaction, without its sign. False if it cannot be read. */
bool charge_read_amount(const struct reconcile_rows *transactions, size_t row, money *amount);

/* What an earlier charge left (reuse.c). False if memory is out. */
bool charge_read_left(struct charge *c);
bool charge_can_reuse_baseline(const struct charge *c);
void charge_reuse_baseline(struct charge *c);
/* Writes the text for the next charge. False: there is none. */
bool charge_leave(struct charge *c, struct buffer *text);

/* Reading lists (pages.c): at most CHARGE_PAGES pages. */
#define CHARGE_PAGES 5

struct pages {
  enum record_kind kind;          /* RECORD_ORDER or RECORD_TRANSACTION */
  struct reconcile_rows *rows;    /* the records are added to these */
  const struct list_state *hint;  /* what an earlier reading showed of the list, or NULL */
  const struct reconcile_case *c; /* read until its baseline; NULL: reads a new baseline */
  /* The results: */
  bool failed;             /* the error is in c->call */
  struct list_state state; /* without its `known` */
  int64_t tail_page;       /* at which reading the end of the list began */
  bool all;                /* the server ignores pages and limits: it always sends all records */
  bool whole;              /* all records were read */
  bool complete;           /* no record that appeared since the baseline is missing */
};

/* Reads the orders of all types, or the transactions: for a baseline the page where new records
 * appear; for a case as far back as its baseline. */
bool charge_read_pages(struct charge *c, struct pages *pages);

/* Stores what was read as the state of the list. False if out of memory. */
bool charge_keep_known(const struct pages *pages, struct list_state *state);

/* elsewhere.c: sums up what the account was charged today that the journal does not have, from the
 * transactions of the baseline, or from its orders if those could not be read. */
bool charge_count_elsewhere(struct charge *c, const struct reconcile_rows *orders,
                            const struct pages *transactions);

/* Whether a baseline has that sum, or the charge does not need it; and the sum for the present
 * day. */
bool charge_knows_elsewhere(const struct charge *c, const struct snapshot *baseline);
money charge_elsewhere(const struct charge *c);

/* The inquiry into the outcome of an entry (inquiry.c). */
struct inquiry {
  struct journal_find find;
  struct journal_list list;
  struct reconcile_case c;
  struct reconcile_traits *asked; /* of the other entries */
  char *order_id;
  struct buffer answer; /* the response with the order: the extended one, or the one found */
  struct reconcile_result result;
};

/* Looks up the outcome of an entry, from zeroed memory. Also when it returns false, call
 * charge_end_inquiry. */
bool charge_inquire(struct charge *c, int64_t id, struct inquiry *inquiry);
void charge_end_inquiry(struct inquiry *inquiry);

/* Fills in what is written when an entry is settled as placed: order, price, and the response that
 * the key returns from then on. They live as long as the inquiry. False when out of memory. */
bool charge_read_found(struct inquiry *inquiry, struct journal_settle *settle);

/* outcome.c: what the response to the charge shows. It is believed only if its content agrees: an
 * order if it is the requested one, whose id is stored in the charge's public part. Otherwise `why`
 * describes the difference. */
bool charge_agrees(struct charge *c, const struct http_transfer *x, const char **why);
bool charge_is_refusal(const struct client_call *call);
bool charge_has_failed(const struct http_transfer *x); /* an order that was cancelled at once */

/* price.c: for a placed charge whose response has no price: finds the transaction that names the
 * order, and amends the entry. */
void charge_find_price(struct charge *c);

/* A price above the quote is reported, and ends the run's spending. */
void charge_note_price(struct charge *c, money price);

/* params.c: names, and what requests and entries of the journal are for. */

/* hex SHA-256 */
void charge_hash(const char *text, size_t size, char hex[HEX(32)]);

/* "orders.create", or the path of a request that the table does not know. */
const char *charge_name(const struct charge *c);
bool charge_is_extension(const struct charge *c);

/* A canonical field of a response, as text or as money. False if it is absent. */
bool charge_read(const struct http_transfer *x, enum record_kind kind, const char *field,
                 char *text, size_t capacity);
bool charge_read_money(const struct http_transfer *x, enum record_kind kind, const char *field,
                       money *amount);

/* The same of an order as the journal has it, in JSON. */
bool charge_read_order(const char *json, const char *field, char *text, size_t capacity);

/* Parameters of a request's body, or of an entry of the journal. False when out of memory. */
bool charge_read_traits(const char *body, struct reconcile_traits *traits);
bool charge_entry_traits(const struct journal_entry *entry, struct reconcile_traits *traits);
char *charge_entry_order(
    const struct journal_entry *entry);  /* of an extension; NULL: none, or out of memory */
char *charge_order_in(const char *path); /* of "/orders/ID/extend"; the same */

/* Whether both may have created the same order, or extended the same order. */
bool charge_could_be(const struct charge *c, const struct journal_entry *entry);

#endif
