/* The fourth step of a charge: whether its key was used before. */
#include <stdio.h>
#include <string.h>

#include "charge/crash_point.h"
#include "charge/flow.h"

static void answer_again(struct flow *charge, const struct journal_entry *entry)
{
  struct purchase_charge *public = &charge->public;
  snprintf(public->order_id, sizeof public->order_id, "%s", entry->order_id ? entry->order_id : "");
  public->quote = entry->quote;
  public->has_quote = true;
  public->repeated = true;
  if (entry->answer && !buffer_add_text(&public->answer, entry->answer))
    error_set(&public->error, ERROR_INTERNAL, "out of memory");
}

static void explain_open(struct flow *charge, const struct journal_entry *entry)
{
  error_set(&charge->public.error, ERROR_OUTCOME_UNKNOWN,
            "an earlier attempt with key %s has an unknown outcome%s%.200s%s; it is not sent "
            "again. " FLOW_WAY_OUT,
            charge->public.key, entry->note ? " (" : "", entry->note ? entry->note : "",
            entry->note ? ")" : "", charge->public.key);
  charge->public.error.charge = CHARGE_UNKNOWN;
}

static void found(struct flow *charge, const struct journal_entry *entry)
{
  if (strcmp(entry->params_hash, charge->params_hash) != 0)
    error_set(&charge->public.error, ERROR_KEY_REUSED,
              "key %s was used before for another purchase (%.300s); use a new key for each "
              "purchase",
              charge->public.key, entry->params);
  else if (entry->state == JOURNAL_PLACED)
    answer_again(charge, entry);
  else
    explain_open(charge, entry);
  flow_end(charge);
}

/* Without the lock, an open entry may still be settled: then the charge waits for the lock first.
 */
static void on_found(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, find);
  if (flow_has_failed(charge, job)) return;
  const struct journal_entry *entry = &charge->find.entry;
  bool was = charge->find.found && entry->state != JOURNAL_NOT_PLACED;
  bool locked = charge->token != 0, dry_run = charge->owner->settings.dry_run;
  crash_point("looked-up");
  charge->idempotency.size = 0;
  /* A server that stores idempotency keys repeats its response forever, even if it is a refusal or
   * an order that was cancelled. So after a failed attempt the next one uses another key. */
  if (!(charge->find.found && entry->state == JOURNAL_NOT_PLACED
            ? buffer_print(&charge->idempotency, "%s.%lld", charge->public.key,
                           (long long)entry->id)
            : buffer_add_text(&charge->idempotency, charge->public.key))) {
    flow_fail(charge, ERROR_INTERNAL, "out of memory");
    return;
  }
  if (was && (locked || dry_run || entry->state == JOURNAL_PLACED))
    found(charge, entry);
  else if (was)
    flow_lock(charge);
  else
    flow_quote(charge);
}

void flow_find(struct flow *charge)
{
  journal_entry_free(&charge->find.entry);
  charge->find = (struct journal_find){.job.done = on_found,
                                       .account = charge->owner->account,
                                       .key = charge->public.key};
  charge->working = true;
  journal_find(charge->owner->settings.store, &charge->find);
}
