/* The journal's statements and the jobs that run them. */
#include "charge/journal_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/schema.h"

/* Columns of an entry, in the order of ENTRY. The states 2 and 3 are those that are settled. */
enum {
  ID,
  ACCOUNT,
  KEY,
  ENDPOINT,
  PARAMS,
  PARAMS_HASH,
  QUOTE,
  STATE,
  ORDER_ID,
  PRICE,
  ANSWER,
  SNAPSHOT,
  HOST,
  PID,
  STARTED,
  RUN_ID,
  DAY,
  CREATED_AT,
  UPDATED_AT,
  NOTE,
  PRUNED,
  ENDED_CLOCK,
  SINCE_ENDED,
  INTENT_CLOCK,
  SINCE_INTENT
};
#define ENTRY                                                                                \
  "id, account, key, endpoint, params, params_hash, quote, state, order_id, price, answer, " \
  "snapshot, host, pid, started, run_id, day, created_at, updated_at, note, pruned, "        \
  "ended_clock, " DB_TICK " - ended_at, intent_clock, " DB_TICK " - intent_at"

#define BY(index) DB_EITHER("INDEXED BY " index " ", "")
#define IN_STATES(states) "(1 << state) & " states " != 0"
#define OF_ACCOUNT(account) "(CAST(" account " AS text) IS NULL OR account = " account ")"

static const char put_account[] =
    "INSERT INTO accounts (key, account, updated_at) VALUES ($1, coalesce("
    "(SELECT account FROM accounts WHERE key = $3), (SELECT account FROM accounts WHERE key = $4), "
    "(SELECT account FROM accounts WHERE key = $5), $2), " DB_NOW ") ON CONFLICT (key) DO NOTHING";
static const char get_account[] = "SELECT account FROM accounts WHERE key = $1";

static const char find_key[] = "SELECT " ENTRY " FROM charges WHERE account = $1 AND key = $2";
static const char find_id[] = "SELECT " ENTRY " FROM charges WHERE id = $1";

/* Lists have the parameters of enum list_param. */
enum list_param { FROM, OF, STATES, LIMIT, EXTRA, LIST_PARAMS };
#define WANTED "id > $1 AND " OF_ACCOUNT("$2") " AND " IN_STATES("$3")
#define CHANGED " AND updated_at >= $5 ORDER BY id LIMIT $4"
static const char list_all[] = "SELECT " ENTRY " FROM charges WHERE " WANTED CHANGED;
static const char list_open[] =
    "SELECT " ENTRY " FROM charges " BY("charges_open") "WHERE " WANTED
                                                        " AND state NOT IN (2, 3)" CHANGED;
static const char list_since[] = "SELECT " ENTRY " FROM charges " BY(
    "charges_by_change") "WHERE id > $1 AND account = $2 AND " IN_STATES("$3") CHANGED;
#define SELECTED(account, states, hide) \
  OF_ACCOUNT(account) " AND " IN_STATES(states) " AND (CAST(" hide " AS int) = 0 OR NOT pruned)"
static const char list_newest[] =
    "SELECT " ENTRY
    " FROM charges WHERE id < $1 AND " SELECTED("$2", "$3", "$5") " ORDER BY id DESC LIMIT $4";
static const char count_newest[] = "SELECT count(*) FROM charges WHERE " SELECTED("$1", "$2", "$3");
static const char list_keys[] =
    "SELECT " ENTRY " FROM charges WHERE account = $2 AND key > $1 AND key < $5 AND " IN_STATES(
        "$3") " ORDER BY key LIMIT $4";
/* PostgreSQL sorts by id + 0, or its planner may scan all entries for a few. */
#define SORTED " AND +id > $1 AND " IN_STATES("$3") " ORDER BY id" DB_EITHER("", " + 0") " LIMIT $4"
static const char list_orders[] =
    "SELECT " ENTRY " FROM charges " BY("charges_by_order") "WHERE account = $2 AND state = 2 AND "
    "order_id " DB_IN("$5") SORTED;
/* The entry with the highest number of each stem. */
#define LAST_OF_STEM(condition)                                                           \
  "SELECT (SELECT id FROM charges " BY(                                                   \
      "charges_by_stem") "WHERE account = $2 AND " SCHEMA_STEM " = stem " condition       \
                         " ORDER BY length(key) DESC, key DESC LIMIT 1) FROM " DB_EITHER( \
                             "(SELECT value AS stem FROM json_each($5))",                 \
                             "(SELECT json_array_elements_text($5::json) AS stem)") " AS stems"
static const char list_stems[] =
    "SELECT " ENTRY " FROM charges WHERE id " DB_EITHER("IN (", "= ANY(ARRAY(")
    "SELECT id FROM charges " BY("charges_stock") "WHERE account = $2 AND " SCHEMA_STEM " "
    DB_IN("$5") " AND state = 2 AND endpoint = 'orders.create' AND NOT retired UNION "
    LAST_OF_STEM("AND state = 2") " UNION " LAST_OF_STEM("") DB_EITHER(")", "))") SORTED;

static const char list_settled[] =
    "SELECT " ENTRY " FROM charges " BY("charges_by_change") "WHERE account = $1 AND updated_at >= "
    "(SELECT " DB_NOW ") - $2 AND state IN (2, 3) ORDER BY updated_at DESC LIMIT $3";
static const char get_baseline[] = "SELECT baseline, baseline_entry, baseline_clock, " DB_TICK
                                   " - baseline_at FROM ledgers "
                                   "WHERE account = $1 AND baseline IS NOT NULL";

static const char make_ledger[] =
    "INSERT INTO ledgers (account) VALUES ($1) ON CONFLICT (account) DO NOTHING";
#define LEDGER "SELECT period, day, time, clock, read_at FROM ledgers WHERE account = $1"
static const char lock_ledger[] = LEDGER DB_FOR_UPDATE;
static const char look_at_ledger[] = LEDGER;
static const char put_ledger[] =
    "UPDATE ledgers SET period = $2, day = $3, time = $4, clock = $5, read_at = $6 "
    "WHERE account = $1";
static const char forget_day[] = "DELETE FROM spent WHERE span = $2 AND account = $1";
/* What this run has spent, then what the account has spent in its present period. */
#define AMOUNT DB_EITHER("amount", "least(amount, 9223372036854775807)::int8")
static const char read_spent[] =
    "SELECT account, purse, " AMOUNT
    " FROM spent WHERE span = $1 AND account = '' AND "
    "purse IN ('', $2) UNION ALL SELECT account, purse, " AMOUNT
    " FROM spent WHERE "
    "span = 'day ' || (SELECT period FROM ledgers WHERE account = $3) AND account = $3 AND "
    "purse IN ('', $2)";
/* Sums stop at the largest amount, which exceeds every allowance. */
#define MAX_AMOUNT "9223372036854775807"
static const char add_spent[] =
    "INSERT INTO spent (span, account, purse, amount, updated_at) VALUES ($1, $2, $3, $4, " DB_NOW
    ") ON CONFLICT (span, account, purse) DO UPDATE SET updated_at = excluded.updated_at, "
    "amount = CASE WHEN spent.amount > " MAX_AMOUNT " - excluded.amount THEN " MAX_AMOUNT
    " ELSE spent.amount + excluded.amount END";
static const char last_id[] =
    "SELECT " DB_EITHER("seq FROM sqlite_sequence WHERE name = 'charges'",
                        "CASE WHEN is_called THEN last_value ELSE 0 END FROM charges_id_seq");
static const char is_held[] = "SELECT token FROM locks WHERE token = $1";

static const char forget_entry[] = "DELETE FROM charges WHERE account = $1 AND key = $2";
static const char insert_entry[] =
    "INSERT INTO charges (account, key, endpoint, params, params_hash, quote, state, snapshot, "
    "host, pid, started, run_id, day, period, purse, intent_clock, intent_at, created_at, "
    "updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, "
    "$16, " DB_TICK ", " DB_NOW ", " DB_NOW ") RETURNING id";

/* An entry that may be changed: in one of these states, and the lock is held. */
#define CHANGEABLE "id = $1 AND " IN_STATES("$2") " AND " JOURNAL_HELD("$3")
static const char lock_entry[] = "SELECT id FROM charges WHERE " CHANGEABLE DB_FOR_UPDATE;
static const char settle_entry[] =
    "UPDATE charges SET state = $4, order_id = coalesce($5, order_id), "
    "price = coalesce($6, price), answer = coalesce($7, answer), updated_at = " DB_NOW
    ", note = coalesce($8, note), ended_clock = coalesce($9, ended_clock), "
    "ended_at = coalesce(" DB_TICK
    " + $10, ended_at), snapshot = CASE WHEN $4 IN (2, 3) THEN " SCHEMA_SNAPSHOT_KEPT
    " ELSE snapshot END WHERE " CHANGEABLE;
static const char amend_entry[] =
    "UPDATE charges SET price = coalesce($4, price), answer = coalesce($5, answer), "
    "note = coalesce($6, note), updated_at = " DB_NOW " WHERE " CHANGEABLE;
/* What an entry counts before and after its state ($4) and price ($5) change. */
#define COUNTED "CASE WHEN c.state = 3 THEN 0 ELSE coalesce(c.price, c.quote) END"
#define WILL_COUNT "CASE WHEN $4 = 3 THEN 0 ELSE coalesce($5, c.price, c.quote) END"
static const char correct_spent[] =
    "UPDATE spent SET updated_at = " DB_NOW ", amount = CASE WHEN " WILL_COUNT " > " COUNTED
    " THEN CASE WHEN amount > " MAX_AMOUNT " - (" WILL_COUNT " - " COUNTED ") THEN " MAX_AMOUNT
    " ELSE amount + (" WILL_COUNT " - " COUNTED
    ") END "
    "ELSE amount - (" COUNTED " - " WILL_COUNT ") END FROM charges AS c WHERE " CHANGEABLE
    " AND " WILL_COUNT " != " COUNTED
    " AND spent.span IN ('day ' || c.period, 'run ' || c.run_id) AND "
    "spent.account IN ('', c.account) AND spent.purse IN ('', c.purse)";
static const char put_baseline[] =
    "INSERT INTO ledgers (account, baseline, baseline_entry, baseline_clock, baseline_at) "
    "SELECT account, CAST($4 AS text), id, CAST($5 AS text), " DB_TICK
    " FROM charges WHERE " CHANGEABLE
    " AND EXISTS (SELECT 1 FROM locks WHERE token = $6) ON CONFLICT (account) DO UPDATE "
    "SET baseline = excluded.baseline, baseline_entry = excluded.baseline_entry, "
    "baseline_clock = excluded.baseline_clock, baseline_at = excluded.baseline_at";
static const char drop_baseline[] =
    "UPDATE ledgers SET baseline = NULL WHERE account = (SELECT account FROM charges "
    "WHERE " CHANGEABLE ")";

static const char prune_placed[] =
    "UPDATE charges SET pruned = true, answer = CASE WHEN endpoint = 'orders.extend' THEN answer "
    "ELSE " DB_EITHER("json_object('id', order_id)",
                      "'{\"id\":' || coalesce(to_json(order_id)::text, 'null') || '}'")
    " END, note = NULL, host = NULL, run_id = '', ended_clock = NULL, ended_at = NULL "
    "WHERE account = $1 AND updated_at < $2 AND state = 2 AND NOT pruned";
static const char remove_not_placed[] =
    "DELETE FROM charges WHERE account = $1 AND updated_at < $2 AND state = 3";
static const char forget_runs[] =
    "DELETE FROM spent WHERE substr(span, 1, 4) = 'run ' AND updated_at < " DB_NOW " - $1";
static const char retire_orders[] =
    "UPDATE charges SET retired = true WHERE account = $1 AND state = 2 AND "
    "endpoint = 'orders.create' AND order_id " DB_IN("$2") " AND NOT retired";

static bool out_of_memory(struct error *err)
{
  error_set(err, ERROR_INTERNAL, "out of memory");
  return false;
}

static int64_t since(const struct db_row *row, int clock, int column)
{
  const char *name = db_text(row, clock);
  bool timed = name && strcmp(name, row->driver->clock) == 0 && !db_is_null(row, column);
  return timed ? db_number(row, column) : JOURNAL_NOT_TIMED;
}

static bool read_entry(const struct db_row *row, struct journal_entry *entry, struct error *err)
{
  int64_t state = db_number(row, STATE);
  *entry = (struct journal_entry){
      .id = db_number(row, ID),
      .quote = db_number(row, QUOTE),
      .state = (enum journal_state)state,
      .price = db_is_null(row, PRICE) ? JOURNAL_NO_PRICE : db_number(row, PRICE),
      .pid = db_number(row, PID),
      .started = db_number(row, STARTED),
      .created_at = db_number(row, CREATED_AT),
      .updated_at = db_number(row, UPDATED_AT),
      .pruned = db_number(row, PRUNED),
      .since_ended = since(row, ENDED_CLOCK, SINCE_ENDED),
      .since_intent = since(row, INTENT_CLOCK, SINCE_INTENT),
  };
  const struct {
    int column;
    char **copy;
  } texts[] = {{ACCOUNT, &entry->account},
               {KEY, &entry->key},
               {ENDPOINT, &entry->endpoint},
               {PARAMS, &entry->params},
               {PARAMS_HASH, &entry->params_hash},
               {ORDER_ID, &entry->order_id},
               {ANSWER, &entry->answer},
               {SNAPSHOT, &entry->snapshot},
               {HOST, &entry->host},
               {RUN_ID, &entry->run_id},
               {NOTE, &entry->note}};
  const char *day = db_text(row, DAY);
  strncpy(entry->day, day ? day : "", sizeof entry->day - 1);
  bool ok = true;
  for (size_t i = 0; ok && i < sizeof texts / sizeof *texts; i++)
    ok = db_copy(row, texts[i].column, texts[i].copy, err);
  if (ok && (state < 0 || state >= JOURNAL_STATES))
    ok = db_damaged(row->driver, "an entry of the journal is inconsistent", err);
  if (!ok) journal_entry_free(entry);
  return ok;
}

static bool add_entry(void *arg, const struct db_row *row, struct error *err)
{
  struct journal_list *list = arg;
  if (list->count == 0 || (list->count >= 16 && (list->count & (list->count - 1)) == 0)) {
    size_t capacity = list->count ? 2 * list->count : 16;
    struct journal_entry *entries = realloc(list->entries, capacity * sizeof *entries);
    if (!entries) return out_of_memory(err);
    list->entries = entries;
  }
  if (!read_entry(row, &list->entries[list->count], err)) return false;
  list->count++;
  return true;
}

static bool read_number(void *arg, const struct db_row *row, struct error *err)
{
  (void)err;
  *(int64_t *)arg = db_number(row, 0);
  return true;
}

/* The jobs: a body for db_transact, which sets its results anew, and the function that runs it. */

static bool read_found(void *arg, const struct db_row *row, struct error *err)
{
  struct journal_find *job = arg;
  return job->found = read_entry(row, &job->entry, err);
}

bool journal_read_find(struct store_driver *driver, struct journal_find *job, struct error *err)
{
  journal_entry_free(&job->entry);
  job->found = false;
  if (!job->key) return db_read(driver, find_id, DB_WITH(DB_NUMBER(job->id)), read_found, job, err);
  return db_read(driver, find_key, DB_WITH(DB_TEXT(job->account), DB_TEXT(job->key)), read_found,
                 job, err);
}

static bool find(struct store_driver *driver, void *arg, struct error *err)
{
  return journal_read_find(driver, arg, err);
}

static void work_find(struct store_job *job, struct store_driver *driver)
{
  struct journal_find *find_job = (struct journal_find *)job;
  find_job->entry = (struct journal_entry){0};
  if (!db_transact(driver, DB_READ, find, job, &job->err)) journal_entry_free(&find_job->entry);
}

static const char *statement_of(const struct journal_list *list)
{
  if (list->prefix) return list_keys;
  if (list->orders) return list_orders;
  if (list->stems) return list_stems;
  if (list->newest) return list_newest;
  if ((list->states & ~JOURNAL_OPEN) == 0) return list_open;
  return list->account && list->since ? list_since : list_all;
}

struct listing {
  struct journal_list *list;
  char *end; /* of the keys with a prefix */
};

static bool list(struct store_driver *driver, void *arg, struct error *err)
{
  const struct listing *listing = arg;
  struct journal_list *job = listing->list;
  struct db_value values[LIST_PARAMS] = {
      [FROM] = DB_NUMBER(job->after),    [OF] = DB_TEXT(job->account),
      [STATES] = DB_NUMBER(job->states), [LIMIT] = DB_NUMBER(job->limit),
      [EXTRA] = DB_NUMBER(job->since),
  };
  journal_list_free(job);
  if (job->prefix) {
    values[FROM] = DB_TEXT(job->after_key ? job->after_key : job->prefix);
    values[EXTRA] = DB_TEXT(listing->end);
  } else if (job->orders || job->stems)
    values[EXTRA] = DB_TEXT(job->orders ? job->orders : job->stems);
  else if (job->newest) {
    values[FROM] = DB_NUMBER(job->after ? job->after : INT64_MAX);
    values[EXTRA] = DB_NUMBER(job->hide_pruned);
  }
  return db_read(driver, statement_of(job), values, LIST_PARAMS, add_entry, job, err) &&
         (!job->counts ||
          db_read(driver, count_newest, DB_WITH(values[OF], values[STATES], values[EXTRA]),
                  read_number, &job->total, err));
}

/* The first text after all that begin with a prefix (ASCII, not empty), in the order of bytes. */
static char *end_of_prefix(const char *prefix)
{
  char *end = strdup(prefix);
  if (end) end[strlen(end) - 1]++;
  return end;
}

static void work_list(struct store_job *job, struct store_driver *driver)
{
  struct listing listing = {.list = (struct journal_list *)job};
  listing.list->entries = NULL;
  listing.list->count = 0;
  if (listing.list->prefix) listing.end = end_of_prefix(listing.list->prefix);
  if (listing.list->prefix && !listing.end)
    out_of_memory(&job->err);
  else if (!db_transact(driver, DB_READ, list, &listing, &job->err))
    journal_list_free(listing.list);
  free(listing.end);
}

static bool read_baseline(void *arg, const struct db_row *row, struct error *err)
{
  struct journal_review *job = arg;
  job->baseline_entry = db_number(row, 1);
  job->baseline_age = since(row, 2, 3);
  return db_copy(row, 0, &job->baseline, err);
}

bool journal_read_review(struct store_driver *driver, struct journal_review *job, struct error *err)
{
  const struct db_value open[LIST_PARAMS] = {
      [FROM] = DB_NUMBER(0),
      [OF] = DB_TEXT(job->account),
      [STATES] = DB_NUMBER(JOURNAL_OPEN),
      [LIMIT] = DB_NUMBER(job->limit),
      [EXTRA] = DB_NUMBER(0),
  };
  journal_review_free(job);
  return db_read(driver, list_open, open, LIST_PARAMS, add_entry, &job->open, err) &&
         db_read(driver, list_settled,
                 DB_WITH(DB_TEXT(job->account), DB_NUMBER(job->within),
                         DB_NUMBER(JOURNAL_MAX_SETTLED)),
                 add_entry, &job->settled, err) &&
         db_read(driver, get_baseline, DB_WITH(DB_TEXT(job->account)), read_baseline, job, err);
}

static bool review(struct store_driver *driver, void *arg, struct error *err)
{
  return journal_read_review(driver, arg, err);
}

static void work_review(struct store_job *job, struct store_driver *driver)
{
  struct journal_review *review_job = (struct journal_review *)job;
  review_job->open = review_job->settled = (struct journal_list){0};
  review_job->baseline = NULL;
  if (!db_transact(driver, DB_READ, review, job, &job->err)) journal_review_free(review_job);
}

/* Stores under one of its names the account that any of its names has already, or the new one. */
static bool put_name(struct store_driver *driver, const struct journal_account *job,
                     const char *name, struct error *err)
{
  return db_run(driver, put_account,
                DB_WITH(DB_TEXT(name), DB_TEXT(job->put), DB_TEXT(job->key),
                        DB_TEXT(job->aliases[0]), DB_TEXT(job->aliases[1])),
                NULL, err);
}

static bool read_account(void *arg, const struct db_row *row, struct error *err)
{
  struct journal_account *job = arg;
  return db_copy(row, 0, &job->account, err);
}

static bool account(struct store_driver *driver, void *arg, struct error *err)
{
  struct journal_account *job = arg;
  free(job->account);
  job->account = NULL;
  if (job->put && !put_name(driver, job, job->key, err)) return false;
  for (int i = 0; job->put && i < JOURNAL_ALIASES; i++)
    if (job->aliases[i] && !put_name(driver, job, job->aliases[i], err)) return false;
  return db_read(driver, get_account, DB_WITH(DB_TEXT(job->key)), read_account, job, err);
}

static void work_account(struct store_job *job, struct store_driver *driver)
{
  struct journal_account *account_job = (struct journal_account *)job;
  account_job->account = NULL;
  db_transact(driver, account_job->put ? DB_DURABLE : DB_READ, account, job, &job->err);
}

#define RUN_SPAN 128 /* "run ID" */

struct deciding {
  struct journal_reserve *job;
  struct journal_run *run;
  char *budget; /* beginning of the key, or nothing */
  bool found;   /* the key has an entry */
  int64_t held, last;
  struct db_clock clock;
  struct journal_day day;
  struct journal_spent all, of_budget;
};

static bool read_existing(void *arg, const struct db_row *row, struct error *err)
{
  struct deciding *deciding = arg;
  return deciding->found = read_entry(row, &deciding->job->existing, err);
}

static bool read_day(void *arg, const struct db_row *row, struct error *err)
{
  (void)err;
  struct journal_day *day = arg;
  const char *clock = db_text(row, 3);
  *day = (struct journal_day){.period = db_number(row, 0),
                              .day = db_number(row, 1),
                              .time = db_number(row, 2),
                              .read_at = db_number(row, 4)};
  strncpy(day->clock, clock ? clock : "", sizeof day->clock - 1);
  return true;
}

static bool read_amount(void *arg, const struct db_row *row, struct error *err)
{
  (void)err;
  struct deciding *deciding = arg;
  const char *account = db_text(row, 0), *budget = db_text(row, 1);
  bool of_run = account && !*account, of_all = budget && !*budget;
  int64_t amount = db_number(row, 2);
  if (of_all) *(of_run ? &deciding->all.run : &deciding->all.day) = amount;
  if (budget && strcmp(budget, deciding->budget) == 0)
    *(of_run ? &deciding->of_budget.run : &deciding->of_budget.day) = amount;
  return true;
}

/* Reads what a decision needs; the ledger stays locked until the end. */
static bool gather(struct store_driver *driver, struct deciding *deciding, struct error *err)
{
  const struct journal_reserve *job = deciding->job;
  const struct journal_entry *entry = &job->entry;
  char run[RUN_SPAN];
  const struct db_value of[] = {DB_TEXT(entry->account), DB_TEXT(entry->key)};
  snprintf(run, sizeof run, "run %s", entry->run_id);
  bool ok = job->dry_run ? db_read(driver, is_held, DB_WITH(DB_NUMBER(job->token)), read_number,
                                   &deciding->held, err)
                         : journal_hold(driver, job->token, &deciding->held, err) &&
                               db_run(driver, make_ledger, of, 1, NULL, err);
  return ok &&
         db_read(driver, job->dry_run ? look_at_ledger : lock_ledger, of, 1, read_day,
                 &deciding->day, err) &&
         db_read_clock(driver, &deciding->clock, err) &&
         db_read(driver, find_key, of, 2, read_existing, deciding, err) &&
         db_read(driver, read_spent,
                 DB_WITH(DB_TEXT(run), DB_TEXT(deciding->budget), DB_TEXT(entry->account)),
                 read_amount, deciding, err) &&
         db_read(driver, last_id, NULL, 0, read_number, &deciding->last, err);
}

/* False with a store error when the id of a new entry would show that the store has been rolled
 * back: this process has written it, or a higher one, before. */
static bool is_new(const struct deciding *deciding, struct error *err)
{
  if (deciding->last >= deciding->run->newest) return true;
  error_set(err, ERROR_STORE,
            "the store was set back during this run: entries of its journal are gone; nothing was "
            "bought. Restore the newest copy, or run again to continue with the present one");
  return false;
}

/* In all, and from the budget. */
static bool count_spent(struct store_driver *driver, const struct deciding *deciding,
                        const char *span, const char *account, struct error *err)
{
  const char *budgets[] = {"", deciding->budget};
  int count = *deciding->budget ? 2 : 1;
  for (int i = 0; i < count; i++)
    if (!db_run(driver, add_spent,
                DB_WITH(DB_TEXT(span), DB_TEXT(account), DB_TEXT(budgets[i]),
                        DB_NUMBER(deciding->job->entry.quote)),
                NULL, err))
      return false;
  return true;
}

static bool write_intent(struct store_driver *driver, struct deciding *deciding, struct error *err)
{
  struct journal_reserve *job = deciding->job;
  const struct journal_entry *entry = &job->entry;
  const struct journal_day *day = &deciding->day;
  char old[32], present[32], run[RUN_SPAN];
  snprintf(old, sizeof old, "day %lld", (long long)day->period - 2);
  snprintf(present, sizeof present, "day %lld", (long long)day->period);
  snprintf(run, sizeof run, "run %s", entry->run_id);
  return (!deciding->found ||
          db_run(driver, forget_entry, DB_WITH(DB_TEXT(entry->account), DB_TEXT(entry->key)), NULL,
                 err)) &&
         db_run(driver, put_ledger,
                DB_WITH(DB_TEXT(entry->account), DB_NUMBER(day->period), DB_NUMBER(day->day),
                        DB_NUMBER(day->time), DB_TEXT(day->clock), DB_NUMBER(day->read_at)),
                NULL, err) &&
         db_run(driver, forget_day, DB_WITH(DB_TEXT(entry->account), DB_TEXT(old)), NULL, err) &&
         count_spent(driver, deciding, present, entry->account, err) &&
         count_spent(driver, deciding, run, "", err) &&
         db_read(driver, insert_entry,
                 DB_WITH(DB_TEXT(entry->account), DB_TEXT(entry->key), DB_TEXT(entry->endpoint),
                         DB_TEXT(entry->params), DB_TEXT(entry->params_hash),
                         DB_NUMBER(entry->quote), DB_NUMBER(JOURNAL_INTENT),
                         DB_TEXT(entry->snapshot), DB_TEXT(entry->host), DB_NUMBER(entry->pid),
                         DB_NUMBER(entry->started), DB_TEXT(entry->run_id), DB_TEXT(job->day),
                         DB_NUMBER(day->period), DB_TEXT(deciding->budget), DB_TEXT(driver->clock)),
                 read_number, &job->id, err);
}

static enum journal_decision decide(const struct store_driver *driver, struct deciding *deciding)
{
  struct journal_reserve *job = deciding->job;
  const struct journal_now now = {.clock = driver->clock,
                                  .read_at = deciding->clock.tick,
                                  .wall = deciding->clock.now,
                                  .server = job->server_time * 1000000};
  int64_t period = deciding->day.period;
  if (deciding->found && job->existing.state != JOURNAL_NOT_PLACED) return JOURNAL_EXISTS;
  journal_day_advance(&deciding->day, &now);
  journal_day_format(deciding->day.day, job->day);
  if (deciding->day.period != period) deciding->all.day = deciding->of_budget.day = 0;
  return journal_allows(job, &deciding->all, &deciding->of_budget) ? JOURNAL_RESERVED
                                                                   : JOURNAL_REFUSED;
}

static bool decide_and_write(struct store_driver *driver, void *arg, struct error *err)
{
  struct deciding *deciding = arg;
  struct journal_reserve *job = deciding->job;
  *deciding = (struct deciding){.job = job, .run = deciding->run, .budget = deciding->budget};
  journal_entry_free(&job->existing);
  if (!gather(driver, deciding, err)) return false;
  if (job->dry_run) return true;
  if (!db_sync(driver, err) || !journal_has_lock(driver, job->token, deciding->held, err))
    return false;
  job->decision = decide(driver, deciding);
  return job->decision != JOURNAL_RESERVED ||
         (is_new(deciding, err) && write_intent(driver, deciding, err));
}

static bool decide_only(struct store_driver *driver, struct deciding *deciding, struct error *err)
{
  struct journal_reserve *job = deciding->job;
  if (!db_transact(driver, DB_READ, decide_and_write, deciding, err) ||
      !journal_has_lock(driver, job->token, deciding->held, err))
    return false;
  job->decision = decide(driver, deciding);
  return true;
}

static bool reserve(struct store_driver *driver, struct deciding *deciding, struct error *err)
{
  const struct journal_reserve *job = deciding->job;
  if (!journal_make_room(deciding->run, err) ||
      !db_transact(driver, DB_SHARED, decide_and_write, deciding, err))
    return false;
  if (job->decision == JOURNAL_RESERVED) journal_remember(deciding->run, job->id, job->entry.quote);
  return true;
}

static void work_reserve(struct store_job *job, struct store_driver *driver)
{
  struct journal_reserve *intent = (struct journal_reserve *)job;
  struct deciding deciding = {.job = intent, .run = journal_run(driver, &job->err)};
  intent->existing = (struct journal_entry){0};
  if (!deciding.run || !store_is_same(driver->run, &job->err)) return;
  intent->run_spent = deciding.run->total;
  deciding.budget = strndup(intent->entry.key, intent->budget.prefix);
  bool ok = (deciding.budget || out_of_memory(&job->err)) &&
            (intent->dry_run ? decide_only : reserve)(driver, &deciding, &job->err);
  if (!ok || intent->decision != JOURNAL_EXISTS) journal_entry_free(&intent->existing);
  free(deciding.budget);
}

/* An update of an entry. */
struct update {
  void *job;
  int64_t token, id, held, changed;
  unsigned states; /* in which the entry may be */
};

#define UPDATED(update) \
  DB_NUMBER((update)->id), DB_NUMBER((update)->states), DB_NUMBER((update)->token)

static struct db_value price_of(int64_t price)
{
  return price == JOURNAL_NO_PRICE ? DB_TEXT(NULL) : DB_NUMBER(price);
}

/* What is run up to the update of the entry applies to the same entry in the same state. */
static bool begin_update(struct store_driver *driver, struct update *update,
                         enum journal_state state, int64_t price, struct error *err)
{
  update->changed = 0;
  return journal_hold(driver, update->token, &update->held, err) &&
         db_run(driver, lock_entry, DB_WITH(UPDATED(update)), NULL, err) &&
         db_run(driver, correct_spent, DB_WITH(UPDATED(update), DB_NUMBER(state), price_of(price)),
                NULL, err);
}

static bool keep_baseline(struct store_driver *driver, const struct update *update,
                          const struct journal_baseline *baseline, struct error *err)
{
  return db_run(driver, put_baseline,
                DB_WITH(UPDATED(update), DB_FOREIGN(baseline->text), DB_TEXT(driver->clock),
                        DB_NUMBER(baseline->token)),
                NULL, err);
}

static bool settle(struct store_driver *driver, void *arg, struct error *err)
{
  struct update *update = arg;
  struct journal_settle *job = update->job;
  const struct journal_baseline *baseline = &job->baseline;
  bool ends = job->ends_in != JOURNAL_KEEP_END, ok = true;
  job->began_at = loop_clock();
  if (!begin_update(driver, update, job->state, job->price, err)) return false;
  if (baseline->text && baseline->token != 0)
    ok = keep_baseline(driver, update, baseline, err);
  else if (job->state == JOURNAL_SENT)
    ok = db_run(driver, drop_baseline, DB_WITH(UPDATED(update)), NULL, err);
  ok = ok && db_run(driver, settle_entry,
                    DB_WITH(UPDATED(update), DB_NUMBER(job->state), DB_FOREIGN(job->order_id),
                            price_of(job->price), DB_FOREIGN(job->answer), DB_FOREIGN(job->note),
                            DB_TEXT(ends ? driver->clock : NULL),
                            ends ? DB_NUMBER(job->ends_in) : DB_TEXT(NULL)),
                    &update->changed, err);
  return ok && (!job->releases || journal_release(driver, err));
}

static bool amend(struct store_driver *driver, void *arg, struct error *err)
{
  struct update *update = arg;
  const struct journal_amend *job = update->job;
  const struct journal_baseline *baseline = &job->baseline;
  if (!begin_update(driver, update, JOURNAL_PLACED, job->price, err)) return false;
  if (baseline->text && baseline->token != 0 && !keep_baseline(driver, update, baseline, err))
    return false;
  return db_run(driver, amend_entry,
                DB_WITH(UPDATED(update), price_of(job->price), DB_FOREIGN(job->answer),
                        DB_FOREIGN(job->note)),
                &update->changed, err);
}

/* Returns what this process remembers if the entry was changed. */
static struct journal_run *change(struct store_driver *driver, struct update *update,
                                  bool (*body)(struct store_driver *driver, void *arg,
                                               struct error *err),
                                  struct error *err)
{
  struct journal_run *run = journal_run(driver, err);
  bool ok = run && store_is_same(driver->run, err) &&
            db_transact(driver, DB_DURABLE, body, update, err) &&
            journal_has_lock(driver, update->token, update->held, err);
  return ok && update->changed > 0 ? run : NULL;
}

static void work_settle(struct store_job *job, struct store_driver *driver)
{
  struct journal_settle *settle_job = (struct journal_settle *)job;
  struct update update = {.job = job,
                          .token = settle_job->token,
                          .id = settle_job->id,
                          .states = JOURNAL_OPEN};
  if (settle_job->proven) update.states |= 1U << JOURNAL_NOT_PLACED;
  struct journal_run *run = change(driver, &update, settle, &job->err);
  settle_job->changed = run;
  struct error ignored = ERROR_INIT; /* the kernel gives the claim back when the process ends */
  if (settle_job->releases && job->err.kind == ERROR_NONE) journal_forget_lock(driver, &ignored);
  if (run && settle_job->state == JOURNAL_NOT_PLACED)
    journal_correct(run, settle_job->id, 0);
  else if (run && settle_job->price != JOURNAL_NO_PRICE)
    journal_correct(run, settle_job->id, settle_job->price);
}

static void work_amend(struct store_job *job, struct store_driver *driver)
{
  struct journal_amend *amend_job = (struct journal_amend *)job;
  struct update update = {.job = job,
                          .token = amend_job->token,
                          .id = amend_job->id,
                          .states = 1U << JOURNAL_PLACED};
  struct journal_run *run = change(driver, &update, amend, &job->err);
  amend_job->changed = run;
  if (run && amend_job->price != JOURNAL_NO_PRICE)
    journal_correct(run, amend_job->id, amend_job->price);
}

static bool prune(struct store_driver *driver, void *arg, struct error *err)
{
  struct journal_prune *job = arg;
  const struct db_value before[] = {DB_TEXT(job->account), DB_NUMBER(job->before)};
  job->pruned = job->removed = 0;
  return db_run(driver, prune_placed, before, 2, &job->pruned, err) &&
         db_run(driver, remove_not_placed, before, 2, &job->removed, err) &&
         db_run(driver, forget_runs, DB_WITH(DB_NUMBER(JOURNAL_RUN_AGE)), NULL, err);
}

static void work_prune(struct store_job *job, struct store_driver *driver)
{
  if (store_is_same(driver->run, &job->err)) db_transact(driver, DB_DURABLE, prune, job, &job->err);
}

static bool retire(struct store_driver *driver, void *arg, struct error *err)
{
  const struct journal_retire *job = arg;
  return db_run(driver, retire_orders, DB_WITH(DB_TEXT(job->account), DB_TEXT(job->orders)), NULL,
                err);
}

static void work_retire(struct store_job *job, struct store_driver *driver)
{
  if (store_is_same(driver->run, &job->err))
    db_transact(driver, DB_DURABLE, retire, job, &job->err);
}

static void submit(struct store *store, struct store_job *job,
                   void (*work)(struct store_job *job, struct store_driver *driver))
{
  job->work = work;
  store_submit(store, job);
}

void journal_account(struct store *store, struct journal_account *job)
{
  submit(store, &job->job, work_account);
}

void journal_find(struct store *store, struct journal_find *job)
{
  submit(store, &job->job, work_find);
}

void journal_list(struct store *store, struct journal_list *job)
{
  submit(store, &job->job, work_list);
}

void journal_reserve(struct store *store, struct journal_reserve *job)
{
  submit(store, &job->job, work_reserve);
}

void journal_settle(struct store *store, struct journal_settle *job)
{
  submit(store, &job->job, work_settle);
}

void journal_amend(struct store *store, struct journal_amend *job)
{
  submit(store, &job->job, work_amend);
}

void journal_review(struct store *store, struct journal_review *job)
{
  submit(store, &job->job, work_review);
}

void journal_prune(struct store *store, struct journal_prune *job)
{
  submit(store, &job->job, work_prune);
}

void journal_retire(struct store *store, struct journal_retire *job)
{
  submit(store, &job->job, work_retire);
}
