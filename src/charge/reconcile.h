/* The reconciliation of a charge whose response was lost: pure functions that compare its baseline
 * with the orders, transactions and balance that exist now (read by charge/inquiry).
 *
 * placed: one new order fits the request, is dated within the time of the request, and belongs to
 * no other entry. If the order alone proves too little (an older baseline, unreadable fields or
 * dates), the money must agree.
 * not placed: after the settling time no such order exists, every new transaction is explained by
 * something else, and the balance is what it would be without the charge.
 * Everything else stays unknown until the API shows more. */
#ifndef PROXYLUA_CHARGE_RECONCILE_H
#define PROXYLUA_CHARGE_RECONCILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/money.h"
#include "charge/journal.h"
#include "charge/snapshot.h"

/* The traits by which an order is requested and recognised. Texts, or NULL where absent. */
enum reconcile_trait { TRAIT_TYPE, TRAIT_QUANTITY, TRAIT_PERIOD, TRAIT_COUNTRY, RECONCILE_TRAITS };
struct reconcile_traits {
  char *of[RECONCILE_TRAITS];
};

extern const char *const reconcile_trait_names[]; /* NULL-terminated */

/* Whether two requests can be for the same, and whether an order can be the result of a request. A
 * field that one side lacks, or that cannot be read, is no contradiction. */
bool reconcile_fits(const struct reconcile_traits *asked, const struct reconcile_traits *given);

bool reconcile_fits_order(const struct reconcile_traits *asked,
                          const struct reconcile_traits *given);

/* Whether an order shows a smaller quantity than was requested: it is being set up, or is another
 * one. Then its price decides. */
bool reconcile_is_smaller(const struct reconcile_traits *asked,
                          const struct reconcile_traits *given);

void reconcile_traits_free(struct reconcile_traits *traits);

/* Records as texts of the fields below, NULL where one is absent. */
struct reconcile_rows {
  size_t width, count, capacity;
  char **texts;
  bool at_end; /* rows added from now on come from the end of the list */
  size_t tail; /* the first of these rows */
};

enum {
  ORDER_TYPE,
  ORDER_QUANTITY,
  ORDER_PERIOD,
  ORDER_COUNTRY,
  ORDER_ID,
  ORDER_STATUS,
  ORDER_PRICE,
  ORDER_CREATED_AT,
  ORDER_EXPIRES_AT,
  ORDER_FIELDS
};
enum {
  TRANSACTION_ID,
  TRANSACTION_TYPE,
  TRANSACTION_AMOUNT,
  TRANSACTION_ORDER_ID,
  TRANSACTION_CREATED_AT,
  TRANSACTION_FIELDS
};

extern const char *const reconcile_order_fields[],
    *const reconcile_transaction_fields[]; /* NULL-terminated */

/* Adds a copy of a row of `width` texts. Skips one whose text in the field `id` is present already,
 * since a list can shift while its pages are read. False if out of memory. */
bool reconcile_add(struct reconcile_rows *rows, size_t width, int id, const char *const *texts);
const char *reconcile_text(const struct reconcile_rows *rows, size_t row, int field);
void reconcile_rows_free(struct reconcile_rows *rows);

/* Removes the rows from `count` on. */
void reconcile_cut(struct reconcile_rows *rows, size_t count);

/* Everything known about one charge. Times are seconds since 1970 by the server's clock. */
struct reconcile_case {
  const struct journal_entry *entry;
  bool extension;
  const char *order_id;          /* the order of an extension */
  struct reconcile_traits asked; /* of a purchase; for an extension only its period */
  struct snapshot before;

  bool settled; /* the settling time is over: what is not visible now will not appear */
  double now;   /* 0: unknown */
  double sent_from, sent_until; /* dates between which the request had its effect; 0: unknown */
  bool calibrated;              /* these are known (reconcile_calibrate): */
  double shift;                 /* by how much the times of records are ahead of the journal's */
  double gap;                   /* and the server's Date */

  struct reconcile_rows orders; /* that exist now; for an extension its order */
  size_t listed;                /* rows from the list; those after them were looked up by id */
  bool orders_reach;            /* none that appeared since the baseline is missing */
  bool gone;                    /* the API reports that the order of an extension does not exist */

  bool complete; /* the fields below are filled in */
  struct reconcile_rows transactions;
  bool transactions_reach;
  bool transactions_whole;    /* these are all that there are */
  int64_t transactions_total; /* as the server counts them; negative: unknown */
  bool has_balance;
  money balance;

  const struct journal_entry
      *others; /* all entries of the account that changed since the baseline */
  const struct reconcile_traits *others_asked;
  size_t other_count;
};

struct reconcile_result {
  enum { RECONCILE_WAIT, RECONCILE_PLACED, RECONCILE_NOT_PLACED, RECONCILE_DOUBT } what;
  bool ask_money; /* with RECONCILE_WAIT: a complete case decides more */
  size_t order;   /* the row that was placed */
  char why[300];
};

/* RECONCILE_WAIT: try again later, or with the case complete. */
struct reconcile_result reconcile_judge(const struct reconcile_case *c);

/* Time and order in lists (reconcile_time.c). */

/* In seconds: a day; the possible difference between the server's Date and the times of its
 * records; and more than any local time is behind UTC. */
#define RECONCILE_DAY 86400.0
#define RECONCILE_SKEW 60.0
#define RECONCILE_ZONES (14 * 3600.0)

/* Compares the times of orders and transactions with those of the journal's entries that made
 * them. */
void reconcile_calibrate(struct reconcile_case *c);

/* The time in a text, by the server's Date if the case is calibrated. False if it has no time. */
bool reconcile_read_time(const struct reconcile_case *c, const char *text, double *time);

/* By how many seconds a time may be later than written: one without a zone may be of any zone, and
 * a date without a time may be the end of its day. */
double reconcile_slack(const struct reconcile_case *c, const char *text);

/* Whether a time is before everything that can have appeared since the baseline. Unless the case is
 * calibrated, the server's Date may have been wrong by up to a day then: a charge is refused only
 * if it differs from the local clock by more. */
bool reconcile_is_older(const struct reconcile_case *c, const char *created_at);

bool reconcile_is_create(const struct journal_entry *entry);

/* How the rows before `tail` are sorted: by the times in a field; by the journal's entries for the
 * orders that they name; of transactions by the orders. */
enum list_order reconcile_sorting(const struct reconcile_rows *rows, int created_at);
enum list_order reconcile_sorting_by_journal(const struct reconcile_rows *rows, int order_id,
                                             const struct journal_entry *entries, size_t count);
enum list_order reconcile_sorting_by_orders(const struct reconcile_case *c);

/* Whether an order that appeared since the baseline cannot be the charge's; and whether any order
 * is certainly not, by its id or its date. */
bool reconcile_is_foreign(const struct reconcile_case *c, size_t order);
bool reconcile_is_excluded(const struct reconcile_case *c, size_t order);

/* The order that an unexplained new transaction names and no list shows; NULL: none. */
const char *reconcile_find_unlisted(const struct reconcile_case *c);

/* The money (reconcile_money.c): whether an order was refunded. */
enum reconcile_refund { RECONCILE_KEPT, RECONCILE_REFUNDED, RECONCILE_PERHAPS };
enum reconcile_refund reconcile_refund_of(const struct reconcile_case *c, size_t order);

/* Whether the only charge for an order came after the baseline: then it was bought since. */
bool reconcile_is_first_charge(const struct reconcile_case *c, const char *order_id);

/* Whether a transaction may have taken money: any that is not known to bring some in. */
bool reconcile_takes_money(const char *type);
bool reconcile_is_charge(const struct reconcile_case *c, size_t row);

/* The time of an entry's transaction, as the API writes it; NULL unless that transaction is
 * certain: of a purchase the first charge for its order, of an extension the only one. */
const char *reconcile_time_of_charge(const struct reconcile_case *c,
                                     const struct journal_entry *other);

/* The number of new charges for an order that nothing else explains. */
size_t reconcile_charges_for(const struct reconcile_case *c, const char *order_id);

/* Whether a transaction or the balance shows that a charge of about the quote was made for it;
 * `closely`: at most a half more or a quarter less, since nothing else shows whose order it is. */
bool reconcile_money_agrees(const struct reconcile_case *c, const char *order_id, bool closely);

/* Whether money was taken that nothing else explains, or whether that is possible; then `why`
 * describes it. */
bool reconcile_money_moved(const struct reconcile_case *c, char *why, size_t capacity);

/* Whether the transactions reach back to the baseline, nothing in them is unexplained, and the
 * balance is exactly what it would be without the charge. */
bool reconcile_money_is_clear(const struct reconcile_case *c);

/* The charges of a day (reconcile_day.c). */
struct reconcile_day {
  int64_t day;                               /* days since 1970, UTC */
  const struct reconcile_rows *transactions; /* that the API shows, as far as they were read */
  const struct reconcile_rows *orders;       /* the same; no rows if they were not read */
  bool hidden;               /* the API does not show transactions: the orders count */
  const struct ids *counted; /* marks of the transactions that an earlier sum includes, or NULL */
  struct {
    const struct journal_entry *of;
    size_t count;
  } entries[2]; /* of the journal; entries that are not placed are ignored */
};

/* Adds up what the account was charged on a day, less refunds, except for what the entries explain:
 * each explains one transaction that names its order; or, if a transaction names no order or an
 * unknown one, that has about its amount. A charge in doubt counts. `partial` is set if a charge
 * has no readable amount or date. False if memory is out. */
bool reconcile_sum_day(const struct reconcile_day *c, struct elsewhere *sum);

/* Whether transactions were read that are older than the day; and whether all have dates. */
bool reconcile_day_is_covered(const struct reconcile_day *c);
bool reconcile_day_is_dated(const struct reconcile_day *c);

/* What identifies a transaction among those of an account: its id, or, without one, its fields.
 * False if memory is out. */
bool reconcile_mark(const struct reconcile_rows *transactions, size_t row, struct buffer *mark);

#endif
