/* Fairness among processes. The store gives slots to the process that asks first; one with many
 * waiting requests would take every slot that becomes free, while another gets none. So a process
 * that shares an exhausted scope with others takes few slots at a time and then leaves the next
 * ones to the others for a moment. A process alone is not slowed down. */
#include <stdlib.h>
#include <string.h>

#include "limits/limiter_state.h"

#define SHARES 32               /* a job takes at most this fraction of the slots */
#define COURTESY INT64_C(20000) /* maximum microseconds between two jobs */
#define COURTESY_PART 100       /* and at most this fraction of the window */

/* Slots that this process holds or that are not free again since it held them. They are counted by
 * the moment: with a count that is too large it would take itself for the only process. */
static int count_own(struct limiter *limiter, int scope, int64_t now)
{
  struct limiter_ends *ends = &limiter->ends[scope];
  while (ends->count > 0 && ends->at[ends->first] <= now) {
    ends->first++;
    ends->count--;
  }
  return limiter->held[scope] + (int)ends->count;
}

static bool make_room(struct limiter_ends *ends)
{
  if (ends->first + ends->count < ends->capacity) return true;
  if (ends->first <= ends->capacity / 2) {
    size_t capacity = ends->capacity ? ends->capacity * 2 : 64;
    int64_t *at = realloc(ends->at, capacity * sizeof *at);
    if (!at) return false;
    ends->at = at;
    ends->capacity = capacity;
  }
  if (ends->count > 0) memmove(ends->at, ends->at + ends->first, ends->count * sizeof *ends->at);
  ends->first = 0;
  return true;
}

/* Out of memory, slots are counted as those of others, and the process takes fewer. */
void limiter_note_end(struct limiter *limiter, const struct slots_ending *ending)
{
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    struct limiter_ends *ends = &limiter->ends[i];
    if (!limiter_has(ending->scopes, i)) continue;
    limiter->held[i]--;
    if (ending->how == SLOTS_UNUSED || !make_room(ends)) continue;
    int64_t lost = ending->how == SLOTS_LOST ? SLOTS_LOST_TIME : 0;
    ends->at[ends->first + ends->count++] =
        ending->at + slots_window(&limiter->rules.scopes[i]) + lost;
  }
}

void limiter_forget_ends(struct limiter *limiter)
{
  for (int i = 0; i < SLOTS_SCOPES; i++) free(limiter->ends[i].at);
}

static int granted(const struct limiter *limiter, int scope)
{
  int count = 0;
  for (size_t k = 0; k < limiter->job.taking_count; k++)
    count += limiter->takings[k].granted && limiter_has(limiter->takings[k].scopes, scope);
  return count;
}

size_t limiter_share(const struct limiter *limiter)
{
  size_t share = LIMITER_BATCH;
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    size_t part = (size_t)(limiter->rules.scopes[i].count + SHARES - 1) / SHARES;
    if (limiter->shared[i] && part < share) share = part;
  }
  return share;
}

void limiter_note_taken(struct limiter *limiter, int64_t now)
{
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    const struct slots_rule *rule = &limiter->rules.scopes[i];
    if (rule->count == 0 || !limiter_has(limiter->job.scopes, i)) continue;
    int taken = granted(limiter, i), busy = limiter->job.views[i].busy;
    bool others = count_own(limiter, i, now) + taken < busy, full = busy >= rule->count;
    /* When a scope becomes full, others may be waiting that have had no slot so far. */
    if (full || !others) limiter->shared[i] = others || (full && !limiter->full[i]);
    limiter->full[i] = full;
    int64_t courtesy = rule->window / COURTESY_PART;
    if (courtesy > COURTESY) courtesy = COURTESY;
    if (taken > 0 && limiter->shared[i]) limiter->ask_at = now + courtesy;
  }
}
