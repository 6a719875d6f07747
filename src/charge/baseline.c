/* The sixth step of a charge: read its baseline, so that a lost response can be reconciled. The
 * baseline holds the newest orders (for an extension the order's expiry date, which the quote has
 * read), the newest transactions, and the balance. A recent one of an earlier charge is reused. */
#include <string.h>
#include <time.h>

#include "base/datetime.h"
#include "charge/crash_point.h"
#include "charge/flow.h"

#define NAMED_US \
  INT64_C(5000000) /* microseconds for which the balance read with the account is valid */

/* The server's clock at the start; this machine's clock if the server does not send a Date. */
static void note_time(struct flow *charge)
{
  if (charge->before.taken_at > 0) return;
  charge->before.taken_at = http_date(charge->call->exchange);
  if (charge->before.taken_at == 0) charge->before.taken_at = (double)time(NULL);
}

static money cost_of(const struct journal_entry *entry)
{
  return entry->price == JOURNAL_NO_PRICE ? entry->quote : entry->price;
}

static bool has_left(const struct flow *charge)
{
  return charge->left.there && charge->left.baseline.reused > 0;
}

/* Whether an entry was charged after the baseline that an earlier charge left. */
static bool is_since_left(const struct flow *charge, const struct journal_entry *entry)
{
  return entry->state == JOURNAL_PLACED && entry->id >= charge->left.baseline.reused;
}

/* The balance that the journal expects: the one that the earlier charge left, less what was charged
 * since. */
static bool expect_balance(const struct flow *charge, money *expected)
{
  const struct left *left = &charge->left;
  const struct journal_list *settled = &charge->recovery.review.settled;
  if (!has_left(charge) || !left->baseline.has_balance || settled->count >= JOURNAL_MAX_SETTLED)
    return false;
  *expected = left->baseline.balance;
  for (size_t i = 0; i < settled->count; i++)
    if (is_since_left(charge, &settled->entries[i]) &&
        !money_subtract(*expected, cost_of(&settled->entries[i]), expected))
      return false;
  return true;
}

/* A cached balance may lack the newest charges. Then it differs from the expected one by exactly
 * their sum. `lacking`: what it lacks beside those. */
static void correct_balance_by(struct flow *charge, money expected, money lacking)
{
  const struct journal_list *settled = &charge->recovery.review.settled;
  money without;
  if (!money_subtract(charge->before.balance, lacking, &without)) return;
  for (size_t i = 0; i < settled->count && without > expected; i++) {
    if (!is_since_left(charge, &settled->entries[i])) continue;
    if (!money_subtract(without, cost_of(&settled->entries[i]), &without)) return;
  }
  if (without == expected) charge->before.balance = expected;
}

/* The balance of the earlier baseline may have lacked charges too, and still does. */
static void correct_balance(struct flow *charge, money expected)
{
  const struct snapshot *left = &charge->left.baseline;
  money lacking;
  correct_balance_by(charge, expected, 0);
  if (charge->before.balance > expected && left->returned_balance > left->balance &&
      money_subtract(left->returned_balance, left->balance, &lacking))
    correct_balance_by(charge, expected, lacking);
}

bool flow_is_known(const struct flow *charge, size_t row, const struct ids *known)
{
  struct buffer mark = {0};
  bool is = reconcile_mark(&charge->transactions, row, &mark) && ids_have(known, mark.data);
  buffer_free(&mark);
  return is;
}

bool flow_read_amount(const struct flow *charge, size_t row, money *amount)
{
  const char *text = reconcile_text(&charge->transactions, row, TRANSACTION_AMOUNT);
  if (!text || money_parse(text, strlen(text), amount) != MONEY_OK || *amount == INT64_MIN)
    return false;
  if (*amount < 0) *amount = -*amount;
  return true;
}

/* An order that the journal bought recently: all its charges are new. */
static bool is_bought_lately(const struct flow *charge, const char *order_id)
{
  const struct journal_list *settled = &charge->recovery.review.settled;
  for (size_t i = 0; i < settled->count; i++) {
    const struct journal_entry *entry = &settled->entries[i];
    if (entry->state == JOURNAL_PLACED && reconcile_is_create(entry) && entry->order_id &&
        strcmp(entry->order_id, order_id) == 0)
      return true;
  }
  return false;
}

/* Adds up the new charges for an order. False if one cannot be read. */
static bool sum_charges(const struct flow *charge, const char *order_id, bool all, money *sum,
                        int *count)
{
  const struct reconcile_rows *rows = &charge->transactions;
  const struct ids *known = &charge->left.baseline.transactions.known;
  *sum = *count = 0;
  for (size_t row = 0; row < rows->count; row++) {
    const char *order = reconcile_text(rows, row, TRANSACTION_ORDER_ID),
               *type = reconcile_text(rows, row, TRANSACTION_TYPE);
    money amount;
    if (!order || strcmp(order, order_id) != 0 || (!all && flow_is_known(charge, row, known)) ||
        (type && strcasestr(type, "refund")))
      continue;
    if (!flow_read_amount(charge, row, &amount) || !money_add(*sum, amount, sum)) return false;
    ++*count;
  }
  return true;
}

/* Adds up the entries that made these charges. */
static bool sum_entries(const struct flow *charge, const char *order_id, bool all, money *sum,
                        int *count)
{
  const struct journal_list *settled = &charge->recovery.review.settled;
  *sum = *count = 0;
  for (size_t i = 0; i < settled->count; i++) {
    const struct journal_entry *entry = &settled->entries[i];
    if (!(all ? entry->state == JOURNAL_PLACED : is_since_left(charge, entry)) ||
        !entry->order_id || strcmp(entry->order_id, order_id) != 0)
      continue;
    if (!money_add(*sum, cost_of(entry), sum)) return false;
    ++*count;
  }
  return true;
}

static void correct_price(struct flow *charge, const struct journal_entry *entry, money more)
{
  char was[MONEY_TEXT], is[MONEY_TEXT];
  charge->owner->overcharged = true;
  charge->amend = (struct journal_amend){.id = entry->id, .price = cost_of(entry) + more};
  money_format(cost_of(entry), was);
  money_format(charge->amend.price, is);
  flow_tell(charge, "%.60s with key %.100s cost %s instead of %s; this run spends nothing more",
            entry->endpoint, entry->key, is, was);
}

/* An open extension of an order may have made one of its charges. */
static bool may_be_extended(const struct flow *charge, const char *order_id)
{
  const struct journal_list *open = &charge->recovery.review.open;
  for (size_t i = 0; i < open->count; i++)
    if (strstr(open->entries[i].params, order_id)) return true;
  return false;
}

static bool check_order(struct flow *charge, const struct journal_entry *entry)
{
  money paid, counted;
  int charges, entries;
  if (entry->state != JOURNAL_PLACED || !entry->order_id ||
      may_be_extended(charge, entry->order_id))
    return false;
  bool all = is_bought_lately(charge, entry->order_id);
  if (!all && (!has_left(charge) || !is_since_left(charge, entry))) return false;
  if (!sum_charges(charge, entry->order_id, all, &paid, &charges) ||
      !sum_entries(charge, entry->order_id, all, &counted, &entries) || charges != entries ||
      paid <= counted)
    return false;
  correct_price(charge, entry, paid - counted);
  return true;
}

/* Adds up the new transactions. False if one is not a charge, cannot be read, or names an order:
 * then those that belong to the journal's charges are known without their sum. */
static bool sum_new(const struct flow *charge, money *sum, size_t *count)
{
  const struct reconcile_rows *rows = &charge->transactions;
  *sum = 0;
  *count = 0;
  for (size_t row = 0; row < rows->count; row++) {
    const char *type = reconcile_text(rows, row, TRANSACTION_TYPE);
    money amount;
    if (flow_is_known(charge, row, &charge->left.baseline.transactions.known)) continue;
    if (reconcile_text(rows, row, TRANSACTION_ORDER_ID) || !type ||
        strcasecmp(type, "charge") != 0 || !flow_read_amount(charge, row, &amount) ||
        !money_add(*sum, amount, sum))
      return false;
    ++*count;
  }
  return true;
}

/* Transactions without an order id: if there are as many new ones as charges, and the balance fell
 * by their sum, then all of them belong to the journal's charges. A colleague's purchase may be
 * listed before a charge of ours: a sum that is far above is not a tax. */
static void check_sum(struct flow *charge)
{
  const struct journal_list *settled = &charge->recovery.review.settled;
  const struct journal_entry *last = NULL;
  money paid, fall, counted = 0;
  size_t charges, entries = 0;
  if (!has_left(charge) || !charge->left.baseline.has_balance || settled->count == 0) return;
  for (size_t i = 0; i < settled->count; i++) {
    if (!is_since_left(charge, &settled->entries[i])) continue;
    if (!last) last = &settled->entries[i];
    if (!money_add(counted, cost_of(&settled->entries[i]), &counted)) return;
    entries++;
  }
  if (last && sum_new(charge, &paid, &charges) && charges == entries && paid > counted &&
      paid - counted <= counted / 2 &&
      money_subtract(charge->left.baseline.balance, charge->before.balance, &fall) && fall == paid)
    correct_price(charge, last, paid - counted);
}

/* A charge that took more than its quote, for example because of a tax, shows in the transactions
 * that a later charge reads. */
static void check_earlier_prices(struct flow *charge)
{
  const struct journal_list *settled = &charge->recovery.review.settled;
  for (size_t i = 0; i < settled->count; i++)
    if (check_order(charge, &settled->entries[i])) return;
  check_sum(charge);
}

static void go_on(struct flow *charge)
{
  crash_point("snapshot");
  if (charge->owner->overcharged)
    flow_fail(charge, ERROR_SPEND_REFUSED,
              "an earlier charge cost more than its quote; this run spends nothing more");
  else
    flow_note_account(charge);
}

static void on_amended(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, amend);
  if (flow_has_failed(charge, job)) return;
  go_on(charge);
}

static void take_balance(struct flow *charge)
{
  money expected;
  charge->baseline_at = loop_clock();
  charge->before.returned_balance = charge->before.balance;
  check_earlier_prices(charge);
  if (expect_balance(charge, &expected) && charge->before.balance > expected)
    correct_balance(charge, expected);
  if (charge->amend.id == 0) {
    go_on(charge);
    return;
  }
  charge->amend.job.done = on_amended;
  charge->working = true;
  journal_amend(charge->owner->settings.store, &charge->amend);
}

static void on_account(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  struct snapshot *before = &charge->before;
  if (!flow_answered(charge, call)) return;
  note_time(charge);
  before->has_balance =
      flow_read_money(call->exchange, RECORD_ACCOUNT, "balance", &before->balance);
  if (before->has_balance || !charge->request.endpoint)
    take_balance(charge);
  else
    flow_fail(charge, ERROR_PROTOCOL, "the response has no balance; nothing was bought");
}

/* Whether an entry was settled in the last seconds (or in the future, if a clock was set back). */
static bool has_recent(const struct journal_list *settled)
{
  int64_t now = (int64_t)time(NULL) * 1000000;
  for (size_t i = 0; i < settled->count; i++)
    if (settled->entries[i].updated_at > now - 2 * NAMED_US) return true;
  return false;
}

/* Whether a transaction may be newer than the balance that was read before it: by its date, or
 * because it has none. */
static bool has_transaction_since(const struct flow *charge, double date)
{
  const struct reconcile_rows *rows = &charge->transactions;
  bool since = date <= 0 && rows->count > 0;
  for (size_t row = 0; !since && row < rows->count; row++) {
    const char *text = reconcile_text(rows, row, TRANSACTION_CREATED_AT);
    double time;
    since = !text || !date_parse(text, &time) || time >= date - RECONCILE_SKEW;
  }
  return since;
}

/* The balance that was read with the account's name is recent enough if nothing was charged since:
 * otherwise the transactions include charges that it lacks. */
static bool has_named_balance(const struct flow *charge)
{
  const struct purchase *purchase = charge->owner;
  const struct journal_review *review = &charge->recovery.review;
  return purchase->has_named_balance && loop_clock() - purchase->named_at < NAMED_US &&
         review->open.count == 0 && !has_recent(&review->settled) &&
         !has_transaction_since(charge, purchase->named_date);
}

static bool is_denied(const struct flow *charge)
{
  const struct http_transfer *x = charge->call->exchange;
  return x && x->code == CURLE_OK && (x->status == 403 || x->status == 404) &&
         response_is_refusal(&x->json);
}

static void ask_balance(struct flow *charge)
{
  struct purchase *purchase = charge->owner;
  bool has = has_named_balance(charge);
  purchase->has_named_balance = false;
  if (has) {
    charge->before.has_balance = true;
    charge->before.balance = purchase->named_balance;
    take_balance(charge);
    return;
  }
  flow_ask(charge, "account.get", "/account", NULL, NULL, on_account);
}

/* The key may lack permission to read transactions. A charge can do without them; but then its
 * outcome may stay unknown if the response is lost. After any other failure nothing is sent. */
static void on_transactions(struct flow *charge, bool ok)
{
  if (!ok && !is_denied(charge) && charge->request.endpoint) {
    flow_fail_with(charge, charge->call);
    return;
  }
  if (ok) note_time(charge);
  if (!ok || flow_keep_known(charge, &charge->before.transactions))
    flow_count_elsewhere(charge, !ok, ask_balance);
  else
    flow_fail(charge, ERROR_INTERNAL, "out of memory");
}

static const struct list_state *hint_of(const struct flow *charge, const struct list_state *list)
{
  return charge->left.there ? list : NULL;
}

static void ask_transactions(struct flow *charge)
{
  reconcile_rows_free(&charge->transactions);
  flow_walk_transactions(charge, &charge->transactions,
                         hint_of(charge, &charge->left.baseline.transactions), NULL,
                         on_transactions);
}

static void on_orders(struct flow *charge, bool ok)
{
  if (!ok) {
    flow_fail_with(charge, charge->call);
    return;
  }
  note_time(charge);
  if (flow_keep_known(charge, &charge->before.orders))
    ask_transactions(charge);
  else
    flow_fail(charge, ERROR_INTERNAL, "out of memory");
}

void flow_take_baseline(struct flow *charge)
{
  char *expires_at = charge->before.expires_at;
  charge->before.expires_at = NULL;
  snapshot_free(&charge->before);
  charge->before.expires_at = expires_at;
  reconcile_rows_free(&charge->orders);
  if (flow_is_extension(charge) || !charge->request.endpoint)
    ask_transactions(charge);
  else
    flow_walk_orders(charge, &charge->orders, hint_of(charge, &charge->left.baseline.orders), NULL,
                     on_orders);
}

/* A baseline that an earlier charge left is still valid if the balance is what the journal expects:
 * then no other program has bought since. It may lack the newest charges if the server caches it.
 */
static void on_check(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  money expected, *balance = &charge->before.balance;
  if (!flow_answered(charge, call)) return;
  if (!flow_read_money(call->exchange, RECORD_ACCOUNT, "balance", balance)) {
    flow_fail(charge, ERROR_PROTOCOL, "the response has no balance; nothing was bought");
    return;
  }
  bool known = expect_balance(charge, &expected);
  if (known && *balance > expected) correct_balance(charge, expected);
  if (known && *balance == expected) {
    flow_reuse_baseline(charge);
    go_on(charge);
  } else {
    flow_take_baseline(charge);
  }
}

/* For a path that the table does not have, reconciliation is impossible: its baseline shows what it
 * costs, and it can do without. */
void flow_snapshot(struct flow *charge)
{
  if (charge->request.endpoint && flow_can_reuse_baseline(charge))
    flow_ask(charge, "account.get", "/account", NULL, NULL, on_check);
  else
    flow_take_baseline(charge);
}

bool flow_write_baseline(struct flow *charge)
{
  charge->snapshot.size = 0;
  charge->before.sent_at = client_clock(charge->owner->settings.client);
  if (charge->before.sent_at <= 0) charge->before.sent_at = (double)time(NULL);
  return snapshot_write(&charge->before, &charge->snapshot);
}
