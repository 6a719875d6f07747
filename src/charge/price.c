/* The cost of a placed charge whose response has no price, as with every extension: the
 * transactions for its order show it even if other processes charge meanwhile, so the lock of the
 * account has been given back. Of a request whose path the table does not have, the balance must
 * agree, under the lock. Until they do, the quote counts. */
#include <string.h>

#include "charge/crash_point.h"
#include "charge/flow.h"

#define PRICE_US INT64_C(5000000) /* microseconds for the look-up */

/* Whether the transaction in a row belongs to an earlier charge for the same order which the
 * baseline does not have. Each charge explains one row. */
static bool is_earlier(const struct flow *charge, bool *used, money amount)
{
  const struct journal_list *settled = &charge->recovery.review.settled;
  for (size_t i = 0; i < settled->count; i++) {
    const struct journal_entry *entry = &settled->entries[i];
    money cost = entry->price == JOURNAL_NO_PRICE ? entry->quote : entry->price;
    if (used[i] || entry->state != JOURNAL_PLACED || !entry->order_id || cost != amount ||
        strcmp(entry->order_id, charge->public.order_id) != 0)
      continue;
    return used[i] = true;
  }
  return false;
}

/* The one new charge for the order, less its refunds. False if there is none, or more than one. */
static bool sum_transactions(const struct flow *charge, money *sum)
{
  const struct reconcile_rows *rows = &charge->transactions;
  const struct ids *known = &charge->before.transactions.known;
  bool used[JOURNAL_MAX_SETTLED] = {false};
  int charges = 0;
  *sum = 0;
  for (size_t row = rows->count; row-- > 0;) { /* the oldest first, in most lists */
    const char *named = reconcile_text(rows, row, TRANSACTION_ORDER_ID),
               *type = reconcile_text(rows, row, TRANSACTION_TYPE);
    money amount;
    if (!named || strcmp(named, charge->public.order_id) != 0) continue;
    if (!flow_read_amount(charge, row, &amount)) return false;
    bool refund = type && strcasestr(type, "refund"), known_row = flow_is_known(charge, row, known);
    if ((!refund && is_earlier(charge, used, amount)) || known_row) continue;
    if (!(refund ? money_subtract(*sum, amount, sum) : money_add(*sum, amount, sum))) return false;
    charges += !refund;
  }
  return charges == 1 && *sum >= 0;
}

/* Whether a transaction names an order of another charge. */
static bool is_anothers(const struct flow *charge, size_t row)
{
  const struct journal_list *settled = &charge->recovery.review.settled;
  const char *named = reconcile_text(&charge->transactions, row, TRANSACTION_ORDER_ID);
  for (size_t i = 0; named && i < settled->count; i++)
    if (settled->entries[i].order_id && strcmp(settled->entries[i].order_id, named) == 0)
      return true;
  return false;
}

/* The only new charge. False if there is none, or more than one. */
static bool find_new_charge(const struct flow *charge, money *sum)
{
  const struct reconcile_rows *rows = &charge->transactions;
  const struct ids *known = &charge->before.transactions.known;
  int charges = 0;
  for (size_t row = 0; row < rows->count; row++) {
    if (flow_is_known(charge, row, known) || is_anothers(charge, row)) continue;
    if (!reconcile_takes_money(reconcile_text(rows, row, TRANSACTION_TYPE))) continue;
    if (!flow_read_amount(charge, row, sum)) return false;
    charges++;
  }
  return charges == 1;
}

static void on_amended(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, amend);
  if (flow_is_closed(charge)) return;
  if (job->err.kind != ERROR_NONE)
    flow_tell(charge, "%s with key %s: cannot write its price to the journal: %s",
              flow_name(charge), charge->public.key, job->err.message);
  crash_point("priced");
  flow_end(charge);
}

static void stop_timer(struct flow *charge)
{
  if (charge->sleeping) loop_timer_clear(charge->owner->settings.loop, &charge->timer);
  charge->sleeping = false;
}

static void amend(struct flow *charge, money price)
{
  flow_check_price(charge, price);
  charge->amend =
      (struct journal_amend){.job.done = on_amended, .id = charge->entry, .price = price};
  charge->working = true;
  journal_amend(charge->owner->settings.store, &charge->amend);
}

static void on_balance(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  money price, balance, fall;
  flow_take_over(charge, call);
  stop_timer(charge);
  if (call->error.kind == ERROR_NONE && find_new_charge(charge, &price) &&
      flow_read_money(call->exchange, RECORD_ACCOUNT, "balance", &balance) &&
      money_subtract(charge->before.balance, balance, &fall) && fall == price)
    amend(charge, price);
  else
    flow_end(charge);
}

static void on_transactions(struct flow *charge, bool ok)
{
  money price;
  if (ok && !charge->request.endpoint && find_new_charge(charge, &price)) {
    flow_ask(charge, "account.get", "/account", NULL, NULL, on_balance);
    return;
  }
  stop_timer(charge);
  if (ok && charge->request.endpoint && sum_transactions(charge, &price))
    amend(charge, price);
  else
    flow_end(charge);
}

static void on_too_late(void *arg)
{
  struct flow *charge = arg;
  charge->sleeping = false;
  if (flow_interrupt(charge)) flow_end(charge);
}

/* The caller waits: without a price in time, the quote counts. */
void flow_price(struct flow *charge)
{
  reconcile_rows_free(&charge->transactions);
  charge->sleeping =
      loop_timer_set(charge->owner->settings.loop, &charge->timer, PRICE_US, on_too_late, charge);
  flow_walk_transactions(charge, &charge->transactions, &charge->before.transactions, NULL,
                         on_transactions);
}
