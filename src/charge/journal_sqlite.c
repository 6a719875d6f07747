/* The journal of charges in SQLite. A job that writes is done when the data is on disk. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/sqlite.h"

static bool out_of_memory(struct error *err)
{
  error_set(err, ERROR_INTERNAL, "out of memory");
  return false;
}

/* A copy of a text column; NULL stays NULL. */
static bool copy_text(sqlite3_stmt *row, int column, char **copy)
{
  const char *text = (const char *)sqlite3_column_text(row, column);
  *copy = text ? strdup(text) : NULL;
  return *copy || sqlite3_column_type(row, column) == SQLITE_NULL;
}

/* Stores under one of its names the account that any of its names has already, or the new one. */
static bool put_name(struct sqlite *sqlite, const struct journal_account *account, const char *name,
                     struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement(sqlite, ACCOUNT_PUT, err);
  if (!statement) return false;
  sqlite_text(statement, 1, name);
  sqlite_text(statement, 2, account->put);
  sqlite3_bind_int64(statement, 3, sqlite_wall_clock());
  sqlite_text(statement, 4, account->key);
  for (int i = 0; i < JOURNAL_ALIASES; i++) sqlite_text(statement, 5 + i, account->aliases[i]);
  return sqlite_run(sqlite, statement, err);
}

static bool put_account(struct sqlite *sqlite, const struct journal_account *account,
                        struct error *err)
{
  if (!sqlite_begin(sqlite, true, err)) return false;
  bool ok = put_name(sqlite, account, account->key, err);
  for (int i = 0; i < JOURNAL_ALIASES; i++)
    if (account->aliases[i]) ok = ok && put_name(sqlite, account, account->aliases[i], err);
  return sqlite_end(sqlite, ok, err);
}

bool sqlite_account(struct store_driver *driver, struct journal_account *account)
{
  struct sqlite *sqlite = (struct sqlite *)driver;
  struct error *err = &account->job.err;
  account->account = NULL;
  if (account->put && !put_account(sqlite, account, err)) return false;
  sqlite3_stmt *statement = sqlite_statement(sqlite, ACCOUNT_GET, err);
  if (!statement) return false;
  sqlite_text(statement, 1, account->key);
  int code = sqlite3_step(statement);
  bool ok = code == SQLITE_DONE || code == SQLITE_ROW || sqlite_fail(sqlite, err);
  if (code == SQLITE_ROW && !copy_text(statement, 0, &account->account)) ok = out_of_memory(err);
  sqlite3_reset(statement);
  return ok;
}

static bool read_entry(struct sqlite *sqlite, sqlite3_stmt *row, struct journal_entry *entry,
                       struct error *err)
{
  *entry = (struct journal_entry){.id = sqlite3_column_int64(row, 0)};
  entry->quote = sqlite3_column_int64(row, 6);
  int64_t state = sqlite3_column_int64(row, 7);
  entry->price =
      sqlite3_column_type(row, 9) == SQLITE_NULL ? JOURNAL_NO_PRICE : sqlite3_column_int64(row, 9);
  entry->pid = sqlite3_column_int64(row, 13);
  entry->started = sqlite3_column_int64(row, 14);
  entry->created_at = sqlite3_column_int64(row, 17);
  entry->updated_at = sqlite3_column_int64(row, 18);
  const char *clock = (const char *)sqlite3_column_text(row, 20);
  bool timed = clock && strcmp(clock, sqlite->driver.clock) == 0;
  entry->since_ended = timed ? loop_clock() - sqlite3_column_int64(row, 21) : JOURNAL_NOT_TIMED;
  entry->pruned = sqlite3_column_int(row, 22);
  clock = (const char *)sqlite3_column_text(row, 23);
  timed = clock && strcmp(clock, sqlite->driver.clock) == 0;
  entry->since_intent = timed ? loop_clock() - sqlite3_column_int64(row, 24) : JOURNAL_NOT_TIMED;
  const char *day = (const char *)sqlite3_column_text(row, 16);
  strncpy(entry->day, day ? day : "", sizeof entry->day - 1);
  entry->state = (enum journal_state)state;
  if (copy_text(row, 1, &entry->account) && copy_text(row, 2, &entry->key) &&
      copy_text(row, 3, &entry->endpoint) && copy_text(row, 4, &entry->params) &&
      copy_text(row, 5, &entry->params_hash) && copy_text(row, 8, &entry->order_id) &&
      copy_text(row, 10, &entry->answer) && copy_text(row, 11, &entry->snapshot) &&
      copy_text(row, 12, &entry->host) && copy_text(row, 15, &entry->run_id) &&
      copy_text(row, 19, &entry->note)) {
    if (state >= 0 && state < JOURNAL_STATES) return true;
    sqlite_damaged(sqlite, err, "an entry of the journal is inconsistent");
  } else
    out_of_memory(err);
  journal_entry_free(entry);
  return false;
}

/* Reads the one row of a bound statement, if there is one. */
static bool read_one(struct sqlite *sqlite, sqlite3_stmt *statement, bool *found,
                     struct journal_entry *entry, struct error *err)
{
  int code = sqlite3_step(statement);
  bool ok = code == SQLITE_DONE || code == SQLITE_ROW || sqlite_fail(sqlite, err);
  *found = code == SQLITE_ROW;
  if (*found) ok = read_entry(sqlite, statement, entry, err);
  sqlite3_reset(statement);
  return ok;
}

static bool find_by_key(struct sqlite *sqlite, const char *account, const char *key, bool *found,
                        struct journal_entry *entry, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement(sqlite, CHARGE_BY_KEY, err);
  if (!statement) return false;
  sqlite_text(statement, 1, account);
  sqlite_text(statement, 2, key);
  return read_one(sqlite, statement, found, entry, err);
}

bool sqlite_find(struct store_driver *driver, struct journal_find *find)
{
  struct sqlite *sqlite = (struct sqlite *)driver;
  struct error *err = &find->job.err;
  find->entry = (struct journal_entry){0};
  if (find->key)
    return find_by_key(sqlite, find->account, find->key, &find->found, &find->entry, err);
  sqlite3_stmt *statement = sqlite_statement(sqlite, CHARGE_BY_ID, err);
  if (!statement) return false;
  sqlite3_bind_int64(statement, 1, find->id);
  return read_one(sqlite, statement, &find->found, &find->entry, err);
}

static bool add_entry(struct sqlite *sqlite, sqlite3_stmt *row, struct journal_list *list,
                      size_t *capacity, struct error *err)
{
  if (list->count == *capacity) {
    size_t more = *capacity ? *capacity * 2 : 16;
    struct journal_entry *entries = realloc(list->entries, more * sizeof *entries);
    if (!entries) return out_of_memory(err);
    list->entries = entries;
    *capacity = more;
  }
  if (!read_entry(sqlite, row, &list->entries[list->count], err)) return false;
  list->count++;
  return true;
}

static bool read_all(struct sqlite *sqlite, sqlite3_stmt *statement, struct journal_list *list,
                     struct error *err)
{
  size_t capacity = 0;
  int code;
  while ((code = sqlite3_step(statement)) == SQLITE_ROW)
    if (!add_entry(sqlite, statement, list, &capacity, err)) return false;
  return code == SQLITE_DONE || sqlite_fail(sqlite, err);
}

static enum statement statement_of(const struct journal_list *list)
{
  if (list->prefix) return CHARGE_LIST_KEYS;
  if (list->orders) return CHARGE_LIST_ORDERS;
  if (list->stems) return CHARGE_LIST_STEMS;
  if ((list->states & ~JOURNAL_OPEN) == 0 && !list->newest) return CHARGE_LIST_OPEN;
  if (list->newest) return CHARGE_LIST_NEWEST;
  return list->account && list->since ? CHARGE_LIST_SINCE : CHARGE_LIST;
}

static bool count_all(struct sqlite *sqlite, struct journal_list *list, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement(sqlite, CHARGE_COUNT, err);
  if (!statement) return false;
  sqlite_text(statement, 2, list->account);
  sqlite3_bind_int64(statement, 3, list->states);
  sqlite3_bind_int(statement, 5, list->hide_pruned);
  bool ok = sqlite3_step(statement) == SQLITE_ROW || sqlite_fail(sqlite, err);
  if (ok) list->total = sqlite3_column_int64(statement, 0);
  sqlite3_reset(statement);
  return ok;
}

static bool read_list(struct sqlite *sqlite, struct journal_list *list, const char *end,
                      struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement(sqlite, statement_of(list), err);
  if (!statement) return false;
  sqlite_text(statement, 2, list->account);
  sqlite3_bind_int64(statement, 3, list->states);
  sqlite3_bind_int(statement, 4, list->limit);
  if (list->prefix) {
    sqlite_text(statement, 1, list->after_key ? list->after_key : list->prefix);
    sqlite_text(statement, 5, end);
  } else if (list->newest) {
    sqlite3_bind_int64(statement, 1, list->after ? list->after : INT64_MAX);
    sqlite3_bind_int(statement, 5, list->hide_pruned);
  } else {
    sqlite3_bind_int64(statement, 1, list->after);
    if (list->orders || list->stems)
      sqlite_text(statement, 5, list->orders ? list->orders : list->stems);
    else
      sqlite3_bind_int64(statement, 5, list->since);
  }
  bool ok = read_all(sqlite, statement, list, err);
  sqlite3_reset(statement);
  return ok && (!list->counts || count_all(sqlite, list, err));
}

bool sqlite_list(struct store_driver *driver, struct journal_list *list)
{
  struct sqlite *sqlite = (struct sqlite *)driver;
  struct error *err = &list->job.err;
  char *end = list->prefix ? journal_prefix_end(list->prefix) : NULL;
  list->entries = NULL;
  list->count = 0;
  bool ok = (end || !list->prefix || out_of_memory(err)) && read_list(sqlite, list, end, err);
  if (!ok) journal_list_free(list);
  free(end);
  return ok;
}

static bool read_day(struct sqlite *sqlite, const char *account, struct journal_day *day,
                     struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement(sqlite, LEDGER_GET, err);
  if (!statement) return false;
  sqlite_text(statement, 1, account);
  int code = sqlite3_step(statement);
  bool ok = code == SQLITE_DONE || code == SQLITE_ROW || sqlite_fail(sqlite, err);
  *day = (struct journal_day){0};
  if (code == SQLITE_ROW) {
    const char *clock = (const char *)sqlite3_column_text(statement, 3);
    day->period = sqlite3_column_int64(statement, 0);
    day->day = sqlite3_column_int64(statement, 1);
    day->time = sqlite3_column_int64(statement, 2);
    strncpy(day->clock, clock ? clock : "", sizeof day->clock - 1);
    day->read_at = sqlite3_column_int64(statement, 4);
  }
  sqlite3_reset(statement);
  return ok;
}

static bool write_day(struct sqlite *sqlite, const char *account, const struct journal_day *day,
                      struct error *err)
{
  char span[32];
  sqlite3_stmt *put = sqlite_statement(sqlite, LEDGER_PUT, err);
  sqlite3_stmt *forget = sqlite_statement(sqlite, SPENT_FORGET, err);
  if (!put || !forget) return false;
  sqlite_text(put, 1, account);
  sqlite3_bind_int64(put, 2, day->period);
  sqlite3_bind_int64(put, 3, day->day);
  sqlite3_bind_int64(put, 4, day->time);
  sqlite_text(put, 5, day->clock);
  sqlite3_bind_int64(put, 6, day->read_at);
  snprintf(span, sizeof span, "day %lld", (long long)day->period - 2);
  sqlite_text(forget, 1, span);
  sqlite_text(forget, 2, account);
  return sqlite_run(sqlite, put, err) && sqlite_run(sqlite, forget, err);
}

static bool read_amount(struct sqlite *sqlite, const char *span, const char *account,
                        const char *purse, int64_t *amount, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement(sqlite, SPENT_GET, err);
  if (!statement) return false;
  sqlite_text(statement, 1, span);
  sqlite_text(statement, 2, account);
  sqlite_text(statement, 3, purse);
  int code = sqlite3_step(statement);
  *amount = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
  sqlite3_reset(statement);
  return code == SQLITE_ROW || code == SQLITE_DONE || sqlite_fail(sqlite, err);
}

static bool read_spent(struct sqlite *sqlite, const struct journal_intend *intend, int64_t period,
                       const char *purse, struct journal_spent *spent, struct error *err)
{
  char run[128], day[32];
  snprintf(run, sizeof run, "run %s", intend->entry.run_id);
  snprintf(day, sizeof day, "day %lld", (long long)period);
  return read_amount(sqlite, run, "", purse, &spent->run, err) &&
         read_amount(sqlite, day, intend->entry.account, purse, &spent->day, err);
}

static bool forget(struct sqlite *sqlite, const struct journal_entry *entry, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement(sqlite, CHARGE_FORGET, err);
  if (!statement) return false;
  sqlite_text(statement, 1, entry->account);
  sqlite_text(statement, 2, entry->key);
  return sqlite_run(sqlite, statement, err);
}

static bool write_intent(struct sqlite *sqlite, struct journal_intend *intend, int64_t now,
                         int64_t period, const char *purse, struct error *err)
{
  const struct journal_entry *entry = &intend->entry;
  sqlite3_stmt *statement = sqlite_statement(sqlite, CHARGE_INSERT, err);
  if (!statement) return false;
  const char *texts[] = {entry->account, entry->key, entry->endpoint, entry->params,
                         entry->params_hash};
  for (int i = 0; i < 5; i++) sqlite_text(statement, i + 1, texts[i]);
  sqlite3_bind_int64(statement, 6, entry->quote);
  sqlite3_bind_int(statement, 7, JOURNAL_INTENT);
  sqlite_text(statement, 8, entry->snapshot);
  sqlite_text(statement, 9, entry->host);
  sqlite3_bind_int64(statement, 10, entry->pid);
  sqlite3_bind_int64(statement, 11, entry->started);
  sqlite_text(statement, 12, entry->run_id);
  sqlite_text(statement, 13, intend->day);
  sqlite3_bind_int64(statement, 14, now);
  sqlite3_bind_int64(statement, 15, period);
  sqlite_text(statement, 16, purse);
  sqlite_text(statement, 17, sqlite->driver.clock);
  sqlite3_bind_int64(statement, 18, loop_clock());
  if (!sqlite_run(sqlite, statement, err)) return false;
  intend->id = sqlite3_last_insert_rowid(sqlite->db);
  return journal_is_new(sqlite->driver.run, intend->id, err);
}

/* To be called inside the transaction. */
static bool decide(struct sqlite *sqlite, struct journal_intend *intend, const char *beginning,
                   struct error *err)
{
  const struct journal_entry *entry = &intend->entry;
  struct journal_now now = {.clock = sqlite->driver.clock,
                            .read_at = loop_clock(),
                            .wall = sqlite_wall_clock(),
                            .server = intend->server_time * 1000000};
  struct journal_day day;
  struct journal_spent all, purse;
  bool found;
  if (!find_by_key(sqlite, entry->account, entry->key, &found, &intend->existing, err))
    return false;
  intend->verdict = JOURNAL_EXISTS;
  if (found && intend->existing.state != JOURNAL_NOT_PLACED) return true;
  if (!read_day(sqlite, entry->account, &day, err)) return false;
  journal_day_advance(&day, &now);
  journal_day_format(day.day, intend->day);
  if (!read_spent(sqlite, intend, day.period, "", &all, err) ||
      !read_spent(sqlite, intend, day.period, beginning, &purse, err))
    return false;
  intend->verdict = JOURNAL_REFUSED;
  if (!journal_allows(intend, &all, &purse)) return true;
  intend->verdict = JOURNAL_RESERVED;
  if (intend->rehearse) return true;
  return (!found || forget(sqlite, entry, err)) && write_day(sqlite, entry->account, &day, err) &&
         write_intent(sqlite, intend, now.wall, day.period, beginning, err);
}

bool sqlite_intend(struct store_driver *driver, struct journal_intend *intend)
{
  struct sqlite *sqlite = (struct sqlite *)driver;
  struct error *err = &intend->job.err;
  char *purse = strndup(intend->entry.key, intend->purse.prefix);
  intend->existing = (struct journal_entry){0};
  bool ok =
      (purse || out_of_memory(err)) && sqlite_begin(sqlite, true, err) &&
      sqlite_end(sqlite,
                 sqlite_hold(sqlite, intend->token, err) && decide(sqlite, intend, purse, err),
                 err);
  if (!ok || intend->verdict != JOURNAL_EXISTS) journal_entry_free(&intend->existing);
  free(purse);
  return ok;
}

static bool keeps_baseline(struct sqlite *sqlite, const struct journal_baseline *baseline)
{
  struct error lost = ERROR_INIT;
  return baseline->text && baseline->token != 0 && sqlite_hold(sqlite, baseline->token, &lost);
}

/* Updates the baseline of an account when an entry changes. */
static bool put_baseline(struct sqlite *sqlite, const char *account, const char *text,
                         int64_t entry, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement(sqlite, text ? BASELINE_PUT : BASELINE_DROP, err);
  if (!statement) return false;
  sqlite_text(statement, 1, account);
  if (text) {
    sqlite_text(statement, 2, text);
    sqlite3_bind_int64(statement, 3, entry);
    sqlite_text(statement, 4, sqlite->driver.clock);
    sqlite3_bind_int64(statement, 5, loop_clock());
  }
  return sqlite_run(sqlite, statement, err);
}

/* Runs an update of one entry; its account goes to `account`, NULL when the entry does not exist.
 */
static bool update_entry(struct sqlite *sqlite, sqlite3_stmt *statement, char **account,
                         struct error *err)
{
  int code = sqlite3_step(statement);
  bool ok = code == SQLITE_DONE || code == SQLITE_ROW || sqlite_fail(sqlite, err);
  *account = NULL;
  if (code == SQLITE_ROW && !copy_text(statement, 0, account)) ok = out_of_memory(err);
  sqlite3_reset(statement);
  return ok;
}

static void bind_price(sqlite3_stmt *statement, int at, int64_t price)
{
  if (price == JOURNAL_NO_PRICE)
    sqlite3_bind_null(statement, at);
  else
    sqlite3_bind_int64(statement, at, price);
}

bool sqlite_settle(struct store_driver *driver, struct journal_settle *settle)
{
  struct sqlite *sqlite = (struct sqlite *)driver;
  struct error *err = &settle->job.err;
  sqlite3_stmt *statement = sqlite_statement(sqlite, CHARGE_SETTLE, err);
  if (!statement || !sqlite_begin(sqlite, true, err)) return false;
  if (!sqlite_hold(sqlite, settle->token, err)) return sqlite_end(sqlite, false, err);
  settle->began_at = loop_clock();
  sqlite3_bind_int64(statement, 1, settle->id);
  sqlite3_bind_int(statement, 2, settle->state);
  sqlite_text(statement, 3, settle->order_id);
  bind_price(statement, 4, settle->price);
  sqlite_text(statement, 5, settle->answer);
  sqlite3_bind_int64(statement, 6, sqlite_wall_clock());
  sqlite3_bind_int64(statement, 7, journal_settles(settle));
  sqlite_text(statement, 8, settle->note);
  bool ends = settle->ends_in != JOURNAL_KEEP_END;
  sqlite_text(statement, 9, ends ? sqlite->driver.clock : NULL);
  if (ends)
    sqlite3_bind_int64(statement, 10, settle->began_at + settle->ends_in);
  else
    sqlite3_bind_null(statement, 10);
  char *account;
  bool ok = update_entry(sqlite, statement, &account, err);
  bool keeps = keeps_baseline(sqlite, &settle->baseline);
  settle->changed = ok && account;
  if (settle->changed && (keeps || settle->state == JOURNAL_SENT))
    ok = put_baseline(sqlite, account, keeps ? settle->baseline.text : NULL, settle->id, err);
  free(account);
  return sqlite_end(sqlite, ok, err);
}

bool sqlite_amend(struct store_driver *driver, struct journal_amend *amend)
{
  struct sqlite *sqlite = (struct sqlite *)driver;
  struct error *err = &amend->job.err;
  sqlite3_stmt *statement = sqlite_statement(sqlite, CHARGE_AMEND, err);
  if (!statement || !sqlite_begin(sqlite, true, err)) return false;
  if (!sqlite_hold(sqlite, amend->token, err)) return sqlite_end(sqlite, false, err);
  sqlite3_bind_int64(statement, 1, amend->id);
  bind_price(statement, 2, amend->price);
  sqlite_text(statement, 3, amend->answer);
  sqlite_text(statement, 4, amend->note);
  sqlite3_bind_int64(statement, 5, sqlite_wall_clock());
  char *account;
  bool ok = update_entry(sqlite, statement, &account, err);
  amend->changed = ok && account;
  if (amend->changed && keeps_baseline(sqlite, &amend->baseline))
    ok = put_baseline(sqlite, account, amend->baseline.text, amend->id, err);
  free(account);
  return sqlite_end(sqlite, ok, err);
}

static bool run_prune(struct sqlite *sqlite, enum statement name, const struct journal_prune *prune,
                      size_t *count, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement(sqlite, name, err);
  if (!statement) return false;
  sqlite_text(statement, 1, prune->account);
  sqlite3_bind_int64(statement, 2, prune->before);
  if (!sqlite_run(sqlite, statement, err)) return false;
  *count = (size_t)sqlite3_changes(sqlite->db);
  return true;
}

static bool forget_runs(struct sqlite *sqlite, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement(sqlite, RUNS_FORGET, err);
  if (!statement) return false;
  sqlite3_bind_int64(statement, 1, sqlite_wall_clock() - JOURNAL_RUN_AGE);
  return sqlite_run(sqlite, statement, err);
}

bool sqlite_prune(struct store_driver *driver, struct journal_prune *prune)
{
  struct sqlite *sqlite = (struct sqlite *)driver;
  struct error *err = &prune->job.err;
  if (!sqlite_begin(sqlite, true, err)) return false;
  bool ok = run_prune(sqlite, CHARGE_PRUNE, prune, &prune->pruned, err) &&
            run_prune(sqlite, CHARGE_REMOVE, prune, &prune->removed, err) &&
            forget_runs(sqlite, err);
  return sqlite_end(sqlite, ok, err);
}

static bool run_retire(struct sqlite *sqlite, const struct journal_retire *retire,
                       struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement(sqlite, CHARGE_RETIRE, err);
  if (!statement) return false;
  sqlite_text(statement, 1, retire->account);
  sqlite_text(statement, 2, retire->orders);
  return sqlite_run(sqlite, statement, err);
}

bool sqlite_retire(struct store_driver *driver, struct journal_retire *retire)
{
  struct sqlite *sqlite = (struct sqlite *)driver;
  struct error *err = &retire->job.err;
  return sqlite_begin(sqlite, true, err) &&
         sqlite_end(sqlite, run_retire(sqlite, retire, err), err);
}

static bool read_open(struct sqlite *sqlite, struct journal_review *review, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement(sqlite, CHARGE_LIST_OPEN, err);
  if (!statement) return false;
  sqlite3_bind_int64(statement, 1, 0);
  sqlite_text(statement, 2, review->account);
  sqlite3_bind_int64(statement, 3, JOURNAL_OPEN);
  sqlite3_bind_int(statement, 4, review->limit);
  sqlite3_bind_int64(statement, 5, 0);
  bool ok = read_all(sqlite, statement, &review->open, err);
  sqlite3_reset(statement);
  return ok;
}

static bool read_settled(struct sqlite *sqlite, struct journal_review *review, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement(sqlite, CHARGE_LIST_SETTLED, err);
  if (!statement) return false;
  sqlite_text(statement, 1, review->account);
  sqlite3_bind_int64(statement, 2, sqlite_wall_clock() - review->within);
  sqlite3_bind_int(statement, 3, JOURNAL_MAX_SETTLED);
  bool ok = read_all(sqlite, statement, &review->settled, err);
  sqlite3_reset(statement);
  return ok;
}

static bool read_baseline(struct sqlite *sqlite, struct journal_review *review, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement(sqlite, BASELINE_GET, err);
  if (!statement) return false;
  sqlite_text(statement, 1, review->account);
  int code = sqlite3_step(statement);
  bool ok = code == SQLITE_DONE || code == SQLITE_ROW || sqlite_fail(sqlite, err);
  if (code == SQLITE_ROW) {
    const char *clock = (const char *)sqlite3_column_text(statement, 2);
    review->baseline_entry = sqlite3_column_int64(statement, 1);
    review->baseline_age = clock && strcmp(clock, sqlite->driver.clock) == 0
                               ? loop_clock() - sqlite3_column_int64(statement, 3)
                               : JOURNAL_NOT_TIMED;
    if (!copy_text(statement, 0, &review->baseline)) ok = out_of_memory(err);
  }
  sqlite3_reset(statement);
  return ok;
}

bool sqlite_review(struct store_driver *driver, struct journal_review *review)
{
  struct sqlite *sqlite = (struct sqlite *)driver;
  struct error *err = &review->job.err, ignored;
  if (!sqlite_execute(sqlite, "BEGIN DEFERRED", err)) return false;
  bool ok = read_open(sqlite, review, err) && read_settled(sqlite, review, err) &&
            read_baseline(sqlite, review, err);
  return sqlite_execute(sqlite, "ROLLBACK", ok ? err : &ignored) && ok;
}
