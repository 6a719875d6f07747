/* The data of px.limits(): the scopes in the store, and the requests of this process that wait. */
#include <string.h>

#include "limits/limiter_state.h"

static double seconds(int64_t microseconds)
{
  return (double)microseconds / 1e6;
}

static void on_status(struct store_job *job)
{
  struct limiter_status *status = (struct limiter_status *)job;
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    const struct slots_view *view = &status->job.views[i];
    status->scopes[i].free = view->free;
    status->scopes[i].next = seconds(view->wait);
    status->scopes[i].paused = seconds(view->paused);
    status->scopes[i].paced = seconds(view->paced);
  }
  status->done(status->arg, status, job->err.kind != ERROR_NONE ? &job->err : NULL);
}

static size_t count_waiting(const struct limiter *limiter, int scope)
{
  size_t count = 0;
  for (unsigned set = 1; set < LIMITER_SETS; set++)
    if (limiter_has(set, scope)) count += limiter->queues[set].length;
  return count;
}

void limiter_status(struct limiter *limiter, struct limiter_status *status,
                    void (*done)(void *arg, const struct limiter_status *status,
                                 const struct error *err),
                    void *arg)
{
  status->done = done;
  status->arg = arg;
  status->off = limiter->rules.off;
  status->job = (struct slots_job){.job.done = on_status, .scopes = LIMITER_SETS - 1};
  strcpy(status->job.key, limiter->key);
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    const struct slots_rule *rule = &limiter->rules.scopes[i];
    status->job.rules[i] = *rule;
    status->scopes[i].name = limiter_scope_name((enum slots_scope)i);
    status->scopes[i].count = rule->count;
    status->scopes[i].window = seconds(rule->window);
    status->scopes[i].waiting = count_waiting(limiter, i);
  }
  slots_submit(limiter->store, &status->job);
}
