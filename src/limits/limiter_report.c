/* Reports to the user: errors, messages for --verbose, and the data of px.limits(). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "limits/limiter_private.h"

#define NOTICEABLE (SLOTS_SECOND / 10) /* between two requests; shorter waits are not reported */

static int64_t later(const struct limiter *limiter, int scope)
{
  int64_t paused = limiter->paused_until[scope], free = limiter->free_at[scope];
  return paused > free ? paused : free;
}

/* The scope of the set that must wait. */
static enum slots_scope decisive(const struct limiter *limiter, unsigned set)
{
  int found = -1;
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (limiter_has(set, i) && (found < 0 || later(limiter, i) > later(limiter, found))) found = i;
  return (enum slots_scope)found;
}

static double longest_pause(const struct limiter_ticket *ticket)
{
  return ticket->max_wait >= 0 ? ticket->max_wait : ticket->limiter->max_pause;
}

static void explain_pause(const struct limiter_ticket *ticket, int64_t left, struct error *err)
{
  *err = ERROR_INIT;
  err->retry_after = (double)left / 1e6;
  error_set(err, ERROR_RATE_LIMITED,
            "the server has paused the %s limit for another %.0f s, longer than max_wait (%g s); "
            "try again after that, or raise max_wait",
            limiter_scope_name(decisive(ticket->limiter, ticket->scopes)), ceil(err->retry_after),
            longest_pause(ticket));
}

static void explain_turn(const struct limiter_ticket *ticket, struct error *err)
{
  const struct limiter *limiter = ticket->limiter;
  enum slots_scope scope = decisive(limiter, ticket->scopes);
  const struct slots_rule *rule = &limiter->rules.scopes[scope];
  *err = ERROR_INIT;
  err->retry_after =
      fmax(0, (double)(limiter_wake_at(limiter, ticket->scopes) - loop_clock()) / 1e6);
  char when[80] = "earlier requests wait for the next slot";
  if (err->retry_after > 0)
    snprintf(when, sizeof when, "the next slot can be free in %.1f s",
             ceil(err->retry_after * 10) / 10);
  error_set(err, ERROR_RATE_LIMITED,
            "no free slot within max_wait (%g s): the %s limit is %d requests in %g s, and %s; "
            "raise max_wait, or leave it out",
            ticket->max_wait, limiter_scope_name(scope), rule->count, (double)rule->window / 1e6,
            when);
}

void limiter_explain(const struct limiter_ticket *ticket, struct error *err)
{
  int64_t pause = limiter_pause_left(ticket->limiter, ticket->scopes, loop_clock());
  if (pause > 0)
    explain_pause(ticket, pause, err);
  else
    explain_turn(ticket, err);
}

/* A request with L others before it waits for about L/N windows more. */
static double expected_wait(const struct limiter_ticket *ticket, int64_t now)
{
  const struct limiter *limiter = ticket->limiter;
  uint64_t ahead = ticket->number - ticket->queue->first->number;
  int64_t wait = limiter_wake_at(limiter, ticket->scopes) - now, longest = 0;
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    const struct slots_rule *rule = &limiter->rules.scopes[i];
    if (!limiter_has(ticket->scopes, i) || rule->count == 0) continue;
    int64_t turns = (int64_t)(ahead / (uint64_t)rule->count) * slots_window(rule);
    if (turns > longest) longest = turns;
  }
  return fmax(0, (double)(wait + longest) / 1e6);
}

static bool is_paced(const struct limiter *limiter, int64_t now)
{
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (limiter->paced_until[i] > now) return true;
  return false;
}

/* A 429 slows down both scopes of an order; one report is enough. */
void limiter_report_paced(struct limiter *limiter, unsigned set, int64_t now)
{
  enum slots_scope scope = decisive(limiter, set);
  if (!limiter->report || limiter_pause_left(limiter, set, now) > 0) return;
  if (!is_paced(limiter, now)) limiter->paced_reported = false;
  if (limiter->paced_reported || limiter->paced_until[scope] <= now) return;
  if (limiter->pace[scope] < NOTICEABLE) return;
  limiter->paced_reported = true;
  struct limiter_notice notice = {.what = LIMITER_PACED,
                                  .scope = limiter_scope_name(scope),
                                  .seconds = (double)(limiter->paced_until[scope] - now) / 1e6,
                                  .pace = (double)limiter->pace[scope] / 1e6};
  limiter->report(limiter->report_arg, &notice);
}

void limiter_report_wait(const struct limiter_ticket *ticket, int64_t now)
{
  struct limiter *limiter = ticket->limiter;
  if (!limiter->report) return;
  limiter_report_paced(limiter, ticket->scopes, now);
  struct limiter_notice notice = {
      .what = limiter_pause_left(limiter, ticket->scopes, now) > 0 ? LIMITER_PAUSE : LIMITER_SLOT,
      .scope = limiter_scope_name(decisive(limiter, ticket->scopes)),
      .seconds = expected_wait(ticket, now),
  };
  limiter->report(limiter->report_arg, &notice);
}

/* `set`: the one whose first ticket can go first; 0: none can by itself. While a job is under way
 * the result is unknown. */
void limiter_report_next(struct limiter *limiter, unsigned set, int64_t now)
{
  int64_t time = set ? limiter_wake_at(limiter, set) : 0;
  if (!limiter->next || time == limiter->next_reported) return;
  limiter->next_reported = time;
  if (!set) {
    limiter->next(limiter->next_arg, NULL);
    return;
  }
  struct limiter_notice notice = {
      .what = limiter_pause_left(limiter, set, now) > 0 ? LIMITER_PAUSE : LIMITER_SLOT,
      .scope = limiter_scope_name(decisive(limiter, set)),
      .seconds = fmax(0, (double)(time - now) / 1e6),
  };
  limiter->next(limiter->next_arg, &notice);
}

static double to_seconds(int64_t microseconds)
{
  return (double)microseconds / 1e6;
}

static void on_status(struct store_job *job)
{
  struct limiter_status *status = (struct limiter_status *)job;
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    const struct slots_view *view = &status->job.views[i];
    status->scopes[i].free = view->free;
    status->scopes[i].next = to_seconds(view->wait);
    status->scopes[i].paused = to_seconds(view->paused);
    status->scopes[i].paced = status->scopes[i].count > 0 ? to_seconds(view->paced) : 0;
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
  status->off = true;
  status->job = (struct slots_job){.job.done = on_status, .scopes = LIMITER_SETS - 1};
  strcpy(status->job.key, limiter->key);
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    const struct slots_rule *rule = &limiter->rules.scopes[i];
    status->job.rules[i] = *rule;
    status->off = status->off && rule->count == 0;
    status->scopes[i].name = limiter_scope_name((enum slots_scope)i);
    status->scopes[i].count = rule->count;
    status->scopes[i].window = to_seconds(rule->window);
    status->scopes[i].waiting = count_waiting(limiter, i);
  }
  slots_submit(limiter->store, &status->job);
}
