/* What a charge really cost, where its answer does not tell, as that to an extension never does: by
 * how much the balance fell; and, since others may have spent at the same time, what the
 * transaction for this order says. */
#include <string.h>

#include "charge/flow.h"

/* The amount of a transaction that was not there before and names the order. */
static bool find_amount(const struct flow *charge, money *amount)
{
  const struct reconcile_rows *rows = &charge->movements;
  for (size_t row = 0; row < rows->count; row++) {
    const char *id = reconcile_text(rows, row, MOVEMENT_ID),
               *order = reconcile_text(rows, row, MOVEMENT_ORDER_ID);
    const char *text = reconcile_text(rows, row, MOVEMENT_AMOUNT);
    if (!id || ids_have(&charge->before.movements, id) || !order ||
        strcmp(order, charge->public.order_id) != 0)
      continue;
    if (!text || money_parse(text, strlen(text), amount) != MONEY_OK || *amount == INT64_MIN)
      continue;
    if (*amount < 0) *amount = -*amount;
    return true;
  }
  return false;
}

static void on_movements(struct flow *charge, bool ok)
{
  money amount;
  flow_placed(charge, ok && find_amount(charge, &amount) ? amount : charge->fall, charge->note);
}

static void on_account(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  money balance, fall;
  flow_take_over(charge, call);
  bool known = call->error.kind == ERROR_NONE && charge->before.has_balance &&
               flow_read_money(charge, RECORD_ACCOUNT, call->exchange, "balance", &balance) &&
               money_subtract(charge->before.balance, balance, &fall);
  if (!known || fall < charge->public.quote) {
    flow_placed(charge, JOURNAL_NO_PRICE, charge->note);
  } else if (fall == charge->public.quote) {
    flow_placed(charge, fall, charge->note);
  } else {
    charge->fall = fall;
    reconcile_rows_free(&charge->movements);
    flow_walk_movements(charge, &charge->movements, NULL, 1, on_movements);
  }
}

void flow_price(struct flow *charge, const char *note)
{
  charge->stage = FLOW_SETTLING;
  charge->note = note;
  flow_ask(charge, "account.get", "/account", NULL, NULL, on_account);
}
