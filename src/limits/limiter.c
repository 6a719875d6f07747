#include "limits/limiter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "limits/limiter_state.h"

#define OFF_WINDOW (60 * SLOTS_SECOND) /* with the limits off: length of a pause that has none */

static void append(struct limiter_queue *queue, struct limiter_ticket *ticket)
{
  ticket->queue = queue;
  ticket->next = NULL;
  ticket->previous = queue->last;
  *(queue->last ? &queue->last->next : &queue->first) = ticket;
  queue->last = ticket;
  queue->length++;
}

static void take_out(struct limiter_ticket *ticket)
{
  struct limiter_queue *queue = ticket->queue;
  *(ticket->previous ? &ticket->previous->next : &queue->first) = ticket->next;
  *(ticket->next ? &ticket->next->previous : &queue->last) = ticket->previous;
  queue->length--;
  ticket->queue = NULL;
}

/* Marks the ticket as not waiting; the result of a job under way is ignored. */
static void leave(struct limiter_ticket *ticket)
{
  struct limiter *limiter = ticket->limiter;
  if (ticket->asked) limiter->asked[ticket->asked - 1] = NULL;
  ticket->asked = 0;
  ticket->state = LIMITER_IDLE;
  take_out(ticket);
  loop_timer_clear(limiter->loop, &ticket->deadline);
}

void limiter_grant(struct limiter_ticket *ticket)
{
  leave(ticket);
  ticket->state = LIMITER_GRANTED;
  ticket->granted(ticket->arg, NULL);
}

void limiter_fail(struct limiter_ticket *ticket, const struct error *err)
{
  leave(ticket);
  ticket->granted(ticket->arg, err);
}

int64_t limiter_pause_left(const struct limiter *limiter, unsigned set, int64_t now)
{
  int64_t left = 0;
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (limiter_has(set, i) && limiter->paused_until[i] - now > left)
      left = limiter->paused_until[i] - now;
  return left;
}

int64_t limiter_wake_at(const struct limiter *limiter, unsigned set)
{
  int64_t wake_at = 0;
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    if (!limiter_has(set, i)) continue;
    if (limiter->free_at[i] > wake_at) wake_at = limiter->free_at[i];
    if (limiter->paused_until[i] > wake_at) wake_at = limiter->paused_until[i];
    if (limiter->ask_at > wake_at) wake_at = limiter->ask_at;
  }
  return wake_at;
}

/* The rest of the ticket's max_wait, in seconds; the longest pause if it has none. */
static double remaining_wait(const struct limiter_ticket *ticket, int64_t now)
{
  if (ticket->max_wait < 0) return ticket->limiter->max_pause;
  return ticket->max_wait - (double)(now - ticket->since) / 1e6;
}

static bool is_expired(const struct limiter_ticket *ticket, int64_t now)
{
  int64_t pause = limiter_pause_left(ticket->limiter, ticket->scopes, now);
  int64_t wait =
      ticket->max_wait < 0 ? pause : limiter_wake_at(ticket->limiter, ticket->scopes) - now;
  return wait > 0 && (double)wait / 1e6 > remaining_wait(ticket, now);
}

static void set_aside(struct limiter_ticket *ticket)
{
  struct limiter *limiter = ticket->limiter;
  take_out(ticket);
  append(&limiter->expired, ticket);
}

static void explain(const struct limiter_ticket *ticket, struct error *err)
{
  int64_t pause = limiter_pause_left(ticket->limiter, ticket->scopes, loop_clock());
  if (pause > 0)
    limiter_explain_pause(ticket, pause, err);
  else
    limiter_explain_turn(ticket, err);
}

static void on_deadline(void *arg)
{
  struct limiter_ticket *ticket = arg;
  struct limiter *limiter = ticket->limiter;
  struct error err;
  explain(ticket, &err);
  limiter_fail(ticket, &err);
  limiter_pump(limiter);
}

static bool set_deadline(struct limiter_ticket *ticket, int64_t now)
{
  double left = remaining_wait(ticket, now) * 1e6;
  return ticket->max_wait < 0 || left > 1e15 ||
         loop_timer_set(ticket->limiter->loop, &ticket->deadline, (int64_t)left, on_deadline,
                        ticket);
}

void limiter_wait(struct limiter_ticket *ticket, int64_t now)
{
  ticket->waiting = true;
  bool expired = is_expired(ticket, now);
  if (!expired) limiter_tell_wait(ticket, now);
  if (expired || !set_deadline(ticket, now)) set_aside(ticket);
}

/* In two steps, since a ticket's function may take others out of the queues. */
void limiter_fail_expired(struct limiter *limiter)
{
  int64_t now = loop_clock();
  for (unsigned set = 1; set < LIMITER_SETS; set++) {
    if (limiter_pause_left(limiter, set, now) == 0) continue;
    for (struct limiter_ticket *next, *ticket = limiter->queues[set].first; ticket; ticket = next) {
      next = ticket->next;
      if (is_expired(ticket, now)) set_aside(ticket);
    }
  }
  for (struct limiter_ticket *ticket; (ticket = limiter->expired.first);) {
    struct error err;
    explain(ticket, &err);
    limiter_fail(ticket, &err);
  }
}

static void on_wake(void *arg)
{
  limiter_pump(arg);
}

static void fail_all(struct limiter *limiter)
{
  struct error err = ERROR_INIT;
  error_set(&err, ERROR_INTERNAL, "out of memory");
  for (unsigned set = 1; set < LIMITER_SETS; set++)
    while (limiter->queues[set].first) limiter_fail(limiter->queues[set].first, &err);
}

static bool is_waiting(const struct limiter *limiter)
{
  for (unsigned set = 1; set < LIMITER_SETS; set++)
    if (limiter->queues[set].length > 0) return true;
  return false;
}

/* The set whose queue can move first; 0: none can without an event. */
static unsigned next_set(const struct limiter *limiter, int64_t now)
{
  unsigned first = 0;
  for (unsigned set = 1; set < LIMITER_SETS; set++) {
    int64_t wake_at = limiter_wake_at(limiter, set);
    bool timed = limiter->rules.off
                     ? wake_at > now
                     : !limiter->out; /* else a probe, or the job under way, decides */
    if (limiter->queues[set].length > 0 && timed &&
        (!first || wake_at < limiter_wake_at(limiter, first)))
      first = set;
  }
  return first;
}

void limiter_pump(struct limiter *limiter)
{
  if (limiter->busy) return;
  if (limiter->rules.off) limiter_let_go(limiter);
  if (!limiter->out) limiter_ask(limiter, false);
  int64_t now = loop_clock();
  unsigned first = next_set(limiter, now);
  if (!first)
    loop_timer_clear(limiter->loop, &limiter->wake);
  else if (!loop_timer_set(limiter->loop, &limiter->wake, limiter_wake_at(limiter, first) - now,
                           on_wake, limiter))
    fail_all(limiter);
  if (first || !limiter->out || !is_waiting(limiter)) limiter_tell_next(limiter, first, now);
}

/* The same, called from libcurl, where no request can begin: runs in the next turn of the loop. */
static void pump_soon(struct limiter *limiter)
{
  if (!loop_timer_set(limiter->loop, &limiter->wake, 0, on_wake, limiter)) fail_all(limiter);
}

void limiter_take(struct limiter *limiter, struct limiter_ticket *ticket, unsigned scopes,
                  int64_t lease, double max_wait,
                  void (*granted)(void *arg, const struct error *err), void *arg)
{
  ticket->limiter = limiter;
  ticket->scopes = scopes;
  ticket->granted = granted;
  ticket->arg = arg;
  if (limiter->rules.off) {
    limiter_look(limiter);
    if (!(scopes & limiter->trying)) {
      ticket->state = LIMITER_GRANTED;
      granted(arg, NULL);
      return;
    }
  }
  ticket->state = LIMITER_WAITING;
  ticket->waiting = false;
  ticket->number = limiter->numbers++;
  ticket->max_wait = max_wait;
  ticket->lease = lease;
  ticket->since = loop_clock();
  append(&limiter->queues[scopes], ticket);
  if (limiter_wake_at(limiter, scopes) > ticket->since) {
    limiter_wait(ticket, ticket->since);
    limiter_fail_expired(limiter);
  }
  limiter_pump(limiter);
}

int64_t limiter_lease_left(const struct limiter_ticket *ticket)
{
  return ticket->limiter->rules.off ? SLOTS_LONGEST_LEASE : ticket->lease_until - loop_clock();
}

static void add_ending(const struct limiter_ticket *ticket, enum slots_end how, int64_t pause,
                       bool holds)
{
  struct slots_ending ending = {.scopes = ticket->scopes,
                                .how = how,
                                .at = loop_clock(),
                                .pause = pause};
  for (int i = 0; i < SLOTS_SCOPES; i++)
    ending.holds[i] = holds ? ticket->holds[i] : (struct slots_hold){.slot = -1};
  if (holds) limiter_note_end(ticket->limiter, &ending);
  limiter_add_ending(ticket->limiter, &ending);
}

/* With the limits off and no pause, the store needs no report. */
static void end_ticket(struct limiter_ticket *ticket, enum slots_end how)
{
  struct limiter *limiter = ticket->limiter;
  if (ticket->state != LIMITER_GRANTED) return;
  ticket->state = LIMITER_IDLE;
  if (!limiter->rules.off)
    add_ending(ticket, how, 0, true);
  else if (limiter->trying)
    limiter_end_probe(limiter, ticket, how);
  else
    return;
  if (how == SLOTS_HEADED)
    pump_soon(limiter);
  else
    limiter_pump(limiter);
}

void limiter_cancel(struct limiter_ticket *ticket)
{
  if (ticket->state == LIMITER_WAITING) {
    leave(ticket);
    limiter_pump(ticket->limiter);
  } else
    end_ticket(ticket, SLOTS_UNUSED);
}

void limiter_unused(struct limiter_ticket *ticket)
{
  end_ticket(ticket, SLOTS_UNUSED);
}

void limiter_headed(struct limiter_ticket *ticket)
{
  end_ticket(ticket, SLOTS_HEADED);
}

void limiter_lost(struct limiter_ticket *ticket)
{
  end_ticket(ticket, SLOTS_LOST);
}

static int64_t pause_length(const struct limiter *limiter, unsigned scopes, double retry_after)
{
  int64_t longest = 0;
  if (retry_after > 0) {
    double most = (double)SLOTS_LONGEST_PAUSE / 1e6;
    return (int64_t)((retry_after < most ? retry_after : most) * 1e6);
  }
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (limiter_has(scopes, i) && limiter->rules.scopes[i].window > longest)
      longest = limiter->rules.scopes[i].window;
  return longest ? longest : OFF_WINDOW;
}

double limiter_refused(struct limiter_ticket *ticket, double retry_after)
{
  struct limiter *limiter = ticket->limiter;
  if (!limiter || ticket->state == LIMITER_WAITING) return 0;
  int64_t pause = pause_length(limiter, ticket->scopes, retry_after), until = loop_clock() + pause;
  add_ending(ticket, SLOTS_REFUSED, pause, ticket->state == LIMITER_GRANTED && !limiter->rules.off);
  ticket->state = LIMITER_IDLE;
  limiter_end_probe(limiter, ticket, SLOTS_REFUSED);
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (limiter_has(ticket->scopes, i) && limiter->paused_until[i] < until)
      limiter->paused_until[i] = until;
  limiter->trying |= ticket->scopes;
  limiter_fail_expired(limiter);
  limiter_pump(limiter);
  return (double)pause / 1e6;
}

static void hash_key(const char *base_url, const char *key, char hex[DIGEST_HEX])
{
  const struct digest_part parts[] = {{base_url, strlen(base_url)}, {"\n", 1}, {key, strlen(key)}};
  digest_hex(parts, 3, hex);
}

struct limiter *limiter_open(struct loop *loop, struct store *store, const char *base_url,
                             const char *key, const struct limiter_rules *rules, struct error *err)
{
  struct limiter *limiter = calloc(1, sizeof *limiter);
  if (!limiter) {
    error_set(err, ERROR_INTERNAL, "out of memory");
    return NULL;
  }
  hash_key(base_url, key, limiter->key);
  limiter->loop = loop;
  limiter->store = store;
  limiter->rules = *rules;
  limiter->max_pause = LIMITER_MAX_PAUSE;
  limiter->looked_at = -SLOTS_SECOND;
  memcpy(limiter->job.key, limiter->key, sizeof limiter->key);
  memcpy(limiter->job.rules, rules->scopes, sizeof limiter->job.rules);
  return limiter;
}

/* A job under way ends the limiter when it is done, after it has returned the slots of cancelled
 * tickets. */
void limiter_close(struct limiter *limiter)
{
  if (!limiter) return;
  for (unsigned set = 1; set < LIMITER_SETS; set++)
    while (limiter->queues[set].first) leave(limiter->queues[set].first);
  limiter->closed = true;
  limiter->tell = NULL;
  limiter->next = NULL;
  limiter_pump(limiter);
  if (limiter->out) return;
  limiter_end(limiter);
}

void limiter_max_pause(struct limiter *limiter, double most)
{
  limiter->max_pause = most;
}

void limiter_on_wait(struct limiter *limiter,
                     void (*tell)(void *arg, const struct limiter_news *news), void *arg)
{
  limiter->tell = tell;
  limiter->tell_arg = arg;
}

void limiter_on_next(struct limiter *limiter,
                     void (*next)(void *arg, const struct limiter_news *news), void *arg)
{
  limiter->next = next;
  limiter->next_arg = arg;
}

const char *limiter_key(const struct limiter *limiter)
{
  return limiter->key;
}
