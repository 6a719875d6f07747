/* The seventh step of a charge: once the slots are granted, write the intent, then the entry as
 * sent, then send the request. */
#include <string.h>
#include <unistd.h>

#include "charge/crash_point.h"
#include "charge/flow.h"

#define STALE_US                                                                                 \
  INT64_C(5000000) /* a request must leave within this time after its entry was written as sent, \
                      or not at all: other processes rely on it */
#define QUOTE_US INT64_C(30000000) /* an older quote is renewed before the request leaves */
#define MARGIN_US INT64_C(1000000) /* by which a request may exceed its timeout */

static bool may_send(void *arg)
{
  struct flow *charge = arg;
  crash_point("leaving");
  charge->withheld = charge->abandoned || loop_clock() - charge->committed_at > STALE_US;
  return !charge->withheld;
}

/* Ends the call and returns its slots unused; nothing was sent. */
static void stop(struct flow *charge)
{
  struct error why = charge->public.error;
  client_stop(charge->call, &why);
}

static void on_sending(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, settle);
  struct error *err = &charge->public.error;
  crash_point("sending");
  if (flow_is_closed(charge)) return;
  if (job->err.kind != ERROR_NONE)
    *err = job->err;
  else if (charge->abandoned)
    error_set(err, ERROR_CANCELLED, "cancelled before it was sent");
  else if (!charge->settle.changed)
    error_set(err, ERROR_OUTCOME_UNKNOWN,
              "another process has settled this charge's entry; nothing was sent");
  charge->committed_at = charge->settle.began_at;
  if (err->kind == ERROR_NONE)
    client_go(charge->call);
  else
    stop(charge);
}

/* Before the first byte leaves, and again after waiting for a 429, the entry is on disk as sent. */
static void write_sending(struct flow *charge)
{
  int64_t longest = (int64_t)(charge->owner->settings.timeout * 1e6) + STALE_US + MARGIN_US;
  charge->settle = (struct journal_settle){.job.done = on_sending,
                                           .token = charge->token,
                                           .id = charge->entry,
                                           .state = JOURNAL_SENT,
                                           .ends_in = longest,
                                           .price = JOURNAL_NO_PRICE};
  charge->working = true;
  journal_settle(charge->owner->settings.store, &charge->settle);
}

static void on_intended(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, intend);
  struct error *err = &charge->public.error;
  if (flow_is_closed(charge)) return;
  if (job->err.kind != ERROR_NONE)
    *err = job->err;
  else if (charge->intend.verdict == JOURNAL_REFUSED)
    flow_explain_allowance(charge);
  else if (charge->intend.verdict == JOURNAL_EXISTS)
    error_set(err, ERROR_OUTCOME_UNKNOWN,
              "another process used key %s at the same time; run the command again to see its "
              "outcome",
              charge->public.key);
  else
    charge->entry = charge->intend.id;
  if (err->kind == ERROR_NONE && charge->abandoned)
    error_set(err, ERROR_CANCELLED, "cancelled before it was sent");
  crash_point("intent");
  if (err->kind == ERROR_NONE)
    write_sending(charge);
  else
    stop(charge);
}

void flow_intend(struct flow *charge, bool rehearse, void (*done)(struct store_job *job))
{
  const struct purchase *purchase = charge->owner;
  if (!rehearse && !flow_write_baseline(charge)) buffer_free(&charge->snapshot);
  journal_entry_free(&charge->intend.existing);
  charge->intend =
      (struct journal_intend){.job.done = done,
                              .token = charge->token,
                              .rehearse = rehearse,
                              .server_time = (int64_t)client_clock(purchase->settings.client),
                              .allowance = flow_allowance(charge),
                              .elsewhere = flow_elsewhere(charge),
                              .budget = charge->request.budget,
                              .entry = {.account = purchase->account,
                                        .key = charge->public.key,
                                        .endpoint = (char *)flow_name(charge),
                                        .params = charge->params.data,
                                        .params_hash = charge->params_hash,
                                        .quote = charge->public.quote,
                                        .snapshot = charge->snapshot.data,
                                        .host = (char *)purchase->host,
                                        .pid = getpid(),
                                        .started = purchase->started,
                                        .run_id = (char *)purchase->run_id}};
  charge->working = true;
  journal_intend(purchase->settings.store, &charge->intend);
}

static void prepare(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  charge->call = call;
  charge->stage = FLOW_SENDING;
  crash_point("slots");
  charge->stale = charge->request.endpoint && loop_clock() - charge->quoted_at > QUOTE_US;
  if (charge->stale)
    stop(charge);
  else if (charge->entry != 0)
    write_sending(charge);
  else
    flow_intend(charge, false, on_intended);
}

void flow_send(struct flow *charge)
{
  const struct purchase_request *r = &charge->request;
  struct client_request request = {.endpoint = r->endpoint,
                                   .kind = ENDPOINT_CHARGE,
                                   .order_scope = r->endpoint && r->endpoint->order_scope,
                                   .method = r->method,
                                   .path = charge->path,
                                   .query = charge->query,
                                   .body = charge->body,
                                   .body_size = r->body_size,
                                   .idempotency_key = charge->idempotency.data,
                                   .timeout = r->timeout,
                                   .max_wait = r->max_wait,
                                   .refusals = charge->refusals,
                                   .refused = charge->refused,
                                   .prepare = prepare,
                                   .may_send = may_send};
  flow_call(charge, &request, flow_on_sent);
}
