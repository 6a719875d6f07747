/* The states of the scopes in the store, where all processes share them. */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limits/limiter_private.h"
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

struct slots_access {
  struct store_driver *driver;
  struct slots_job *job;
  bool writes;
  char keys[SLOTS_SCOPES][80];
  bool found[SLOTS_SCOPES];
  struct slots_state states[SLOTS_SCOPES];
  struct db_clock clock;
};

static bool wants(const struct slots_access *access, int scope)
{
  return access->job->scopes >> scope & 1;
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
  struct slots_access *access = arg;
  const char *key = db_text(row, KEY);
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    if (!key || strcmp(key, access->keys[i]) != 0) continue;
    access->found[i] = true;
    if (!read_state(access->driver, row, &access->states[i], err)) return false;
  }
  return true;
}

/* A scope without a row has never been used. The time is read while the rows are locked: a later
 * commit has a later time. */
static bool load(struct store_driver *driver, struct slots_access *access, struct error *err)
{
  struct db_value keys[SLOTS_SCOPES];
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    keys[i] = DB_TEXT(wants(access, i) ? access->keys[i] : NULL);
    slots_clear(&access->states[i]);
    access->found[i] = false;
  }
  access->driver = driver;
  access->job->begun_at = loop_clock();
  return db_read(driver, access->writes ? load_scopes : look_at_scopes, keys, SLOTS_SCOPES,
                 read_scope, access, err) &&
         db_read_clock(driver, &access->clock, err) && db_sync(driver, err);
}

static bool has_all(const struct slots_access *access)
{
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (wants(access, i) && !access->found[i]) return false;
  return true;
}

static bool load_or_make(struct store_driver *driver, struct slots_access *access,
                         struct error *err)
{
  if (!load(driver, access, err)) return false;
  if (!access->writes || has_all(access)) return true;
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (wants(access, i) &&
        !db_run(driver, make_scope, DB_WITH(DB_TEXT(access->keys[i])), NULL, err))
      return false;
  return load(driver, access, err) &&
         (has_all(access) || db_damaged(driver, "a row of the rate limits is missing", err));
}

/* Endings, takings and views, between loading the states and saving the changed ones. */
static void apply(const struct store_driver *driver, struct slots_access *access)
{
  struct slots_job *job = access->job;
  struct slots_state *states = access->states;
  int64_t now = access->clock.tick;
  job->done_at = loop_clock();
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (wants(access, i)) slots_refresh(&states[i], driver->clock, now);
  for (size_t k = 0; k < job->ending_count; k++) {
    const struct slots_ending *ending = &job->endings[k];
    int64_t when = now - (job->begun_at - ending->at);
    for (int i = 0; i < SLOTS_SCOPES; i++)
      if (ending->scopes & 1u << i) slots_end(&states[i], ending, (enum slots_scope)i, when, now);
  }
  for (size_t k = 0; k < job->taking_count; k++)
    slots_take(states, job->rules, &job->takings[k], now);
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (wants(access, i)) job->views[i] = slots_view(&states[i], &job->rules[i], now);
}

static bool save(struct store_driver *driver, const struct slots_access *access, int scope,
                 struct error *err)
{
  const struct slots_state *state = &access->states[scope];
  for (int i = 0; i < state->count; i++) /* the state is not used any more */
    state->ended_at[i] = (int64_t)htole64((uint64_t)state->ended_at[i]);
  return db_run(driver, save_scope,
                DB_WITH(DB_TEXT(access->keys[scope]), DB_TEXT(state->clock),
                        DB_NUMBER(access->clock.tick), DB_NUMBER(state->paused_until),
                        DB_NUMBER(state->probe_until), DB_NUMBER(state->paced_until),
                        DB_NUMBER(state->next_at),
                        DB_BYTES(state->ended_at, (size_t)state->count * 8),
                        DB_NUMBER(state->slowed)),
                NULL, err);
}

static bool exchange(struct store_driver *driver, void *arg, struct error *err)
{
  struct slots_access *access = arg;
  if (!load_or_make(driver, access, err)) return false;
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (!reserve(&access->states[i], access->job->rules[i].count, err)) return false;
  apply(driver, access);
  for (int i = 0; access->writes && i < SLOTS_SCOPES; i++)
    if (wants(access, i) && access->states[i].changed && !save(driver, access, i, err))
      return false;
  return true;
}

/* Takings must survive a crash of the database's server; a lost ending only keeps its lease. */
static enum db_safety safety_of(const struct slots_job *job)
{
  if (job->ending_count + job->taking_count == 0) return DB_READ;
  for (size_t k = 0; k < job->ending_count; k++)
    if (job->endings[k].how == SLOTS_RATE_LIMITED || job->endings[k].how == SLOTS_NO_RESPONSE)
      return DB_SHARED;
  return job->taking_count > 0 ? DB_SHARED : DB_LOOSE;
}

static void work(struct store_job *job, struct store_driver *driver)
{
  struct slots_access access = {.job = (struct slots_job *)job};
  enum db_safety safety = safety_of(access.job);
  access.writes = safety != DB_READ;
  for (int i = 0; i < SLOTS_SCOPES; i++)
    snprintf(access.keys[i], sizeof access.keys[i], "%s/%s", access.job->key,
             limiter_scope_name((enum slots_scope)i));
  db_transact(driver, safety, exchange, &access, &job->err);
  for (int i = 0; i < SLOTS_SCOPES; i++) slots_free(&access.states[i]);
}

void slots_submit(struct store *store, struct slots_job *slots)
{
  slots->job.work = work;
  store_submit(store, &slots->job);
}
