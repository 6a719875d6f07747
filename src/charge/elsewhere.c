/* Part of the sixth step: what the account was charged today that the journal does not have counts
 * towards per_day, so that the limit holds although a store was lost, restored from a backup, or is
 * not shared by all who use the account. The baseline's page of transactions shows it. If that page
 * does not reach back to midnight, the sum goes on from that of the last charge; without one, up to
 * MAX_PAGES more pages are read, once for each day in a process. */
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "charge/flow.h"

#define LIMIT 100 /* the API's maximum */
#define MAX_PAGES 9
#define MORE                                                                          \
  50 /* entries to read beyond one for each transaction: the newest may not be listed \
      */

static bool counts(const struct flow *charge)
{
  return flow_allowance(charge).per_day >= 0 && !charge->owner->settings.ignore_elsewhere;
}

static int64_t today(const struct flow *charge)
{
  double now = client_clock(charge->owner->settings.client);
  return (int64_t)floor((now > 0 ? now : (double)time(NULL)) / 86400);
}

bool flow_knows_elsewhere(const struct flow *charge, const struct snapshot *baseline)
{
  return !counts(charge) || baseline->elsewhere.known;
}

money flow_elsewhere(const struct flow *charge)
{
  const struct elsewhere *elsewhere = &charge->before.elsewhere;
  bool now = counts(charge) && elsewhere->known && elsewhere->day == today(charge);
  return now ? elsewhere->sum : 0;
}

static void report(struct flow *charge, const struct elsewhere *sum)
{
  struct purchase *purchase = charge->owner;
  char text[MONEY_TEXT];
  money_format(sum->sum, text);
  if (sum->sum > 0 && sum->sum != purchase->told_elsewhere)
    flow_tell(charge,
              "per_day also counts %s in %lld charge%s of today that the journal does not have",
              text, (long long)sum->count, sum->count == 1 ? "" : "s");
  if (sum->partial && !purchase->told_partial)
    flow_tell(charge,
              "per_day may not count all charges of today that the journal does not have, since %s",
              charge->day.c.hidden ? "the API key may not read the transactions"
                                   : "the API does not show all of them with their dates");
  purchase->told_elsewhere = sum->sum;
  purchase->told_partial |= sum->partial;
}

static void finish(struct flow *charge, const struct elsewhere *sum)
{
  struct day_count *day = &charge->day;
  reconcile_cut(&charge->transactions, day->rows);
  journal_list_free(&day->list);
  charge->before.elsewhere = *sum;
  charge->owner->summed_day = sum->day;
  report(charge, sum);
  day->done(charge);
}

/* The sum of the last charge and the baseline's transactions have no gap between them. */
static bool meets_left(const struct flow *charge)
{
  const struct snapshot *left = &charge->left.baseline;
  const struct ids *known = &left->transactions.known;
  bool met = left->transactions.whole && charge->before.transactions.whole;
  for (size_t row = 0; !met && row < charge->transactions.count; row++)
    met = flow_is_known(charge, row, known);
  return met;
}

static bool goes_on_from_left(const struct flow *charge)
{
  const struct elsewhere *left = &charge->left.baseline.elsewhere;
  return charge->left.there && left->known && left->day == charge->day.c.day;
}

static bool is_covered(const struct flow *charge)
{
  const struct day_count *day = &charge->day;
  if (day->c.hidden) return false; /* orders do not show extensions */
  return day->whole || reconcile_day_is_covered(&day->c);
}

static bool add_left(const struct flow *charge, struct elsewhere *sum)
{
  const struct elsewhere *left = &charge->left.baseline.elsewhere;
  struct reconcile_day c = charge->day.c;
  c.counted = &charge->left.baseline.transactions.known;
  if (!reconcile_sum_day(&c, sum)) return false;
  if (!money_add(sum->sum, left->sum, &sum->sum)) sum->sum = INT64_MAX;
  sum->count += left->count;
  sum->partial |= left->partial;
  return true;
}

static bool add_up(const struct flow *charge, struct elsewhere *sum)
{
  if (!reconcile_sum_day(&charge->day.c, sum)) return false;
  sum->partial |= !is_covered(charge);
  if (!sum->partial || !goes_on_from_left(charge)) return true;
  if (!charge->day.c.hidden) return !meets_left(charge) || add_left(charge, sum);
  if (charge->left.baseline.elsewhere.sum > sum->sum) *sum = charge->left.baseline.elsewhere;
  return true;
}

static void fail(struct flow *charge)
{
  flow_fail(charge, ERROR_INTERNAL, "out of memory");
}

static void on_entries(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, day.list);
  struct elsewhere sum;
  if (flow_has_failed(charge, job)) return;
  struct reconcile_day *c = &charge->day.c;
  c->entries[0].of = charge->day.list.entries;
  c->entries[0].count = charge->day.list.count;
  c->entries[1].count = 0;
  if (add_up(charge, &sum))
    finish(charge, &sum);
  else
    fail(charge);
}

/* Recent entries are known already; if they do not explain all, more are read. */
static void sum_up(struct flow *charge)
{
  const struct journal_review *review = &charge->recovery.review;
  struct day_count *day = &charge->day;
  struct elsewhere sum;
  day->c.entries[0].of = review->settled.entries;
  day->c.entries[0].count = review->settled.count;
  day->c.entries[1].of = review->open.entries;
  day->c.entries[1].count = review->open.count;
  if (!add_up(charge, &sum)) {
    fail(charge);
    return;
  }
  if (sum.count == 0) {
    finish(charge, &sum);
    return;
  }
  size_t rows = day->c.hidden ? charge->orders.count : charge->transactions.count;
  day->list = (struct journal_list){.job.done = on_entries,
                                    .account = charge->owner->account,
                                    .states = JOURNAL_OPEN | 1u << JOURNAL_PLACED,
                                    .newest = true,
                                    .limit = (int)(rows + review->open.count) + MORE};
  charge->working = true;
  journal_list(charge->owner->settings.store, &day->list);
}

static bool add_row(void *arg, const char *const *texts)
{
  struct flow *charge = arg;
  return reconcile_add(&charge->transactions, TRANSACTION_FIELDS, TRANSACTION_ID, texts);
}

static void read_on(struct flow *charge);

/* A page that cannot be read leaves the sum partial. */
static void on_page(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  struct day_count *day = &charge->day;
  const struct record_query query = {.kind = RECORD_TRANSACTION,
                                     .fields = reconcile_transaction_fields,
                                     .page = day->page,
                                     .limit = LIMIT};
  struct record_listing listing = {0};
  size_t before = charge->transactions.count;
  flow_take_over(charge, call);
  if (flow_is_over(charge)) return;
  bool read = call->error.kind == ERROR_NONE &&
              response_list(&call->exchange->json, &query, &listing, add_row, charge) &&
              charge->transactions.count > before;
  day->whole = read && day->step > 0 ? !listing.more : day->page == 1;
  if (read)
    read_on(charge);
  else
    sum_up(charge);
}

static bool needs_more(const struct flow *charge)
{
  return !charge->day.c.hidden && !is_covered(charge) &&
         charge->owner->summed_day != charge->day.c.day && reconcile_day_is_dated(&charge->day.c) &&
         !(goes_on_from_left(charge) && meets_left(charge));
}

static void read_on(struct flow *charge)
{
  struct day_count *day = &charge->day;
  day->page += day->step;
  bool can = day->page > 0 && day->left-- > 0;
  day->text.size = 0;
  if (!can || !needs_more(charge))
    sum_up(charge);
  else if (buffer_print(&day->text, "limit=%d&page=%d", LIMIT, (int)day->page))
    flow_ask(charge, "account.transactions", "/account/transactions", day->text.data, NULL,
             on_page);
  else
    fail(charge);
}

void flow_count_elsewhere(struct flow *charge, bool hidden, void (*done)(struct flow *charge))
{
  struct day_count *day = &charge->day;
  struct buffer text = day->text;
  bool rising = charge->before.transactions.sorting == LIST_OLDEST_FIRST;
  if (!counts(charge)) {
    done(charge);
    return;
  }
  *day = (struct day_count){.c = {.day = today(charge),
                                  .transactions = &charge->transactions,
                                  .orders = &charge->orders,
                                  .hidden = hidden},
                            .rows = charge->transactions.count,
                            .whole = charge->before.transactions.whole,
                            .text = text,
                            .page = rising ? charge->walk.tail_page : 1,
                            .step = rising ? -1 : 1,
                            .left = MAX_PAGES,
                            .done = done};
  read_on(charge);
}
