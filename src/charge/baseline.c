/* The baseline of a charge, so that a lost response can be reconciled. The baseline holds the
 * newest orders (for an extension the order's expiry date, which the quote has read), the newest
 * transactions, and the balance. A recent one of an earlier charge is reused. */
#include <string.h>
#include <time.h>

#include "base/datetime.h"
#include "charge/crash_point.h"
#include "charge/steps.h"

#define NAMED_US \
  INT64_C(5000000) /* microseconds for which the balance read with the account is valid */

/* The server's clock at the start; this machine's clock if the server does not send a Date. */
static void note_time(struct charge *c)
{
  if (c->before.taken_at > 0) return;
  c->before.taken_at = http_date(c->call->exchange);
  if (c->before.taken_at == 0) c->before.taken_at = (double)time(NULL);
}

static money cost_of(const struct journal_entry *entry)
{
  return entry->price == JOURNAL_NO_PRICE ? entry->quote : entry->price;
}

static bool has_left(const struct charge *c)
{
  return c->left.there && c->left.baseline.reused > 0;
}

/* Whether an entry was charged after the baseline that an earlier charge left. */
static bool is_since_left(const struct charge *c, const struct journal_entry *entry)
{
  return entry->state == JOURNAL_PLACED && entry->id >= c->left.baseline.reused;
}

/* The balance that the journal expects: the one that the earlier charge left, less what was charged
 * since. */
static bool expect_balance(const struct charge *c, money *expected)
{
  const struct left *left = &c->left;
  const struct journal_list *settled = &c->review.settled;
  if (!has_left(c) || !left->baseline.has_balance || settled->count >= JOURNAL_MAX_SETTLED)
    return false;
  *expected = left->baseline.balance;
  for (size_t i = 0; i < settled->count; i++)
    if (is_since_left(c, &settled->entries[i]) &&
        !money_subtract(*expected, cost_of(&settled->entries[i]), expected))
      return false;
  return true;
}

/* A cached balance may lack the newest charges. Then it differs from the expected one by exactly
 * their sum. `lacking`: what it lacks beside those. */
static void correct_balance_by(struct charge *c, money expected, money lacking)
{
  const struct journal_list *settled = &c->review.settled;
  money without;
  if (!money_subtract(c->before.balance, lacking, &without)) return;
  for (size_t i = 0; i < settled->count && without > expected; i++) {
    if (!is_since_left(c, &settled->entries[i])) continue;
    if (!money_subtract(without, cost_of(&settled->entries[i]), &without)) return;
  }
  if (without == expected) c->before.balance = expected;
}

/* The balance of the earlier baseline may have lacked charges too, and still does. */
static void correct_balance(struct charge *c, money expected)
{
  const struct snapshot *left = &c->left.baseline;
  money lacking;
  correct_balance_by(c, expected, 0);
  if (c->before.balance > expected && left->returned_balance > left->balance &&
      money_subtract(left->returned_balance, left->balance, &lacking))
    correct_balance_by(c, expected, lacking);
}

bool charge_is_known(const struct reconcile_rows *transactions, size_t row, const struct ids *known)
{
  struct buffer mark = {0};
  bool is = reconcile_mark(transactions, row, &mark) && ids_have(known, mark.data);
  buffer_free(&mark);
  return is;
}

bool charge_read_amount(const struct reconcile_rows *transactions, size_t row, money *amount)
{
  const char *text = reconcile_text(transactions, row, TRANSACTION_AMOUNT);
  if (!text || money_parse(text, strlen(text), amount) != MONEY_OK || *amount == INT64_MIN)
    return false;
  if (*amount < 0) *amount = -*amount;
  return true;
}

/* An order that the journal bought recently: all its charges are new. */
static bool is_bought_lately(const struct charge *c, const char *order_id)
{
  const struct journal_list *settled = &c->review.settled;
  for (size_t i = 0; i < settled->count; i++) {
    const struct journal_entry *entry = &settled->entries[i];
    if (entry->state == JOURNAL_PLACED && reconcile_is_create(entry) && entry->order_id &&
        strcmp(entry->order_id, order_id) == 0)
      return true;
  }
  return false;
}

/* Adds up the new charges for an order. False if one cannot be read. */
static bool sum_charges(const struct charge *c, const struct reconcile_rows *rows,
                        const char *order_id, bool all, money *sum, int *count)
{
  const struct ids *known = &c->left.baseline.transactions.known;
  *sum = *count = 0;
  for (size_t row = 0; row < rows->count; row++) {
    const char *order = reconcile_text(rows, row, TRANSACTION_ORDER_ID),
               *type = reconcile_text(rows, row, TRANSACTION_TYPE);
    money amount;
    if (!order || strcmp(order, order_id) != 0 || (!all && charge_is_known(rows, row, known)) ||
        (type && strcasestr(type, "refund")))
      continue;
    if (!charge_read_amount(rows, row, &amount) || !money_add(*sum, amount, sum)) return false;
    ++*count;
  }
  return true;
}

/* Adds up the entries that made these charges. */
static bool sum_entries(const struct charge *c, const char *order_id, bool all, money *sum,
                        int *count)
{
  const struct journal_list *settled = &c->review.settled;
  *sum = *count = 0;
  for (size_t i = 0; i < settled->count; i++) {
    const struct journal_entry *entry = &settled->entries[i];
    if (!(all ? entry->state == JOURNAL_PLACED : is_since_left(c, entry)) || !entry->order_id ||
        strcmp(entry->order_id, order_id) != 0)
      continue;
    if (!money_add(*sum, cost_of(entry), sum)) return false;
    ++*count;
  }
  return true;
}

static void correct_price(struct charge *c, const struct journal_entry *entry, money more,
                          struct journal_amend *amend)
{
  char was[MONEY_TEXT], is[MONEY_TEXT];
  c->owner->overcharged = true;
  amend->id = entry->id;
  amend->price = cost_of(entry) + more;
  money_format(cost_of(entry), was);
  money_format(amend->price, is);
  charge_report(c, "%.60s with key %.100s cost %s instead of %s; this run spends nothing more",
                entry->endpoint, entry->key, is, was);
}

/* An open extension of an order may have made one of its charges. */
static bool may_be_extended(const struct charge *c, const char *order_id)
{
  const struct journal_list *open = &c->review.open;
  for (size_t i = 0; i < open->count; i++)
    if (strstr(open->entries[i].params, order_id)) return true;
  return false;
}

static bool check_order(struct charge *c, const struct reconcile_rows *rows,
                        const struct journal_entry *entry, struct journal_amend *amend)
{
  money paid, counted;
  int charges, entries;
  if (entry->state != JOURNAL_PLACED || !entry->order_id || may_be_extended(c, entry->order_id))
    return false;
  bool all = is_bought_lately(c, entry->order_id);
  if (!all && (!has_left(c) || !is_since_left(c, entry))) return false;
  if (!sum_charges(c, rows, entry->order_id, all, &paid, &charges) ||
      !sum_entries(c, entry->order_id, all, &counted, &entries) || charges != entries ||
      paid <= counted)
    return false;
  correct_price(c, entry, paid - counted, amend);
  return true;
}

/* Adds up the new transactions. False if one is not a charge, cannot be read, or names an order:
 * then those that belong to the journal's charges are known without their sum. */
static bool sum_new(const struct charge *c, const struct reconcile_rows *rows, money *sum,
                    size_t *count)
{
  *sum = 0;
  *count = 0;
  for (size_t row = 0; row < rows->count; row++) {
    const char *type = reconcile_text(rows, row, TRANSACTION_TYPE);
    money amount;
    if (charge_is_known(rows, row, &c->left.baseline.transactions.known)) continue;
    if (reconcile_text(rows, row, TRANSACTION_ORDER_ID) || !type ||
        strcasecmp(type, "charge") != 0 || !charge_read_amount(rows, row, &amount) ||
        !money_add(*sum, amount, sum))
      return false;
    ++*count;
  }
  return true;
}

/* Transactions without an order id: if there are as many new ones as charges, and the balance fell
 * by their sum, then all of them belong to the journal's charges. A colleague's purchase may be
 * listed before a charge of ours: a sum that is far above is not a tax. */
static void check_sum(struct charge *c, const struct reconcile_rows *rows,
                      struct journal_amend *amend)
{
  const struct journal_list *settled = &c->review.settled;
  const struct journal_entry *last = NULL;
  money paid, fall, counted = 0;
  size_t charges, entries = 0;
  if (!has_left(c) || !c->left.baseline.has_balance || settled->count == 0) return;
  for (size_t i = 0; i < settled->count; i++) {
    if (!is_since_left(c, &settled->entries[i])) continue;
    if (!last) last = &settled->entries[i];
    if (!money_add(counted, cost_of(&settled->entries[i]), &counted)) return;
    entries++;
  }
  if (last && sum_new(c, rows, &paid, &charges) && charges == entries && paid > counted &&
      paid - counted <= counted / 2 &&
      money_subtract(c->left.baseline.balance, c->before.balance, &fall) && fall == paid)
    correct_price(c, last, paid - counted, amend);
}

/* A charge that took more than its quote, for example because of a tax, shows in the transactions
 * that a later charge reads. */
static void check_earlier_prices(struct charge *c, const struct reconcile_rows *rows,
                                 struct journal_amend *amend)
{
  const struct journal_list *settled = &c->review.settled;
  for (size_t i = 0; i < settled->count; i++)
    if (check_order(c, rows, &settled->entries[i], amend)) return;
  check_sum(c, rows, amend);
}

/* Corrects what an earlier charge cost, and the balance that the API has just returned. */
static bool check_balance(struct charge *c, const struct reconcile_rows *rows)
{
  struct journal_amend amend = {.job = CHARGE_JOB(c)};
  money expected;
  c->baseline_at = loop_clock();
  c->before.returned_balance = c->before.balance;
  check_earlier_prices(c, rows, &amend);
  if (expect_balance(c, &expected) && c->before.balance > expected) correct_balance(c, expected);
  if (amend.id == 0) return true;
  journal_amend(c->owner->settings.store, &amend);
  return charge_job(c, &amend.job);
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
static bool has_transaction_since(const struct reconcile_rows *rows, double date)
{
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
static bool has_named_balance(const struct charge *c, const struct reconcile_rows *transactions)
{
  const struct purchase *purchase = c->owner;
  return purchase->has_named_balance && loop_clock() - purchase->named_at < NAMED_US &&
         c->review.open.count == 0 && !has_recent(&c->review.settled) &&
         !has_transaction_since(transactions, purchase->named_date);
}

static bool read_balance(struct charge *c, const struct reconcile_rows *transactions)
{
  struct purchase *purchase = c->owner;
  struct snapshot *before = &c->before;
  bool has = has_named_balance(c, transactions);
  purchase->has_named_balance = false;
  if (has) {
    before->has_balance = true;
    before->balance = purchase->named_balance;
    return true;
  }
  if (!charge_request(c, "account.get", "/account", NULL)) return false;
  note_time(c);
  before->has_balance =
      charge_read_money(c->call->exchange, RECORD_ACCOUNT, "balance", &before->balance);
  return before->has_balance || !c->request.endpoint ||
         charge_fail(c, ERROR_PROTOCOL, "the response has no balance; nothing was bought");
}

static const struct list_state *hint_of(const struct charge *c, const struct list_state *list)
{
  return c->left.there ? list : NULL;
}

static bool read_orders(struct charge *c, struct reconcile_rows *rows)
{
  struct pages pages = {.kind = RECORD_ORDER,
                        .rows = rows,
                        .hint = hint_of(c, &c->left.baseline.orders)};
  if (!charge_read_pages(c, &pages)) return false;
  if (pages.failed) return charge_fail_with(c);
  note_time(c);
  return charge_keep_known(&pages, &c->before.orders) ||
         charge_fail(c, ERROR_INTERNAL, "out of memory");
}

static bool is_denied(const struct charge *c)
{
  const struct http_transfer *x = c->call->exchange;
  return x && x->code == CURLE_OK && (x->status == 403 || x->status == 404) &&
         response_is_refusal(&x->json);
}

/* The key may lack permission to read transactions. A charge can do without them; but then its
 * outcome may stay unknown if the response is lost. After any other failure nothing is sent. */
static bool read_transactions(struct charge *c, const struct reconcile_rows *orders,
                              struct reconcile_rows *rows)
{
  struct pages pages = {.kind = RECORD_TRANSACTION,
                        .rows = rows,
                        .hint = hint_of(c, &c->left.baseline.transactions)};
  if (!charge_read_pages(c, &pages)) return false;
  if (pages.failed && !is_denied(c) && c->request.endpoint) return charge_fail_with(c);
  if (!pages.failed) note_time(c);
  if (!pages.failed && !charge_keep_known(&pages, &c->before.transactions))
    return charge_fail(c, ERROR_INTERNAL, "out of memory");
  return charge_count_elsewhere(c, orders, &pages);
}

static bool read_baseline(struct charge *c)
{
  struct reconcile_rows orders = {0}, transactions = {0};
  char *expires_at = c->before.expires_at;
  c->before.expires_at = NULL;
  snapshot_free(&c->before);
  c->before.expires_at = expires_at;
  bool with_orders = c->request.endpoint && !charge_is_extension(c);
  bool ok = (!with_orders || read_orders(c, &orders)) &&
            read_transactions(c, &orders, &transactions) && read_balance(c, &transactions) &&
            check_balance(c, &transactions);
  reconcile_rows_free(&orders);
  reconcile_rows_free(&transactions);
  return ok;
}

/* A baseline that an earlier charge left is still valid if the balance is what the journal expects:
 * then no other program has bought since. It may lack the newest charges if the server caches it.
 * `valid`: it is now this charge's. */
static bool check_left(struct charge *c, bool *valid)
{
  money expected, *balance = &c->before.balance;
  if (!charge_request(c, "account.get", "/account", NULL)) return false;
  if (!charge_read_money(c->call->exchange, RECORD_ACCOUNT, "balance", balance))
    return charge_fail(c, ERROR_PROTOCOL, "the response has no balance; nothing was bought");
  bool known = expect_balance(c, &expected);
  if (known && *balance > expected) correct_balance(c, expected);
  *valid = known && *balance == expected;
  if (*valid) charge_reuse_baseline(c);
  return true;
}

/* For a path that the table does not have, reconciliation is impossible: its baseline shows what it
 * costs, and it can do without. */
bool charge_take_baseline(struct charge *c)
{
  bool reused = false;
  if (c->request.endpoint && charge_can_reuse_baseline(c) && !check_left(c, &reused)) return false;
  if (!reused && !read_baseline(c)) return false;
  crash_point("snapshot");
  return !c->owner->overcharged ||
         charge_fail(c, ERROR_SPEND_REFUSED,
                     "an earlier charge cost more than its quote; this run spends nothing more");
}

bool charge_write_baseline(struct charge *c, struct buffer *text)
{
  c->before.sent_at = client_clock(c->owner->settings.client);
  if (c->before.sent_at <= 0) c->before.sent_at = (double)time(NULL);
  return snapshot_write(&c->before, text);
}
