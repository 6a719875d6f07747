/* With the limits off: requests do not wait for the store. But pauses are respected, this process'
 * own at once and those of others when they are seen; a store that cannot be read is ignored. After
 * a pause, one request goes before the others as a probe. */
#include "limits/limiter_state.h"

#define LOOK_EVERY SLOTS_SECOND

static bool may_go(const struct limiter *limiter, unsigned set, int64_t now)
{
  if (limiter_pause_left(limiter, set, now) > 0) return false;
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (limiter_has(set & limiter->trying, i) && limiter->probes[i]) return false;
  return true;
}

static struct limiter_ticket *first_to_go(const struct limiter *limiter, int64_t now)
{
  struct limiter_ticket *first = NULL;
  for (unsigned set = 1; set < LIMITER_SETS; set++) {
    struct limiter_ticket *head = limiter->queues[set].first;
    if (head && may_go(limiter, set, now) && (!first || head->number < first->number)) first = head;
  }
  return first;
}

void limiter_let_go(struct limiter *limiter)
{
  limiter->busy = true;
  for (struct limiter_ticket *ticket; (ticket = first_to_go(limiter, loop_clock()));) {
    for (int i = 0; i < SLOTS_SCOPES; i++)
      if (limiter_has(ticket->scopes & limiter->trying, i)) limiter->probes[i] = ticket;
    limiter_grant(ticket);
  }
  limiter->busy = false;
}

void limiter_end_probe(struct limiter *limiter, const struct limiter_ticket *ticket,
                       enum slots_end how)
{
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    if (limiter->probes[i] != ticket) continue;
    limiter->probes[i] = NULL;
    if (how == SLOTS_HEADED) limiter->trying &= ~(1u << i);
  }
}

void limiter_look(struct limiter *limiter)
{
  int64_t now = loop_now(limiter->loop);
  if (limiter->out || now - limiter->looked_at < LOOK_EVERY) return;
  limiter->looked_at = now;
  limiter_ask(limiter, true);
}
