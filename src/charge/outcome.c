/* The last step of a charge: what came of the sending goes to the journal before anybody is told.
 * Where the answer was lost it is looked for until the settling time is over; the journal says
 * `unknown` meanwhile, and for whoever comes after us. */
#include <stdio.h>

#include "charge/crash_point.h"
#include "charge/flow.h"

#define FIRST_PAUSE INT64_C(250000) /* microseconds between two looks */
#define LONGEST_PAUSE INT64_C(16000000)
#define SETTLE_AGAIN INT64_C(1000000) /* between two tries of writing down an outcome */
#define SETTLE_TRIES 3
#define MOST_OF_A_FAILURE 65536 /* bytes of an answer that is none: enough to see what it was */

static void write_outcome(struct flow *charge);

/* --- writing it down --- */

/* Nobody waits for this charge any more, but somebody wants to know. */
static void tell_outcome(const struct flow *charge)
{
  static const char *const outcomes[] = {[JOURNAL_PLACED] = "went through",
                                         [JOURNAL_NOT_PLACED] = "did not go through",
                                         [JOURNAL_UNKNOWN] = "has an unknown outcome"};
  flow_tell(charge, "%s with key %s, which was cancelled, %s%s%s", flow_name(charge),
            charge->public.key, outcomes[charge->settle.state],
            charge->public.order_id[0] ? ": order " : "", charge->public.order_id);
}

static bool write_again(struct flow *charge)
{
  if (++charge->settle_tries >= SETTLE_TRIES) return false;
  flow_sleep(charge, SETTLE_AGAIN, SETTLE_AGAIN, write_outcome);
  return charge->sleeping;
}

static void on_settled(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, settle);
  if (flow_is_closed(charge)) return;
  if (job->err.kind != ERROR_NONE) {
    if (write_again(charge)) return;
    flow_tell(charge, "%s with key %s: the journal could not take down the outcome (%s): %s",
              flow_name(charge), charge->public.key, journal_state_name(charge->settle.state),
              job->err.message);
  }
  if (job->err.kind == ERROR_NONE && !charge->settle.changed)
    flow_tell(charge, "%s with key %s is %s; somebody else has settled its entry meanwhile",
              flow_name(charge), charge->public.key, journal_state_name(charge->settle.state));
  crash_point("settled");
  if (charge->abandoned) tell_outcome(charge);
  flow_end(charge);
}

static void write_outcome(struct flow *charge)
{
  charge->settle.job.done = on_settled;
  charge->working = true;
  journal_settle(charge->owner->settings.store, &charge->settle);
}

/* What is written is taken under no token: it is true whoever has the right to charge by now. */
void flow_settle(struct flow *charge, enum journal_state state, money price, const char *note)
{
  charge->stage = FLOW_SETTLING;
  charge->settle =
      (struct journal_settle){.id = charge->entry,
                              .state = state,
                              .ends_in = JOURNAL_KEEP_END,
                              .order_id =
                                  charge->public.order_id[0] ? charge->public.order_id : NULL,
                              .price = price,
                              .answer = charge->public.answer.data,
                              .note = note};
  if (charge->entry != 0)
    write_outcome(charge);
  else
    flow_end(charge);
}

/* --- the outcome is known --- */

static void check_price(struct flow *charge, money price)
{
  if (price <= charge->public.quote) return;
  char quoted[MONEY_TEXT], paid[MONEY_TEXT];
  money_format(charge->public.quote, quoted);
  money_format(price, paid);
  charge->owner->overcharged = true;
  charge->public.quote = price;
  flow_tell(charge, "%s with key %s cost %s, above its quote of %s; this run spends nothing more",
            flow_name(charge), charge->public.key, paid, quoted);
}

void flow_placed(struct flow *charge, money price, const char *note)
{
  if (price != JOURNAL_NO_PRICE) check_price(charge, price);
  flow_settle(charge, JOURNAL_PLACED, price, note);
}

/* The price in the answer to an extension is the order's own. */
static void placed(struct flow *charge, const struct http_exchange *x)
{
  money price;
  if (flow_is_extension(charge))
    snprintf(charge->public.order_id, sizeof charge->public.order_id, "%s",
             charge->order_id ? charge->order_id : "");
  else if (flow_read_money(charge, RECORD_ORDER, x, "price", &price)) {
    flow_placed(charge, price, NULL);
    return;
  }
  if (charge->request.endpoint)
    flow_price(charge, NULL);
  else
    flow_placed(charge, JOURNAL_NO_PRICE, NULL);
}

/* Only these say that no money moved; everything else leaves it open. */
static bool is_refusal(const struct client_call *call)
{
  if (!call->sent || call->error.kind == ERROR_RATE_LIMITED) return true;
  int status = call->error.status;
  return call->exchange && call->exchange->code == CURLE_OK && status >= 400 && status <= 404;
}

/* --- the answer was lost: what exists tells --- */

static void found_placed(struct flow *charge)
{
  struct journal_settle found = {0};
  struct purchase_charge *public = &charge->public;
  bool ok = flow_inquiry_found(charge, &found);
  snprintf(public->order_id, sizeof public->order_id, "%s", found.order_id);
  buffer_free(&public->answer);
  public->answer = charge->inquiry.answer;
  charge->inquiry.answer = (struct buffer){0};
  public->error = ERROR_INIT;
  if (!ok)
    error_set(&public->error, ERROR_INTERNAL, "out of memory, after order %s was placed",
              public->order_id);
  if (found.price == JOURNAL_NO_PRICE)
    flow_price(charge, found.note);
  else
    flow_placed(charge, found.price, found.note);
}

static void found_nothing(struct flow *charge)
{
  struct error *err = &charge->public.error;
  *err = charge->lost;
  error_set(err, charge->lost.kind,
            "%.900s. What exists afterwards shows that nothing was bought, so it can be tried "
            "again",
            charge->lost.message);
  flow_settle(charge, JOURNAL_NOT_PLACED, JOURNAL_NO_PRICE,
              "every witness agrees that nothing was bought");
}

static void stays_unknown(struct flow *charge, const char *why)
{
  struct error *err = &charge->public.error;
  error_set(err, ERROR_OUTCOME_UNKNOWN,
            "it is not known whether this charge went through (%.400s%s%.300s), and it is not sent "
            "again. " FLOW_WAY_OUT,
            charge->lost.message, *why ? "; " : "", why, charge->public.key);
  err->charge = CHARGE_UNKNOWN;
  err->status = charge->lost.status;
  flow_settle(charge, JOURNAL_UNKNOWN, JOURNAL_NO_PRICE, *why ? why : NULL);
}

static void inquire(struct flow *charge);

static void on_verdict(struct flow *charge)
{
  switch (charge->inquiry.verdict.what) {
    case RECONCILE_WAIT:
      flow_sleep(charge, FIRST_PAUSE, LONGEST_PAUSE, inquire);
      break;
    case RECONCILE_PLACED:
      found_placed(charge);
      break;
    case RECONCILE_NOT_PLACED:
      found_nothing(charge);
      break;
    case RECONCILE_DOUBT:
      stays_unknown(charge, charge->inquiry.verdict.why);
      break;
  }
}

static void inquire(struct flow *charge)
{
  flow_inquire(charge, charge->entry, on_verdict);
}

static void on_unknown(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, settle);
  if (flow_is_closed(charge)) return;
  crash_point("unknown");
  if (job->err.kind != ERROR_NONE)
    stays_unknown(charge, "");
  else if (!flow_is_over(charge))
    inquire(charge);
}

/* Of what the table does not know, nothing can be found out. */
static void unknown(struct flow *charge)
{
  charge->stage = FLOW_AFTER;
  if (!charge->request.endpoint) {
    stays_unknown(charge, "");
    return;
  }
  charge->settle = (struct journal_settle){.job.done = on_unknown,
                                           .id = charge->entry,
                                           .state = JOURNAL_UNKNOWN,
                                           .ends_in = 0,
                                           .price = JOURNAL_NO_PRICE,
                                           .answer = charge->public.answer.data,
                                           .note = charge->lost.message};
  charge->working = true;
  journal_settle(charge->owner->settings.store, &charge->settle);
}

/* A page of a gateway, or noise, may come with status 200 too, and says nothing. */
static bool names_order(struct flow *charge, const struct http_exchange *x)
{
  char *id = charge->public.order_id, expires_at[64];
  if (flow_read(charge, RECORD_ORDER, x, "id", id, sizeof charge->public.order_id)) return true;
  return flow_is_extension(charge) &&
         flow_read(charge, RECORD_ORDER, x, "expires_at", expires_at, sizeof expires_at);
}

static void explain_withheld(struct flow *charge)
{
  struct error *err = &charge->public.error;
  if (charge->abandoned)
    error_set(err, ERROR_CANCELLED, "cancelled before it was sent");
  else
    error_set(err, ERROR_TIMEOUT,
              "it took too long from writing down that it is sent until it could be; nothing was "
              "sent, try again");
}

void flow_on_sent(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  const struct http_exchange *x = call->exchange;
  struct purchase_charge *public = &charge->public;
  flow_take_over(charge, call);
  crash_point("answered");
  public->error = call->error;
  if (charge->withheld) explain_withheld(charge);
  bool answered = call->error.kind == ERROR_NONE;
  size_t size = x ? x->body.size : 0;
  if (!answered && size > MOST_OF_A_FAILURE) size = MOST_OF_A_FAILURE;
  if (size > 0 && !buffer_add(&public->answer, x->body.data, size))
    flow_tell(charge, "out of memory: the journal gets no answer of this charge");
  if (answered && (!charge->request.endpoint || names_order(charge, x))) {
    placed(charge, x);
  } else if (!answered && is_refusal(call)) {
    flow_settle(charge, JOURNAL_NOT_PLACED, JOURNAL_NO_PRICE, NULL);
  } else {
    charge->lost = call->error;
    if (answered) error_set(&charge->lost, ERROR_PROTOCOL, "the answer names no order");
    unknown(charge);
  }
}
