/* What the money shows about a charge whose response was lost: which new transactions nothing else
 * explains, and whether the balance is what it would be without the charge. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/datetime.h"
#include "charge/reconcile.h"

#define DATE_GRAIN \
  2.0 /* seconds: a transaction dated later than this after the baseline came after it */
#define CACHE 120.0 /* seconds for which a server may return a cached balance */
#define SKEW 120.0  /* seconds by which an entry's time and its transaction's may differ */

static const char *text_of(const struct reconcile_case *c, size_t row, int field)
{
  return reconcile_text(&c->transactions, row, field);
}

static bool is_among(const char *type, const char *const *words)
{
  for (; type && *words; words++)
    if (strcasestr(type, *words)) return true;
  return false;
}

static bool is_refund(const struct reconcile_case *c, size_t row)
{
  return is_among(text_of(c, row, TRANSACTION_TYPE), (const char *const[]){"refund", NULL});
}

bool reconcile_takes_money(const char *type)
{
  static const char *const incoming[] = {"refund", "deposit", "topup", "top_up",
                                         "top-up", "credit",  "bonus", NULL};
  return !is_among(type, incoming);
}

bool reconcile_is_charge(const struct reconcile_case *c, size_t row)
{
  return reconcile_takes_money(text_of(c, row, TRANSACTION_TYPE));
}

/* The amount without its sign, since servers differ in the signs they use. */
static bool read_amount(const struct reconcile_case *c, size_t row, money *amount)
{
  const char *text = text_of(c, row, TRANSACTION_AMOUNT);
  if (!text || money_parse(text, strlen(text), amount) != MONEY_OK || *amount == INT64_MIN)
    return false;
  if (*amount < 0) *amount = -*amount;
  return true;
}

static bool is_for(const struct reconcile_case *c, size_t row, const char *order_id)
{
  const char *id = text_of(c, row, TRANSACTION_ORDER_ID);
  return id && strcmp(id, order_id) == 0;
}

bool reconcile_mark(const struct reconcile_rows *transactions, size_t row, struct buffer *mark)
{
  const char *id = reconcile_text(transactions, row, TRANSACTION_ID);
  mark->size = 0;
  if (id) return buffer_add_text(mark, id);
  bool ok = buffer_add_text(mark, "=");
  for (int field = TRANSACTION_ID + 1; field < TRANSACTION_FIELDS; field++) {
    const char *text = reconcile_text(transactions, row, field);
    ok = ok && buffer_print(mark, "%s|", text ? text : "");
  }
  return ok;
}

static enum list_order sorting_of(const struct reconcile_case *c)
{
  enum list_order sorting = reconcile_sorting(&c->transactions, TRANSACTION_CREATED_AT);
  if (sorting == LIST_UNSORTED) sorting = c->before.transactions.sorting;
  return sorting == LIST_UNSORTED ? reconcile_sorting_by_orders(c) : sorting;
}

/* By how many seconds a transaction came after the baseline; 0 if it has no date, or a date in the
 * future, as from a server that writes its local time as UTC. */
static double lateness(const struct reconcile_case *c, size_t row)
{
  double time = 0;
  bool dated = reconcile_read_time(c, text_of(c, row, TRANSACTION_CREATED_AT), &time);
  bool to_come = !c->calibrated && c->now > 0 && time > c->now + SKEW;
  return dated && !to_come ? time - c->before.taken_at : 0;
}

static bool is_later(const struct reconcile_case *c, size_t row)
{
  return lateness(c, row) > DATE_GRAIN;
}

/* Whether an amount is about the quote; a tax may be added. */
static bool may_be_charge(const struct reconcile_case *c, money amount)
{
  return amount >= c->entry->quote / 4 * 3 && amount / 3 * 2 <= c->entry->quote;
}

/* The transactions, sorted into old and new ones, and what explains the new ones. Each explanation
 * counts for one transaction only. */
struct ledger {
  bool current;    /* the list shows the charge of a later entry, so it would show this one too */
  bool met;        /* a transaction of the baseline was read, so the list was read back to it */
  bool *old;       /* a transaction existed before */
  bool *explained; /* a new charge belongs to another order, or was refunded */
  bool *early;     /* a new charge of an entry before the baseline; its balance may include it */
  bool *refunds, *entries,
      *orders;   /* used as an explanation: refund rows, entries, foreign orders */
  money *paid;   /* by each entry, from its transaction; -1: no transaction names its order */
  money foreign; /* sum of the new charges of other orders, and of refunded ones */
};

static void ledger_free(struct ledger *ledger)
{
  free(ledger->old);
  free(ledger->explained);
  free(ledger->early);
  free(ledger->refunds);
  free(ledger->entries);
  free(ledger->orders);
  free(ledger->paid);
}

/* Marks the transactions that the baseline has. Equal ones without an id are matched one by one,
 * the oldest first, so that one more of them is seen as new. */
static bool match_baseline(const struct reconcile_case *c, struct ledger *ledger)
{
  const struct ids *known = &c->before.transactions.known;
  bool *matched = calloc(known->count + 1, sizeof *matched);
  struct buffer mark = {0};
  bool ok = matched;
  bool rising = sorting_of(c) == LIST_OLDEST_FIRST;
  for (size_t i = 0; ok && i < c->transactions.count; i++) {
    size_t row = rising ? i : c->transactions.count - 1 - i;
    ok = reconcile_mark(&c->transactions, row, &mark);
    for (size_t at = 0; ok && at < known->count && !ledger->old[row]; at++)
      if (!matched[at] && strcmp(known->of[at], mark.data) == 0)
        matched[at] = ledger->old[row] = true;
  }
  free(matched);
  buffer_free(&mark);
  return ok;
}

/* A transaction that the baseline does not have is older if it lies behind the baseline's end in a
 * list sorted by time, or if its date is older. */
static bool is_behind(const struct reconcile_case *c, const struct ledger *ledger, size_t row)
{
  enum list_order sorting = sorting_of(c);
  bool before = false, after = false;
  for (size_t i = 0; i < c->transactions.count; i++) {
    before |= ledger->old[i] && i < row;
    after |= ledger->old[i] && i > row;
  }
  if (c->before.transactions.whole) return false;
  if (sorting != LIST_OLDEST_FIRST && (before != after)) return before;
  if (sorting == LIST_OLDEST_FIRST && (before != after) &&
      (after || c->before.transactions.total >= 0))
    return after;
  return reconcile_is_older(c, text_of(c, row, TRANSACTION_CREATED_AT));
}

/* Whether a transaction certainly did not exist before. If its date is older than the baseline, its
 * absence from an earlier list proves nothing. */
static bool is_new(const struct reconcile_case *c, const struct ledger *ledger, size_t row)
{
  if (ledger->old[row] || lateness(c, row) < -DATE_GRAIN) return false;
  return c->before.transactions.whole || is_later(c, row) || ledger->met;
}

/* Whether the outcome of an entry was known when the baseline was taken. An entry without a note
 * was settled by its response, before the next charge began; its price may have been amended since.
 */
static bool was_settled_before(const struct reconcile_case *c, const struct journal_entry *other)
{
  if (c->before.reused > 0) return other->id < c->before.reused;
  return other->id < c->entry->id && (!other->note || other->updated_at < c->entry->created_at);
}

static money cost_of(const struct journal_entry *other)
{
  return other->price == JOURNAL_NO_PRICE ? other->quote : other->price;
}

/* Whether another entry charged the same amount for the same order. */
static bool is_one_of_several(const struct reconcile_case *c, const struct journal_entry *entry)
{
  if (c->extension && strcmp(c->order_id, entry->order_id) == 0) return true;
  for (size_t i = 0; i < c->other_count; i++) {
    const struct journal_entry *other = &c->others[i];
    if (other->id != entry->id && other->state == JOURNAL_PLACED && other->order_id &&
        strcmp(other->order_id, entry->order_id) == 0 && cost_of(other) == cost_of(entry))
      return true;
  }
  return false;
}

const char *reconcile_time_of_charge(const struct reconcile_case *c,
                                     const struct journal_entry *other)
{
  const char *first = NULL;
  double earliest = 0, time;
  size_t count = 0;
  if (other->state != JOURNAL_PLACED || !other->order_id) return NULL;
  for (size_t row = 0; row < c->transactions.count; row++) {
    money amount;
    const char *created_at = text_of(c, row, TRANSACTION_CREATED_AT);
    if (!reconcile_is_charge(c, row) || !is_for(c, row, other->order_id) || !created_at ||
        !date_parse(created_at, &time) || !read_amount(c, row, &amount) || amount != cost_of(other))
      continue;
    if (count++ == 0 || time < earliest) {
      earliest = time;
      first = created_at;
    }
  }
  if (reconcile_is_create(other)) return first;
  return count == 1 && !is_one_of_several(c, other) ? first : NULL;
}

/* When an entry was written, by the clock of this one; the earliest time that is possible if the
 * case is not calibrated. The wall clock may have been set between the two entries, or be wrong. */
static double time_of(const struct reconcile_case *c, const struct journal_entry *other)
{
  const struct journal_entry *entry = c->entry;
  double wall = (double)other->created_at / 1e6, apart;
  if (other->since_intent == JOURNAL_NOT_TIMED || entry->since_intent == JOURNAL_NOT_TIMED)
    return wall;
  apart = (double)(other->since_intent - entry->since_intent) / 1e6;
  double own = (double)entry->created_at / 1e6 - apart, server = c->before.sent_at - apart;
  if (c->calibrated) return own;
  if (own < wall) wall = own;
  return c->before.sent_at > 0 && server < wall ? server : wall;
}

/* Whether a charge is dated before an entry. If the server's zone is unknown, the order's id counts
 * more. */
static bool is_before(const struct reconcile_case *c, size_t row, const struct journal_entry *other)
{
  double time;
  const char *created_at = text_of(c, row, TRANSACTION_CREATED_AT);
  if (!created_at || !date_parse(created_at, &time)) return false;
  if (c->calibrated)
    time -= c->shift;
  else if (text_of(c, row, TRANSACTION_ORDER_ID))
    time += RECONCILE_ZONES;
  return time < time_of(c, other) - SKEW;
}

/* Whether a charge can belong to another entry: by the order's id, else by the amount unless it is
 * dated before that entry. */
static bool is_of(const struct reconcile_case *c, size_t row, const struct journal_entry *other)
{
  money amount;
  const char *id = text_of(c, row, TRANSACTION_ORDER_ID);
  if (other->id == c->entry->id || other->state != JOURNAL_PLACED) return false;
  if (id && (!other->order_id || strcmp(other->order_id, id) != 0)) return false;
  if (is_before(c, row, other)) return false;
  return id || (read_amount(c, row, &amount) && amount == cost_of(other));
}

/* Whether an entry was made after the baseline was taken. */
static bool is_since_baseline(const struct reconcile_case *c, const struct journal_entry *other)
{
  return other->id > c->entry->id || (c->before.reused > 0 && other->id >= c->before.reused);
}

/* The baseline's own transactions use up the entries that made them. */
static void use_up_entries(const struct reconcile_case *c, struct ledger *ledger)
{
  for (size_t row = 0; row < c->transactions.count; row++) {
    if (!ledger->old[row] || !reconcile_is_charge(c, row)) continue;
    for (size_t i = 0; i < c->other_count; i++) {
      const struct journal_entry *other = &c->others[i];
      if (ledger->entries[i] || is_since_baseline(c, other) || !is_of(c, row, other)) continue;
      ledger->entries[i] = true;
      break;
    }
  }
}

/* Lists may lag: a charge that the baseline does not have may belong to an earlier entry, unless it
 * certainly came later. */
static bool explain_by_entry(const struct reconcile_case *c, struct ledger *ledger, size_t row)
{
  for (size_t i = 0; i < c->other_count; i++) {
    const struct journal_entry *other = &c->others[i];
    money amount;
    if (ledger->entries[i] || !is_of(c, row, other)) continue;
    if (was_settled_before(c, other) && is_later(c, row)) continue;
    ledger->entries[i] = true;
    ledger->early[row] = was_settled_before(c, other);
    ledger->current |= other->id > c->entry->id;
    if (text_of(c, row, TRANSACTION_ORDER_ID) && read_amount(c, row, &amount))
      ledger->paid[i] = amount;
    return true;
  }
  return false;
}

static bool add_foreign(const struct reconcile_case *c, struct ledger *ledger, size_t row)
{
  money amount;
  return read_amount(c, row, &amount) && money_add(ledger->foreign, amount, &ledger->foreign);
}

/* The entry whose charge was refunded has cost nothing. */
static void use_up_refunded(const struct reconcile_case *c, struct ledger *ledger, size_t row)
{
  money amount;
  for (size_t i = 0; read_amount(c, row, &amount) && i < c->other_count; i++) {
    if (ledger->entries[i] || !is_of(c, row, &c->others[i]) || cost_of(&c->others[i]) != amount)
      continue;
    ledger->entries[i] = true;
    ledger->paid[i] = 0;
    return;
  }
}

/* Whether a charge was refunded: a refund counts only for the order that it names. */
static bool explain_by_refund(const struct reconcile_case *c, struct ledger *ledger, size_t row)
{
  const char *id = text_of(c, row, TRANSACTION_ORDER_ID);
  for (size_t i = 0; id && i < c->transactions.count; i++) {
    if (ledger->refunds[i] || !is_refund(c, i) || !is_for(c, i, id)) continue;
    use_up_refunded(c, ledger, row); /* both leave the balance as it was */
    return ledger->refunds[i] = true;
  }
  return false;
}

/* Whether another entry bought the order; several entries may extend one. */
static bool is_of_entry(const struct reconcile_case *c, const char *id)
{
  for (size_t i = 0; i < c->other_count; i++) {
    const struct journal_entry *other = &c->others[i];
    if (other->id != c->entry->id && other->state == JOURNAL_PLACED && other->order_id &&
        strcmp(other->order_id, id) == 0)
      return true;
  }
  return false;
}

/* Whether an order was certainly bought after the baseline. One that the list shows late may have
 * been charged before it. */
static bool is_later_order(const struct reconcile_case *c, size_t order)
{
  double time;
  return reconcile_read_time(c, reconcile_text(&c->orders, order, ORDER_CREATED_AT), &time) &&
         time > c->before.taken_at + DATE_GRAIN && time <= c->now + SKEW;
}

/* Whether a charge is for another order: one that existed before, or a new one that cannot be the
 * charge's. If it names no order, the order's price identifies it. */
static bool explain_by_order(const struct reconcile_case *c, struct ledger *ledger, size_t row)
{
  const char *id = text_of(c, row, TRANSACTION_ORDER_ID);
  money amount, price;
  if (c->extension) return id && strcmp(id, c->order_id) != 0 && add_foreign(c, ledger, row);
  if (id && (ids_have(&c->before.orders.known, id) || is_of_entry(c, id)))
    return add_foreign(c, ledger, row);
  for (size_t i = 0; i < c->orders.count; i++) {
    const char *order = reconcile_text(&c->orders, i, ORDER_ID),
               *text = reconcile_text(&c->orders, i, ORDER_PRICE);
    bool same = id ? order && strcmp(order, id) == 0
                   : !ledger->orders[i] && text && read_amount(c, row, &amount) &&
                         money_parse(text, strlen(text), &price) == MONEY_OK && price == amount;
    if (!same || !(id ? reconcile_is_excluded(c, i) : reconcile_is_foreign(c, i))) continue;
    if (!id && may_be_charge(c, amount) && !is_later_order(c, i)) continue;
    ledger->orders[i] = true;
    return add_foreign(c, ledger, row);
  }
  return false;
}

static bool ledger_read(const struct reconcile_case *c, struct ledger *ledger)
{
  size_t rows = c->transactions.count;
  *ledger = (struct ledger){.old = calloc(rows + 1, sizeof(bool)),
                            .explained = calloc(rows + 1, sizeof(bool)),
                            .early = calloc(rows + 1, sizeof(bool)),
                            .refunds = calloc(rows + 1, sizeof(bool)),
                            .entries = calloc(c->other_count + 1, sizeof(bool)),
                            .orders = calloc(c->orders.count + 1, sizeof(bool)),
                            .paid = calloc(c->other_count + 1, sizeof(money))};
  if (!ledger->old || !ledger->explained || !ledger->early || !ledger->refunds ||
      !ledger->entries || !ledger->orders || !ledger->paid || !match_baseline(c, ledger))
    return false;
  for (size_t i = 0; i < c->other_count; i++) ledger->paid[i] = -1;
  bool *behind = calloc(rows + 1, sizeof(bool));
  if (!behind) return false;
  for (size_t row = 0; row < rows; row++)
    behind[row] = !ledger->old[row] && is_behind(c, ledger, row);
  for (size_t row = 0; row < rows; row++) {
    ledger->met |= ledger->old[row];
    ledger->old[row] |= behind[row];
  }
  free(behind);
  use_up_entries(c, ledger);
  for (size_t row = 0; row < rows; row++) {
    if (!reconcile_is_charge(c, row) || ledger->old[row]) continue;
    ledger->explained[row] = explain_by_refund(c, ledger, row) ||
                             explain_by_entry(c, ledger, row) || explain_by_order(c, ledger, row);
  }
  return true;
}

static bool is_unexplained(const struct reconcile_case *c, const struct ledger *ledger, size_t row)
{
  return reconcile_is_charge(c, row) && !ledger->old[row] && !ledger->explained[row];
}

/* Whether the refund in a row belongs to an order: by the id that it names, else by its amount. */
static enum reconcile_refund is_refund_of(const struct reconcile_case *c, size_t row,
                                          const char *id, const money *cost)
{
  money amount;
  if (text_of(c, row, TRANSACTION_ORDER_ID))
    return id && is_for(c, row, id) ? RECONCILE_REFUNDED : RECONCILE_KEPT;
  if (!cost || !read_amount(c, row, &amount)) return RECONCILE_PERHAPS;
  return amount == *cost ? RECONCILE_REFUNDED : RECONCILE_KEPT;
}

/* Whether the baseline has it, by its id; or its date is before the baseline. */
static bool is_old_refund(const struct reconcile_case *c, size_t row)
{
  const char *id = text_of(c, row, TRANSACTION_ID);
  if (id && ids_have(&c->before.transactions.known, id)) return true;
  if (id && c->before.transactions.whole) return false;
  return reconcile_is_older(c, text_of(c, row, TRANSACTION_CREATED_AT));
}

enum reconcile_refund reconcile_refund_of(const struct reconcile_case *c, size_t order)
{
  const char *id = reconcile_text(&c->orders, order, ORDER_ID),
             *price = reconcile_text(&c->orders, order, ORDER_PRICE);
  money cost;
  bool priced = price && money_parse(price, strlen(price), &cost) == MONEY_OK;
  enum reconcile_refund found = c->transactions_reach ? RECONCILE_KEPT : RECONCILE_PERHAPS;
  for (size_t row = 0; row < c->transactions.count; row++) {
    bool named = text_of(c, row, TRANSACTION_ORDER_ID); /* then its date does not matter */
    if (!is_refund(c, row) || (!named && is_old_refund(c, row))) continue;
    enum reconcile_refund one = is_refund_of(c, row, id, priced ? &cost : NULL);
    if (one == RECONCILE_REFUNDED) return one;
    if (one == RECONCILE_PERHAPS) found = one;
  }
  return found;
}

/* Whether the money of an entry moved after the baseline. If the entry was open then, it may have
 * been charged before or after the baseline. */
static bool moved_since(const struct reconcile_case *c, const struct ledger *ledger,
                        const struct journal_entry *other)
{
  if (is_since_baseline(c, other)) return true;
  for (size_t row = 0;
       !was_settled_before(c, other) && other->order_id && row < c->transactions.count; row++)
    if (reconcile_is_charge(c, row) && is_for(c, row, other->order_id) && is_new(c, ledger, row))
      return true;
  return false;
}

/* The balance if this charge took nothing: the baseline's, less the charges of other entries, plus
 * what came in since. */
static bool expect_balance(const struct reconcile_case *c, const struct ledger *ledger,
                           money *expected)
{
  money amount;
  if (!money_subtract(c->before.balance, ledger->foreign, expected)) return false;
  for (size_t i = 0; i < c->other_count; i++) {
    const struct journal_entry *other = &c->others[i];
    if (other->id == c->entry->id || other->state != JOURNAL_PLACED ||
        !moved_since(c, ledger, other))
      continue;
    amount = ledger->paid[i] >= 0 ? ledger->paid[i] : cost_of(other);
    if (!money_subtract(*expected, amount, expected)) return false;
  }
  for (size_t row = 0; row < c->transactions.count; row++) {
    if (reconcile_is_charge(c, row) || ledger->old[row] || ledger->refunds[row]) continue;
    if (lateness(c, row) < -DATE_GRAIN) continue;
    if (!read_amount(c, row, &amount) || !money_add(*expected, amount, expected)) return false;
  }
  return true;
}

/* The effect of a transaction on the balance. False if it cannot be read. */
static bool add_effect(const struct reconcile_case *c, size_t row, money *balance)
{
  money amount;
  if (!read_amount(c, row, &amount)) return false;
  return reconcile_is_charge(c, row) ? money_subtract(*balance, amount, balance)
                                     : money_add(*balance, amount, balance);
}

/* The charges of entries that no transaction shows yet. */
static bool subtract_unseen(const struct reconcile_case *c, const struct ledger *ledger,
                            money *balance)
{
  for (size_t i = 0; i < c->other_count; i++) {
    const struct journal_entry *other = &c->others[i];
    if (other->id == c->entry->id || other->state != JOURNAL_PLACED || ledger->entries[i] ||
        !moved_since(c, ledger, other))
      continue;
    if (!money_subtract(*balance, cost_of(other), balance)) return false;
  }
  return true;
}

/* By how many seconds the newest transaction of the baseline came before it, at least: then times
 * are compared with that one, since a server that writes its local time as UTC dates all of them
 * hours before. Only a list that is known to be current can do without the baseline's own time. */
static double lateness_of_baseline(const struct reconcile_case *c, const struct ledger *ledger)
{
  double latest = 0;
  bool found = false;
  if (c->calibrated || !ledger->current) return 0;
  for (size_t row = 0; row < c->transactions.count; row++) {
    double late = lateness(c, row);
    if (ledger->old[row] && (!found || late > latest)) latest = late;
    found |= ledger->old[row];
  }
  return latest < 0 ? latest : 0;
}

/* Whether a transaction shows that another entry cost exactly its quote: then no tax is added. */
static bool is_untaxed(const struct reconcile_case *c)
{
  for (size_t row = 0; row < c->transactions.count; row++) {
    const char *id = text_of(c, row, TRANSACTION_ORDER_ID);
    money amount;
    if (!id || !reconcile_is_charge(c, row) || !read_amount(c, row, &amount)) continue;
    for (size_t i = 0; i < c->other_count; i++) {
      const struct journal_entry *other = &c->others[i];
      if (other->state == JOURNAL_PLACED && other->order_id && strcmp(other->order_id, id) == 0 &&
          other->quote == amount)
        return true;
    }
  }
  return false;
}

/* Whether the transactions after a balance of the baseline account for the balance now. The place
 * of that balance among them is known only roughly: a cached balance lacks the newest transactions
 * of the baseline, and a list that lagged lacked some that the balance included. Unless the list is
 * known to be current, a difference that may be this charge is not explained by a cached balance.
 * `lacking`: charges that the balance is known to lack; while the balance now lacks them as well,
 * it proves nothing. */
static bool is_explained_from(const struct reconcile_case *c, const struct ledger *ledger,
                              money balance, money lacking)
{
  bool rising = sorting_of(c) == LIST_OLDEST_FIRST;
  double since = lateness_of_baseline(c, ledger) - CACHE;
  size_t count = c->transactions.count, at_least = 0;
  money fall = -lacking; /* the sum of transactions of the baseline */
  bool cached = false;
  if (!subtract_unseen(c, ledger, &balance)) return false;
  for (size_t i = 0; i < count; i++) {
    size_t row = rising ? count - 1 - i : i; /* the newest first */
    if (!ledger->current && !ledger->old[row] && lateness(c, row) > CACHE) at_least = i + 1;
  }
  for (size_t i = 0; i <= count; i++) {
    if (i >= at_least && balance == c->balance && (lacking == 0 || fall >= 0))
      return !cached || ledger->current || !may_be_charge(c, fall) ||
             (fall > c->entry->quote && is_untaxed(c));
    size_t row = rising ? count - 1 - i : i;
    if (i == count || (ledger->old[row] && lateness(c, row) < since)) return false;
    money before = balance;
    if (!add_effect(c, row, &balance)) return false;
    bool early = ledger->old[row] || ledger->early[row];
    cached |= early;
    money effect;
    if (early && !(money_subtract(before, balance, &effect) && money_add(fall, effect, &fall)))
      return false;
  }
  return false;
}

/* A charge that was subtracted from a cached balance may be newer than others that it lacks. */
static bool balance_is_explained(const struct reconcile_case *c, const struct ledger *ledger)
{
  money balance = c->before.balance, returned = c->before.returned_balance, lacking;
  return is_explained_from(c, ledger, balance, 0) ||
         (returned > balance && money_subtract(returned, balance, &lacking) &&
          is_explained_from(c, ledger, returned, lacking));
}

static bool balance_differs(const struct reconcile_case *c, const struct ledger *ledger, char *why,
                            size_t capacity)
{
  money expected;
  char now[MONEY_TEXT], then[MONEY_TEXT];
  if (!c->has_balance || !c->before.has_balance || !expect_balance(c, ledger, &expected)) {
    snprintf(why, capacity, "the balance is unknown");
    return true;
  }
  if (c->balance == expected || balance_is_explained(c, ledger)) return false;
  money_format(c->balance, now);
  money_format(expected, then);
  snprintf(why, capacity, "the balance is %s; without this charge it would be %s", now, then);
  return true;
}

/* A refund that names no order may hide a charge. So may a transaction among equal ones without ids
 * if the server counts more of them than a page shows. */
static bool may_hide(const struct reconcile_case *c, const struct ledger *ledger, char *why,
                     size_t capacity)
{
  int64_t seen = 0;
  bool without_id = false;
  for (size_t row = 0; row < c->transactions.count; row++) {
    seen += !ledger->old[row];
    without_id |= !text_of(c, row, TRANSACTION_ID);
    if (ledger->old[row] || !is_refund(c, row) || text_of(c, row, TRANSACTION_ORDER_ID)) continue;
    snprintf(why, capacity, "a new refund does not name its order");
    return true;
  }
  if (!without_id || c->before.transactions.total < 0 || c->transactions_total < 0 ||
      c->transactions_total - c->before.transactions.total <= seen)
    return false;
  snprintf(why, capacity, "the API counts more new transactions than it lists");
  return true;
}

bool reconcile_is_first_charge(const struct reconcile_case *c, const char *order_id)
{
  struct buffer mark = {0};
  size_t charges = 0, since = 0;
  for (size_t row = 0; c->transactions_whole && row < c->transactions.count; row++) {
    double time;
    if (!reconcile_is_charge(c, row) || !is_for(c, row, order_id)) continue;
    charges++;
    since += reconcile_mark(&c->transactions, row, &mark) &&
             !ids_have(&c->before.transactions.known, mark.data) &&
             reconcile_read_time(c, text_of(c, row, TRANSACTION_CREATED_AT), &time) &&
             time >= c->before.taken_at - DATE_GRAIN;
  }
  buffer_free(&mark);
  return charges == 1 && since == 1;
}

size_t reconcile_charges_for(const struct reconcile_case *c, const char *order_id)
{
  struct ledger ledger;
  size_t count = 0;
  bool ok = ledger_read(c, &ledger);
  for (size_t row = 0; ok && row < c->transactions.count; row++)
    count += is_unexplained(c, &ledger, row) && is_for(c, row, order_id) && is_new(c, &ledger, row);
  ledger_free(&ledger);
  return count;
}

bool reconcile_money_agrees(const struct reconcile_case *c, const char *order_id, bool closely)
{
  struct ledger ledger;
  money expected, fall, quote = c->entry->quote;
  size_t named = 0, unnamed = 0, unexplained = 0;
  bool ok = ledger_read(c, &ledger);
  for (size_t row = 0; ok && row < c->transactions.count; row++) {
    money amount;
    if (!is_unexplained(c, &ledger, row)) continue;
    unexplained++;
    if (closely && !(read_amount(c, row, &amount) && may_be_charge(c, amount))) continue;
    named += order_id && is_for(c, row, order_id) && (!c->extension || is_new(c, &ledger, row));
    unnamed += !text_of(c, row, TRANSACTION_ORDER_ID) && read_amount(c, row, &amount) &&
               may_be_charge(c, amount);
  }
  bool fell = ok && unexplained <= 1 && c->has_balance && c->before.has_balance &&
              expect_balance(c, &ledger, &expected) &&
              money_subtract(expected, c->balance, &fall) && fall >= quote / 2 &&
              fall / 2 <= quote && (!closely || may_be_charge(c, fall));
  ledger_free(&ledger);
  return named > 0 || unnamed > 0 || fell;
}

bool reconcile_money_is_clear(const struct reconcile_case *c)
{
  struct ledger ledger;
  money expected;
  char why[1];
  bool ok = ledger_read(c, &ledger);
  bool equal = ok && c->has_balance && c->before.has_balance &&
               expect_balance(c, &ledger, &expected) && c->balance == expected;
  ledger_free(&ledger);
  return equal && !reconcile_money_moved(c, why, sizeof why);
}

const char *reconcile_find_unlisted(const struct reconcile_case *c)
{
  struct ledger ledger;
  const char *found = NULL;
  bool ok = ledger_read(c, &ledger);
  for (size_t row = 0; ok && !found && row < c->transactions.count; row++) {
    const char *id = text_of(c, row, TRANSACTION_ORDER_ID);
    if (!id || !is_unexplained(c, &ledger, row)) continue;
    size_t order = 0;
    while (order < c->orders.count) {
      const char *listed = reconcile_text(&c->orders, order, ORDER_ID);
      if (listed && strcmp(listed, id) == 0) break;
      order++;
    }
    if (order == c->orders.count) found = id;
  }
  ledger_free(&ledger);
  return found;
}

bool reconcile_money_moved(const struct reconcile_case *c, char *why, size_t capacity)
{
  struct ledger ledger;
  bool ok = ledger_read(c, &ledger), moved = true;
  size_t row = 0;
  while (ok && row < c->transactions.count && !is_unexplained(c, &ledger, row)) row++;
  if (!ok)
    snprintf(why, capacity, "out of memory");
  else if (row < c->transactions.count)
    snprintf(why, capacity, "no charge in the journal explains transaction %.60s",
             text_of(c, row, TRANSACTION_ID) ? text_of(c, row, TRANSACTION_ID) : "(without an id)");
  else if (!c->transactions_reach)
    snprintf(why, capacity, "the list of transactions does not reach back to the request");
  else
    moved = may_hide(c, &ledger, why, capacity) || balance_differs(c, &ledger, why, capacity);
  ledger_free(&ledger);
  return moved;
}
