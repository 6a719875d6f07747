/* The journal of charges in PostgreSQL. A job that writes is done when the data is on the server's
 * disk. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "store/postgres.h"

#define TEXT(text)  \
  {                 \
    .value = (text) \
  }

struct digits {
  char text[24];
};

static const char *in_digits(struct digits *digits, int64_t number)
{
  snprintf(digits->text, sizeof digits->text, "%lld", (long long)number);
  return digits->text;
}

static bool out_of_memory(struct error *err)
{
  error_set(err, ERROR_INTERNAL, "out of memory");
  return false;
}

struct row {
  struct postgres *pg;
  const PGresult *result;
  int index;
  int first; /* column of the row that is number 0 */
};

static const char *text_of(const struct row *row, int column)
{
  column += row->first;
  if (row->pg->lib.PQgetisnull(row->result, row->index, column)) return NULL;
  return row->pg->lib.PQgetvalue(row->result, row->index, column);
}

static int64_t number_of(const struct row *row, int column)
{
  const char *text = text_of(row, column);
  return text ? strtoll(text, NULL, 10) : 0;
}

/* NULL stays NULL. */
static bool copy_text(const struct row *row, int column, char **copy)
{
  const char *text = text_of(row, column);
  *copy = text ? strdup(text) : NULL;
  return *copy || !text;
}

/* The columns are those of CHARGE_READ. */
static bool read_entry(const struct row *row, struct journal_entry *entry, struct error *err)
{
  *entry = (struct journal_entry){.id = number_of(row, 0)};
  int64_t state = number_of(row, 7);
  entry->quote = number_of(row, 6);
  entry->price = text_of(row, 9) ? number_of(row, 9) : JOURNAL_NO_PRICE;
  entry->pid = number_of(row, 13);
  entry->started = number_of(row, 14);
  entry->created_at = number_of(row, 17);
  entry->updated_at = number_of(row, 18);
  entry->state = (enum journal_state)state;
  const char *clock = text_of(row, 20);
  bool timed = clock && strcmp(clock, row->pg->driver.clock) == 0 && text_of(row, 22);
  entry->since_ended = timed ? number_of(row, 22) : JOURNAL_NOT_TIMED;
  entry->pruned = text_of(row, 23) && text_of(row, 23)[0] == 't';
  entry->since_intent = number_of(row, 24);
  strncpy(entry->day, text_of(row, 16) ? text_of(row, 16) : "", sizeof entry->day - 1);
  if (copy_text(row, 1, &entry->account) && copy_text(row, 2, &entry->key) &&
      copy_text(row, 3, &entry->endpoint) && copy_text(row, 4, &entry->params) &&
      copy_text(row, 5, &entry->params_hash) && copy_text(row, 8, &entry->order_id) &&
      copy_text(row, 10, &entry->answer) && copy_text(row, 11, &entry->snapshot) &&
      copy_text(row, 12, &entry->host) && copy_text(row, 15, &entry->run_id) &&
      copy_text(row, 19, &entry->note)) {
    if (state >= 0 && state < JOURNAL_STATES) return true;
    postgres_damaged(row->pg, err, "an entry of the journal is inconsistent");
  } else
    out_of_memory(err);
  journal_entry_free(entry);
  return false;
}

/* The one row of the result, if there is one. */
static bool read_one(struct postgres *pg, enum postgres_statement name,
                     const struct postgres_param *params, bool *found, struct journal_entry *entry,
                     struct error *err)
{
  struct row row = {.pg = pg};
  PGresult *result = postgres_run(pg, name, params, false, err);
  if (!result) return false;
  row.result = result;
  *found = pg->lib.PQntuples(result) > 0;
  bool ok = !*found || read_entry(&row, entry, err);
  pg->lib.PQclear(result);
  return ok;
}

static bool find(struct postgres *pg, void *arg, struct error *err)
{
  struct journal_find *job = arg;
  struct digits id;
  const struct postgres_param by_key[] = {TEXT(job->account), TEXT(job->key)},
                              by_id[] = {TEXT(in_digits(&id, job->id))};
  return read_one(pg, job->key ? PG_CHARGE_BY_KEY : PG_CHARGE_BY_ID, job->key ? by_key : by_id,
                  &job->found, &job->entry, err);
}

bool postgres_find(struct store_driver *driver, struct journal_find *job)
{
  job->entry = (struct journal_entry){0};
  return postgres_read((struct postgres *)driver, find, job, &job->job.err);
}

static bool read_all(struct postgres *pg, const PGresult *result, struct journal_list *job,
                     struct error *err)
{
  int count = pg->lib.PQntuples(result);
  struct row row = {.pg = pg, .result = result};
  job->entries = count > 0 ? calloc((size_t)count, sizeof *job->entries) : NULL;
  if (count > 0 && !job->entries) return out_of_memory(err);
  for (; row.index < count; row.index++, job->count++)
    if (!read_entry(&row, &job->entries[job->count], err)) return false;
  return true;
}

/* In the order of ids. */
static PGresult *list_by_id(struct postgres *pg, const struct journal_list *job, struct error *err)
{
  enum postgres_statement name = job->orders                          ? PG_CHARGE_LIST_ORDERS
                                 : job->stems                         ? PG_CHARGE_LIST_STEMS
                                 : (job->states & ~JOURNAL_OPEN) == 0 ? PG_CHARGE_LIST_OPEN
                                                                      : PG_CHARGE_LIST;
  const char *wanted = job->orders ? job->orders : job->stems;
  struct digits after, states, limit, since;
  const struct postgres_param params[] = {TEXT(in_digits(&after, job->after)), TEXT(job->account),
                                          TEXT(in_digits(&states, job->states)),
                                          TEXT(in_digits(&limit, job->limit)),
                                          TEXT(wanted ? wanted : in_digits(&since, job->since))};
  return postgres_run(pg, name, params, false, err);
}

static PGresult *list_newest(struct postgres *pg, const struct journal_list *job, struct error *err)
{
  struct digits after, states, limit;
  const struct postgres_param params[] = {TEXT(job->account), TEXT(in_digits(&states, job->states)),
                                          TEXT(job->hide_pruned ? "true" : "false"),
                                          TEXT(in_digits(&after,
                                                         job->after ? job->after : INT64_MAX)),
                                          TEXT(in_digits(&limit, job->limit))};
  return postgres_run(pg, PG_CHARGE_LIST_NEWEST, params, false, err);
}

static PGresult *list_keys(struct postgres *pg, const struct journal_list *job, struct error *err)
{
  struct digits states, limit;
  char *end = journal_prefix_end(job->prefix);
  const struct postgres_param params[] = {TEXT(job->account), TEXT(in_digits(&states, job->states)),
                                          TEXT(job->after_key ? job->after_key : job->prefix),
                                          TEXT(end), TEXT(in_digits(&limit, job->limit))};
  PGresult *result = NULL;
  if (end)
    result = postgres_run(pg, PG_CHARGE_LIST_KEYS, params, false, err);
  else
    out_of_memory(err);
  free(end);
  return result;
}

static bool count_all(struct postgres *pg, struct journal_list *job, struct error *err)
{
  struct digits states;
  const struct postgres_param params[] = {TEXT(job->account), TEXT(in_digits(&states, job->states)),
                                          TEXT(job->hide_pruned ? "true" : "false")};
  PGresult *result = postgres_run(pg, PG_CHARGE_COUNT, params, false, err);
  if (!result) return false;
  struct row row = {.pg = pg, .result = result};
  job->total = number_of(&row, 0);
  pg->lib.PQclear(result);
  return true;
}

static bool list(struct postgres *pg, void *arg, struct error *err)
{
  struct journal_list *job = arg;
  PGresult *result = job->prefix   ? list_keys(pg, job, err)
                     : job->newest ? list_newest(pg, job, err)
                                   : list_by_id(pg, job, err);
  if (!result) return false;
  bool ok = read_all(pg, result, job, err) && (!job->counts || count_all(pg, job, err));
  if (!ok) journal_list_free(job);
  pg->lib.PQclear(result);
  return ok;
}

bool postgres_list(struct store_driver *driver, struct journal_list *job)
{
  job->entries = NULL;
  job->count = 0;
  return postgres_read((struct postgres *)driver, list, job, &job->job.err);
}

/* Stores under one of its names the account that any of its names has already, or the new one. */
static bool put_name(struct postgres *pg, const struct journal_account *job, const char *name,
                     struct error *err)
{
  const struct postgres_param params[] = {TEXT(name), TEXT(job->put), TEXT(job->key),
                                          TEXT(job->aliases[0]), TEXT(job->aliases[1])};
  return postgres_do(pg, PG_ACCOUNT_PUT, params, NULL, err);
}

static bool put_account(struct postgres *pg, void *arg, struct error *err)
{
  const struct journal_account *job = arg;
  bool ok = put_name(pg, job, job->key, err);
  for (int i = 0; i < JOURNAL_ALIASES; i++)
    if (job->aliases[i]) ok = ok && put_name(pg, job, job->aliases[i], err);
  return ok;
}

static bool get_account(struct postgres *pg, void *arg, struct error *err)
{
  struct journal_account *job = arg;
  const struct postgres_param params[] = {TEXT(job->key)};
  PGresult *result = postgres_run(pg, PG_ACCOUNT_GET, params, false, err);
  if (!result) return false;
  struct row row = {.pg = pg, .result = result};
  bool ok =
      pg->lib.PQntuples(result) == 0 || copy_text(&row, 0, &job->account) || out_of_memory(err);
  pg->lib.PQclear(result);
  return ok;
}

bool postgres_account(struct store_driver *driver, struct journal_account *job)
{
  struct postgres *pg = (struct postgres *)driver;
  job->account = NULL;
  return (!job->put || postgres_transact(pg, put_account, job, &job->job.err)) &&
         postgres_read(pg, get_account, job, &job->job.err);
}

/* Locks the row unless nothing will be written. */
static bool read_day(struct postgres *pg, const struct journal_intend *job, struct journal_day *day,
                     struct journal_now *now, struct error *err)
{
  const struct postgres_param params[] = {TEXT(job->entry.account)};
  if (!job->rehearse && !postgres_ahead(pg, PG_LEDGER_MAKE, params, err)) return false;
  PGresult *result =
      postgres_run(pg, job->rehearse ? PG_LEDGER_LOOK : PG_LEDGER_LOCK, params, false, err);
  if (!result) return false;
  struct row row = {.pg = pg, .result = result};
  bool found = pg->lib.PQntuples(result) > 0;
  *day = (struct journal_day){0};
  if (found) {
    day->period = number_of(&row, 0);
    day->day = number_of(&row, 1);
    day->time = number_of(&row, 2);
    strncpy(day->clock, text_of(&row, 3) ? text_of(&row, 3) : "", sizeof day->clock - 1);
    day->read_at = number_of(&row, 4);
    *now = (struct journal_now){.clock = pg->driver.clock,
                                .read_at = number_of(&row, 5),
                                .wall = number_of(&row, 5),
                                .server = job->server_time * 1000000};
  }
  pg->lib.PQclear(result);
  return found || postgres_damaged(pg, err, "a row of the sums of spending is missing");
}

static bool write_day(struct postgres *pg, const char *account, const struct journal_day *day,
                      struct error *err)
{
  struct digits period, number, time, read_at, old;
  const struct postgres_param put[] = {TEXT(account),
                                       TEXT(in_digits(&period, day->period)),
                                       TEXT(in_digits(&number, day->day)),
                                       TEXT(in_digits(&time, day->time)),
                                       TEXT(day->clock),
                                       TEXT(in_digits(&read_at, day->read_at))};
  const struct postgres_param forget[] = {TEXT(account), TEXT(in_digits(&old, day->period - 2))};
  return postgres_ahead(pg, PG_LEDGER_PUT, put, err) &&
         postgres_ahead(pg, PG_SPENT_FORGET, forget, err);
}

/* A sum that would overflow becomes the largest number, which exceeds any allowance. */
static bool read_spent(struct postgres *pg, const struct journal_intend *job, int64_t period,
                       const char *beginning, struct journal_spent *all,
                       struct journal_spent *purse, struct error *err)
{
  struct digits day;
  const struct postgres_param params[] = {TEXT(job->entry.run_id), TEXT(in_digits(&day, period)),
                                          TEXT(job->entry.account), TEXT(beginning)};
  PGresult *result = postgres_run(pg, PG_SPENT, params, false, err);
  if (!result) return false;
  struct row row = {.pg = pg, .result = result};
  *all = (struct journal_spent){.run = number_of(&row, 0), .day = number_of(&row, 1)};
  *purse = (struct journal_spent){.run = number_of(&row, 2), .day = number_of(&row, 3)};
  pg->lib.PQclear(result);
  return true;
}

static bool write_intent(struct postgres *pg, struct journal_intend *job, int64_t period,
                         const char *purse, struct error *err)
{
  const struct journal_entry *entry = &job->entry;
  struct digits quote, state, pid, started, number;
  const struct postgres_param params[] = {
      TEXT(entry->account),
      TEXT(entry->key),
      TEXT(entry->endpoint),
      TEXT(entry->params),
      TEXT(entry->params_hash),
      TEXT(in_digits(&quote, entry->quote)),
      TEXT(in_digits(&state, JOURNAL_INTENT)),
      TEXT(entry->snapshot),
      TEXT(entry->host),
      TEXT(in_digits(&pid, entry->pid)),
      TEXT(in_digits(&started, entry->started)),
      TEXT(entry->run_id),
      TEXT(job->day),
      TEXT(in_digits(&number, period)),
      TEXT(purse),
  };
  PGresult *result = postgres_run(pg, PG_CHARGE_INSERT, params, false, err);
  if (!result) return false;
  struct row row = {.pg = pg, .result = result};
  job->id = number_of(&row, 0);
  pg->lib.PQclear(result);
  return journal_is_new(pg->driver.run, job->id, err);
}

struct intending {
  struct journal_intend *job;
  const char *purse; /* beginning of the key, or nothing */
};

static bool intend(struct postgres *pg, void *arg, struct error *err)
{
  const struct intending *intending = arg;
  struct journal_intend *job = intending->job;
  const struct postgres_param key[] = {TEXT(job->entry.account), TEXT(job->entry.key)};
  struct journal_now now;
  struct journal_day day;
  struct journal_spent all, purse;
  bool found;
  journal_entry_free(&job->existing);
  if (!postgres_hold(pg, job->token, err) || !read_day(pg, job, &day, &now, err) ||
      !read_one(pg, PG_CHARGE_BY_KEY, key, &found, &job->existing, err))
    return false;
  job->verdict = JOURNAL_EXISTS;
  if (found && job->existing.state != JOURNAL_NOT_PLACED) return true;
  journal_day_advance(&day, &now);
  journal_day_format(day.day, job->day);
  if (!read_spent(pg, job, day.period, intending->purse, &all, &purse, err)) return false;
  job->verdict = JOURNAL_REFUSED;
  if (!journal_allows(job, &all, &purse)) return true;
  job->verdict = JOURNAL_RESERVED;
  if (job->rehearse) return true;
  return (!found || postgres_ahead(pg, PG_CHARGE_FORGET, key, err)) &&
         write_day(pg, job->entry.account, &day, err) &&
         write_intent(pg, job, day.period, intending->purse, err);
}

bool postgres_intend(struct store_driver *driver, struct journal_intend *job)
{
  char *purse = strndup(job->entry.key, job->purse.prefix);
  struct intending intending = {.job = job, .purse = purse};
  job->existing = (struct journal_entry){0};
  bool ok = (purse || out_of_memory(&job->job.err)) &&
            postgres_transact((struct postgres *)driver, intend, &intending, &job->job.err);
  if (!ok || job->verdict != JOURNAL_EXISTS) journal_entry_free(&job->existing);
  free(purse);
  return ok;
}

/* An update of an entry, with its texts made valid for the database: a response may have any bytes.
 */
struct settling {
  struct journal_settle *settle;
  struct journal_amend *amend;
  struct buffer order_id, answer, note, baseline;
};

static bool clean(struct buffer *clean, const char *text, struct error *err)
{
  return !text || buffer_add_utf8(clean, text, strlen(text)) || out_of_memory(err);
}

static const char *cleaned(const struct buffer *clean, const char *text)
{
  return text && clean->data ? clean->data : text;
}

/* A parameter of KEEP_BASELINE. */
static const char *baseline_text(const struct settling *settling,
                                 const struct journal_baseline *baseline, bool drops)
{
  if (baseline->text && *baseline->text && baseline->token != 0)
    return cleaned(&settling->baseline, baseline->text);
  return drops ? "" : NULL;
}

static bool settle(struct postgres *pg, void *arg, struct error *err)
{
  const struct settling *settling = arg;
  struct journal_settle *job = settling->settle;
  struct digits id, state, price, open, ends_in, token;
  bool ends = job->ends_in != JOURNAL_KEEP_END;
  const struct postgres_param params[] = {
      TEXT(in_digits(&id, job->id)),
      TEXT(in_digits(&state, job->state)),
      TEXT(cleaned(&settling->order_id, job->order_id)),
      TEXT(job->price == JOURNAL_NO_PRICE ? NULL : in_digits(&price, job->price)),
      TEXT(cleaned(&settling->answer, job->answer)),
      TEXT(in_digits(&open, journal_settles(job))),
      TEXT(cleaned(&settling->note, job->note)),
      TEXT(ends ? pg->driver.clock : NULL),
      TEXT(ends ? in_digits(&ends_in, job->ends_in) : NULL),
      TEXT(baseline_text(settling, &job->baseline, job->state == JOURNAL_SENT)),
      TEXT(pg->driver.clock),
      TEXT(in_digits(&token, job->baseline.token)),
  };
  int rows;
  job->began_at = loop_clock();
  if (!postgres_hold(pg, job->token, err) || !postgres_do(pg, PG_CHARGE_SETTLE, params, &rows, err))
    return false;
  job->changed = rows > 0;
  return true;
}

static bool amend(struct postgres *pg, void *arg, struct error *err)
{
  const struct settling *settling = arg;
  struct journal_amend *job = settling->amend;
  struct digits id, price, token;
  const struct postgres_param params[] = {
      TEXT(in_digits(&id, job->id)),
      TEXT(job->price == JOURNAL_NO_PRICE ? NULL : in_digits(&price, job->price)),
      TEXT(cleaned(&settling->answer, job->answer)),
      TEXT(cleaned(&settling->note, job->note)),
      TEXT(baseline_text(settling, &job->baseline, false)),
      TEXT(pg->driver.clock),
      TEXT(in_digits(&token, job->baseline.token)),
  };
  int rows;
  if (!postgres_hold(pg, job->token, err) || !postgres_do(pg, PG_CHARGE_AMEND, params, &rows, err))
    return false;
  job->changed = rows > 0;
  return true;
}

static void free_texts(struct settling *settling)
{
  buffer_free(&settling->order_id);
  buffer_free(&settling->answer);
  buffer_free(&settling->note);
  buffer_free(&settling->baseline);
}

bool postgres_settle(struct store_driver *driver, struct journal_settle *job)
{
  struct settling settling = {.settle = job};
  struct error *err = &job->job.err;
  bool ok = clean(&settling.order_id, job->order_id, err) &&
            clean(&settling.answer, job->answer, err) && clean(&settling.note, job->note, err) &&
            clean(&settling.baseline, job->baseline.text, err) &&
            postgres_transact((struct postgres *)driver, settle, &settling, err);
  free_texts(&settling);
  return ok;
}

bool postgres_amend(struct store_driver *driver, struct journal_amend *job)
{
  struct settling settling = {.amend = job};
  struct error *err = &job->job.err;
  bool ok = clean(&settling.answer, job->answer, err) && clean(&settling.note, job->note, err) &&
            clean(&settling.baseline, job->baseline.text, err) &&
            postgres_transact((struct postgres *)driver, amend, &settling, err);
  free_texts(&settling);
  return ok;
}

static bool prune(struct postgres *pg, void *arg, struct error *err)
{
  struct journal_prune *job = arg;
  struct digits before, age;
  const struct postgres_param params[] = {TEXT(job->account),
                                          TEXT(in_digits(&before, job->before))};
  const struct postgres_param runs[] = {TEXT(in_digits(&age, JOURNAL_RUN_AGE))};
  int pruned, removed;
  if (!postgres_do(pg, PG_CHARGE_PRUNE, params, &pruned, err) ||
      !postgres_do(pg, PG_CHARGE_REMOVE, params, &removed, err) ||
      !postgres_do(pg, PG_RUNS_FORGET, runs, NULL, err))
    return false;
  job->pruned = (size_t)pruned;
  job->removed = (size_t)removed;
  return true;
}

bool postgres_prune(struct store_driver *driver, struct journal_prune *job)
{
  return postgres_transact((struct postgres *)driver, prune, job, &job->job.err);
}

static bool retire(struct postgres *pg, void *arg, struct error *err)
{
  const struct journal_retire *job = arg;
  const struct postgres_param params[] = {TEXT(job->account), TEXT(job->orders)};
  return postgres_do(pg, PG_CHARGE_RETIRE, params, NULL, err);
}

bool postgres_retire(struct store_driver *driver, struct journal_retire *job)
{
  return postgres_transact((struct postgres *)driver, retire, job, &job->job.err);
}

/* The rows of one part of PG_REVIEW, from `*at` on. */
static bool read_part(struct row *row, struct journal_list *list, int part, struct error *err)
{
  int rows = row->pg->lib.PQntuples(row->result), first = row->index;
  while (row->index < rows && number_of(row, 0) == part) row->index++;
  int count = row->index - first;
  list->entries = count > 0 ? calloc((size_t)count, sizeof *list->entries) : NULL;
  if (count > 0 && !list->entries) return out_of_memory(err);
  row->first = 1;
  for (row->index = first; row->index < first + count; row->index++) {
    if (!read_entry(row, &list->entries[list->count], err)) return false;
    list->count++;
  }
  row->first = 0;
  return true;
}

static bool review(struct postgres *pg, void *arg, struct error *err)
{
  struct journal_review *job = arg;
  struct digits limit, within, most;
  const struct postgres_param params[] = {TEXT(job->account), TEXT(in_digits(&limit, job->limit)),
                                          TEXT(in_digits(&within, job->within)),
                                          TEXT(in_digits(&most, JOURNAL_MAX_SETTLED))};
  journal_review_free(job);
  PGresult *result = postgres_run(pg, PG_REVIEW, params, false, err);
  if (!result) return false;
  struct row row = {.pg = pg, .result = result};
  bool ok = read_part(&row, &job->open, 0, err) && read_part(&row, &job->settled, 1, err);
  if (ok && row.index < pg->lib.PQntuples(result)) {
    const char *clock = text_of(&row, 21);
    job->baseline_entry = number_of(&row, 1);
    job->baseline_age =
        clock && strcmp(clock, pg->driver.clock) == 0 ? number_of(&row, 23) : JOURNAL_NOT_TIMED;
    ok = copy_text(&row, 12, &job->baseline) || out_of_memory(err);
  }
  pg->lib.PQclear(result);
  return ok;
}

bool postgres_review(struct store_driver *driver, struct journal_review *job)
{
  return postgres_read((struct postgres *)driver, review, job, &job->job.err);
}
