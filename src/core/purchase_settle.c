/* The last step of a charge: what came of the sending goes to the journal before anybody is told. */
#include <stdio.h>

#include "core/purchase_flow.h"

static void tell(const struct flow *charge, const char *text)
{
  const struct purchase_settings *settings = &charge->owner->settings;
  settings->tell(settings->tell_arg, text);
}

/* Nobody waits for this charge any more, but somebody wants to know. */
static void tell_outcome(const struct flow *charge)
{
  static const char *const outcomes[] = {[JOURNAL_PLACED] = "went through",
                                         [JOURNAL_NOT_PLACED] = "did not go through",
                                         [JOURNAL_UNKNOWN] = "has an unknown outcome"};
  char text[600];
  snprintf(text, sizeof text, "%s with key %s, which was cancelled, %s%s%s", flow_name(charge), charge->public.key,
           outcomes[charge->settle.state], charge->public.order_id[0] ? ": order " : "", charge->public.order_id);
  tell(charge, text);
}

static void on_settled(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, settle);
  if (flow_is_closed(charge)) return;
  if (job->err.kind != ERROR_NONE) {
    char text[1400];
    snprintf(text, sizeof text, "%s with key %s: the journal could not take down the outcome (%s): %s",
             flow_name(charge), charge->public.key, journal_state_name(charge->settle.state), job->err.message);
    tell(charge, text);
  }
  if (charge->abandoned) tell_outcome(charge);
  flow_end(charge);
}

void flow_settle(struct flow *charge, enum journal_state state, money price)
{
  charge->settle = (struct journal_settle){.job.done = on_settled,
                                           .id = charge->entry,
                                           .state = state,
                                           .order_id = charge->public.order_id[0] ? charge->public.order_id : NULL,
                                           .price = price,
                                           .answer = charge->public.answer.data};
  charge->working = charge->entry != 0;
  if (charge->working)
    journal_settle(charge->owner->settings.store, &charge->settle);
  else
    flow_end(charge);
}

static void check_price(struct flow *charge, money price)
{
  if (price <= charge->public.quote) return;
  char quoted[MONEY_TEXT], paid[MONEY_TEXT], text[400];
  money_format(charge->public.quote, quoted);
  money_format(price, paid);
  snprintf(text, sizeof text, "%s with key %s cost %s, above its quote of %s; this run spends nothing more",
           flow_name(charge), charge->public.key, paid, quoted);
  charge->owner->overcharged = true;
  tell(charge, text);
}

/* The price in the answer to an extension is the order's own: what the extension cost is its quote, for want of better. */
static void placed(struct flow *charge, const struct http_exchange *x)
{
  money price = JOURNAL_NO_PRICE;
  if (!flow_is_extension(charge) && flow_read_money(charge, RECORD_ORDER, x, "price", &price))
    check_price(charge, price);
  flow_settle(charge, JOURNAL_PLACED, price);
}

/* Only these say that no money moved; everything else leaves it open. */
static bool is_refusal(const struct client_call *call)
{
  if (!call->sent || call->error.kind == ERROR_RATE_LIMITED) return true;
  int status = call->error.status;
  return call->exchange && call->exchange->code == CURLE_OK && status >= 400 && status <= 404;
}

static void unknown(struct flow *charge, const char *why)
{
  char cause[700];
  snprintf(cause, sizeof cause, "%.600s", why);
  error_set(
      &charge->public.error, ERROR_OUTCOME_UNKNOWN,
      "it is not known whether this charge went through (%s). It is not sent again; its key is %s. proxylua journal show KEY "
      "tells what is known of it; when proxylua orders list shows whether it was bought, say so with proxylua journal settle",
      cause, charge->public.key);
  charge->public.error.charge = CHARGE_UNKNOWN;
  flow_settle(charge, JOURNAL_UNKNOWN, JOURNAL_NO_PRICE);
}

void flow_on_sent(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  const struct http_exchange *x = call->exchange;
  flow_take_over(charge, call);
  charge->public.error = call->error;
  if (x && !buffer_add(&charge->public.answer, x->body.data, x->body.size))
    tell(charge, "out of memory: the journal gets no answer of this charge");
  bool extension = flow_is_extension(charge), created = false;
  if (call->error.kind == ERROR_NONE)
    created = flow_read(charge, RECORD_ORDER, x, "id", charge->public.order_id, sizeof charge->public.order_id);
  if (created || (call->error.kind == ERROR_NONE && (extension || !charge->request.endpoint)))
    placed(charge, x);
  else if (call->error.kind == ERROR_NONE)
    unknown(charge, "the answer names no order");
  else if (is_refusal(call))
    flow_settle(charge, JOURNAL_NOT_PLACED, JOURNAL_NO_PRICE);
  else
    unknown(charge, call->error.message);
}
