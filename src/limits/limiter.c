#include "limits/limiter.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "limits/limiter_private.h"

#define DEFAULT_PAUSE (60 * SLOTS_SECOND) /* without limits: a pause whose length is not known */
#define LOOK_EVERY SLOTS_SECOND /* without limits: how often other processes' pauses are read */
#define SHARES 32               /* a job takes at most this fraction of shared slots */
#define COURTESY INT64_C(20000) /* maximum microseconds between two jobs */
#define COURTESY_PART 100       /* and at most this fraction of the window */

/* Handles everything that can be handled now, and sets the timer for the next event. */
static void pump(struct limiter *limiter);

static bool is_unlimited(const struct limiter *limiter, unsigned set)
{
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (limiter_has(set, i) && limiter->rules.scopes[i].count > 0) return false;
  return true;
}

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

/* A ticket's function may take, end and cancel tickets. */
static void grant(struct limiter_ticket *ticket, bool stored)
{
  leave(ticket);
  ticket->state = LIMITER_GRANTED;
  ticket->stored = stored;
  ticket->granted(ticket->arg, NULL);
}

static void fail(struct limiter_ticket *ticket, const struct error *err)
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

static void on_deadline(void *arg)
{
  struct limiter_ticket *ticket = arg;
  struct limiter *limiter = ticket->limiter;
  struct error err;
  limiter_explain(ticket, &err);
  fail(ticket, &err);
  pump(limiter);
}

static bool set_deadline(struct limiter_ticket *ticket, int64_t now)
{
  double left = remaining_wait(ticket, now) * 1e6;
  return ticket->max_wait < 0 || left > 1e15 ||
         loop_timer_set(ticket->limiter->loop, &ticket->deadline, (int64_t)left, on_deadline,
                        ticket);
}

/* The ticket must wait: reports it, and sets it aside if it cannot succeed. */
static void begin_wait(struct limiter_ticket *ticket, int64_t now)
{
  ticket->waiting = true;
  bool expired = is_expired(ticket, now);
  if (!expired) limiter_report_wait(ticket, now);
  if (expired || !set_deadline(ticket, now)) set_aside(ticket);
}

/* Fails the tickets that were set aside, and all whose max_wait is shorter than a pause. In two
 * steps, since a ticket's function may take others out of the queues. */
static void fail_expired(struct limiter *limiter)
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
    limiter_explain(ticket, &err);
    fail(ticket, &err);
  }
}

static void fail_all(struct limiter *limiter)
{
  struct error err = ERROR_INIT;
  error_set(&err, ERROR_INTERNAL, "out of memory");
  for (unsigned set = 1; set < LIMITER_SETS; set++)
    while (limiter->queues[set].first) fail(limiter->queues[set].first, &err);
}

/* Fairness among processes. The store gives slots to the process that asks first; one with many
 * waiting requests would take every slot that becomes free, while another gets none. So a process
 * that shares an exhausted scope with others takes few slots at a time and then leaves the next
 * ones to the others for a moment. A process alone is not slowed down. */

/* How many slots the next job may take. */
static size_t job_share(const struct limiter *limiter)
{
  size_t share = LIMITER_BATCH;
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    size_t part = (size_t)(limiter->rules.scopes[i].count + SHARES - 1) / SHARES;
    if (limiter->shared[i] && part < share) share = part;
  }
  return share;
}

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

/* A request that had slots has ended. Out of memory, slots are counted as those of others, and the
 * process takes fewer. */
static void note_end(struct limiter *limiter, const struct slots_ending *ending)
{
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    struct limiter_ends *ends = &limiter->ends[i];
    if (!limiter_has(ending->scopes, i)) continue;
    limiter->held[i]--;
    if (limiter->rules.scopes[i].count == 0 || ending->how == SLOTS_NOT_SENT || !make_room(ends))
      continue;
    int64_t late = ending->how == SLOTS_NO_RESPONSE ? SLOTS_NO_RESPONSE_TIME : 0;
    ends->at[ends->first + ends->count++] =
        ending->at + slots_window(&limiter->rules.scopes[i]) + late;
  }
}

/* What follows from a finished job. */
static void note_taken(struct limiter *limiter, int64_t now)
{
  const struct slots_job *job = &limiter->job;
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    const struct slots_rule *rule = &limiter->rules.scopes[i];
    if (rule->count == 0 || !limiter_has(job->scopes, i)) continue;
    int taken = 0, busy = job->views[i].busy;
    for (size_t k = 0; k < job->taking_count; k++)
      taken += limiter->takings[k].granted && limiter_has(limiter->takings[k].scopes, i);
    bool others = count_own(limiter, i, now) + taken < busy, full = busy >= rule->count;
    /* When a scope becomes full, others may be waiting that have had no slot so far. */
    if (full || !others) limiter->shared[i] = others || (full && !limiter->full[i]);
    limiter->full[i] = full;
    int64_t courtesy = rule->window / COURTESY_PART;
    if (courtesy > COURTESY) courtesy = COURTESY;
    if (taken > 0 && limiter->shared[i]) limiter->ask_at = now + courtesy;
  }
}

/* The jobs for the store: one at a time, with all endings and takings that have arrived by then, so
 * that a busy limiter needs few jobs. */

/* When out of memory, the slots keep their leases, which expire. */
static void add_ending(struct limiter *limiter, const struct slots_ending *ending)
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

/* Slots that are given back early may serve waiting tickets, and a pause may have ended. */
static void forget_waits(struct limiter *limiter)
{
  for (size_t k = 0; k < limiter->ending_count; k++) {
    const struct slots_ending *ending = &limiter->endings[k];
    for (int i = 0; i < SLOTS_SCOPES; i++)
      if (limiter_has(ending->scopes, i) &&
          (ending->how == SLOTS_NOT_SENT || ending->holds[i].probe))
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
  for (size_t share = job_share(limiter); count < share;) {
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

/* Sends the store everything that can be sent now; with nothing to send and `look` set, reads the
 * state. */
static void send_job(struct limiter *limiter, bool look)
{
  struct slots_job *job = &limiter->job;
  forget_waits(limiter);
  size_t takings = collect(limiter);
  if (takings + limiter->ending_count == 0 && !look) return;
  swap_endings(limiter);
  job->takings = limiter->takings;
  job->taking_count = takings;
  job->scopes = look ? LIMITER_SETS - 1 : 0;
  for (size_t k = 0; k < takings; k++) job->scopes |= limiter->takings[k].scopes;
  for (size_t k = 0; k < job->ending_count; k++) job->scopes |= job->endings[k].scopes;
  job->job.done = on_done;
  limiter->job_under_way = true;
  slots_submit(limiter->store, job);
}

static void read_views(struct limiter *limiter)
{
  const struct slots_job *job = &limiter->job;
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    const struct slots_view *view = &job->views[i];
    if (!limiter_has(job->scopes, i)) continue;
    int64_t paused_until = job->done_at + view->paused;
    if (view->paused > 0 && paused_until > limiter->paused_until[i])
      limiter->paused_until[i] = paused_until;
    limiter->free_at[i] = job->done_at + view->wait;
    limiter->paced_until[i] = view->paced > 0 ? job->done_at + view->paced : 0;
    limiter->pace[i] = view->pace;
    limiter->unproven &= ~(1u << i);
    limiter->unproven |= (unsigned)view->unproven << i;
  }
}

/* Slots whose ticket was cancelled, or that arrive after a pause has begun, are given back. */
static void hand_out(struct limiter *limiter, size_t k, int64_t now)
{
  struct limiter_ticket *ticket = limiter->asked[k];
  const struct slots_taking *taking = &limiter->takings[k];
  bool wanted = ticket && limiter_pause_left(limiter, taking->scopes, now) == 0;
  limiter->asked[k] = NULL;
  if (ticket) ticket->asked = 0;
  if (!taking->granted) return;
  if (wanted) {
    memcpy(ticket->holds, taking->holds, sizeof ticket->holds);
    ticket->lease_until = limiter->job.begun_at + taking->lease;
    for (int i = 0; i < SLOTS_SCOPES; i++) limiter->held[i] += limiter_has(taking->scopes, i);
    grant(ticket, true);
  } else {
    struct slots_ending ending = {.scopes = taking->scopes,
                                  .how = SLOTS_NOT_SENT,
                                  .at = loop_clock()};
    memcpy(ending.holds, taking->holds, sizeof ending.holds);
    add_ending(limiter, &ending);
  }
}

/* Tickets not yet notified are at the tail: the queue is FIFO. */
static void notify_waiters(struct limiter *limiter, int64_t now)
{
  for (unsigned set = 1; set < LIMITER_SETS; set++) {
    if (limiter_wake_at(limiter, set) <= now) continue;
    struct limiter_ticket *ticket = limiter->queues[set].last;
    if (ticket && ticket->waiting) limiter_report_paced(limiter, set, now);
    while (ticket && !ticket->waiting && ticket->previous && !ticket->previous->waiting)
      ticket = ticket->previous;
    for (struct limiter_ticket *next; ticket && !ticket->waiting; ticket = next) {
      next = ticket->next;
      begin_wait(ticket, now);
    }
  }
}

/* Requests without a limit do not need the store. */
static void on_failure(struct limiter *limiter)
{
  struct error err = limiter->job.job.err;
  for (size_t k = 0; k < limiter->job.taking_count; k++) {
    struct limiter_ticket *ticket = limiter->asked[k];
    if (ticket && is_unlimited(limiter, ticket->scopes))
      grant(ticket, false);
    else if (ticket)
      fail(ticket, &err);
  }
}

/* Frees a limiter whose job is not under way. */
static void destroy(struct limiter *limiter)
{
  for (int i = 0; i < SLOTS_SCOPES; i++) free(limiter->ends[i].at);
  free(limiter->endings);
  free(limiter->job.endings);
  free(limiter);
}

static void on_done(struct store_job *job)
{
  struct limiter *limiter = (struct limiter *)((char *)job - offsetof(struct limiter, job.job));
  int64_t now = loop_clock();
  limiter->job_under_way = false;
  limiter->busy = true;
  if (job->err.kind != ERROR_NONE)
    on_failure(limiter);
  else {
    read_views(limiter);
    note_taken(limiter, now);
    for (size_t k = 0; k < limiter->job.taking_count; k++) hand_out(limiter, k, now);
    notify_waiters(limiter, now);
    fail_expired(limiter);
  }
  limiter->busy = false;
  pump(limiter);
  if (limiter->closed && !limiter->job_under_way) destroy(limiter);
}

/* The set whose queue can move first; 0: all are empty, or the job under way decides. */
static unsigned next_set(const struct limiter *limiter)
{
  unsigned first = 0;
  if (limiter->job_under_way) return 0;
  for (unsigned set = 1; set < LIMITER_SETS; set++)
    if (limiter->queues[set].length > 0 &&
        (!first || limiter_wake_at(limiter, set) < limiter_wake_at(limiter, first)))
      first = set;
  return first;
}

static bool is_waiting(const struct limiter *limiter)
{
  for (unsigned set = 1; set < LIMITER_SETS; set++)
    if (limiter->queues[set].length > 0) return true;
  return false;
}

static void on_wake(void *arg)
{
  pump(arg);
}

static void pump(struct limiter *limiter)
{
  if (limiter->busy) return;
  if (!limiter->job_under_way) send_job(limiter, false);
  int64_t now = loop_clock();
  unsigned first = next_set(limiter);
  if (!first)
    loop_timer_clear(limiter->loop, &limiter->wake);
  else if (!loop_timer_set(limiter->loop, &limiter->wake, limiter_wake_at(limiter, first) - now,
                           on_wake, limiter))
    fail_all(limiter);
  if (first || !is_waiting(limiter)) limiter_report_next(limiter, first, now);
}

/* The same, called from libcurl, where no request can begin: runs in the next turn of the loop. */
static void pump_soon(struct limiter *limiter)
{
  if (!loop_timer_set(limiter->loop, &limiter->wake, 0, on_wake, limiter)) fail_all(limiter);
}

/* Requests without a limit only ask the store when they may be under a pause. They learn of pauses
 * from responses and by looking now and then. */
static bool needs_no_slot(struct limiter *limiter, unsigned scopes)
{
  if (!is_unlimited(limiter, scopes)) return false;
  int64_t now = loop_now(limiter->loop);
  if (!limiter->job_under_way && now - limiter->looked_at >= LOOK_EVERY) {
    limiter->looked_at = now;
    send_job(limiter, true);
  }
  return !(scopes & limiter->unproven) && limiter_pause_left(limiter, scopes, now) == 0;
}

void limiter_take(struct limiter *limiter, struct limiter_ticket *ticket, unsigned scopes,
                  int64_t lease, double max_wait,
                  void (*granted)(void *arg, const struct error *err), void *arg)
{
  ticket->limiter = limiter;
  ticket->scopes = scopes;
  ticket->granted = granted;
  ticket->arg = arg;
  if (needs_no_slot(limiter, scopes)) {
    ticket->state = LIMITER_GRANTED;
    ticket->stored = false;
    granted(arg, NULL);
    return;
  }
  ticket->state = LIMITER_WAITING;
  ticket->waiting = false;
  ticket->number = limiter->numbers++;
  ticket->max_wait = max_wait;
  ticket->lease = lease;
  ticket->since = loop_clock();
  append(&limiter->queues[scopes], ticket);
  if (limiter_wake_at(limiter, scopes) > ticket->since) {
    begin_wait(ticket, ticket->since);
    fail_expired(limiter);
  }
  pump(limiter);
}

int64_t limiter_lease_left(const struct limiter_ticket *ticket)
{
  return ticket->stored ? ticket->lease_until - loop_clock() : SLOTS_LONGEST_LEASE;
}

static void write_ending(const struct limiter_ticket *ticket, enum slots_end how, int64_t pause,
                         bool holds)
{
  struct slots_ending ending = {.scopes = ticket->scopes,
                                .how = how,
                                .at = loop_clock(),
                                .pause = pause};
  for (int i = 0; i < SLOTS_SCOPES; i++)
    ending.holds[i] = holds ? ticket->holds[i] : (struct slots_hold){.slot = -1};
  if (holds) note_end(ticket->limiter, &ending);
  add_ending(ticket->limiter, &ending);
}

static void end_ticket(struct limiter_ticket *ticket, enum slots_end how)
{
  if (ticket->state != LIMITER_GRANTED) return;
  ticket->state = LIMITER_IDLE;
  if (!ticket->stored) return;
  write_ending(ticket, how, 0, true);
  if (how == SLOTS_RESPONDED)
    pump_soon(ticket->limiter);
  else
    pump(ticket->limiter);
}

void limiter_cancel(struct limiter_ticket *ticket)
{
  if (ticket->state == LIMITER_WAITING) {
    leave(ticket);
    pump(ticket->limiter);
  } else
    end_ticket(ticket, SLOTS_NOT_SENT);
}

void limiter_not_sent(struct limiter_ticket *ticket)
{
  end_ticket(ticket, SLOTS_NOT_SENT);
}

void limiter_responded(struct limiter_ticket *ticket)
{
  end_ticket(ticket, SLOTS_RESPONDED);
}

void limiter_no_response(struct limiter_ticket *ticket)
{
  end_ticket(ticket, SLOTS_NO_RESPONSE);
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
  return longest ? longest : DEFAULT_PAUSE;
}

double limiter_rate_limited(struct limiter_ticket *ticket, double retry_after)
{
  struct limiter *limiter = ticket->limiter;
  if (!limiter || ticket->state == LIMITER_WAITING) return 0;
  int64_t pause = pause_length(limiter, ticket->scopes, retry_after), until = loop_clock() + pause;
  write_ending(ticket, SLOTS_RATE_LIMITED, pause,
               ticket->state == LIMITER_GRANTED && ticket->stored);
  ticket->state = LIMITER_IDLE;
  for (int i = 0; i < SLOTS_SCOPES; i++)
    if (limiter_has(ticket->scopes, i) && limiter->paused_until[i] < until)
      limiter->paused_until[i] = until;
  limiter->unproven |= ticket->scopes;
  fail_expired(limiter);
  pump(limiter);
  return (double)pause / 1e6;
}

struct limiter *limiter_open(struct loop *loop, struct store *store, const char *base_url,
                             const char *key, const struct limiter_rules *rules, struct error *err)
{
  struct limiter *limiter = calloc(1, sizeof *limiter);
  if (!limiter) {
    error_set(err, ERROR_INTERNAL, "out of memory");
    return NULL;
  }
  const struct digest_part parts[] = {{base_url, strlen(base_url)}, {"\n", 1}, {key, strlen(key)}};
  digest_hex(parts, 3, limiter->key);
  limiter->loop = loop;
  limiter->store = store;
  limiter->rules = *rules;
  limiter->max_pause = LIMITER_MAX_PAUSE;
  limiter->looked_at = -LOOK_EVERY;
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
  limiter->report = NULL;
  limiter->next = NULL;
  pump(limiter);
  if (!limiter->job_under_way) destroy(limiter);
}

void limiter_max_pause(struct limiter *limiter, double seconds)
{
  limiter->max_pause = seconds;
}

void limiter_on_wait(struct limiter *limiter,
                     void (*report)(void *arg, const struct limiter_notice *notice), void *arg)
{
  limiter->report = report;
  limiter->report_arg = arg;
}

void limiter_on_next(struct limiter *limiter,
                     void (*next)(void *arg, const struct limiter_notice *notice), void *arg)
{
  limiter->next = next;
  limiter->next_arg = arg;
}

const char *limiter_key(const struct limiter *limiter)
{
  return limiter->key;
}
