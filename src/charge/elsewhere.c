/* What the account was charged today that the journal does not have counts towards per_day, so that
 * the limit holds although a store was lost, restored from a backup, or is not shared by all who
 * use the account. The baseline's page of transactions shows it. If that page does not reach back
 * to midnight, the sum goes on from that of the last charge; without one, up to MAX_PAGES more
 * pages are read, once for each day in a process. */
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "charge/steps.h"

#define LIMIT 100 /* the API's maximum */
#define MAX_PAGES 9
#define MORE                                                                          \
  50 /* entries to read beyond one for each transaction: the newest may not be listed \
      */

struct day {
  struct reconcile_day c;
  struct reconcile_rows *rows; /* transactions: those of the baseline, then of further pages */
  bool whole;                  /* all transactions were read */
};

static bool counts(const struct charge *c)
{
  return charge_allowance(c).per_day >= 0 && !c->owner->settings.ignore_elsewhere;
}

static int64_t today(const struct charge *c)
{
  double now = client_clock(c->owner->settings.client);
  return (int64_t)floor((now > 0 ? now : (double)time(NULL)) / 86400);
}

bool charge_knows_elsewhere(const struct charge *c, const struct snapshot *baseline)
{
  return !counts(c) || baseline->elsewhere.known;
}

money charge_elsewhere(const struct charge *c)
{
  const struct elsewhere *elsewhere = &c->before.elsewhere;
  bool now = counts(c) && elsewhere->known && elsewhere->day == today(c);
  return now ? elsewhere->sum : 0;
}

static void report(struct charge *c, const struct elsewhere *sum, bool hidden)
{
  struct purchase *purchase = c->owner;
  char text[MONEY_TEXT];
  money_format(sum->sum, text);
  if (sum->sum > 0 && sum->sum != purchase->reported_elsewhere)
    charge_report(c,
                  "per_day also counts %s in %lld charge%s of today that the journal does not have",
                  text, (long long)sum->count, sum->count == 1 ? "" : "s");
  if (sum->partial && !purchase->reported_partial)
    charge_report(c,
                  "per_day may not count all charges of today that the journal does not have, "
                  "since %s",
                  hidden ? "the API key may not read the transactions"
                         : "the API does not show all of them with their dates");
  purchase->reported_elsewhere = sum->sum;
  purchase->reported_partial |= sum->partial;
}

/* The sum of the last charge and the baseline's transactions have no gap between them. */
static bool meets_left(const struct charge *c, const struct reconcile_rows *rows)
{
  const struct snapshot *left = &c->left.baseline;
  bool met = left->transactions.whole && c->before.transactions.whole;
  for (size_t row = 0; !met && row < rows->count; row++)
    met = charge_is_known(rows, row, &left->transactions.known);
  return met;
}

static bool goes_on_from_left(const struct charge *c, const struct day *day)
{
  const struct elsewhere *left = &c->left.baseline.elsewhere;
  return c->left.there && left->known && left->day == day->c.day;
}

static bool is_covered(const struct day *day)
{
  if (day->c.hidden) return false; /* orders do not show extensions */
  return day->whole || reconcile_day_is_covered(&day->c);
}

static bool add_left(const struct charge *c, const struct day *day, struct elsewhere *sum)
{
  const struct elsewhere *left = &c->left.baseline.elsewhere;
  struct reconcile_day since = day->c;
  since.counted = &c->left.baseline.transactions.known;
  if (!reconcile_sum_day(&since, sum)) return false;
  if (!money_add(sum->sum, left->sum, &sum->sum)) sum->sum = INT64_MAX;
  sum->count += left->count;
  sum->partial |= left->partial;
  return true;
}

static bool add_up(const struct charge *c, const struct day *day, struct elsewhere *sum)
{
  if (!reconcile_sum_day(&day->c, sum)) return false;
  sum->partial |= !is_covered(day);
  if (!sum->partial || !goes_on_from_left(c, day)) return true;
  if (!day->c.hidden) return !meets_left(c, day->rows) || add_left(c, day, sum);
  if (c->left.baseline.elsewhere.sum > sum->sum) *sum = c->left.baseline.elsewhere;
  return true;
}

/* Recent entries are known already; if they do not explain all, more are read. */
static bool sum_up(struct charge *c, struct day *day, struct elsewhere *sum)
{
  const struct journal_review *review = &c->review;
  day->c.entries[0].of = review->settled.entries;
  day->c.entries[0].count = review->settled.count;
  day->c.entries[1].of = review->open.entries;
  day->c.entries[1].count = review->open.count;
  if (!add_up(c, day, sum)) return charge_fail(c, ERROR_INTERNAL, "out of memory");
  if (sum->count == 0) return true;
  size_t rows = day->c.hidden ? day->c.orders->count : day->rows->count;
  struct journal_list list = {.job = CHARGE_JOB(c),
                              .account = c->owner->account,
                              .states = JOURNAL_OPEN | 1u << JOURNAL_PLACED,
                              .newest = true,
                              .limit = (int)(rows + review->open.count) + MORE};
  journal_list(c->owner->settings.store, &list);
  bool ok = charge_job(c, &list.job);
  day->c.entries[0].of = list.entries;
  day->c.entries[0].count = list.count;
  day->c.entries[1].count = 0;
  if (ok && !add_up(c, day, sum)) ok = charge_fail(c, ERROR_INTERNAL, "out of memory");
  journal_list_free(&list);
  return ok;
}

static bool add_row(void *arg, const char *const *texts)
{
  return reconcile_add(arg, TRANSACTION_FIELDS, TRANSACTION_ID, texts);
}

/* Reads a further page. `read`: it has transactions that are new. */
static bool read_page(struct charge *c, struct day *day, int64_t page, bool rising, bool *read)
{
  const struct record_query query = {.kind = RECORD_TRANSACTION,
                                     .fields = reconcile_transaction_fields,
                                     .page = page,
                                     .limit = LIMIT};
  struct record_listing listing = {0};
  struct buffer text = {0};
  size_t before = day->rows->count;
  bool ok = buffer_print(&text, "limit=%d&page=%d", LIMIT, (int)page)
                ? charge_call(c, "account.transactions", "/account/transactions", text.data, NULL)
                : charge_fail(c, ERROR_INTERNAL, "out of memory");
  buffer_free(&text);
  if (!ok) return false;
  *read = c->call->error.kind == ERROR_NONE &&
          response_list(&c->call->exchange->json, &query, &listing, add_row, day->rows) &&
          day->rows->count > before;
  day->whole = *read && !rising ? !listing.more : page == 1;
  return true;
}

static bool needs_more(const struct charge *c, const struct day *day)
{
  return !day->c.hidden && !is_covered(day) && c->owner->summed_day != day->c.day &&
         reconcile_day_is_dated(&day->c) &&
         !(goes_on_from_left(c, day) && meets_left(c, day->rows));
}

/* A page that cannot be read leaves the sum partial. */
static bool read_on(struct charge *c, struct day *day, int64_t page)
{
  bool rising = c->before.transactions.sorting == LIST_OLDEST_FIRST, read = true;
  for (int left = MAX_PAGES; read && left > 0; left--) {
    page += rising ? -1 : 1;
    if (page <= 0 || !needs_more(c, day)) return true;
    if (!read_page(c, day, page, rising, &read)) return false;
  }
  return true;
}

bool charge_count_elsewhere(struct charge *c, const struct reconcile_rows *orders,
                            const struct pages *transactions)
{
  struct elsewhere sum;
  if (!counts(c)) return true;
  struct day day = {.c = {.day = today(c),
                          .transactions = transactions->rows,
                          .orders = orders,
                          .hidden = transactions->failed},
                    .rows = transactions->rows,
                    .whole = c->before.transactions.whole};
  bool rising = c->before.transactions.sorting == LIST_OLDEST_FIRST;
  size_t rows = day.rows->count;
  bool ok = read_on(c, &day, rising ? transactions->tail_page : 1) && sum_up(c, &day, &sum);
  reconcile_cut(day.rows, rows);
  if (!ok) return false;
  c->before.elsewhere = sum;
  c->owner->summed_day = sum.day;
  report(c, &sum, day.c.hidden);
  return true;
}
