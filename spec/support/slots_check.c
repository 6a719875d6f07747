/* slots_check SEED ROUNDS: drives limits/slots.c through random schedules in which the store's
 * clock goes back, leaps or belongs to another boot, processes die, and rows hold nonsense; and
 * judges by a true time that the rule does not see. In every window of W seconds at most N requests
 * are counted, no request leaves in a pause, and each waiter gets through, at the first try where
 * nothing is under way. Spec limiter_time_spec.lua runs it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limits/slots.h"

enum { COUNTED = 20000, FLYING = 200 };

#define LONGEST (SLOTS_LONGEST_LEASE + SLOTS_LONGEST_PAUSE + SLOTS_PACED_TIME)

/* A request under way: when it was taken, and when the server counts it. */
struct flight {
  struct slots_taking taking;
  int64_t taken;
};

struct world {
  unsigned long long seed;
  int64_t time;   /* the true one */
  int64_t offset; /* of the store's clock */
  char clock[64];
  struct slots_rule rules[SLOTS_SCOPES];
  struct slots_state states[SLOTS_SCOPES];
  struct flight flying[FLYING];
  int flying_count;
  int64_t counted[SLOTS_SCOPES][COUNTED];
  int counted_count[SLOTS_SCOPES];
  int64_t silent_until[SLOTS_SCOPES];
  long takings, waits, leaps;
};

static struct world world;

static void fail(const char *what)
{
  printf("slots_check: %s, at %lld us of seed %llu\n", what, (long long)world.time, world.seed);
  exit(1);
}

/* --- chance --- */

static unsigned long long state;

static unsigned long long any(void)
{
  state += 0x9e3779b97f4a7c15u;
  unsigned long long x = state;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

static int64_t below(int64_t most)
{
  return (int64_t)(any() % (unsigned long long)most);
}

/* Evenly over the orders of magnitude, so that short and long times both come. */
static int64_t some_time(int64_t most)
{
  int64_t limit = most;
  for (int64_t halvings = below(12); halvings > 0 && limit > 1; halvings--) limit /= 2;
  return below(limit + 1);
}

/* --- the server --- */

static void count(const struct flight *flight, int64_t until)
{
  int64_t when = flight->taken + below(until - flight->taken + 1);
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    if (!(flight->taking.scopes >> i & 1)) continue;
    if (world.counted_count[i] == COUNTED) fail("there is no room for what is counted");
    world.counted[i][world.counted_count[i]++] = when;
  }
}

static int ascending(const void *a, const void *b)
{
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static void judge(void)
{
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    int64_t *times = world.counted[i];
    qsort(times, (size_t)world.counted_count[i], sizeof *times, ascending);
    for (int k = 0; k + world.rules[i].count < world.counted_count[i]; k++)
      if (times[k + world.rules[i].count] - times[k] < world.rules[i].window)
        fail("a window holds too many");
    world.counted_count[i] = 0;
  }
}

/* --- the store --- */

static int64_t now(void)
{
  return world.time + world.offset;
}

/* As a transaction does it: what was saved is brought to this clock, and saved with its time. */
static void visit(void)
{
  for (int i = 0; i < SLOTS_SCOPES; i++) slots_refresh(&world.states[i], world.clock, now());
}

static void save(void)
{
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    if (world.states[i].changed) world.states[i].seen_at = now();
    world.states[i].changed = false;
  }
}

static int64_t wait_of(unsigned scopes)
{
  int64_t longest = 0;
  visit();
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    struct slots_view view = slots_view(&world.states[i], &world.rules[i], now());
    if (scopes >> i & 1 && view.wait > longest) longest = view.wait;
  }
  return longest;
}

static bool take(unsigned scopes, int64_t lease)
{
  struct flight *flight = &world.flying[world.flying_count];
  *flight = (struct flight){.taking = {.scopes = scopes, .lease = lease}, .taken = world.time};
  visit();
  slots_take(world.states, world.rules, &flight->taking, now());
  save();
  if (!flight->taking.granted) return false;
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (scopes >> i & 1 && world.time < world.silent_until[i]) fail("a request leaves in a pause");
  world.takings++;
  world.flying_count++;
  return true;
}

static struct flight land(void)
{
  int k = (int)below(world.flying_count);
  struct flight flight = world.flying[k];
  world.flying[k] = world.flying[--world.flying_count];
  return flight;
}

/* When a request ends at the latest: its lease is longer by the time for which one without an
 * answer may yet be counted. */
static int64_t last_end(const struct flight *flight)
{
  return flight->taken + flight->taking.lease - SLOTS_NO_RESPONSE_TIME;
}

/* The end of one is recorded at once or some time after it. */
static void end_one(void)
{
  if (world.flying_count == 0) return;
  struct flight flight = land();
  enum slots_end how =
      below(8) > 0 ? SLOTS_RESPONDED : (enum slots_end)below(SLOTS_RATE_LIMITED + 1);
  int64_t ended = flight.taken + below(world.time - flight.taken + 1);
  if (ended > last_end(&flight)) ended = last_end(&flight);
  struct slots_ending ending = {.scopes = flight.taking.scopes,
                                .how = how,
                                .pause = some_time(2 * SLOTS_LONGEST_PAUSE)};
  memcpy(ending.holds, flight.taking.holds, sizeof ending.holds);
  if (how != SLOTS_NOT_SENT)
    count(&flight, how == SLOTS_NO_RESPONSE ? ended + SLOTS_NO_RESPONSE_TIME : ended);
  visit();
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    if (!(ending.scopes >> i & 1)) continue;
    slots_end(&world.states[i], &ending, (enum slots_scope)i, now() - (world.time - ended), now());
    int64_t pause = ending.pause < SLOTS_LONGEST_PAUSE ? ending.pause : SLOTS_LONGEST_PAUSE;
    if (how == SLOTS_RATE_LIMITED && ended + pause > world.silent_until[i])
      world.silent_until[i] = ended + pause;
  }
  save();
}

/* The end of one that is killed is never recorded. */
static void kill_one(void)
{
  if (world.flying_count == 0) return;
  struct flight flight = land();
  int64_t end = world.time < last_end(&flight) ? world.time : last_end(&flight);
  count(&flight, end + SLOTS_NO_RESPONSE_TIME);
}

static void reboot(void)
{
  while (world.flying_count > 0) kill_one();
  snprintf(world.clock, sizeof world.clock, "boot %llu", any());
  world.offset = some_time(100 * SLOTS_SECOND) - world.time;
}

/* --- what may happen to time and rows --- */

static void go_back(void)
{
  int64_t back = some_time(100 * 3600 * SLOTS_SECOND);
  if (back < now()) world.offset -= back; /* no clock is set to before 1970 */
}

/* What follows is judged on its own. */
static void start_afresh(void)
{
  judge();
  world.flying_count = 0;
  memset(world.silent_until, 0, sizeof world.silent_until);
}

/* Slots are free that early, and pauses over, as postgres.c says. */
static void leap_forward(void)
{
  start_afresh();
  world.offset += some_time(100 * 3600 * SLOTS_SECOND);
}

static int64_t nonsense(void)
{
  static const int64_t values[] = {INT64_MAX, INT64_MIN, INT64_MAX - 1, 0, 1, -1};
  int64_t k = below(8);
  return k < 6 ? values[k] : (int64_t)any();
}

static void damage(void)
{
  struct slots_state *row = &world.states[below(SLOTS_SCOPES)];
  int64_t *const fields[] = {&row->seen_at, &row->paused_until, &row->probe_until,
                             &row->paced_until, &row->next_at};
  start_afresh();
  *fields[below(5)] = nonsense();
  for (int i = 0; i < row->count; i++)
    if (below(2)) row->ended_at[i] = nonsense();
}

/* With every request under way dead, waits as a limiter does: until the moment that the view names.
 * A slot under lease and a probe may end at any moment, so that looks at those are no fault; all
 * else must be right at the first try. */
static void wait_through(unsigned scopes)
{
  bool sure = true;
  int64_t began = world.time;
  visit();
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    sure = sure && world.states[i].paused_until == 0;
    for (int k = 0; k < world.states[i].count; k++)
      sure = sure && world.states[i].ended_at[k] <= now();
  }
  for (int tries = 0; !take(scopes, SLOTS_NO_RESPONSE_TIME + SLOTS_SECOND); tries++) {
    int64_t wait = wait_of(scopes);
    if (sure && tries == 1) fail("a waiter is woken in vain");
    if (wait <= 0) fail("a waiter is neither let through nor told to wait");
    world.time += wait;
    world.waits++;
    if (world.time - began >
        LONGEST + 2 * slots_window(&world.rules[0]) + 2 * slots_window(&world.rules[1]))
      fail("a waiter never gets through");
  }
}

static void step(int clocks)
{
  int64_t chance = below(1000);
  unsigned scopes = 1 + (unsigned)below(3);
  if (chance < 400) {
    if (world.flying_count < FLYING)
      take(scopes, SLOTS_NO_RESPONSE_TIME + 1 + some_time(40 * SLOTS_SECOND));
  } else if (chance < 700)
    end_one();
  else if (chance < 720)
    kill_one();
  else if (chance < 900)
    world.time += some_time(world.rules[below(SLOTS_SCOPES)].window);
  else if (chance < 980)
    world.time += wait_of(scopes) + below(2);
  else if (chance < 984 && world.flying_count < FLYING)
    wait_through(scopes);
  else if (chance < 990 && clocks == 0)
    reboot(), world.leaps++;
  else if (chance < 990)
    go_back(), world.leaps++;
  else if (chance < 992 && clocks == 2)
    leap_forward(), world.leaps++;
  else if (chance < 994 && clocks == 2)
    damage(), world.leaps++;
  else if (chance < 996)
    world.time += some_time(10 * 3600 * SLOTS_SECOND); /* asleep */
}

/* Requests that have not ended in time are dead: a client sends nothing with their slots any more.
 */
static void bury(void)
{
  for (int k = world.flying_count - 1; k >= 0; k--) {
    struct flight flight = world.flying[k];
    if (world.time <= last_end(&flight)) continue;
    count(&flight, last_end(&flight) + SLOTS_NO_RESPONSE_TIME);
    world.flying[k] = world.flying[--world.flying_count];
  }
}

/* `clocks`: 0: those of boots; 1: a database's, that is set back; 2: that leaps forward too, and
 * its rows are damaged. */
static void play(int clocks)
{
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    world.rules[i] = (struct slots_rule){1 + (int)below(12), 1000 + some_time(60 * SLOTS_SECOND)};
    world.counted_count[i] = 0;
    world.silent_until[i] = 0;
    slots_clear(&world.states[i]);
    if (!slots_reserve(&world.states[i], world.rules[i].count)) fail("out of memory");
  }
  world.time = below(1000 * SLOTS_SECOND) + 1;
  world.offset = clocks ? some_time(INT64_C(2000000000) * SLOTS_SECOND) : 0;
  world.flying_count = 0;
  strcpy(world.clock, "first");
  for (int k = 0; k < 4000; k++) {
    step(clocks);
    bury();
  }
  while (world.flying_count > 0) kill_one();
  judge();
  wait_through(3);
  world.flying_count = 0;
}

int main(int argc, char **argv)
{
  if (argc != 3) return fputs("usage: slots_check SEED ROUNDS\n", stderr), 2;
  unsigned long long seed = strtoull(argv[1], NULL, 10), rounds = strtoull(argv[2], NULL, 10);
  for (world.seed = seed; world.seed < seed + rounds; world.seed++) {
    state = world.seed;
    play((int)(world.seed % 3));
  }
  printf(
      "%ld requests, %ld waits, %ld leaps of clocks, reboots and damages: none too early, none for "
      "ever\n",
      world.takings, world.waits, world.leaps);
  for (int i = 0; i < SLOTS_SCOPES; i++) slots_free(&world.states[i]);
  return 0;
}
