/* The sixth step of a charge: what exists before it, so that a lost answer can be made up for. The
 * orders of its type, or the expiry that is to be moved (which the quote has found), the newest
 * transactions, and the balance. */
#include <time.h>

#include "charge/crash_point.h"
#include "charge/flow.h"

/* The server's clock, at the beginning; this machine's where the server does not tell. */
static void note_time(struct flow *charge)
{
  if (charge->before.taken_at > 0) return;
  charge->before.taken_at = http_date(charge->call->exchange);
  if (charge->before.taken_at == 0) charge->before.taken_at = (double)time(NULL);
}

static void on_account(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  struct snapshot *before = &charge->before;
  if (!flow_answered(charge, call)) return;
  note_time(charge);
  before->has_balance =
      flow_read_money(charge, RECORD_ACCOUNT, call->exchange, "balance", &before->balance);
  if (!before->has_balance) {
    flow_fail(charge, ERROR_PROTOCOL,
              "the answer holds no balance that can be read; nothing was bought");
    return;
  }
  if (!snapshot_write(before, &charge->snapshot)) {
    flow_fail(charge, ERROR_INTERNAL, "out of memory");
    return;
  }
  crash_point("snapshot");
  flow_note_account(charge);
}

static bool keep_ids(struct ids *ids, const struct reconcile_rows *rows, int field)
{
  for (size_t row = 0; row < rows->count; row++) {
    const char *id = reconcile_text(rows, row, field);
    if (id && !ids_add(ids, id)) return false;
  }
  return true;
}

/* A charge can do without: then its outcome, should the answer be lost, may stay in doubt. */
static void on_movements(struct flow *charge, bool ok)
{
  struct snapshot *before = &charge->before;
  if (ok) note_time(charge);
  before->movements_whole = ok && charge->walk.whole;
  if (keep_ids(&before->movements, &charge->movements, MOVEMENT_ID))
    flow_ask(charge, "account.get", "/account", NULL, NULL, on_account);
  else
    flow_fail(charge, ERROR_INTERNAL, "out of memory");
}

static void on_orders(struct flow *charge, bool ok)
{
  if (!ok) {
    flow_fail_with(charge, charge->call);
    return;
  }
  note_time(charge);
  charge->before.whole = charge->walk.whole;
  if (keep_ids(&charge->before.orders, &charge->orders, ORDER_ID))
    flow_walk_movements(charge, &charge->movements, NULL, 1, on_movements);
  else
    flow_fail(charge, ERROR_INTERNAL, "out of memory");
}

/* Of what the table does not know nothing could be told afterwards. */
void flow_snapshot(struct flow *charge)
{
  if (!charge->request.endpoint)
    flow_send(charge);
  else if (flow_is_extension(charge))
    flow_walk_movements(charge, &charge->movements, NULL, 1, on_movements);
  else
    flow_walk_orders(charge, charge->asked.of[TRAIT_TYPE], &charge->orders, NULL, on_orders);
}
