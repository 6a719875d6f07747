/* The scopes' states in PostgreSQL: a row each, locked, read and written back in one transaction.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/postgres.h"

/* Columns of PG_SCOPE_LOAD and PG_SCOPE_LOOK. */
enum { NOW, KEY, CLOCK, SEEN_AT, PAUSED_UNTIL, PROBE_UNTIL, PACED_UNTIL, NEXT_AT, SLOTS, SLOWED };

struct visit {
  struct store_slots *slots;
  bool writes;
  char keys[SLOTS_SCOPES][80];
};

static bool out_of_memory(struct error *err)
{
  error_set(err, ERROR_INTERNAL, "out of memory");
  return false;
}

static int64_t number(const struct postgres *pg, const PGresult *result, int row, int column)
{
  uint64_t bytes = 0;
  if (pg->lib.PQgetlength(result, row, column) == 8)
    memcpy(&bytes, pg->lib.PQgetvalue(result, row, column), 8);
  return (int64_t)be64toh(bytes);
}

static bool read_state(struct postgres *pg, const PGresult *result, int row,
                       struct slots_state *state, struct error *err)
{
  const char *clock = pg->lib.PQgetvalue(result, row, CLOCK);
  int size = pg->lib.PQgetlength(result, row, SLOTS), count = size / 8;
  if (strlen(clock) >= sizeof state->clock || size % 8 || count > SLOTS_MAX)
    return postgres_damaged(pg, err, "its rate-limit slots are inconsistent");
  if (!slots_reserve(state, count)) return out_of_memory(err);
  strcpy(state->clock, clock);
  state->seen_at = number(pg, result, row, SEEN_AT);
  state->paused_until = number(pg, result, row, PAUSED_UNTIL);
  state->probe_until = number(pg, result, row, PROBE_UNTIL);
  state->paced_until = number(pg, result, row, PACED_UNTIL);
  state->next_at = number(pg, result, row, NEXT_AT);
  state->slowed = (int)number(pg, result, row, SLOWED);
  state->count = count;
  if (count > 0) memcpy(state->ended_at, pg->lib.PQgetvalue(result, row, SLOTS), (size_t)size);
  for (int i = 0; i < count; i++)
    state->ended_at[i] = (int64_t)le64toh((uint64_t)state->ended_at[i]);
  return true;
}

/* Reads the states of the scopes that exist; returns their number, -1 on failure. */
static int read_states(struct postgres *pg, const PGresult *result, struct visit *visit,
                       int64_t *now, struct error *err)
{
  int found = 0;
  *now = 0;
  for (int i = 0; i < SLOTS_SCOPES; i++) slots_clear(&pg->states[i]);
  for (int row = 0; row < pg->lib.PQntuples(result); row++) {
    int64_t time = number(pg, result, row, NOW);
    if (time > *now) *now = time;
    for (int i = 0; i < SLOTS_SCOPES; i++) {
      if (pg->lib.PQgetisnull(result, row, KEY) ||
          strcmp(pg->lib.PQgetvalue(result, row, KEY), visit->keys[i]) != 0)
        continue;
      found++;
      if (!read_state(pg, result, row, &pg->states[i], err)) return -1;
    }
  }
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (!slots_reserve(&pg->states[i], visit->slots->rules[i].count)) found = -1;
  if (found < 0) out_of_memory(err);
  return found;
}

static int load(struct postgres *pg, struct visit *visit, enum postgres_statement how, int64_t *now,
                struct error *err)
{
  unsigned scopes = visit->slots->scopes;
  struct postgres_param keys[SLOTS_SCOPES] = {{0}};
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (scopes & 1u << i) keys[i].value = visit->keys[i];
  PGresult *result = postgres_run(pg, how, keys, true, err);
  if (!result) return -1;
  int found = read_states(pg, result, visit, now, err);
  pg->lib.PQclear(result);
  return found;
}

static bool make_rows(struct postgres *pg, struct visit *visit, struct error *err)
{
  struct postgres_param keys[SLOTS_SCOPES];
  for (int i = 0; i < SLOTS_SCOPES; i++) keys[i] = (struct postgres_param){.value = visit->keys[i]};
  return postgres_do(pg, PG_SCOPE_MAKE, keys, NULL, err);
}

static bool pack(struct postgres *pg, const struct slots_state *state, struct error *err)
{
  size_t size = (size_t)state->count * 8;
  if (size > pg->byte_capacity) {
    unsigned char *bytes = realloc(pg->bytes, size);
    if (!bytes) return out_of_memory(err);
    pg->bytes = bytes;
    pg->byte_capacity = size;
  }
  for (int i = 0; i < state->count; i++) {
    uint64_t bytes = htole64((uint64_t)state->ended_at[i]);
    memcpy(pg->bytes + (size_t)i * 8, &bytes, 8);
  }
  return true;
}

static bool save(struct postgres *pg, struct visit *visit, int scope, bool durable, int64_t now,
                 struct error *err)
{
  const struct slots_state *state = &pg->states[scope];
  const int64_t times[] = {now, state->paused_until, state->probe_until, state->paced_until,
                           state->next_at};
  char texts[5][24], slowed[12];
  struct postgres_param params[10] = {{.value = visit->keys[scope]}, {.value = state->clock}};
  if (!pack(pg, state, err)) return false;
  for (int i = 0; i < 5; i++) {
    snprintf(texts[i], sizeof texts[i], "%lld", (long long)times[i]);
    params[i + 2].value = texts[i];
  }
  params[7] = state->count > 0 ? (struct postgres_param){(const char *)pg->bytes, state->count * 8}
                               : (struct postgres_param){"", 0};
  params[8].value = durable ? "on" : "off";
  snprintf(slowed, sizeof slowed, "%d", state->slowed);
  params[9].value = slowed;
  return postgres_ahead(pg, PG_SCOPE_SAVE, params, err);
}

/* Whether the database may lose this in a crash: a lost ending only keeps its lease. */
static bool is_durable(const struct store_slots *slots)
{
  for (size_t k = 0; k < slots->taking_count; k++)
    if (slots->takings[k].granted) return true;
  for (size_t k = 0; k < slots->ending_count; k++)
    if (slots->endings[k].how == SLOTS_REFUSED || slots->endings[k].how == SLOTS_LOST) return true;
  return false;
}

static bool exchange(struct postgres *pg, void *arg, struct error *err)
{
  struct visit *visit = arg;
  struct store_slots *slots = visit->slots;
  int wanted = __builtin_popcount(slots->scopes);
  int64_t now, asked_at = loop_clock();
  int found = load(pg, visit, visit->writes ? PG_SCOPE_LOAD : PG_SCOPE_LOOK, &now, err);
  if (found >= 0 && found < wanted && visit->writes) {
    if (!make_rows(pg, visit, err)) return false;
    asked_at = loop_clock();
    found = load(pg, visit, PG_SCOPE_LOAD, &now, err);
    if (found >= 0 && found < wanted)
      return postgres_damaged(pg, err, "a row of the rate limits is missing");
  }
  if (found < 0) return false;
  store_slots_apply(slots, pg->states, pg->driver.clock, now, asked_at);
  for (int i = 0; visit->writes && i < SLOTS_SCOPES; i++) {
    if (!(slots->scopes & 1u << i) || !pg->states[i].changed) continue;
    if (!save(pg, visit, i, is_durable(slots), now, err)) return false;
  }
  return true;
}

bool postgres_slots(struct store_driver *driver, struct store_slots *slots)
{
  static const char *const names[SLOTS_SCOPES] = {"general", "orders"};
  struct postgres *pg = (struct postgres *)driver;
  struct visit visit = {.slots = slots, .writes = slots->ending_count + slots->taking_count > 0};
  for (int i = 0; i < SLOTS_SCOPES; i++)
    snprintf(visit.keys[i], sizeof visit.keys[i], "%s/%s", slots->key, names[i]);
  return visit.writes ? postgres_transact(pg, exchange, &visit, &slots->job.err)
                      : postgres_read(pg, exchange, &visit, &slots->job.err);
}
