/* The cost of a placed charge whose response has no price, as with every extension: the
 * transactions for its order show it even if other processes charge meanwhile, so the lock of the
 * account has been given back. Of a request whose path the table does not have, the balance must
 * agree, under the lock. Until they do, the quote counts. */
#include <string.h>

#include "charge/crash_point.h"
#include "charge/steps.h"

#define PRICE_US INT64_C(5000000) /* microseconds for the look-up */

/* Whether the transaction in a row belongs to an earlier charge for the same order which the
 * baseline does not have. Each charge explains one row. */
static bool is_earlier(const struct charge *c, bool *used, money amount)
{
  const struct journal_list *settled = &c->review.settled;
  for (size_t i = 0; i < settled->count; i++) {
    const struct journal_entry *entry = &settled->entries[i];
    money cost = entry->price == JOURNAL_NO_PRICE ? entry->quote : entry->price;
    if (used[i] || entry->state != JOURNAL_PLACED || !entry->order_id || cost != amount ||
        strcmp(entry->order_id, c->public.order_id) != 0)
      continue;
    return used[i] = true;
  }
  return false;
}

/* The one new charge for the order, less its refunds. False if there is none, or more than one. */
static bool sum_transactions(const struct charge *c, const struct reconcile_rows *rows, money *sum)
{
  const struct ids *known = &c->before.transactions.known;
  bool used[JOURNAL_MAX_SETTLED] = {false};
  int charges = 0;
  *sum = 0;
  for (size_t row = rows->count; row-- > 0;) { /* the oldest first, in most lists */
    const char *named = reconcile_text(rows, row, TRANSACTION_ORDER_ID),
               *type = reconcile_text(rows, row, TRANSACTION_TYPE);
    money amount;
    if (!named || strcmp(named, c->public.order_id) != 0) continue;
    if (!charge_read_amount(rows, row, &amount)) return false;
    bool refund = type && strcasestr(type, "refund"), known_row = charge_is_known(rows, row, known);
    if ((!refund && is_earlier(c, used, amount)) || known_row) continue;
    if (!(refund ? money_subtract(*sum, amount, sum) : money_add(*sum, amount, sum))) return false;
    charges += !refund;
  }
  return charges == 1 && *sum >= 0;
}

/* Whether a transaction names an order of another charge. */
static bool is_anothers(const struct charge *c, const struct reconcile_rows *rows, size_t row)
{
  const struct journal_list *settled = &c->review.settled;
  const char *named = reconcile_text(rows, row, TRANSACTION_ORDER_ID);
  for (size_t i = 0; named && i < settled->count; i++)
    if (settled->entries[i].order_id && strcmp(settled->entries[i].order_id, named) == 0)
      return true;
  return false;
}

/* The only new charge. False if there is none, or more than one. */
static bool find_new_charge(const struct charge *c, const struct reconcile_rows *rows, money *sum)
{
  const struct ids *known = &c->before.transactions.known;
  int charges = 0;
  for (size_t row = 0; row < rows->count; row++) {
    if (charge_is_known(rows, row, known) || is_anothers(c, rows, row)) continue;
    if (!reconcile_takes_money(reconcile_text(rows, row, TRANSACTION_TYPE))) continue;
    if (!charge_read_amount(rows, row, sum)) return false;
    charges++;
  }
  return charges == 1;
}

static void amend(struct charge *c, money price)
{
  struct journal_amend job = {.job = CHARGE_JOB(c), .id = c->entry, .price = price};
  charge_note_price(c, price);
  journal_amend(c->owner->settings.store, &job);
  if (!charge_finish_job(c)) return;
  if (job.job.err.kind != ERROR_NONE)
    charge_report(c, "%s with key %s: cannot write its price to the journal: %s", charge_name(c),
                  c->public.key, job.job.err.message);
  crash_point("priced");
}

/* The balance must have fallen by the price. */
static bool agrees_with_balance(struct charge *c, money price)
{
  money balance, fall;
  return charge_call(c, "account.get", "/account", NULL, NULL) &&
         c->call->error.kind == ERROR_NONE &&
         charge_read_money(c->call->exchange, RECORD_ACCOUNT, "balance", &balance) &&
         money_subtract(c->before.balance, balance, &fall) && fall == price;
}

static bool look_up(struct charge *c, struct reconcile_rows *rows, money *price)
{
  struct pages pages = {.kind = RECORD_TRANSACTION, .rows = rows, .hint = &c->before.transactions};
  if (!charge_read_pages(c, &pages) || pages.failed) return false;
  if (c->request.endpoint) return sum_transactions(c, rows, price);
  return find_new_charge(c, rows, price) && agrees_with_balance(c, *price);
}

/* The caller waits: without a price in time, the quote counts. */
void charge_find_price(struct charge *c)
{
  struct reconcile_rows rows = {0};
  money price;
  charge_set_deadline(c, PRICE_US);
  bool found = look_up(c, &rows, &price);
  charge_clear_deadline(c);
  reconcile_rows_free(&rows);
  if (found) amend(c, price);
}
