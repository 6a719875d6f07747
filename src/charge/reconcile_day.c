/* What the account was charged on a day that the journal does not have: by a colleague, in the
 * dashboard, or by a journal that was lost. It counts towards per_day. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/datetime.h"
#include "charge/reconcile.h"

#define DAY 86400.0
#define MARGIN 600.0 /* seconds before midnight: an entry may be dated before its transaction */

/* A charge of the day, from a transaction or an order. */
struct item {
  const char *order_id; /* NULL: unknown */
  money amount;         /* what is not explained of it */
  bool refund;
  bool explained;
};

struct sum {
  const struct reconcile_day *c;
  struct item *items;
  size_t count;
  bool *used; /* by each entry */
};

static size_t entry_count(const struct reconcile_day *c)
{
  return c->entries[0].count + c->entries[1].count;
}

static const struct journal_entry *entry_at(const struct reconcile_day *c, size_t at)
{
  return at < c->entries[0].count ? &c->entries[0].of[at]
                                  : &c->entries[1].of[at - c->entries[0].count];
}

static money cost_of(const struct journal_entry *entry)
{
  return entry->price == JOURNAL_NO_PRICE ? entry->quote : entry->price;
}

static bool is_open(const struct journal_entry *entry)
{
  return (1u << entry->state & JOURNAL_OPEN) != 0;
}

static bool names(const struct journal_entry *entry, const char *order_id)
{
  if (entry->order_id) return strcmp(entry->order_id, order_id) == 0;
  return !reconcile_is_create(entry) && strstr(entry->params, order_id);
}

/* Whether an entry counts in the journal's sum of the day, or was written just before it. */
static bool is_of_day(const struct reconcile_day *c, const struct journal_entry *entry)
{
  double begin = (double)c->day * DAY, date;
  bool same = date_parse(entry->day, &date) && date >= begin;
  return entry->state != JOURNAL_NOT_PLACED &&
         (same || (double)entry->created_at / 1e6 >= begin - MARGIN);
}

/* The date of an order that the API shows, or NULL. */
static const char *date_of_order(const struct reconcile_day *c, const char *order_id)
{
  for (size_t row = 0; order_id && c->orders && row < c->orders->count; row++) {
    const char *id = reconcile_text(c->orders, row, ORDER_ID);
    if (id && strcmp(id, order_id) == 0) return reconcile_text(c->orders, row, ORDER_CREATED_AT);
  }
  return NULL;
}

enum when { BEFORE, TODAY, UNDATED };

static enum when when_is(const struct reconcile_day *c, const char *text)
{
  double time;
  if (!text || !date_parse(text, &time)) return UNDATED;
  return floor(time / DAY) >= (double)c->day ? TODAY : BEFORE;
}

static enum when when_was(const struct reconcile_day *c, size_t row)
{
  enum when when = when_is(c, reconcile_text(c->transactions, row, TRANSACTION_CREATED_AT));
  if (when != UNDATED) return when;
  return when_is(c, date_of_order(c, reconcile_text(c->transactions, row, TRANSACTION_ORDER_ID)));
}

bool reconcile_day_is_covered(const struct reconcile_day *c)
{
  for (size_t row = 0; row < c->transactions->count; row++)
    if (when_was(c, row) == BEFORE) return true;
  return false;
}

bool reconcile_day_is_dated(const struct reconcile_day *c)
{
  for (size_t row = 0; row < c->transactions->count; row++)
    if (when_was(c, row) == UNDATED) return false;
  return true;
}

static bool read_money(const char *text, money *amount)
{
  if (!text || money_parse(text, strlen(text), amount) != MONEY_OK || *amount == INT64_MIN)
    return false;
  if (*amount < 0) *amount = -*amount;
  return true;
}

static bool was_counted(const struct reconcile_day *c, size_t row)
{
  struct buffer mark = {0};
  bool was =
      c->counted && reconcile_mark(c->transactions, row, &mark) && ids_have(c->counted, mark.data);
  buffer_free(&mark);
  return was;
}

static bool is_negative(const struct reconcile_rows *rows, size_t row)
{
  const char *amount = reconcile_text(rows, row, TRANSACTION_AMOUNT);
  return amount && *amount == '-';
}

/* Whether a transaction without type and order brought money in: charges are negative then. */
static bool is_incoming(const struct reconcile_rows *rows, size_t row)
{
  if (reconcile_text(rows, row, TRANSACTION_TYPE) || is_negative(rows, row) ||
      reconcile_text(rows, row, TRANSACTION_ORDER_ID))
    return false;
  for (size_t other = 0; other < rows->count; other++)
    if (!reconcile_text(rows, other, TRANSACTION_TYPE) && is_negative(rows, other)) return true;
  return false;
}

/* A transaction without a date that an earlier sum of the day did not have came after it. */
static void add_transaction(struct sum *sum, struct elsewhere *result, size_t row)
{
  const struct reconcile_day *c = sum->c;
  const struct reconcile_rows *rows = c->transactions;
  const char *type = reconcile_text(rows, row, TRANSACTION_TYPE);
  struct item item = {.order_id = reconcile_text(rows, row, TRANSACTION_ORDER_ID)};
  item.refund = type && strcasestr(type, "refund");
  enum when when = when_was(c, row);
  if (!(item.refund || reconcile_takes_money(type)) || is_incoming(rows, row) || when == BEFORE ||
      was_counted(c, row))
    return;
  bool readable = read_money(reconcile_text(rows, row, TRANSACTION_AMOUNT), &item.amount);
  if (readable && (when == TODAY || c->counted))
    sum->items[sum->count++] = item;
  else if (!item.refund)
    result->partial = true;
}

static bool is_cancelled(const char *status)
{
  static const char *const words[] = {"cancel", "fail", "reject", "refund", NULL};
  for (const char *const *word = words; status && *word; word++)
    if (strncasecmp(status, *word, strlen(*word)) == 0) return true;
  return false;
}

static bool is_charged(const struct reconcile_rows *transactions, const char *order_id)
{
  for (size_t row = 0; order_id && row < transactions->count; row++) {
    const char *id = reconcile_text(transactions, row, TRANSACTION_ORDER_ID);
    if (id && strcmp(id, order_id) == 0) return true;
  }
  return false;
}

/* An order whose charge is not among the transactions. */
static void add_order(struct sum *sum, struct elsewhere *result, size_t row)
{
  const struct reconcile_rows *rows = sum->c->orders;
  struct item item = {.order_id = reconcile_text(rows, row, ORDER_ID)};
  if (when_is(sum->c, reconcile_text(rows, row, ORDER_CREATED_AT)) != TODAY ||
      is_cancelled(reconcile_text(rows, row, ORDER_STATUS)) ||
      is_charged(sum->c->transactions, item.order_id))
    return;
  if (read_money(reconcile_text(rows, row, ORDER_PRICE), &item.amount))
    sum->items[sum->count++] = item;
  else
    result->partial = true;
}

static bool is_named(const struct sum *sum, const char *order_id)
{
  for (size_t at = 0; order_id && at < entry_count(sum->c); at++)
    if (entry_at(sum->c, at)->state != JOURNAL_NOT_PLACED && names(entry_at(sum->c, at), order_id))
      return true;
  return false;
}

/* How well an entry must match a charge to explain it, the strictest first. An open one has no
 * order yet: it may have made any. A tax may be added to a quote. */
enum match { SAME_ORDER_AND_AMOUNT, SAME_ORDER, SAME_AMOUNT, ABOUT_AMOUNT, MATCHES };

static bool matches(const struct sum *sum, const struct journal_entry *entry,
                    const struct item *item, enum match match)
{
  money cost = cost_of(entry);
  if (match <= SAME_ORDER)
    return item->order_id && names(entry, item->order_id) &&
           (match == SAME_ORDER || cost == item->amount);
  if (item->order_id && (!is_open(entry) || is_named(sum, item->order_id))) return false;
  if (match == SAME_AMOUNT) return cost == item->amount;
  return entry->price == JOURNAL_NO_PRICE && item->amount >= cost / 4 * 3 &&
         item->amount / 3 * 2 <= cost;
}

static void explain(struct sum *sum, struct item *item, enum match match)
{
  for (size_t at = 0; at < entry_count(sum->c) && !item->explained; at++) {
    const struct journal_entry *entry = entry_at(sum->c, at);
    if (sum->used[at] || !is_of_day(sum->c, entry) || !matches(sum, entry, item, match)) continue;
    sum->used[at] = item->explained = true;
  }
}

/* A refund of an order that the journal has may be one of its own charges. */
static void take_refund(struct sum *sum, const struct item *refund)
{
  money left = refund->amount;
  if (!refund->order_id || is_named(sum, refund->order_id)) return;
  for (size_t i = 0; i < sum->count && left > 0; i++) {
    struct item *item = &sum->items[i];
    if (item->refund || item->explained || !item->order_id ||
        strcmp(item->order_id, refund->order_id) != 0)
      continue;
    money taken = item->amount < left ? item->amount : left;
    item->amount -= taken;
    left -= taken;
  }
}

static void add_up(struct sum *sum, struct elsewhere *result)
{
  for (int match = 0; match < MATCHES; match++)
    for (size_t i = 0; i < sum->count; i++)
      if (!sum->items[i].refund && !sum->items[i].explained)
        explain(sum, &sum->items[i], (enum match)match);
  for (size_t i = 0; i < sum->count; i++)
    if (sum->items[i].refund) take_refund(sum, &sum->items[i]);
  for (size_t i = 0; i < sum->count; i++) {
    const struct item *item = &sum->items[i];
    if (item->refund || item->explained || item->amount == 0) continue;
    if (!money_add(result->sum, item->amount, &result->sum)) result->sum = INT64_MAX;
    result->count++;
  }
}

enum basis { TRANSACTIONS = 1, ORDERS = 2 };

static bool sum_of(const struct reconcile_day *c, int basis, struct elsewhere *result)
{
  size_t transactions = basis & TRANSACTIONS ? c->transactions->count : 0,
         orders = basis & ORDERS ? c->orders->count : 0;
  struct sum sum = {.c = c,
                    .items = calloc(transactions + orders + 1, sizeof *sum.items),
                    .used = calloc(entry_count(c) + 1, sizeof *sum.used)};
  bool ok = sum.items && sum.used;
  *result = (struct elsewhere){.known = true, .day = c->day};
  for (size_t row = 0; ok && row < transactions; row++) add_transaction(&sum, result, row);
  for (size_t row = 0; ok && row < orders; row++) add_order(&sum, result, row);
  if (ok) add_up(&sum, result);
  free(sum.items);
  free(sum.used);
  return ok;
}

static bool name_orders(const struct reconcile_rows *transactions)
{
  bool named = false;
  for (size_t row = 0; !named && row < transactions->count; row++)
    named = reconcile_text(transactions, row, TRANSACTION_ORDER_ID);
  return named;
}

/* The list of transactions may lag behind that of the orders. If it names no orders, the larger sum
 * counts. */
bool reconcile_sum_day(const struct reconcile_day *c, struct elsewhere *result)
{
  struct elsewhere orders;
  if (c->hidden) return sum_of(c, ORDERS, result);
  if (c->counted) return sum_of(c, TRANSACTIONS, result);
  if (name_orders(c->transactions)) return sum_of(c, TRANSACTIONS | ORDERS, result);
  if (!sum_of(c, TRANSACTIONS, result) || !sum_of(c, ORDERS, &orders)) return false;
  if (orders.sum <= result->sum) return true;
  orders.partial = result->partial;
  *result = orders;
  return true;
}
