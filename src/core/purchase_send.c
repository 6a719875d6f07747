/* The third step of a charge: with the quote allowed and the slots in hand, the intent goes to disk and the request out. */
#include <string.h>
#include <unistd.h>

#include "core/purchase_flow.h"

#define STALE_US INT64_C(5000000) /* after the commit of its intent a request must leave within this, or not at all */

static bool may_send(void *arg)
{
  const struct flow *charge = arg;
  return loop_clock() - charge->committed_at <= STALE_US;
}

static void explain_refusal(struct flow *charge)
{
  const struct journal_intend *intend = &charge->intend;
  char quote[MONEY_TEXT], allowed[MONEY_TEXT], spent[MONEY_TEXT];
  money_format(charge->public.quote, quote);
  money_format(intend->allowed > 0 ? intend->allowed : 0, allowed);
  money_format(intend->spent, spent);
  if (intend->allowance.per_run < 0 && intend->allowance.per_day < 0 && intend->allowance.per_order < 0)
    error_set(&charge->public.error, ERROR_SPEND_REFUSED,
              "this would cost %s, and spending is not allowed; allow it with --spend %s or spend in the config", quote,
              quote);
  else
    error_set(&charge->public.error, ERROR_SPEND_REFUSED,
              "this would cost %s; the limit %s is %s, of which %s is spent or reserved; it is raised with %s%s", quote,
              intend->limit, allowed, spent, strcmp(intend->limit, "per_run") == 0 ? "--spend or spend." : "spend.",
              intend->limit);
}

static void on_intended(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, intend);
  if (flow_is_closed(charge)) return;
  struct client_call *call = charge->call;
  struct error *err = &charge->public.error;
  if (job->err.kind != ERROR_NONE)
    *err = job->err;
  else if (charge->intend.verdict == JOURNAL_REFUSED)
    explain_refusal(charge);
  else if (charge->intend.verdict == JOURNAL_EXISTS)
    error_set(err, ERROR_OUTCOME_UNKNOWN,
              "another process is buying under key %s at this moment; run again to see what came of it",
              charge->public.key);
  else
    charge->entry = charge->intend.id;
  if (err->kind == ERROR_NONE && charge->abandoned) error_set(err, ERROR_CANCELLED, "cancelled before it was sent");
  charge->committed_at = loop_clock();
  if (err->kind == ERROR_NONE) {
    client_go(call);
    return;
  }
  struct error why = *err;
  client_stop(call, &why);
}

static void on_renewed(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, settle);
  if (flow_is_closed(charge)) return;
  charge->committed_at = loop_clock();
  if (job->err.kind == ERROR_NONE && !charge->abandoned) {
    client_go(charge->call);
    return;
  }
  struct error err = job->err;
  if (err.kind == ERROR_NONE) error_set(&err, ERROR_CANCELLED, "cancelled before it was sent");
  client_stop(charge->call, &err);
}

/* With the slots in hand: the intent, or after a 429 its renewal, is on disk before a byte leaves. */
static void prepare(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  struct purchase *purchase = charge->owner;
  charge->call = call;
  charge->sending = charge->working = true;
  if (charge->entry != 0) {
    charge->settle = (struct journal_settle){.job.done = on_renewed,
                                             .id = charge->entry,
                                             .state = JOURNAL_SENT,
                                             .price = JOURNAL_NO_PRICE};
    journal_settle(purchase->settings.store, &charge->settle);
    return;
  }
  charge->intend = (struct journal_intend){.job.done = on_intended,
                                           .allowance = purchase->settings.allowance,
                                           .entry = {.account = purchase->account,
                                                     .key = charge->public.key,
                                                     .endpoint = (char *)flow_name(charge),
                                                     .params = charge->params.data,
                                                     .params_hash = charge->params_hash,
                                                     .quote = charge->public.quote,
                                                     .host = purchase->host,
                                                     .pid = getpid(),
                                                     .run_id = purchase->run_id}};
  journal_intend(purchase->settings.store, &charge->intend);
}

static void send_it(struct flow *charge)
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
                                   .idempotency_key = charge->public.key,
                                   .timeout = r->timeout,
                                   .max_wait = r->max_wait,
                                   .prepare = prepare,
                                   .may_send = may_send};
  flow_call(charge, &request, flow_on_sent);
}

void flow_decide(struct flow *charge)
{
  const struct purchase *purchase = charge->owner;
  char quote[MONEY_TEXT], most[MONEY_TEXT];
  charge->public.has_quote = true;
  money_format(charge->public.quote, quote);
  money_format(charge->request.max_price, most);
  if (charge->request.has_max_price && charge->public.quote > charge->request.max_price) {
    error_set(&charge->public.error, ERROR_SPEND_REFUSED, "this would cost %s, above max_price %s; nothing was bought",
              quote, most);
    flow_end(charge);
  } else if (purchase->settings.dry_run) {
    charge->public.dry_run = true;
    flow_end(charge);
  } else if (purchase->overcharged) {
    flow_fail(charge, ERROR_SPEND_REFUSED,
              "an earlier charge of this run came out above its quote; this run spends nothing more");
  } else {
    send_it(charge);
  }
}
