#include "limits/slots.h"

#include <stdlib.h>
#include <string.h>

#define MOST_SLOWED 6 /* a 64th of the pace */
#define PROBE_GLANCE \
  (SLOTS_SECOND / 20) /* shortest interval for checking whether the probe has succeeded */
#define ABSURD \
  (INT64_C(1) << 60) /* later than any clock; sums of a few such times do not overflow */

int64_t slots_window(const struct slots_rule *rule)
{
  return rule->window + rule->window / 1000 + 5000;
}

/* A counter that weighs the previous window admits fewer than N requests even at an even pace: it
 * counts the present request, and one more when latency varies. */
static int64_t pace(const struct slots_state *state, const struct slots_rule *rule)
{
  int even = rule->count >= 4 ? rule->count - 2 : (rule->count + 1) / 2;
  return even > 0 ? (rule->window / even * 101 / 100) << state->slowed : 0;
}

bool slots_reserve(struct slots_state *state, int count)
{
  if (count <= state->capacity) return true;
  int64_t *ended_at = realloc(state->ended_at, (size_t)count * sizeof *ended_at);
  if (!ended_at) return false;
  state->ended_at = ended_at;
  state->capacity = count;
  return true;
}

void slots_free(struct slots_state *state)
{
  free(state->ended_at);
  *state = (struct slots_state){0};
}

void slots_clear(struct slots_state *state)
{
  *state = (struct slots_state){.ended_at = state->ended_at, .capacity = state->capacity};
}

/* The data in the store may be damaged; no sum of it may overflow. */
static int64_t sane(int64_t time)
{
  return time < -ABSURD ? -ABSURD : time > ABSURD ? ABSURD : time;
}

/* 0 means that there is no such time; it stays 0. */
static void shift(int64_t *time, int64_t by)
{
  if (*time == 0) return;
  *time = sane(sane(*time) + by);
  if (*time == 0) *time = 1;
}

static void shift_all(struct slots_state *state, int64_t by)
{
  shift(&state->paused_until, by);
  shift(&state->probe_until, by);
  shift(&state->paced_until, by);
  shift(&state->next_at, by);
  for (int i = 0; i < state->count; i++) state->ended_at[i] = sane(sane(state->ended_at[i]) + by);
  state->changed = true;
}

/* Replaces a time that is later than any valid one by `instead`. */
static void heal(struct slots_state *state, int64_t *time, int64_t latest, int64_t instead)
{
  if (*time <= latest && *time >= -ABSURD) return;
  *time = *time > latest ? instead : -ABSURD;
  state->changed = true;
}

static void move_clock(struct slots_state *state, const char *clock, int64_t now)
{
  bool known = state->clock[0] != '\0', same = strcmp(state->clock, clock) == 0;
  if (same && now >= state->seen_at) return;
  if (known) shift_all(state, now - sane(state->seen_at));
  for (int i = 0; !same && i < state->count;
       i++) /* the holder of such a lease is dead and got no response */
    if (state->ended_at[i] > now + SLOTS_NO_RESPONSE_TIME)
      state->ended_at[i] = now + SLOTS_NO_RESPONSE_TIME;
  strncpy(state->clock, clock, sizeof state->clock - 1);
  state->seen_at = now;
  state->changed = true;
}

void slots_refresh(struct slots_state *state, const char *clock, int64_t now)
{
  move_clock(state, clock, now);
  heal(state, &state->paused_until, now + SLOTS_LONGEST_PAUSE, now);
  heal(state, &state->probe_until, now + SLOTS_LONGEST_LEASE, 0);
  heal(state, &state->paced_until, now + SLOTS_PACED_TIME, now + SLOTS_PACED_TIME);
  heal(state, &state->next_at, now + SLOTS_PACED_TIME, now);
  for (int i = 0; i < state->count; i++)
    heal(state, &state->ended_at[i], now + SLOTS_LONGEST_LEASE, now);
  if (state->slowed < 0 || state->slowed > MOST_SLOWED) state->slowed = 0;
  if (state->paced_until == 0 || state->paced_until > now) return;
  state->paced_until = 0;
  state->slowed = 0;
  state->changed = true;
}

static int64_t longer(int64_t a, int64_t b)
{
  return a > b ? a : b;
}

static int64_t shorter(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

/* Fills in free and wait. A leased slot may be released at any time, so the wait assumes that it is
 * released now: a caller that wakes up then checks again. */
static void view_slots(const struct slots_state *state, const struct slots_rule *rule, int64_t now,
                       struct slots_view *view)
{
  int64_t window = slots_window(rule), first = now;
  int busy = 0;
  for (int i = 0; i < state->count; i++) {
    int64_t ended_at = state->ended_at[i];
    if (sane(ended_at) + window <= now) continue;
    busy++;
    first = shorter(first, ended_at);
  }
  view->busy = busy;
  view->free = busy < rule->count ? rule->count - busy : 0;
  view->wait = view->free > 0 ? 0 : first + window - now;
}

static int64_t view_pause(const struct slots_state *state, const struct slots_rule *rule,
                          int64_t now, struct slots_view *view)
{
  if (state->paused_until == 0) return 0;
  view->unproven = true;
  view->paused = longer(state->paused_until - now, 0);
  if (view->paused > 0) return view->paused;
  int64_t probe = longer(state->probe_until - now, 0);
  return shorter(probe, longer(pace(state, rule), PROBE_GLANCE));
}

struct slots_view slots_view(const struct slots_state *state, const struct slots_rule *rule,
                             int64_t now)
{
  struct slots_view view = {0};
  if (rule->count > 0) view_slots(state, rule, now, &view);
  view.wait = longer(view.wait, view_pause(state, rule, now, &view));
  view.paced = longer(state->paced_until - now, 0);
  if (view.paced > 0) view.pace = pace(state, rule);
  if (view.pace > 0) view.wait = longer(view.wait, state->next_at - now);
  bool one_at_a_time = view.paced > 0 || state->paused_until != 0;
  if (view.wait > 0)
    view.free = 0;
  else if (one_at_a_time && view.free > 1)
    view.free = 1;
  return view;
}

/* The slot that has been free longest, or a new one. */
static int pick(struct slots_state *state, const struct slots_rule *rule, int64_t now)
{
  int oldest = 0;
  for (int i = 1; i < state->count; i++)
    if (state->ended_at[i] < state->ended_at[oldest]) oldest = i;
  if (state->count > 0 && state->ended_at[oldest] + slots_window(rule) <= now) return oldest;
  state->ended_at[state->count] = -ABSURD;
  return state->count++;
}

static struct slots_hold take_one(struct slots_state *state, const struct slots_rule *rule,
                                  int64_t lease, int64_t now)
{
  struct slots_hold hold = {.slot = -1, .probe = state->paused_until != 0, .until = now + lease};
  if (rule->count > 0) {
    hold.slot = pick(state, rule, now);
    hold.before = state->ended_at[hold.slot];
    state->ended_at[hold.slot] = hold.until;
  }
  if (hold.probe) state->probe_until = hold.until;
  if (hold.probe || state->paced_until > now) state->next_at = now + pace(state, rule);
  state->changed = true;
  return hold;
}

void slots_take(struct slots_state *states, const struct slots_rule *rules,
                struct slots_taking *taking, int64_t now)
{
  taking->granted = false;
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    taking->holds[i] = (struct slots_hold){.slot = -1};
    if (taking->scopes & 1u << i && slots_view(&states[i], &rules[i], now).wait > 0) return;
  }
  int64_t lease = longer(1, shorter(taking->lease, SLOTS_LONGEST_LEASE));
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (taking->scopes & 1u << i) taking->holds[i] = take_one(&states[i], &rules[i], lease, now);
  taking->granted = true;
}

static void end_probe(struct slots_state *state, const struct slots_hold *hold, enum slots_end how,
                      int64_t now)
{
  if (!hold->probe || state->probe_until != hold->until) return;
  state->probe_until = 0;
  state->changed = true;
  if (how != SLOTS_RESPONDED) return;
  state->paused_until = 0;
  state->paced_until = now + SLOTS_PACED_TIME;
}

static int64_t ended_slot(const struct slots_hold *hold, enum slots_end how, int64_t when)
{
  return how == SLOTS_NOT_SENT      ? hold->before
         : how == SLOTS_NO_RESPONSE ? when + SLOTS_NO_RESPONSE_TIME
                                    : when;
}

/* A slot that cannot be identified by its lease any more (the lease is over, or the clock went
 * back) keeps its time, unless the request may be counted later than that. */
static void end_slot(struct slots_state *state, const struct slots_hold *hold, enum slots_end how,
                     int64_t when)
{
  if (hold->slot < 0 || hold->slot >= state->count) return;
  int64_t *ended_at = &state->ended_at[hold->slot], ended = ended_slot(hold, how, when);
  if (*ended_at != hold->until && (how != SLOTS_NO_RESPONSE || *ended_at >= ended)) return;
  *ended_at = ended;
  state->changed = true;
}

/* Several requests may report the same pause: the longest one counts. A 429 at the even pace shows
 * that this is too fast: the server allows less than its documented limit. */
static void pause(struct slots_state *state, int64_t until, int64_t now)
{
  if (state->paused_until == 0 && state->paced_until > now && state->slowed < MOST_SLOWED)
    state->slowed++;
  state->paused_until = longer(longer(state->paused_until, until), 1);
  state->probe_until = 0;
  state->changed = true;
}

void slots_end(struct slots_state *state, const struct slots_ending *ending, enum slots_scope scope,
               int64_t when, int64_t now)
{
  const struct slots_hold *hold = &ending->holds[scope];
  end_slot(state, hold, ending->how, when);
  end_probe(state, hold, ending->how, now);
  if (ending->how == SLOTS_RATE_LIMITED)
    pause(state, when + shorter(ending->pause, SLOTS_LONGEST_PAUSE), now);
}
