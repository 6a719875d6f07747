/* A charge on its way: what the files charge/charge*.c share. The way: whose money it is
 * (account.c), the right to charge it (lock.c), what others left open (recover.c), whether it was
 * spent before (find.c), the quote (quote.c) and whether it may be spent (decide.c), what exists
 * (baseline.c), intent and sending (send.c), the outcome (outcome.c), which is looked for
 * (inquiry.c) when the answer is lost, and what it cost (price.c) where the answer does not tell.
 */
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

/* A walk over the pages of a list (pages.c). */
struct walk {
  const char *endpoint, *path;
  struct buffer base, text; /* what its query begins with; the query of this page */
  struct record_query query;
  size_t width;
  struct reconcile_rows *rows;          /* what was found is added to these */
  const struct reconcile_case *horizon; /* far enough back for this case; NULL: all of it */
  int created_at, id;                   /* fields of a row */
  int pages;                            /* at most */
  const struct ids *known;              /* of records that are old, or NULL */
  bool whole, reach; /* nothing lies beyond; nothing that the horizon needs does */
  void (*done)(struct flow *charge, bool ok);
};

/* The question what became of an entry (inquiry.c). */
struct inquiry {
  int64_t id;
  struct journal_find find;
  struct journal_list list;
  struct reconcile_case c;
  struct reconcile_traits *asked; /* of the others */
  char *order_id;
  struct buffer path,
      answer; /* of the order that is extended; what is told of it, or of the one that was found */
  struct reconcile_verdict verdict;
  void (*done)(struct flow *charge);
};

/* What is done about the entries that others left open (recover.c). */
struct recovery {
  struct journal_list list;
  size_t at;
  struct journal_settle settle;
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
  int64_t token;                           /* of the lock, 0: not ours */
  struct reconcile_rows orders, movements; /* that existed before */
  struct snapshot before;
  struct buffer snapshot;
  int64_t entry;        /* of the journal, 0 before the intent */
  int64_t committed_at; /* loop_clock() before the sending was on disk, for may_send */
  bool withheld;        /* may_send said no */
  enum {
    FLOW_BEFORE,   /* nothing has left */
    FLOW_SENDING,  /* slots in hand */
    FLOW_AFTER,    /* the exchange has ended, and its outcome is unknown */
    FLOW_SETTLING, /* the outcome is known and is written down: nothing stops that */
  } stage;
  struct error lost; /* why the answer is not there */
  int settle_tries;
  const char *note; /* for the journal, while the price is looked for */
  money fall;       /* of the balance */
  bool ending;      /* all that is left is to give the right to charge back */
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
  bool overcharged;   /* a charge came out above its quote: no more of them in this run */
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
void flow_note_account(struct flow *charge); /* once a run, from the answer in charge->call */
void flow_send(struct flow *charge);
void flow_on_sent(void *arg, struct client_call *call);

/* It was placed, but nobody has told at what price: finds it out as far as it is above the quote,
 * then writes that down (price.c). */
void flow_price(struct flow *charge, const char *note);

/* Placed at this price, JOURNAL_NO_PRICE: not known. One above the quote is told, and ends the
 * run's spending. */
void flow_placed(struct flow *charge, money price, const char *note);

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

/* Walk over up to five pages of the orders of a type (NULL: of all), or over so many of the
 * transactions, and add them to `rows`. With a horizon only as far back as it needs. */
typedef void flow_walked(struct flow *charge, bool ok); /* not ok: the error is in charge->call */
void flow_walk_orders(struct flow *charge, const char *type, struct reconcile_rows *rows,
                      const struct reconcile_case *horizon, flow_walked *done);
void flow_walk_movements(struct flow *charge, struct reconcile_rows *rows,
                         const struct reconcile_case *horizon, int pages, flow_walked *done);

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

/* decide.c */
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
