/* A charge on its way: what the files core/purchase*.c share. The way: whose money it is and whether it was spent before
 * (purchase.c), the quote (purchase_quote.c), intent and sending (purchase_send.c), the outcome (purchase_settle.c). */
#ifndef PROXYLUA_PURCHASE_FLOW_H
#define PROXYLUA_PURCHASE_FLOW_H

#include <stddef.h>

#include "core/purchase.h"

#define HEX(bytes) (2 * (bytes) + 1)

struct flow {
  struct purchase_charge public; /* first: a caller's pointer is the charge's */
  struct purchase *owner;
  struct flow *next;
  struct purchase_request request;
  char *path, *query, *body; /* what the request points to */
  struct buffer calc;        /* the body that an extension is quoted with */
  struct buffer params;      /* endpoint, path and body: what makes it the same purchase again */
  char params_hash[HEX(32)];
  struct client_call *call;    /* the last one that is done, or that prepares its sending */
  struct client_call *pending; /* the one under way, NULL when none is */
  bool asking;                 /* a call is not done; `calls` counts them */
  unsigned calls;
  int64_t entry;        /* of the journal, 0 before the intent */
  int64_t committed_at; /* loop_clock() of the last commit, for may_send */
  bool sending;         /* the slots are in hand: from here on the outcome is settled in the journal */
  bool abandoned;
  bool working; /* a job of its own is out at the store */
  bool closed;  /* purchase_close was called meanwhile: free it when the job comes back */
  void (*done)(void *arg, struct purchase_charge *charge);
  void *arg;
  struct journal_account account;
  struct journal_find find;
  struct journal_intend intend;
  struct journal_settle settle;
};

struct purchase {
  struct purchase_settings settings;
  char *account; /* base URL and account, once known */
  char run_id[HEX(16)];
  char host[128];
  bool overcharged;   /* a charge came out above its quote: no more of them in this run */
  struct flow *queue; /* the first one is under way */
};

#define CHARGE_OF(job, field) ((struct flow *)((char *)(job)-offsetof(struct flow, field)))

/* Steps. Each ends in the next one, or in flow_end. */
void flow_begin(struct flow *charge);
void flow_quote(struct flow *charge);
void flow_decide(struct flow *charge); /* quote in hand: refuse, answer a dry run, or send */
void flow_on_sent(void *arg, struct client_call *call);

/* Writes the outcome down, then ends the charge. */
void flow_settle(struct flow *charge, enum journal_state state, money price);

/* Ends a charge: the outcome is in its public part; the next in the queue begins. */
void flow_end(struct flow *charge);
void flow_fail(struct flow *charge, enum error_kind kind, const char *message);
void flow_free(struct flow *charge);

/* First in every completion of a job: true when the module was closed meanwhile, and the charge is gone. */
bool flow_is_closed(struct flow *charge);

/* Begins a call, releasing the one before. */
void flow_call(struct flow *charge, const struct client_request *request,
               void (*done)(void *arg, struct client_call *call));

/* First in its `done`. */
void flow_take_over(struct flow *charge, struct client_call *call);

/* Calls another endpoint on the way to the charge. */
void flow_ask(struct flow *charge, const char *endpoint, const char *path, const char *body,
              void (*done)(void *arg, struct client_call *call));

/* First in its `done`: takes it over. False when the charge ended here. */
bool flow_answered(struct flow *charge, struct client_call *call);

/* Nobody waits any more and nothing has left: then it has been ended, and no further step is taken. */
bool flow_is_over(struct flow *charge);

/* "orders.create", or the path of a request that the table does not know. */
const char *flow_name(const struct flow *charge);
bool flow_is_extension(const struct flow *charge);

/* A canonical field of an answer, as text or as money. False when there is none. */
bool flow_read(const struct flow *charge, enum record_kind kind, const struct http_exchange *x, const char *field,
               char *text, size_t capacity);
bool flow_read_money(const struct flow *charge, enum record_kind kind, const struct http_exchange *x, const char *field,
                     money *amount);

#endif
