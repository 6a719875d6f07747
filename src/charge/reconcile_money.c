/* What money says of a charge whose answer was lost: transactions that nothing explains, and the
 * balance. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/datetime.h"
#include "charge/reconcile.h"

#define DATE_GRAIN \
  2.0 /* seconds: what came later than this after the snapshot came after it for sure */

static const char *text_of(const struct reconcile_case *c, size_t row, int field)
{
  return reconcile_text(&c->movements, row, field);
}

static bool is_among(const char *type, const char *const *words)
{
  for (; type && *words; words++)
    if (strcasestr(type, *words)) return true;
  return false;
}

static bool is_refund(const struct reconcile_case *c, size_t row)
{
  return is_among(text_of(c, row, MOVEMENT_TYPE), (const char *const[]){"refund", NULL});
}

/* Whatever is not known to bring money in may have taken some. */
static bool is_charge(const struct reconcile_case *c, size_t row)
{
  static const char *const incoming[] = {"refund", "deposit", "topup", "top_up",
                                         "top-up", "credit",  "bonus", NULL};
  return !is_among(text_of(c, row, MOVEMENT_TYPE), incoming);
}

/* Without its sign, which servers set as they like. */
static bool read_amount(const struct reconcile_case *c, size_t row, money *amount)
{
  const char *text = text_of(c, row, MOVEMENT_AMOUNT);
  if (!text || money_parse(text, strlen(text), amount) != MONEY_OK || *amount == INT64_MIN)
    return false;
  if (*amount < 0) *amount = -*amount;
  return true;
}

static bool is_for(const struct reconcile_case *c, size_t row, const char *order_id)
{
  const char *id = text_of(c, row, MOVEMENT_ORDER_ID);
  return id && strcmp(id, order_id) == 0;
}

/* It was there before: it is known by its id; or, where not all could be remembered, it is older
 * than what was. */
static bool is_old(const struct reconcile_case *c, size_t row)
{
  const char *id = text_of(c, row, MOVEMENT_ID);
  if (id && ids_have(&c->before.movements, id)) return true;
  if (id && c->before.movements_whole) return false;
  return reconcile_is_older(c, text_of(c, row, MOVEMENT_CREATED_AT));
}

/* By how many seconds it came after the snapshot; 0 where nobody tells. */
static double lateness(const struct reconcile_case *c, size_t row)
{
  double time;
  const char *created_at = text_of(c, row, MOVEMENT_CREATED_AT);
  return created_at && date_parse(created_at, &time) ? time - c->before.taken_at : 0;
}

static bool is_later(const struct reconcile_case *c, size_t row)
{
  return lateness(c, row) > DATE_GRAIN;
}

/* Was it surely not there before? A list that did not show it yet is no proof, where its own date
 * says otherwise. */
static bool is_new(const struct reconcile_case *c, size_t row)
{
  const char *id = text_of(c, row, MOVEMENT_ID);
  if (!id || ids_have(&c->before.movements, id) || lateness(c, row) < -DATE_GRAIN) return false;
  return c->before.movements_whole || is_later(c, row);
}

/* Whether the refund in a row is an order's: told by its id, else by its amount, where both tell
 * it. */
static enum reconcile_refund is_refund_of(const struct reconcile_case *c, size_t row,
                                          const char *id, const money *cost)
{
  money amount;
  if (text_of(c, row, MOVEMENT_ORDER_ID))
    return id && is_for(c, row, id) ? RECONCILE_REFUNDED : RECONCILE_KEPT;
  if (!cost || !read_amount(c, row, &amount)) return RECONCILE_PERHAPS;
  return amount == *cost ? RECONCILE_REFUNDED : RECONCILE_KEPT;
}

enum reconcile_refund reconcile_refund_of(const struct reconcile_case *c, size_t order)
{
  const char *id = reconcile_text(&c->orders, order, ORDER_ID),
             *price = reconcile_text(&c->orders, order, ORDER_PRICE);
  money cost;
  bool priced = price && money_parse(price, strlen(price), &cost) == MONEY_OK;
  enum reconcile_refund found = c->movements_reach ? RECONCILE_KEPT : RECONCILE_PERHAPS;
  for (size_t row = 0; row < c->movements.count; row++) {
    bool named =
        text_of(c, row, MOVEMENT_ORDER_ID); /* then no clock is needed to tell whose it is */
    if (!is_refund(c, row) || (!named && is_old(c, row))) continue;
    enum reconcile_refund one = is_refund_of(c, row, id, priced ? &cost : NULL);
    if (one == RECONCILE_REFUNDED) return one;
    if (one == RECONCILE_PERHAPS) found = one;
  }
  return found;
}

/* --- which charges are explained --- */

/* What has explained a charge does not explain a second one. */
struct used {
  bool *refunds, *entries;
};

static bool explained_by_refund(const struct reconcile_case *c, size_t row, struct used *used)
{
  money amount, given_back;
  const char *id = text_of(c, row, MOVEMENT_ORDER_ID);
  for (size_t i = 0; i < c->movements.count; i++) {
    if (used->refunds[i] || !is_refund(c, i)) continue;
    bool same = id ? is_for(c, i, id)
                   : !is_old(c, i) && !text_of(c, i, MOVEMENT_ORDER_ID) &&
                         read_amount(c, row, &amount) && read_amount(c, i, &given_back) &&
                         amount == given_back;
    if (same) return used->refunds[i] = true;
  }
  return false;
}

/* Its outcome was known when the snapshot was taken. */
static bool was_settled_before(const struct reconcile_case *c, const struct journal_entry *other)
{
  return other->id < c->entry->id && other->updated_at < c->entry->created_at;
}

/* Whether a charge can be what another entry has paid: told by the order's id, else by its amount.
 */
static bool is_of(const struct reconcile_case *c, size_t row, const struct journal_entry *other)
{
  money amount;
  const char *id = text_of(c, row, MOVEMENT_ORDER_ID);
  if (other->id == c->entry->id || other->state != JOURNAL_PLACED) return false;
  if (id) return other->order_id && strcmp(other->order_id, id) == 0;
  return read_amount(c, row, &amount) &&
         amount == (other->price == JOURNAL_NO_PRICE ? other->quote : other->price);
}

/* Lists are slow to show what is there: a charge that the snapshot does not have may be that of an
 * entry from before it, unless it came later for sure, or the charge of that entry is one that the
 * snapshot has. */
static bool explained_by_entry(const struct reconcile_case *c, size_t row, struct used *used)
{
  for (size_t i = 0; i < c->other_count; i++) {
    const struct journal_entry *other = &c->others[i];
    if (used->entries[i] || !is_of(c, row, other)) continue;
    if (was_settled_before(c, other) && is_later(c, row))
      continue; /* its money had moved by then */
    return used->entries[i] = true;
  }
  return false;
}

static void use_up(const struct reconcile_case *c, size_t row, struct used *used)
{
  size_t i = 0;
  while (i < c->other_count &&
         (used->entries[i] || c->others[i].id > c->entry->id || !is_of(c, row, &c->others[i])))
    i++;
  if (i < c->other_count) used->entries[i] = true;
}

static bool begin_explaining(const struct reconcile_case *c, struct used *used)
{
  used->refunds = calloc(c->movements.count + 1, sizeof(bool));
  used->entries = calloc(c->other_count + 1, sizeof(bool));
  if (!used->refunds || !used->entries) return false;
  for (size_t row = 0; row < c->movements.count; row++) {
    const char *id = text_of(c, row, MOVEMENT_ID);
    if (id && is_charge(c, row) && ids_have(&c->before.movements, id)) use_up(c, row, used);
  }
  return true;
}

static void end_explaining(struct used *used)
{
  free(used->refunds);
  free(used->entries);
}

/* A charge for an order that is not this one's: of a purchase, one that existed before. */
static bool is_for_another_order(const struct reconcile_case *c, size_t row)
{
  const char *id = text_of(c, row, MOVEMENT_ORDER_ID);
  if (!id) return false;
  return c->extension ? strcmp(id, c->order_id) != 0 : ids_have(&c->before.orders, id);
}

static bool is_explained(const struct reconcile_case *c, size_t row, struct used *used)
{
  return !is_charge(c, row) || is_old(c, row) || is_for_another_order(c, row) ||
         explained_by_refund(c, row, used) || explained_by_entry(c, row, used);
}

/* The first charge that nothing explains; answers their number when all are explained. */
static size_t first_unexplained(const struct reconcile_case *c, struct used *used)
{
  size_t row = 0;
  while (row < c->movements.count && is_explained(c, row, used)) row++;
  return row;
}

size_t reconcile_charges_since(const struct reconcile_case *c)
{
  struct used used;
  size_t count = 0;
  bool ok = begin_explaining(c, &used);
  for (size_t row = 0; ok && row < c->movements.count; row++)
    count += is_charge(c, row) && is_for(c, row, c->order_id) && is_new(c, row) &&
             !is_explained(c, row, &used);
  end_explaining(&used);
  return count;
}

/* --- the balance --- */

/* Whether the money of an entry moved after the snapshot. One that was open then may have been
 * charged before or after it. */
static bool moved_since(const struct reconcile_case *c, const struct journal_entry *other)
{
  if (other->id > c->entry->id) return true;
  for (size_t row = 0; !was_settled_before(c, other) && other->order_id && row < c->movements.count;
       row++)
    if (is_charge(c, row) && is_for(c, row, other->order_id) && is_new(c, row)) return true;
  return false;
}

/* What the balance should be if this charge took nothing: what it was, less the charges on record
 * that came later, and with the deposits that came later. Refunds are left out: they go with
 * charges. */
static bool expect_balance(const struct reconcile_case *c, money *expected)
{
  money amount;
  *expected = c->before.balance;
  for (size_t i = 0; i < c->other_count; i++) {
    const struct journal_entry *other = &c->others[i];
    if (other->id == c->entry->id || other->state != JOURNAL_PLACED || !moved_since(c, other))
      continue;
    money cost = other->price == JOURNAL_NO_PRICE ? other->quote : other->price;
    if (!money_subtract(*expected, cost, expected)) return false;
  }
  for (size_t row = 0; row < c->movements.count; row++) {
    if (is_charge(c, row) || is_refund(c, row) || !is_later(c, row)) continue;
    if (!read_amount(c, row, &amount) || !money_add(*expected, amount, expected)) return false;
  }
  return true;
}

static bool balance_fell(const struct reconcile_case *c, char *why, size_t capacity)
{
  money expected;
  char now[MONEY_TEXT], then[MONEY_TEXT];
  if (!c->has_balance || !c->before.has_balance || !expect_balance(c, &expected)) {
    snprintf(why, capacity, "the balance does not tell");
    return true;
  }
  if (c->balance >= expected) return false;
  money_format(c->balance, now);
  money_format(expected, then);
  snprintf(why, capacity, "the balance is %s, and without it should be %s", now, then);
  return true;
}

bool reconcile_money_moved(const struct reconcile_case *c, char *why, size_t capacity)
{
  struct used used;
  bool ok = begin_explaining(c, &used), moved = true;
  size_t row = ok ? first_unexplained(c, &used) : 0;
  if (!ok)
    snprintf(why, capacity, "out of memory");
  else if (row < c->movements.count)
    snprintf(why, capacity, "transaction %.60s took money, and no charge on record explains it",
             text_of(c, row, MOVEMENT_ID) ? text_of(c, row, MOVEMENT_ID) : "(without an id)");
  else if (!c->movements_reach)
    snprintf(why, capacity, "the list of transactions does not reach back to it");
  else
    moved = balance_fell(c, why, capacity);
  end_explaining(&used);
  return moved;
}
