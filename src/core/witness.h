/* What became of a charge whose answer was lost, as far as what exists now can tell: orders, movements of money, the balance.
 * Pure functions over what was gathered (core/purchase_inquiry).
 *
 * An order that came up since the snapshot, fits what was asked for and belongs to no other entry is the charge's: should it be
 * a colleague's, nothing is bought twice. That nothing was bought needs every witness to agree after the settling time.
 * Everything else stays in doubt. */
#ifndef PROXYLUA_WITNESS_H
#define PROXYLUA_WITNESS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/journal.h"
#include "core/money.h"
#include "core/snapshot.h"

/* What an order is asked for by, and told by. Texts, or NULL where they are absent. */
enum witness_trait { TRAIT_TYPE, TRAIT_QUANTITY, TRAIT_PERIOD, TRAIT_COUNTRY, WITNESS_TRAITS };
struct witness_traits {
  char *of[WITNESS_TRAITS];
};

extern const char *const witness_trait_names[]; /* NULL-terminated */

/* Whether an order with `given` can have come of a request for `asked`, or the other way round: only what is told on both sides
 * in a form that is understood can speak against it. */
bool witness_fits(const struct witness_traits *asked, const struct witness_traits *given);

void witness_traits_free(struct witness_traits *traits);

/* Records as texts of the fields below, NULL where one is absent. */
struct witness_rows {
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
enum { MOVEMENT_ID, MOVEMENT_TYPE, MOVEMENT_AMOUNT, MOVEMENT_ORDER_ID, MOVEMENT_CREATED_AT, MOVEMENT_FIELDS };

extern const char *const witness_order_fields[], *const witness_movement_fields[]; /* NULL-terminated */

/* Adds a copy of a row of `width` texts. False when memory is out. */
bool witness_add(struct witness_rows *rows, size_t width, const char *const *texts);
const char *witness_text(const struct witness_rows *rows, size_t row, int field);
void witness_rows_free(struct witness_rows *rows);

/* What is known of one charge. */
struct witness_case {
  const struct journal_entry *entry;
  bool extension;
  const char *order_id;        /* of an extension: the order it is for */
  struct witness_traits asked; /* of a purchase */
  struct snapshot before;

  bool settled;               /* the settling time is over: what is not there now is not to come */
  struct witness_rows orders; /* that there are now; of an extension the one it is for */
  bool orders_reach;          /* none is missing that came up since the snapshot */

  bool complete; /* what follows was gathered too; only needed when the orders decide nothing and it is settled */
  struct witness_rows movements;
  bool movements_reach;
  bool has_balance;
  money balance;

  const struct journal_entry *others; /* of the account, all that changed since the snapshot */
  const struct witness_traits *others_asked;
  size_t other_count;
};

struct witness_verdict {
  enum { WITNESS_WAIT, WITNESS_PLACED, WITNESS_NOT_PLACED, WITNESS_DOUBT } what;
  size_t order; /* the row that was placed */
  char why[300];
};

/* WITNESS_WAIT: ask again when it is settled, or with the case complete. */
struct witness_verdict witness_judge(const struct witness_case *c);

/* Whether a record's time lies before all that can have come up since the snapshot. */
bool witness_is_older(const struct witness_case *c, const char *created_at);

/* The witnesses of money (witness_money.c): whether an order was refunded, as far as the refunds tell what they are for; whether
 * money moved that nothing else explains, or that cannot be told (then `why` says so). */
enum witness_refund { WITNESS_KEPT, WITNESS_REFUNDED, WITNESS_PERHAPS };
enum witness_refund witness_refund_of(const struct witness_case *c, size_t order);
size_t witness_charges_since(
    const struct witness_case *c); /* of an extension: how many for its order that nothing else explains */
bool witness_money_moved(const struct witness_case *c, char *why, size_t capacity);

#endif
