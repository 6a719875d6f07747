/* The third step of a charge: settle open entries of processes that ended, as far as the API shows
 * their outcome. The lock is held, so no other charge of the account is under way. Entries that
 * look like this charge must be settled before it goes on. If some are settled, the others are
 * looked at once more, since open entries can hide each other's outcome. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "charge/crash_point.h"
#include "charge/flow.h"

#define FIRST_PAUSE INT64_C(250000) /* microseconds between two lookups */
#define MAX_PAUSE INT64_C(16000000)
#define MAX_ENTRIES 1000
#define RECENT INT64_C(3600000000) /* microseconds: for how long lists may lag behind a charge */

static void next(struct flow *charge);

static const struct journal_entry *entry_of(const struct flow *charge)
{
  return &charge->recovery.review.open.entries[charge->recovery.at];
}

static bool has_same_key(const struct flow *charge)
{
  return strcmp(entry_of(charge)->key, charge->public.key) == 0;
}

/* Whether the open entry must be settled before this charge can go on. */
static bool matters(const struct flow *charge)
{
  return has_same_key(charge) ||
         (!charge->request.inquiry && flow_could_be(charge, entry_of(charge)));
}

/* Whether reconciliation understands the request: only those of the table. */
static bool can_be_asked_for(const struct journal_entry *entry)
{
  return endpoint_find(entry->endpoint) != NULL;
}

static void refuse(struct flow *charge)
{
  const struct recovery *recovery = &charge->recovery;
  error_set(&charge->public.error, ERROR_OUTCOME_UNKNOWN,
            "nothing was sent: an earlier charge that looks the same, with key %.100s, has an "
            "unknown outcome%s%.200s%s, and "
            "the two cannot be distinguished. " FLOW_WAY_OUT,
            recovery->key, *recovery->why ? " (" : "", recovery->why, *recovery->why ? ")" : "",
            recovery->key);
  flow_end(charge);
}

static void hold_back(struct flow *charge, const char *why)
{
  struct recovery *recovery = &charge->recovery;
  if (recovery->doubtful) return;
  recovery->doubtful = entry_of(charge)->id;
  snprintf(recovery->key, sizeof recovery->key, "%s", entry_of(charge)->key);
  snprintf(recovery->why, sizeof recovery->why, "%s", why);
}

/* Entries that do not hold this charge back are looked up once in a run. */

static bool was_looked_up(const struct purchase *purchase, int64_t id)
{
  for (size_t i = 0; i < purchase->looked_up_count; i++)
    if (purchase->looked_up[i] == id) return true;
  return false;
}

static void remember(struct purchase *purchase, int64_t id)
{
  int64_t *more = realloc(purchase->looked_up, (purchase->looked_up_count + 1) * sizeof *more);
  if (!more) return; /* it is looked up once more */
  purchase->looked_up = more;
  purchase->looked_up[purchase->looked_up_count++] = id;
}

#define KEEP(why) \
  ((struct journal_settle){.ends_in = JOURNAL_KEEP_END, .price = JOURNAL_NO_PRICE, .note = (why)})

static void settle(struct flow *charge, enum journal_state state, struct journal_settle what,
                   void (*done)(struct store_job *job))
{
  what.job.done = done;
  what.token = charge->token;
  what.id = entry_of(charge)->id;
  what.state = state;
  charge->recovery.settle = what;
  charge->working = true;
  journal_settle(charge->owner->settings.store, &charge->recovery.settle);
}

static void on_over(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, recovery.settle);
  bool doubtful = charge->recovery.settle.state == JOURNAL_UNKNOWN;
  if (doubtful && matters(charge) && !has_same_key(charge))
    hold_back(charge, charge->inquiry.verdict.why);
  flow_inquiry_end(charge);
  if (flow_has_failed(charge, job)) return;
  charge->recovery.settled += !doubtful;
  charge->pause = 0;
  charge->recovery.at++;
  next(charge);
}

static void settle_placed(struct flow *charge)
{
  struct journal_settle found = KEEP("");
  if (!flow_inquiry_found(charge, &found)) {
    flow_fail(charge, ERROR_INTERNAL, "out of memory");
    return;
  }
  money quote = entry_of(charge)->quote; /* a lower price may be that of a cancelled order */
  if (found.price < quote) found.price = JOURNAL_NO_PRICE;
  if (found.price > quote) charge->owner->overcharged = true;
  settle(charge, JOURNAL_PLACED, found, on_over);
  flow_tell(charge,
            "an earlier %.60s with key %.100s, whose response was lost, went through: order %.100s",
            entry_of(charge)->endpoint, entry_of(charge)->key, found.order_id);
}

static void inquire(struct flow *charge);

static void on_verdict(struct flow *charge)
{
  const struct inquiry *inquiry = &charge->inquiry;
  switch (inquiry->verdict.what) {
    case RECONCILE_WAIT:
      flow_sleep(charge, FIRST_PAUSE, MAX_PAUSE, inquire);
      break;
    case RECONCILE_PLACED:
      settle_placed(charge);
      break;
    case RECONCILE_NOT_PLACED:
      settle(charge, JOURNAL_NOT_PLACED,
             KEEP("orders, transactions and balance show that nothing was bought"), on_over);
      flow_tell(charge,
                "an earlier %.60s with key %.100s, whose response was lost, did not go through",
                entry_of(charge)->endpoint, entry_of(charge)->key);
      break;
    case RECONCILE_DOUBT:
      settle(charge, JOURNAL_UNKNOWN, KEEP(inquiry->verdict.why), on_over);
      break;
  }
}

static void inquire(struct flow *charge)
{
  flow_inquire(charge, entry_of(charge)->id, on_verdict);
}

static void skip(struct flow *charge)
{
  charge->recovery.at++;
  next(charge);
}

/* The entry is unknown: decides whether to look it up now. */
static void look_at(struct flow *charge)
{
  const struct journal_entry *entry = entry_of(charge);
  struct purchase *purchase = charge->owner;
  bool due = entry->since_ended != JOURNAL_NOT_TIMED &&
             (double)entry->since_ended / 1e6 >= purchase->settings.settle;
  if (!can_be_asked_for(entry)) {
    if (matters(charge) && !has_same_key(charge)) hold_back(charge, entry->note ? entry->note : "");
    skip(charge);
  } else if (matters(charge)) {
    inquire(charge);
  } else if (due && !was_looked_up(purchase, entry->id)) {
    remember(purchase, entry->id);
    inquire(charge);
  } else {
    skip(charge);
  }
}

static void on_unknown(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, recovery.settle);
  if (flow_has_failed(charge, job)) return;
  crash_point("taken-over");
  look_at(charge);
}

/* A request has ended if its process has, or if the machine was restarted. For another machine the
 * latest time of its end is known. */
static void take_over(struct flow *charge, bool keep_end, const char *note)
{
  struct journal_settle what = KEEP(note);
  if (!keep_end) what.ends_in = 0;
  settle(charge, JOURNAL_UNKNOWN, what, on_unknown);
}

static void begin_round(struct flow *charge);

static void finish_round(struct flow *charge)
{
  struct recovery *recovery = &charge->recovery;
  if (recovery->doubtful && recovery->settled > 0 && !recovery->again) {
    recovery->again = true;
    begin_round(charge);
    return;
  }
  crash_point("recovered");
  if (recovery->doubtful)
    refuse(charge);
  else if (charge->request.inquiry)
    flow_end(charge);
  else
    flow_find(charge);
}

static void next(struct flow *charge)
{
  struct recovery *recovery = &charge->recovery;
  if (recovery->at == recovery->review.open.count) {
    finish_round(charge);
    return;
  }
  const struct journal_entry *entry = entry_of(charge);
  bool timed = entry->since_ended != JOURNAL_NOT_TIMED;
  if (entry->state == JOURNAL_INTENT)
    settle(charge, JOURNAL_NOT_PLACED, KEEP("its process ended before it was sent"), on_over);
  else if (entry->state == JOURNAL_SENT)
    take_over(charge, timed && !journal_is_orphan(entry),
              "its process ended before the response arrived");
  else if (!timed)
    take_over(charge, false, NULL);
  else
    look_at(charge);
}

static void on_review(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, recovery.review);
  if (flow_has_failed(charge, job)) return;
  if (flow_read_left(charge))
    next(charge);
  else
    flow_fail(charge, ERROR_INTERNAL, "out of memory");
}

static void begin_round(struct flow *charge)
{
  struct recovery *recovery = &charge->recovery;
  journal_review_free(&recovery->review);
  recovery->at = recovery->settled = 0;
  recovery->doubtful = 0;
  recovery->review = (struct journal_review){.job.done = on_review,
                                             .account = charge->owner->account,
                                             .within = RECENT,
                                             .limit = MAX_ENTRIES};
  charge->working = true;
  journal_review(charge->owner->settings.store, &recovery->review);
}

void flow_recover(struct flow *charge)
{
  charge->recovery.again = false;
  begin_round(charge);
}
