/* What became of a charge whose answer was lost, as far as what exists now can tell: orders,
 * movements of money, the balance. Pure functions over what was gathered (charge/inquiry).
 *
 * An order that came up since the snapshot, fits what was asked for and belongs to no other entry
 * is the charge's: should it be a colleague's, nothing is bought twice. That nothing was bought
 * needs every witness to agree after the settling time. Everything else stays in doubt. */
#ifndef PROXYLUA_CHARGE_RECONCILE_H
#define PROXYLUA_CHARGE_RECONCILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/money.h"
#include "charge/journal.h"
#include "charge/snapshot.h"

/* What an order is asked for by, and told by. Texts, or NULL where they are absent. */
enum reconcile_trait { TRAIT_TYPE, TRAIT_QUANTITY, TRAIT_PERIOD, TRAIT_COUNTRY, RECONCILE_TRAITS };
struct reconcile_traits {
  char *of[RECONCILE_TRAITS];
};

extern const char *const reconcile_trait_names[]; /* NULL-terminated */

/* Whether an order with `given` can have come of a request for `asked`, or the other way round:
 * only what is told on both sides in a form that is understood can speak against it. */
bool reconcile_fits(const struct reconcile_traits *asked, const struct reconcile_traits *given);

void reconcile_traits_free(struct reconcile_traits *traits);

/* Records as texts of the fields below, NULL where one is absent. */
struct reconcile_rows {
  size_t width, count, capacity;
  char **texts;
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
  MOVEMENT_ID,
  MOVEMENT_TYPE,
  MOVEMENT_AMOUNT,
  MOVEMENT_ORDER_ID,
  MOVEMENT_CREATED_AT,
  MOVEMENT_FIELDS
};

extern const char *const reconcile_order_fields[],
    *const reconcile_movement_fields[]; /* NULL-terminated */

/* Adds a copy of a row of `width` texts. False when memory is out. */
bool reconcile_add(struct reconcile_rows *rows, size_t width, const char *const *texts);
const char *reconcile_text(const struct reconcile_rows *rows, size_t row, int field);
void reconcile_rows_free(struct reconcile_rows *rows);

/* What is known of one charge. */
struct reconcile_case {
  const struct journal_entry *entry;
  bool extension;
  const char *order_id;          /* of an extension: the order it is for */
  struct reconcile_traits asked; /* of a purchase */
  struct snapshot before;

  bool settled; /* the settling time is over: what is not there now is not to come */
  struct reconcile_rows orders; /* that there are now; of an extension the one it is for */
  bool orders_reach;            /* none is missing that came up since the snapshot */

  bool complete; /* what follows was gathered too; only needed when the orders decide nothing and it
                    is settled */
  struct reconcile_rows movements;
  bool movements_reach;
  bool has_balance;
  money balance;

  const struct journal_entry *others; /* of the account, all that changed since the snapshot */
  const struct reconcile_traits *others_asked;
  size_t other_count;
};

struct reconcile_verdict {
  enum { RECONCILE_WAIT, RECONCILE_PLACED, RECONCILE_NOT_PLACED, RECONCILE_DOUBT } what;
  size_t order; /* the row that was placed */
  char why[300];
};

/* RECONCILE_WAIT: ask again when it is settled, or with the case complete. */
struct reconcile_verdict reconcile_judge(const struct reconcile_case *c);

/* Whether a record's time lies before all that can have come up since the snapshot. */
bool reconcile_is_older(const struct reconcile_case *c, const char *created_at);

/* The witnesses of money (reconcile_money.c): whether an order was refunded, as far as the refunds
 * tell what they are for; whether money moved that nothing else explains, or that cannot be told
 * (then `why` says so). */
enum reconcile_refund { RECONCILE_KEPT, RECONCILE_REFUNDED, RECONCILE_PERHAPS };
enum reconcile_refund reconcile_refund_of(const struct reconcile_case *c, size_t order);
size_t reconcile_charges_since(
    const struct reconcile_case
        *c); /* of an extension: how many for its order that nothing else explains */
bool reconcile_money_moved(const struct reconcile_case *c, char *why, size_t capacity);

#endif
