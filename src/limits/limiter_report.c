/* Reports of waits to the user: errors, and messages for --verbose. */
#include <math.h>
#include <stdio.h>

#include "limits/limiter_state.h"

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

double limiter_longest_pause(const struct limiter_ticket *ticket)
{
  return ticket->max_wait >= 0 ? ticket->max_wait : ticket->limiter->max_pause;
}

void limiter_explain_pause(const struct limiter_ticket *ticket, int64_t left, struct error *err)
{
  *err = ERROR_INIT;
  err->retry_after = (double)left / 1e6;
  error_set(err, ERROR_RATE_LIMITED,
            "the server has paused the %s limit for another %.0f s, longer than max_wait (%g s); "
            "try again "
            "after that, or raise max_wait",
            limiter_scope_name(decisive(ticket->limiter, ticket->scopes)), ceil(err->retry_after),
            limiter_longest_pause(ticket));
}

void limiter_explain_turn(const struct limiter_ticket *ticket, struct error *err)
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
void limiter_tell_paced(struct limiter *limiter, unsigned set, int64_t now)
{
  enum slots_scope scope = decisive(limiter, set);
  if (!limiter->tell || limiter_pause_left(limiter, set, now) > 0) return;
  if (!is_paced(limiter, now)) limiter->paced_told = false;
  if (limiter->paced_told || limiter->paced_until[scope] <= now) return;
  if (limiter->pace[scope] < NOTICEABLE) return;
  limiter->paced_told = true;
  struct limiter_news news = {.what = LIMITER_PACED,
                              .scope = limiter_scope_name(scope),
                              .seconds = (double)(limiter->paced_until[scope] - now) / 1e6,
                              .pace = (double)limiter->pace[scope] / 1e6};
  limiter->tell(limiter->tell_arg, &news);
}

void limiter_tell_wait(const struct limiter_ticket *ticket, int64_t now)
{
  struct limiter *limiter = ticket->limiter;
  if (!limiter->tell) return;
  limiter_tell_paced(limiter, ticket->scopes, now);
  struct limiter_news news = {
      .what = limiter_pause_left(limiter, ticket->scopes, now) > 0 ? LIMITER_PAUSE : LIMITER_TURN,
      .scope = limiter_scope_name(decisive(limiter, ticket->scopes)),
      .seconds = expected_wait(ticket, now),
  };
  limiter->tell(limiter->tell_arg, &news);
}

/* `set`: the one whose first ticket can go first; 0: none can by itself. While a job is under way
 * the result is unknown. */
void limiter_tell_next(struct limiter *limiter, unsigned set, int64_t now)
{
  int64_t moment = set ? limiter_wake_at(limiter, set) : 0;
  if (!limiter->next || moment == limiter->next_told) return;
  limiter->next_told = moment;
  if (!set) {
    limiter->next(limiter->next_arg, NULL);
    return;
  }
  struct limiter_news news = {
      .what = limiter_pause_left(limiter, set, now) > 0 ? LIMITER_PAUSE : LIMITER_TURN,
      .scope = limiter_scope_name(decisive(limiter, set)),
      .seconds = fmax(0, (double)(moment - now) / 1e6),
  };
  limiter->next(limiter->next_arg, &news);
}
