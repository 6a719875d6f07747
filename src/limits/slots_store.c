#include "limits/slots_store.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/driver.h"

#define COLUMNS \
  "key, clock, seen_at, paused_until, probe_until, paced_until, next_at, slots, slowed"
enum { KEY, CLOCK, SEEN_AT, PAUSED_UNTIL, PROBE_UNTIL, PACED_UNTIL, NEXT_AT, SLOTS, SLOWED };

/* Rows are locked in the order of their keys, which prevents deadlocks. */
static const char load_scopes[] =
    "SELECT " COLUMNS " FROM scopes WHERE key IN ($1, $2) ORDER BY key" DB_FOR_UPDATE;
static const char look_at_scopes[] = "SELECT " COLUMNS " FROM scopes WHERE key IN ($1, $2)";
static const char make_scope[] =
    "INSERT INTO scopes (" COLUMNS
    ") VALUES ($1, '', 0, 0, 0, 0, 0, " DB_EITHER("x''", "''") ", 0) ON CONFLICT (key) DO NOTHING";
static const char save_scope[] =
    "UPDATE scopes SET clock = $2, seen_at = $3, paused_until = $4, probe_until = $5, "
    "paced_until = $6, next_at = $7, slots = $8, slowed = $9 WHERE key = $1";

struct visit {
  struct store_driver *driver;
  struct slots_job *job;
  bool writes;
  char keys[SLOTS_SCOPES][80];
  bool found[SLOTS_SCOPES];
  struct slots_state states[SLOTS_SCOPES];
  struct db_clock clock;
};

static bool wants(const struct visit *visit, int scope)
{
  return visit->job->scopes >> scope & 1;
}

static bool reserve(struct slots_state *state, int count, struct error *err)
{
  if (slots_reserve(state, count)) return true;
  error_set(err, ERROR_INTERNAL, "out of memory");
  return false;
}

static bool read_state(struct store_driver *driver, const struct db_row *row,
                       struct slots_state *state, struct error *err)
{
  size_t size;
  const void *bytes = db_bytes(row, SLOTS, &size);
  const char *clock = db_text(row, CLOCK);
  if (!clock || strlen(clock) >= sizeof state->clock || size % 8 || size / 8 > SLOTS_MAX)
    return db_damaged(driver, "its rate-limit slots are inconsistent", err);
  int count = (int)(size / 8);
  if (!reserve(state, count, err)) return false;
  strcpy(state->clock, clock);
  state->seen_at = db_number(row, SEEN_AT);
  state->paused_until = db_number(row, PAUSED_UNTIL);
  state->probe_until = db_number(row, PROBE_UNTIL);
  state->paced_until = db_number(row, PACED_UNTIL);
  state->next_at = db_number(row, NEXT_AT);
  state->slowed = (int)db_number(row, SLOWED);
  state->count = count;
  if (count > 0) memcpy(state->ended_at, bytes, size);
  for (int i = 0; i < count; i++)
    state->ended_at[i] = (int64_t)le64toh((uint64_t)state->ended_at[i]);
  return true;
}

static bool read_scope(void *arg, const struct db_row *row, struct error *err)
{
  struct visit *visit = arg;
  const char *key = db_text(row, KEY);
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    if (!key || strcmp(key, visit->keys[i]) != 0) continue;
    visit->found[i] = true;
    if (!read_state(visit->driver, row, &visit->states[i], err)) return false;
  }
  return true;
}

/* A scope without a row has never been used. The time is read while the rows are locked: a later
 * commit has a later time. */
static bool load(struct store_driver *driver, struct visit *visit, struct error *err)
{
  struct db_value keys[SLOTS_SCOPES];
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    keys[i] = DB_TEXT(wants(visit, i) ? visit->keys[i] : NULL);
    slots_clear(&visit->states[i]);
    visit->found[i] = false;
  }
  visit->driver = driver;
  visit->job->asked_at = loop_clock();
  return db_read(driver, visit->writes ? load_scopes : look_at_scopes, keys, SLOTS_SCOPES,
                 read_scope, visit, err) &&
         db_read_clock(driver, &visit->clock, err) && db_sync(driver, err);
}

static bool has_all(const struct visit *visit)
{
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (wants(visit, i) && !visit->found[i]) return false;
  return true;
}

static bool load_or_make(struct store_driver *driver, struct visit *visit, struct error *err)
{
  if (!load(driver, visit, err)) return false;
  if (!visit->writes || has_all(visit)) return true;
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (wants(visit, i) && !db_run(driver, make_scope, DB_WITH(DB_TEXT(visit->keys[i])), NULL, err))
      return false;
  return load(driver, visit, err) &&
         (has_all(visit) || db_damaged(driver, "a row of the rate limits is missing", err));
}

/* Endings, takings and views, between loading the states and saving the changed ones. */
static void apply(const struct store_driver *driver, struct visit *visit)
{
  struct slots_job *job = visit->job;
  struct slots_state *states = visit->states;
  int64_t now = visit->clock.tick;
  job->answered_at = loop_clock();
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (wants(visit, i)) slots_refresh(&states[i], driver->clock, now);
  for (size_t k = 0; k < job->ending_count; k++) {
    const struct slots_ending *ending = &job->endings[k];
    int64_t when = now - (job->asked_at - ending->at);
    for (int i = 0; i < SLOTS_SCOPES; i++)
      if (ending->scopes & 1u << i) slots_end(&states[i], ending, (enum slots_scope)i, when, now);
  }
  for (size_t k = 0; k < job->taking_count; k++)
    slots_take(states, job->rules, &job->takings[k], now);
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (wants(visit, i)) job->views[i] = slots_view(&states[i], &job->rules[i], now);
}

static bool save(struct store_driver *driver, const struct visit *visit, int scope,
                 struct error *err)
{
  const struct slots_state *state = &visit->states[scope];
  for (int i = 0; i < state->count; i++) /* the state is not used any more */
    state->ended_at[i] = (int64_t)htole64((uint64_t)state->ended_at[i]);
  return db_run(driver, save_scope,
                DB_WITH(DB_TEXT(visit->keys[scope]), DB_TEXT(state->clock),
                        DB_NUMBER(visit->clock.tick), DB_NUMBER(state->paused_until),
                        DB_NUMBER(state->probe_until), DB_NUMBER(state->paced_until),
                        DB_NUMBER(state->next_at),
                        DB_BYTES(state->ended_at, (size_t)state->count * 8),
                        DB_NUMBER(state->slowed)),
                NULL, err);
}

static bool exchange(struct store_driver *driver, void *arg, struct error *err)
{
  struct visit *visit = arg;
  if (!load_or_make(driver, visit, err)) return false;
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (!reserve(&visit->states[i], visit->job->rules[i].count, err)) return false;
  apply(driver, visit);
  for (int i = 0; visit->writes && i < SLOTS_SCOPES; i++)
    if (wants(visit, i) && visit->states[i].changed && !save(driver, visit, i, err)) return false;
  return true;
}

/* Takings must survive a crash of the database's server; a lost ending only keeps its lease. */
static enum db_safety safety_of(const struct slots_job *job)
{
  if (job->ending_count + job->taking_count == 0) return DB_READ;
  for (size_t k = 0; k < job->ending_count; k++)
    if (job->endings[k].how == SLOTS_REFUSED || job->endings[k].how == SLOTS_LOST) return DB_SHARED;
  return job->taking_count > 0 ? DB_SHARED : DB_LOOSE;
}

static void work(struct store_job *job, struct store_driver *driver)
{
  static const char *const names[SLOTS_SCOPES] = {"general", "orders"};
  struct visit visit = {.job = (struct slots_job *)job};
  enum db_safety safety = safety_of(visit.job);
  visit.writes = safety != DB_READ;
  for (int i = 0; i < SLOTS_SCOPES; i++)
    snprintf(visit.keys[i], sizeof visit.keys[i], "%s/%s", visit.job->key, names[i]);
  db_transact(driver, safety, exchange, &visit, &job->err);
  for (int i = 0; i < SLOTS_SCOPES; i++) slots_free(&visit.states[i]);
}

void slots_submit(struct store *store, struct slots_job *slots)
{
  slots->job.work = work;
  store_submit(store, &slots->job);
}
