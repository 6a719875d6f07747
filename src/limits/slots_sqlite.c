/* The scopes' states in SQLite: a row each, read and written back in one transaction. */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/sqlite.h"

static bool reserve_bytes(struct sqlite *sqlite, size_t size)
{
  if (size <= sqlite->byte_capacity) return true;
  unsigned char *bytes = realloc(sqlite->bytes, size);
  if (!bytes) return false;
  sqlite->bytes = bytes;
  sqlite->byte_capacity = size;
  return true;
}

static void bind_scope(sqlite3_stmt *statement, const char *key, enum slots_scope scope)
{
  static const char *const names[SLOTS_SCOPES] = {"general", "orders"};
  char full[80];
  int size = snprintf(full, sizeof full, "%s/%s", key, names[scope]);
  sqlite3_bind_text(statement, 8, full, size, SQLITE_TRANSIENT);
}

static bool read_state(struct sqlite *sqlite, sqlite3_stmt *row, struct slots_state *state,
                       struct error *err)
{
  const char *clock = (const char *)sqlite3_column_text(row, 0);
  const void *bytes = sqlite3_column_blob(row, 6);
  int size = sqlite3_column_bytes(row, 6), count = size / 8;
  if (!clock || strlen(clock) >= sizeof state->clock || size % 8 || count > SLOTS_MAX)
    return sqlite_damaged(sqlite, err, "its rate-limit slots are inconsistent");
  if (!slots_reserve(state, count)) {
    error_set(err, ERROR_INTERNAL, "out of memory");
    return false;
  }
  strcpy(state->clock, clock);
  state->seen_at = sqlite3_column_int64(row, 1);
  state->paused_until = sqlite3_column_int64(row, 2);
  state->probe_until = sqlite3_column_int64(row, 3);
  state->paced_until = sqlite3_column_int64(row, 4);
  state->next_at = sqlite3_column_int64(row, 5);
  state->slowed = sqlite3_column_int(row, 7);
  state->count = count;
  if (count > 0) memcpy(state->ended_at, bytes, (size_t)size);
  for (int i = 0; i < count; i++)
    state->ended_at[i] = (int64_t)le64toh((uint64_t)state->ended_at[i]);
  return true;
}

/* A scope without a row has never been used. */
static bool load(struct sqlite *sqlite, const struct store_slots *slots, enum slots_scope scope,
                 struct error *err)
{
  struct slots_state *state = &sqlite->states[scope];
  sqlite3_stmt *statement = sqlite_statement(sqlite, SCOPE_LOAD, err);
  if (!statement) return false;
  bind_scope(statement, slots->key, scope);
  int code = sqlite3_step(statement);
  sqlite->stored[scope] = code == SQLITE_ROW;
  state->changed = false;
  bool ok = true;
  if (code == SQLITE_ROW)
    ok = read_state(sqlite, statement, state, err);
  else if (code == SQLITE_DONE)
    slots_clear(state);
  else
    ok = sqlite_fail(sqlite, err);
  sqlite3_reset(statement);
  if (ok && !slots_reserve(state, slots->rules[scope].count)) {
    error_set(err, ERROR_INTERNAL, "out of memory");
    return false;
  }
  return ok;
}

static bool save(struct sqlite *sqlite, const struct store_slots *slots, enum slots_scope scope,
                 int64_t now, struct error *err)
{
  struct slots_state *state = &sqlite->states[scope];
  sqlite3_stmt *statement =
      sqlite_statement(sqlite, sqlite->stored[scope] ? SCOPE_UPDATE : SCOPE_INSERT, err);
  size_t size = (size_t)state->count * 8;
  if (!statement) return false;
  if (!reserve_bytes(sqlite, size)) {
    error_set(err, ERROR_INTERNAL, "out of memory");
    return false;
  }
  for (int i = 0; i < state->count; i++) {
    uint64_t bytes = htole64((uint64_t)state->ended_at[i]);
    memcpy(sqlite->bytes + (size_t)i * 8, &bytes, 8);
  }
  sqlite3_bind_text(statement, 1, state->clock, -1, SQLITE_STATIC);
  sqlite3_bind_int64(statement, 2, now);
  sqlite3_bind_int64(statement, 3, state->paused_until);
  sqlite3_bind_int64(statement, 4, state->probe_until);
  sqlite3_bind_int64(statement, 5, state->paced_until);
  sqlite3_bind_int64(statement, 6, state->next_at);
  sqlite3_bind_blob(statement, 7, size ? (void *)sqlite->bytes : "", (int)size, SQLITE_STATIC);
  bind_scope(statement, slots->key, scope);
  sqlite3_bind_int(statement, 9, state->slowed);
  return sqlite_run(sqlite, statement, err);
}

/* The time is read while the lock is held: a later commit has a later time. */
static bool exchange(struct sqlite *sqlite, struct store_slots *slots, bool writes, bool *changed,
                     struct error *err)
{
  *changed = false;
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (slots->scopes & 1u << i && !load(sqlite, slots, (enum slots_scope)i, err)) return false;
  int64_t now = loop_clock();
  store_slots_apply(slots, sqlite->states, sqlite->driver.clock, now, now);
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    if (!(slots->scopes & 1u << i) || !sqlite->states[i].changed) continue;
    *changed = true;
    if (writes && !save(sqlite, slots, (enum slots_scope)i, now, err)) return false;
  }
  return true;
}

bool sqlite_slots(struct store_driver *driver, struct store_slots *slots)
{
  struct sqlite *sqlite = (struct sqlite *)driver;
  struct error *err = &slots->job.err;
  bool changed, writes = slots->ending_count + slots->taking_count > 0;
  if (!writes) return exchange(sqlite, slots, false, &changed, err);
  if (!sqlite_begin(sqlite, false, err)) return false;
  bool ok = exchange(sqlite, slots, true, &changed, err);
  return ok && !changed ? sqlite_cancel(sqlite, err) : sqlite_end(sqlite, ok, err);
}
