/* Time and order in the lists of the API. Servers write local times as UTC, send a wrong Date, or
 * leave times out. The orders and transactions of the journal's entries show by how much the times
 * of records differ from the journal's, and how a list without times is sorted. */
#include <ctype.h>
#include <string.h>

#include "base/datetime.h"
#include "charge/reconcile.h"

/* Seconds within which a purchase and its order are dated; and by which the differences of two
 * purchases may vary. */
#define TRUST 120.0

/* Seconds by which a record and the journal can differ: local time written as UTC, and a clock that
 * is wrong by a day. */
#define FARTHEST (RECONCILE_DAY + RECONCILE_ZONES)

/* Seconds by which two clocks of a machine may come to differ while neither is set. */
#define DRIFT 5.0

static bool is_number(const char *text)
{
  return *text && strspn(text, "0123456789") == strlen(text);
}

static bool has_time_of_day(const char *text)
{
  return is_number(text) || strlen(text) > 10;
}

static bool has_zone(const char *text)
{
  return is_number(text) || strpbrk(text + 10, "Zz+-") || isalpha((unsigned char)text[0]);
}

bool reconcile_read_time(const struct reconcile_case *c, const char *text, double *time)
{
  if (!text || !date_parse(text, time)) return false;
  if (c->calibrated) *time += c->gap - c->shift;
  return true;
}

double reconcile_slack(const struct reconcile_case *c, const char *text)
{
  if (!has_time_of_day(text)) return RECONCILE_SKEW + RECONCILE_DAY + RECONCILE_ZONES;
  if (c->calibrated) return RECONCILE_SKEW + TRUST;
  return has_zone(text) ? RECONCILE_SKEW : RECONCILE_SKEW + RECONCILE_ZONES;
}

bool reconcile_is_older(const struct reconcile_case *c, const char *created_at)
{
  double time, wrong = c->calibrated ? 0 : RECONCILE_DAY;
  return c->before.taken_at > 0 && reconcile_read_time(c, created_at, &time) &&
         time + reconcile_slack(c, created_at) + wrong < c->before.taken_at;
}

bool reconcile_is_create(const struct journal_entry *entry)
{
  return strcmp(entry->endpoint, "orders.create") == 0;
}

/* Whether the journal's clock was not set between two entries: it shows the same distance between
 * them as a clock that cannot be set. */
static bool is_of_one_clock(const struct journal_entry *a, const struct journal_entry *b)
{
  if (a->since_intent == JOURNAL_NOT_TIMED || b->since_intent == JOURNAL_NOT_TIMED) return false;
  double by_wall = (double)(a->created_at - b->created_at) / 1e6,
         by_boot = (double)(b->since_intent - a->since_intent) / 1e6;
  return by_wall - by_boot < DRIFT && by_boot - by_wall < DRIFT;
}

static const struct journal_entry *creator_of(const struct journal_entry *entries, size_t count,
                                              const char *id)
{
  for (size_t i = 0; id && i < count; i++)
    if (entries[i].state == JOURNAL_PLACED && entries[i].order_id &&
        reconcile_is_create(&entries[i]) && strcmp(entries[i].order_id, id) == 0)
      return &entries[i];
  return NULL;
}

/* By how much the times of records are ahead of the journal's: the least and the most. */
struct shifts {
  bool found;
  double least, most;
};

static void shifts_add(struct shifts *shifts, double apart)
{
  if (!shifts->found || apart < shifts->least) shifts->least = apart;
  if (!shifts->found || apart > shifts->most) shifts->most = apart;
  shifts->found = true;
}

static void add_orders(const struct reconcile_case *c, struct shifts *shifts)
{
  for (size_t row = 0; row < c->orders.count; row++) {
    const char *created_at = reconcile_text(&c->orders, row, ORDER_CREATED_AT);
    double time;
    if (!created_at || !has_time_of_day(created_at) || !date_parse(created_at, &time)) continue;
    const struct journal_entry *own =
        creator_of(c->others, c->other_count, reconcile_text(&c->orders, row, ORDER_ID));
    if (own && own->id != c->entry->id && is_of_one_clock(own, c->entry))
      shifts_add(shifts, time - (double)own->created_at / 1e6);
  }
}

static void add_transactions(const struct reconcile_case *c, struct shifts *shifts)
{
  for (size_t i = 0; c->transactions.count > 0 && i < c->other_count; i++) {
    const struct journal_entry *own = &c->others[i];
    double time;
    if (own->id == c->entry->id || !is_of_one_clock(own, c->entry)) continue;
    const char *text = reconcile_time_of_charge(c, own);
    if (!text || !has_time_of_day(text) || !date_parse(text, &time)) continue;
    double apart = time - (double)own->created_at / 1e6;
    if (apart < FARTHEST && apart > -FARTHEST) shifts_add(shifts, apart);
  }
}

void reconcile_calibrate(struct reconcile_case *c)
{
  struct shifts shifts = {0};
  c->calibrated = false;
  if (c->before.sent_at <= 0) return;
  add_orders(c, &shifts);
  add_transactions(c, &shifts);
  if (!shifts.found || shifts.most - shifts.least > TRUST) return;
  c->shift = shifts.least;
  c->gap = c->before.sent_at - (double)c->entry->created_at / 1e6;
  c->calibrated = true;
}

struct trend {
  size_t count;
  double last;
  size_t falls, rises;
};

static void trend_add(struct trend *trend, double value)
{
  trend->falls += trend->count > 0 && value < trend->last;
  trend->rises += trend->count > 0 && value > trend->last;
  trend->last = value;
  trend->count++;
}

static enum list_order trend_of(const struct trend *trend)
{
  if (trend->falls > 0 && trend->rises > 0) return LIST_UNSORTED;
  if (trend->falls == trend->rises) return LIST_UNSORTED;
  return trend->falls > 0 ? LIST_NEWEST_FIRST : LIST_OLDEST_FIRST;
}

/* The same, if some values are out of place. */
static enum list_order main_trend_of(const struct trend *trend)
{
  if (trend->falls > 4 * trend->rises) return LIST_NEWEST_FIRST;
  return trend->rises > 4 * trend->falls ? LIST_OLDEST_FIRST : LIST_UNSORTED;
}

/* The end of a list may have been read apart from its beginning. */
static size_t head_of(const struct reconcile_rows *rows)
{
  return rows->tail > 0 ? rows->tail : rows->count;
}

enum list_order reconcile_sorting(const struct reconcile_rows *rows, int created_at)
{
  struct trend trend = {0};
  double time;
  for (size_t row = 0; row < head_of(rows); row++) {
    const char *text = reconcile_text(rows, row, created_at);
    if (!text || !date_parse(text, &time)) return LIST_UNSORTED;
    trend_add(&trend, time);
  }
  return trend_of(&trend);
}

static bool is_named_once(const struct reconcile_rows *rows, size_t until, int field,
                          const char *name)
{
  size_t count = 0;
  for (size_t row = 0; row < until; row++) {
    const char *text = reconcile_text(rows, row, field);
    count += text && strcmp(text, name) == 0;
  }
  return count == 1;
}

enum list_order reconcile_sorting_by_journal(const struct reconcile_rows *rows, int order_id,
                                             const struct journal_entry *entries, size_t count)
{
  struct trend trend = {0};
  bool first = false;
  for (size_t row = 0; row < head_of(rows); row++) {
    const char *id = reconcile_text(rows, row, order_id);
    const struct journal_entry *own = creator_of(entries, count, id);
    if (!own || !is_named_once(rows, head_of(rows), order_id, id)) continue;
    trend_add(&trend, (double)own->id);
    first |= row == 0;
  }
  /* A recent purchase is not the oldest record of a long list. */
  if (trend.count == 1 && first && head_of(rows) > 1) return LIST_NEWEST_FIRST;
  return trend_of(&trend);
}

/* Refunds and extensions of old orders are newer than their orders. The orders may have been read
 * at one end of the list only, so both ends of the transactions count. */
enum list_order reconcile_sorting_by_orders(const struct reconcile_case *c)
{
  const struct reconcile_rows *rows = &c->transactions;
  struct trend trend = {0};
  enum list_order sorting = reconcile_sorting(&c->orders, ORDER_CREATED_AT);
  if (sorting == LIST_UNSORTED) sorting = c->before.orders.sorting;
  if (sorting == LIST_UNSORTED) return LIST_UNSORTED;
  for (size_t row = 0; row < rows->count; row++) {
    const char *id = reconcile_text(rows, row, TRANSACTION_ORDER_ID);
    if (!id || !reconcile_is_charge(c, row) ||
        !is_named_once(rows, rows->count, TRANSACTION_ORDER_ID, id))
      continue;
    for (size_t at = 0; at < c->listed; at++) {
      const char *order = reconcile_text(&c->orders, at, ORDER_ID);
      if (!order || strcmp(order, id) != 0) continue;
      trend_add(&trend, sorting == LIST_OLDEST_FIRST ? (double)at : -(double)at);
      break;
    }
  }
  return main_trend_of(&trend);
}
