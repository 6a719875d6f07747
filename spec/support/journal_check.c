/* journal_check LOCATION: runs the jobs of charge/journal.h on a store, one per line of its
 * standard input, and prints a line for each: what came of it, or the error. A line is the job's
 * name and words NAME=VALUE; money is in units of 10^-8. JOURNAL_CHECK_AHEAD sets its wall clock
 * ahead by so many seconds. `steps` prints how many steps SQLite's programs have taken since it was
 * asked before. Spec journal_store_spec.lua runs it. */
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "charge/journal.h"
#include "net/loop.h"

#define MAX_WORDS 24

static struct loop *loop;
static struct store *store;
static int64_t token;
static bool done;

static char *words[MAX_WORDS];
static int word_count;

static time_t ahead; /* seconds */
static atomic_llong steps;

/* The linker puts these in the place of the functions that they wrap. */
int __real_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time);
int __real_sqlite3_reset(sqlite3_stmt *statement);
int __wrap_sqlite3_reset(sqlite3_stmt *statement);

int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
  int result = __real_clock_gettime(clock, time);
  if (clock == CLOCK_REALTIME) time->tv_sec += ahead;
  return result;
}

int __wrap_sqlite3_reset(sqlite3_stmt *statement)
{
  steps += sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_VM_STEP, 1);
  return __real_sqlite3_reset(statement);
}

static void on_done(struct store_job *job)
{
  (void)job;
  done = true;
}

static void read_words(char *line)
{
  word_count = 0;
  for (char *word = strtok(line, " \n"); word && word_count < MAX_WORDS; word = strtok(NULL, " \n"))
    words[word_count++] = word;
}

/* The value of a word of the line; NULL: there is none. */
static char *text(const char *name)
{
  size_t size = strlen(name);
  for (int i = 1; i < word_count; i++)
    if (strncmp(words[i], name, size) == 0 && words[i][size] == '=') return words[i] + size + 1;
  return NULL;
}

static int64_t number(const char *name, int64_t absent)
{
  const char *value = text(name);
  return value ? strtoll(value, NULL, 10) : absent;
}

static const char *word(const char *name, const char *absent)
{
  const char *value = text(name);
  return value ? value : absent;
}

/* Waits for the job that was handed in. False when it failed, which is printed. */
static bool ended(const struct store_job *job)
{
  while (!done) loop_turn(loop, INT64_C(1000000));
  done = false;
  if (job->err.kind != ERROR_NONE) printf("error %s\n", job->err.message);
  return job->err.kind == ERROR_NONE;
}

static void run_lock(void)
{
  struct journal_lock lock = {.job.done = on_done, .account = text("account")};
  journal_lock(store, &lock);
  if (!ended(&lock.job)) return;
  token = lock.token;
  printf("%s\n", token ? "locked" : "not locked");
}

static void run_reserve(void)
{
  struct journal_reserve reservation = {
      .job.done = on_done,
      .token = text("locked") ? token : 0,
      .dry_run = text("dry_run"),
      .entry = {.account = (char *)word("account", "A"),
                .key = (char *)word("key", "k"),
                .endpoint = (char *)"orders.create",
                .params = (char *)"POST /orders {}",
                .params_hash = (char *)word("hash", "h"),
                .quote = number("quote", 1),
                .snapshot = text("snapshot"),
                .run_id = (char *)word("run", "r")},
      .allowance = {number("per_run", -1), number("per_day", -1), number("per_order", 1000000000)},
      .server_time = number("server", 0),
      .budget = {(size_t)number("purse", 0), number("purse_run", -1), number("purse_day", -1)},
  };
  journal_reserve(store, &reservation);
  if (!ended(&reservation.job)) return;
  if (reservation.decision == JOURNAL_RESERVED)
    printf("reserved %lld %s\n", (long long)reservation.id, reservation.day);
  else if (reservation.decision == JOURNAL_EXISTS)
    printf("exists %s\n", journal_state_name(reservation.existing.state));
  else
    printf("refused %s %lld\n", reservation.limit, (long long)reservation.spent);
  journal_entry_free(&reservation.existing);
}

static void run_settle(void)
{
  struct journal_settle settle = {.job.done = on_done,
                                  .token = text("locked") ? token : 0,
                                  .proven = text("proven"),
                                  .id = number("id", 0),
                                  .state = journal_state_from_name(word("state", "placed")),
                                  .ends_in = number("ends_in", JOURNAL_KEEP_END),
                                  .order_id = text("order"),
                                  .price = number("price", JOURNAL_NO_PRICE),
                                  .answer = text("answer"),
                                  .note = text("note"),
                                  .baseline = {text("baseline"), token}};
  journal_settle(store, &settle);
  if (ended(&settle.job)) printf("%s\n", settle.changed ? "changed" : "not changed");
}

static void run_amend(void)
{
  struct journal_amend amend = {.job.done = on_done,
                                .token = text("locked") ? token : 0,
                                .id = number("id", 0),
                                .price = number("price", JOURNAL_NO_PRICE),
                                .answer = text("answer"),
                                .note = text("note"),
                                .baseline = {text("baseline"), token}};
  journal_amend(store, &amend);
  if (ended(&amend.job)) printf("%s\n", amend.changed ? "changed" : "not changed");
}

static void print_entries(const struct journal_list *list)
{
  for (size_t i = 0; i < list->count; i++) {
    const struct journal_entry *entry = &list->entries[i];
    printf(" %s:%s", entry->key, journal_state_name(entry->state));
    if (entry->price != JOURNAL_NO_PRICE) printf(":%lld", (long long)entry->price);
    if (entry->snapshot) printf(":%s", entry->snapshot);
  }
}

static void run_review(void)
{
  struct journal_review review = {.job.done = on_done,
                                  .account = word("account", "A"),
                                  .within = number("within", 60) * 1000000,
                                  .limit = (int)number("limit", 1000)};
  journal_review(store, &review);
  if (!ended(&review.job)) return;
  printf("open");
  print_entries(&review.open);
  printf("; settled");
  print_entries(&review.settled);
  if (review.baseline)
    printf("; baseline %s of %lld%s", review.baseline, (long long)review.baseline_entry,
           review.baseline_age >= 0 && review.baseline_age < INT64_C(3600000000) ? "" : ", old");
  printf("\n");
  journal_review_free(&review);
}

static void run_find(void)
{
  struct journal_find find = {.job.done = on_done,
                              .account = word("account", "A"),
                              .key = text("key"),
                              .id = number("id", 0)};
  journal_find(store, &find);
  if (!ended(&find.job)) return;
  if (!find.found)
    printf("not found\n");
  else
    printf("%s order=%s answer=%s hash=%s snapshot=%s day=%s\n",
           journal_state_name(find.entry.state), find.entry.order_id ? find.entry.order_id : "",
           find.entry.answer ? find.entry.answer : "", find.entry.params_hash,
           find.entry.snapshot ? find.entry.snapshot : "", find.entry.day);
  journal_entry_free(&find.entry);
}

static void run_list(void)
{
  struct journal_list list = {.job.done = on_done,
                              .account = word("account", "A"),
                              .states = JOURNAL_ALL,
                              .after = number("after", 0),
                              .newest = text("newest"),
                              .prefix = text("prefix"),
                              .after_key = text("after_key"),
                              .orders = text("orders"),
                              .stems = text("stems"),
                              .hide_pruned = text("hide_pruned"),
                              .counts = text("newest"),
                              .limit = (int)number("limit", 100)};
  journal_list(store, &list);
  if (!ended(&list.job)) return;
  printf("entries");
  print_entries(&list);
  if (list.counts) printf(" of %lld", (long long)list.total);
  printf("\n");
  journal_list_free(&list);
}

static void run_prune(void)
{
  struct journal_prune prune = {.job.done = on_done,
                                .account = word("account", "A"),
                                .before = (time(NULL) + number("before", 0)) * INT64_C(1000000)};
  journal_prune(store, &prune);
  if (ended(&prune.job))
    printf("pruned %lld, removed %lld\n", (long long)prune.pruned, (long long)prune.removed);
}

static void run_retire(void)
{
  struct journal_retire retire = {.job.done = on_done,
                                  .account = word("account", "A"),
                                  .orders = text("orders")};
  journal_retire(store, &retire);
  if (ended(&retire.job)) printf("retired\n");
}

static void run_steps(void)
{
  printf("%lld\n", (long long)atomic_exchange(&steps, 0));
}

static const struct {
  const char *name;
  void (*run)(void);
} jobs[] = {{"lock", run_lock},   {"reserve", run_reserve}, {"settle", run_settle},
            {"amend", run_amend}, {"review", run_review},   {"find", run_find},
            {"list", run_list},   {"prune", run_prune},     {"retire", run_retire},
            {"steps", run_steps}};

static void run_line(char *line)
{
  read_words(line);
  for (size_t i = 0; word_count > 0 && i < sizeof jobs / sizeof *jobs; i++)
    if (strcmp(words[0], jobs[i].name) == 0) {
      jobs[i].run();
      fflush(stdout);
      return;
    }
  printf("error unknown job\n");
  fflush(stdout);
}

int main(int argc, char **argv)
{
  char *line = NULL;
  size_t capacity = 0;
  struct error err = ERROR_INIT;
  const char *by = getenv("JOURNAL_CHECK_AHEAD");
  if (by) ahead = (time_t)strtoll(by, NULL, 10);
  loop = loop_open();
  store = argc == 2 && loop ? store_open(loop, argv[1], &err) : NULL;
  if (!store) {
    fprintf(stderr, "usage: journal_check LOCATION\n%s\n", err.message);
    return 2;
  }
  while (getline(&line, &capacity, stdin) > 0) run_line(line);
  free(line);
  store_close(store);
  loop_close(loop);
  return 0;
}
