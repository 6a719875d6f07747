/* The limiter's jobs for the store: one at a time, with all endings and takings that have arrived
 * by then, so that a busy limiter needs few jobs. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "limits/limiter_state.h"

/* Slots that are given back early may serve waiting tickets, and a pause may have ended. */
static void forget_waits(struct limiter *limiter)
{
  for (size_t k = 0; k < limiter->ending_count; k++) {
    const struct slots_ending *ending = &limiter->endings[k];
    for (int i = 0; i < SLOTS_SCOPES; i++)
      if (limiter_has(ending->scopes, i) && (ending->how == SLOTS_UNUSED || ending->holds[i].probe))
        limiter->free_at[i] = 0;
  }
}

/* Collects from the heads of the queues that can move, in the order of the tickets. */
static size_t collect(struct limiter *limiter)
{
  struct limiter_ticket *heads[LIMITER_SETS] = {NULL};
  int64_t now = loop_clock();
  size_t count = 0;
  for (unsigned set = 1; set < LIMITER_SETS; set++)
    if (limiter_wake_at(limiter, set) <= now) heads[set] = limiter->queues[set].first;
  if (limiter->ask_at > now) return 0;
  for (size_t share = limiter_share(limiter); count < share;) {
    unsigned first = 0;
    for (unsigned set = 1; set < LIMITER_SETS; set++)
      if (heads[set] && (!first || heads[set]->number < heads[first]->number)) first = set;
    if (!first) break;
    struct limiter_ticket *ticket = heads[first];
    heads[first] = ticket->next;
    limiter->takings[count] =
        (struct slots_taking){.scopes = ticket->scopes, .lease = ticket->lease};
    limiter->asked[count++] = ticket;
    ticket->asked = (int)count;
  }
  return count;
}

/* The endings move to the job; its previous array receives new ones. */
static void swap_endings(struct limiter *limiter)
{
  struct slots_job *job = &limiter->job;
  struct slots_ending *spare = job->endings;
  size_t spare_capacity = limiter->job_capacity;
  job->endings = limiter->endings;
  job->ending_count = limiter->ending_count;
  limiter->job_capacity = limiter->ending_capacity;
  limiter->endings = spare;
  limiter->ending_count = 0;
  limiter->ending_capacity = spare_capacity;
}

static void on_done(struct store_job *job);

void limiter_ask(struct limiter *limiter, bool look)
{
  struct slots_job *job = &limiter->job;
  forget_waits(limiter);
  size_t takings = limiter->rules.off ? 0 : collect(limiter);
  if (takings + limiter->ending_count == 0 && !look) return;
  swap_endings(limiter);
  job->takings = limiter->takings;
  job->taking_count = takings;
  job->scopes = look ? LIMITER_SETS - 1 : 0;
  for (size_t k = 0; k < takings; k++) job->scopes |= limiter->takings[k].scopes;
  for (size_t k = 0; k < job->ending_count; k++) job->scopes |= job->endings[k].scopes;
  job->job.done = on_done;
  limiter->out = true;
  slots_submit(limiter->store, job);
}

/* When out of memory, the slots keep their leases, which expire. */
void limiter_add_ending(struct limiter *limiter, const struct slots_ending *ending)
{
  if (limiter->ending_count == limiter->ending_capacity) {
    size_t capacity = limiter->ending_capacity ? limiter->ending_capacity * 2 : 16;
    struct slots_ending *endings = realloc(limiter->endings, capacity * sizeof *endings);
    if (!endings) return;
    limiter->endings = endings;
    limiter->ending_capacity = capacity;
  }
  limiter->endings[limiter->ending_count++] = *ending;
}

static void hear_views(struct limiter *limiter)
{
  const struct slots_job *job = &limiter->job;
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    const struct slots_view *view = &job->views[i];
    if (!limiter_has(job->scopes, i)) continue;
    int64_t paused_until = job->answered_at + view->paused;
    if (view->paused > 0 && paused_until > limiter->paused_until[i])
      limiter->paused_until[i] = paused_until;
    if (limiter->rules.off) {
      if (view->paused > 0) limiter->trying |= 1u << i;
      continue;
    }
    limiter->free_at[i] = job->answered_at + view->wait;
    limiter->paced_until[i] = view->paced > 0 ? job->answered_at + view->paced : 0;
    limiter->pace[i] = view->pace;
  }
}

static void give_back(struct limiter *limiter, const struct slots_taking *taking)
{
  struct slots_ending ending = {.scopes = taking->scopes, .how = SLOTS_UNUSED, .at = loop_clock()};
  memcpy(ending.holds, taking->holds, sizeof ending.holds);
  limiter_add_ending(limiter, &ending);
}

/* Slots whose ticket was cancelled, or that arrive after a pause has begun, are given back. */
static void hand_out(struct limiter *limiter, size_t k, int64_t now)
{
  struct limiter_ticket *ticket = limiter->asked[k];
  const struct slots_taking *taking = &limiter->takings[k];
  bool wanted = ticket && limiter_pause_left(limiter, taking->scopes, now) == 0;
  limiter->asked[k] = NULL;
  if (ticket) ticket->asked = 0;
  if (taking->granted && wanted) {
    memcpy(ticket->holds, taking->holds, sizeof ticket->holds);
    ticket->lease_until = limiter->job.asked_at + taking->lease;
    for (int i = 0; i < SLOTS_SCOPES; i++) limiter->held[i] += limiter_has(taking->scopes, i);
    limiter_grant(ticket);
  } else if (taking->granted)
    give_back(limiter, taking);
}

/* Tickets not yet notified are at the tail: the queue is FIFO. */
static void tell_waiters(struct limiter *limiter, int64_t now)
{
  for (unsigned set = 1; set < LIMITER_SETS; set++) {
    if (limiter_wake_at(limiter, set) <= now) continue;
    struct limiter_ticket *ticket = limiter->queues[set].last;
    if (ticket && ticket->waiting) limiter_tell_paced(limiter, set, now);
    while (ticket && !ticket->waiting && ticket->previous && !ticket->previous->waiting)
      ticket = ticket->previous;
    for (struct limiter_ticket *next; ticket && !ticket->waiting; ticket = next) {
      next = ticket->next;
      limiter_wait(ticket, now);
    }
  }
}

static void refuse_asked(struct limiter *limiter)
{
  struct error err = limiter->job.job.err;
  for (size_t k = 0; k < limiter->job.taking_count; k++)
    if (limiter->asked[k]) limiter_fail(limiter->asked[k], &err);
}

void limiter_end(struct limiter *limiter)
{
  limiter_forget_ends(limiter);
  free(limiter->endings);
  free(limiter->job.endings);
  free(limiter);
}

static void on_done(struct store_job *job)
{
  struct limiter *limiter = (struct limiter *)((char *)job - offsetof(struct limiter, job.job));
  int64_t now = loop_clock();
  limiter->out = false;
  limiter->busy = true;
  if (job->err.kind != ERROR_NONE)
    refuse_asked(limiter);
  else {
    hear_views(limiter);
    limiter_note_taken(limiter, now);
    for (size_t k = 0; k < limiter->job.taking_count; k++) hand_out(limiter, k, now);
    tell_waiters(limiter, now);
    limiter_fail_expired(limiter);
  }
  limiter->busy = false;
  limiter_pump(limiter);
  if (limiter->closed && !limiter->out) limiter_end(limiter);
}
