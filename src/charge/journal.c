#include "charge/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/process.h"
#include "charge/journal_store.h"

static const char *const state_names[JOURNAL_STATES] = {"intent", "sent", "placed", "not_placed",
                                                        "unknown"};

const char *journal_state_name(enum journal_state state)
{
  return state_names[state];
}

enum journal_state journal_state_from_name(const char *name)
{
  int state = 0;
  while (state < JOURNAL_STATES && strcmp(state_names[state], name) != 0) state++;
  return (enum journal_state)state;
}

void journal_entry_free(struct journal_entry *entry)
{
  char *texts[] = {entry->account,     entry->key,      entry->endpoint, entry->params,
                   entry->params_hash, entry->order_id, entry->answer,   entry->snapshot,
                   entry->note,        entry->host,     entry->run_id};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) free(texts[i]);
  *entry = (struct journal_entry){0};
}

void journal_list_free(struct journal_list *list)
{
  for (size_t i = 0; i < list->count; i++) journal_entry_free(&list->entries[i]);
  free(list->entries);
  list->entries = NULL;
  list->count = 0;
}

void journal_review_free(struct journal_review *review)
{
  journal_list_free(&review->open);
  journal_list_free(&review->settled);
  free(review->baseline);
  review->baseline = NULL;
}

static bool is_local(const struct journal_entry *entry)
{
  char host[PROCESS_HOST];
  process_host(host);
  return entry->host && strcmp(entry->host, host) == 0;
}

static bool lives(const struct journal_entry *entry)
{
  int64_t start = process_start(entry->pid);
  return start != 0 && start == entry->started;
}

bool journal_is_running(const struct journal_entry *entry)
{
  return is_local(entry) && lives(entry);
}

bool journal_is_orphan(const struct journal_entry *entry)
{
  return is_local(entry) && !lives(entry);
}

static bool exceeds(struct journal_reserve *reservation, const char *limit, int64_t allowed,
                    int64_t spent)
{
  int64_t total;
  if (allowed < 0 ||
      (!__builtin_add_overflow(spent, reservation->entry.quote, &total) && total <= allowed))
    return false;
  reservation->limit = limit;
  reservation->allowed = allowed;
  reservation->spent = spent;
  return true;
}

static int64_t add(int64_t a, int64_t b)
{
  int64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

bool journal_allows(struct journal_reserve *reservation, const struct journal_spent *all,
                    const struct journal_spent *budget)
{
  const struct journal_allowance *allowance = &reservation->allowance;
  reservation->of_budget =
      reservation->budget.prefix > 0 &&
      (exceeds(reservation, "per_run", reservation->budget.per_run, budget->run) ||
       exceeds(reservation, "per_day", reservation->budget.per_day, budget->day));
  if (reservation->of_budget) return false;
  if (allowance->per_order < 0 && allowance->per_day < 0 && allowance->per_run < 0)
    return !exceeds(reservation, "nothing is allowed", 0, 0);
  return !exceeds(reservation, "per_order", allowance->per_order, 0) &&
         !exceeds(reservation, "per_day", allowance->per_day,
                  add(all->day, reservation->elsewhere)) &&
         !exceeds(reservation, "per_run", allowance->per_run,
                  all->run > reservation->run_spent ? all->run : reservation->run_spent);
}

static void free_run(void *kept)
{
  struct journal_run *run = kept;
  free(run->reserved);
  free(run);
}

struct journal_run *journal_run(const struct store_driver *driver, struct error *err)
{
  struct store_run *run = driver->run;
  if (!run->kept) run->kept = calloc(1, sizeof(struct journal_run));
  run->free = free_run;
  if (!run->kept) error_set(err, ERROR_INTERNAL, "out of memory");
  return run->kept;
}

bool journal_make_room(struct journal_run *run, struct error *err)
{
  if (run->count < run->capacity) return true;
  size_t capacity = run->capacity ? 2 * run->capacity : 16;
  struct journal_reserved *more = realloc(run->reserved, capacity * sizeof *more);
  if (!more) {
    error_set(err, ERROR_INTERNAL, "out of memory");
    return false;
  }
  run->reserved = more;
  run->capacity = capacity;
  return true;
}

void journal_remember(struct journal_run *run, int64_t id, int64_t amount)
{
  run->newest = id;
  run->reserved[run->count++] = (struct journal_reserved){id, amount};
  if (__builtin_add_overflow(run->total, amount, &run->total)) run->total = INT64_MAX;
}

/* Only a total that has not reached the largest amount is still a sum. */
void journal_correct(struct journal_run *run, int64_t id, int64_t amount)
{
  size_t low = 0, high = run->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (run->reserved[middle].id < id)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == run->count || run->reserved[low].id != id || run->total == INT64_MAX) return;
  run->total -= run->reserved[low].amount;
  run->reserved[low].amount = amount;
  if (__builtin_add_overflow(run->total, amount, &run->total)) run->total = INT64_MAX;
}

#define DAY_US INT64_C(86400000000)

static int64_t day_of(int64_t time)
{
  return time / DAY_US - (time % DAY_US < 0);
}

void journal_day_format(int64_t day, char text[11])
{
  time_t seconds = (time_t)(day * (DAY_US / 1000000));
  struct tm utc;
  if (!gmtime_r(&seconds, &utc) || strftime(text, 11, "%Y-%m-%d", &utc) == 0)
    strcpy(text, "0000-00-00");
}

void journal_day_advance(struct journal_day *day, const struct journal_now *now)
{
  bool first = day->period == 0;
  bool same = !first && strcmp(day->clock, now->clock) == 0 && now->read_at >= day->read_at;
  int64_t passed = same ? now->read_at - day->read_at : 0;
  int64_t time = now->server > 0 ? now->server : same ? day->time + passed : now->wall;
  if (!first && !same && now->server <= 0 && time < day->time) time = day->time;
  int64_t today = day_of(time);
  bool near = today < day->day && time + JOURNAL_DAY_SLACK >= day->day * DAY_US;
  int64_t slack = today > day->day ? JOURNAL_DAY_SLACK : -JOURNAL_DAY_SLACK;
  bool midnight = same ? day_of(time - passed - slack) < today : today > day->day;
  if (first || (midnight && today != day->day && !near)) day->period++;
  if (near) today = day->day; /* two servers' clocks, just around midnight */
  day->day = today;
  day->time = time;
  snprintf(day->clock, sizeof day->clock, "%s", now->clock);
  day->read_at = now->read_at;
}
