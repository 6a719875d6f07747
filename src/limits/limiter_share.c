/* Fairness among processes. The store gives slots to the process that asks first; one with many
 * waiting requests would take every slot that becomes free, while another gets none. So a process
 * that shares an exhausted scope with others takes few slots at a time and then leaves the next
 * ones to the others for a moment. A process alone is not slowed down. */
#include "limits/limiter_state.h"

#define SHARES 32               /* a job takes at most this fraction of the slots */
#define COURTESY INT64_C(20000) /* maximum microseconds between two jobs */
#define COURTESY_PART 100       /* and at most this fraction of the window */

/* Counts takings; returns how many there were in the last window and, since parts are whole, up to
 * one part before. */
static int count_taken(struct limiter *limiter, int scope, int taken, int64_t now)
{
  int *parts = limiter->taken[scope], sum = 0;
  int64_t part = now / (slots_window(&limiter->rules.scopes[scope]) / LIMITER_PARTS);
  for (int i = 0; i <= LIMITER_PARTS && limiter->part[scope] < part; i++)
    parts[(part - i) % (LIMITER_PARTS + 1)] *= part - i <= limiter->part[scope];
  limiter->part[scope] = part;
  parts[part % (LIMITER_PARTS + 1)] += taken;
  for (int i = 0; i <= LIMITER_PARTS; i++) sum += parts[i];
  return sum;
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
    bool others = count_taken(limiter, i, taken, now) < busy;
    if (busy >= rule->count || !others) limiter->shared[i] = others;
    int64_t courtesy = rule->window / COURTESY_PART;
    if (courtesy > COURTESY) courtesy = COURTESY;
    if (taken > 0 && limiter->shared[i]) limiter->ask_at = now + courtesy;
  }
}
