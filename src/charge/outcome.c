/* The last step of a charge: its outcome is in the journal before the caller learns it. A response
 * is believed only if its content agrees: a refusal if it is the API's own, an order if it is the
 * one that was requested. After any other response the journal says `unknown`, and the charge is
 * reconciled until the settling time is over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/datetime.h"
#include "charge/crash_point.h"
#include "charge/flow.h"

#define FIRST_PAUSE INT64_C(250000) /* microseconds between two lookups */
#define MAX_PAUSE INT64_C(16000000)
#define SETTLE_AGAIN INT64_C(1000000) /* microseconds between two attempts to write the outcome */
#define SETTLE_TRIES 3
#define MAX_FAILURE                                                              \
  65536 /* bytes of a failed response that are stored: enough to see what it was \
         */

static void write_outcome(struct flow *charge);

/* Reports the outcome of an abandoned charge, since no caller receives it. */
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
  return true; /* without memory for that, the charge has ended */
}

/* What reconciliation found holds only under the lock: another process may have bought since. The
 * entry stays unknown, and the next run looks it up. */
static void leave_unknown(struct flow *charge)
{
  struct error *err = &charge->public.error;
  charge->public.order_id[0] = '\0';
  error_set(err, ERROR_OUTCOME_UNKNOWN,
            "it is unknown whether this charge went through, since what the API shows of it could "
            "not be recorded. " FLOW_WAY_OUT,
            charge->public.key);
  err->charge = CHARGE_UNKNOWN;
}

static void on_settled(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, settle);
  if (flow_is_closed(charge)) return;
  if (job->err.kind != ERROR_NONE) {
    if (write_again(charge)) return;
    flow_tell(charge, "%s with key %s: cannot write its outcome (%s) to the journal: %s",
              flow_name(charge), charge->public.key, journal_state_name(charge->settle.state),
              job->err.message);
  }
  if (job->err.kind != ERROR_NONE && charge->reconciled) leave_unknown(charge);
  if (job->err.kind == ERROR_NONE && !charge->settle.changed)
    flow_tell(charge, "%s with key %s is %s; another process settled its entry meanwhile",
              flow_name(charge), charge->public.key, journal_state_name(charge->settle.state));
  if (job->err.kind == ERROR_NONE && charge->settle.releases) charge->locking = false;
  crash_point("settled");
  if (charge->abandoned) tell_outcome(charge);
  if (charge->price_wanted && !charge->abandoned && job->err.kind == ERROR_NONE)
    flow_price(charge);
  else
    flow_end(charge);
}

static void write_outcome(struct flow *charge)
{
  charge->settle.job.done = on_settled;
  charge->working = true;
  journal_settle(charge->owner->settings.store, &charge->settle);
}

/* What the response says is recorded even if the lock was lost meanwhile. */
void flow_settle(struct flow *charge, enum journal_state state, money price, const char *note)
{
  charge->stage = FLOW_SETTLING;
  charge->settle =
      (struct journal_settle){.id = charge->entry,
                              .token = charge->reconciled ? charge->token : 0,
                              .state = state,
                              .releases = !charge->price_wanted || charge->request.endpoint,
                              .proven = state == JOURNAL_PLACED && !charge->reconciled,
                              .ends_in = JOURNAL_KEEP_END,
                              .order_id =
                                  charge->public.order_id[0] ? charge->public.order_id : NULL,
                              .price = price,
                              .answer = charge->public.answer.data,
                              .note = note};
  if (charge->agreed)
    charge->settle.baseline =
        (struct journal_baseline){.text = flow_leave(charge), .token = charge->token};
  if (charge->entry != 0)
    write_outcome(charge);
  else
    flow_end(charge);
}

void flow_check_price(struct flow *charge, money price)
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

/* A price below the quote may be a discount, or an order that was cancelled: the transaction shows
 * the amount that counts. The next charge reads the transactions anyway. */
static void settle_placed(struct flow *charge, money price, const char *note)
{
  bool known = price != JOURNAL_NO_PRICE && price >= charge->public.quote;
  if (known) flow_check_price(charge, price);
  charge->price_wanted = !known && charge->before.has_balance &&
                         (flow_is_extension(charge) || charge->before.reused == 0);
  flow_settle(charge, JOURNAL_PLACED, known ? price : JOURNAL_NO_PRICE, note);
}

/* What a response shows about the charge. */

static bool has_failed(const struct http_transfer *x)
{
  static const char *const words[] = {"cancel", "fail", "reject", "refund", NULL};
  char status[64];
  if (!flow_read(x, RECORD_ORDER, "status", status, sizeof status)) return false;
  for (const char *const *word = words; *word; word++)
    if (strncasecmp(status, *word, strlen(*word)) == 0) return true;
  return false;
}

/* Whether an order existed before, or was bought with another key. */
static bool is_known(const struct flow *charge, const char *id)
{
  const struct journal_list *settled = &charge->recovery.review.settled;
  if (ids_have(&charge->before.orders.known, id)) return true;
  for (size_t i = 0; i < settled->count; i++)
    if (settled->entries[i].order_id && strcmp(settled->entries[i].order_id, id) == 0) return true;
  return false;
}

/* A smaller order than the requested one is being set up if its price is about the quote; otherwise
 * it is another one, which a gateway or a cache may have sent. */
static bool fits(const struct flow *charge, const struct http_transfer *x)
{
  struct reconcile_traits given = {{0}};
  money price, quote = charge->public.quote;
  char texts[RECONCILE_TRAITS][128];
  for (int i = 0; i < RECONCILE_TRAITS; i++)
    if (flow_read(x, RECORD_ORDER, reconcile_trait_names[i], texts[i], sizeof texts[i]))
      given.of[i] = texts[i];
  if (!reconcile_fits_order(&charge->asked, &given)) return false;
  return !reconcile_is_smaller(&charge->asked, &given) ||
         (flow_read_money(x, RECORD_ORDER, "price", &price) && price >= quote / 4 * 3);
}

/* Whether an order is dated before the baseline in any time zone. */
static bool is_old(const struct flow *charge, const struct http_transfer *x)
{
  char created_at[64];
  double time;
  return charge->before.taken_at > 0 &&
         flow_read(x, RECORD_ORDER, "created_at", created_at, sizeof created_at) &&
         date_parse(created_at, &time) &&
         time + RECONCILE_DAY + RECONCILE_ZONES < charge->before.taken_at;
}

/* Whether the response to a purchase is the requested order; stores its id. Otherwise `why`
 * describes the difference. */
static bool is_the_order(struct flow *charge, const struct http_transfer *x, const char **why)
{
  char *id = charge->public.order_id;
  bool named = flow_read(x, RECORD_ORDER, "id", id, sizeof charge->public.order_id) && *id;
  if (!named)
    *why = "the response does not name an order";
  else if (is_known(charge, id) || is_old(charge, x))
    *why = "the response names an order that existed before";
  else if (!fits(charge, x))
    *why = "the response describes another order than the requested one";
  else
    return true;
  *id = '\0';
  return false;
}

/* Whether the response to an extension shows that the order's expiry date moved by the period, or
 * by at least half of it, since servers round. */
static bool is_the_extension(const struct flow *charge, const struct http_transfer *x,
                             const char **why)
{
  char id[PURCHASE_MAX_ID + 1], end[64];
  const char *period = charge->asked.of[TRAIT_PERIOD];
  double before, after, days = period ? strtod(period, NULL) : 1;
  if (flow_read(x, RECORD_ORDER, "id", id, sizeof id) && strcmp(id, charge->order_id) != 0)
    *why = "the response names another order";
  else if (!flow_read(x, RECORD_ORDER, "expires_at", end, sizeof end) ||
           !charge->before.expires_at || !date_parse(charge->before.expires_at, &before) ||
           !date_parse(end, &after))
    *why = "the response has no expiry date";
  else if (after - before < 0.5 * days * RECONCILE_DAY)
    *why = "the response has the order's old expiry date";
  else
    return true;
  return false;
}

static bool agrees(struct flow *charge, const struct http_transfer *x, const char **why)
{
  *why = "the response is an error";
  if (response_is_refusal(&x->json)) return false;
  *why = "the response says that the request is still being processed";
  if (x->status != 200 && x->status != 201) return false;
  if (!charge->request.endpoint) return true;
  return flow_is_extension(charge) ? is_the_extension(charge, x, why)
                                   : is_the_order(charge, x, why);
}

static void placed(struct flow *charge, const struct http_transfer *x)
{
  money price = JOURNAL_NO_PRICE;
  charge->agreed = true;
  if (flow_is_extension(charge)) /* its response has the price of the order */
    snprintf(charge->public.order_id, sizeof charge->public.order_id, "%s", charge->order_id);
  else if (!has_failed(x) && !flow_read_money(x, RECORD_ORDER, "price", &price))
    price = JOURNAL_NO_PRICE;
  settle_placed(charge, price, NULL);
}

/* Only the API's own error shows that no money moved: a gateway may send an error page after the
 * API has acted. */
static bool is_refusal(const struct client_call *call)
{
  const struct http_transfer *x = call->exchange;
  if (!call->sent) return true;
  if (!x || x->code != CURLE_OK) return false;
  bool status = (x->status >= 400 && x->status <= 404) || x->status == 429;
  return status && response_is_refusal(&x->json);
}

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
  charge->agreed = charge->reconciled = true;
  if (!ok)
    error_set(&public->error, ERROR_INTERNAL, "out of memory, after order %s was placed",
              public->order_id);
  settle_placed(charge, found.price, found.note);
}

static void found_nothing(struct flow *charge)
{
  struct error *err = &charge->public.error;
  *err = charge->lost;
  error_set(err, charge->lost.kind,
            "%.900s. Orders, transactions and balance show that nothing was bought; run the "
            "command again",
            charge->lost.message);
  charge->agreed = charge->reconciled = true;
  flow_settle(charge, JOURNAL_NOT_PLACED, JOURNAL_NO_PRICE,
              "orders, transactions and balance show that nothing was bought");
}

static void stays_unknown(struct flow *charge, const char *why)
{
  struct error *err = &charge->public.error;
  error_set(err, ERROR_OUTCOME_UNKNOWN,
            "it is unknown whether this charge went through (%.400s%s%.300s); it is not sent "
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
      flow_sleep(charge, FIRST_PAUSE, MAX_PAUSE, inquire);
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

/* A request whose path the table does not have leaves no traces that reconciliation understands. */
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

static void explain_withheld(struct flow *charge)
{
  struct error *err = &charge->public.error;
  if (charge->abandoned)
    error_set(err, ERROR_CANCELLED, "cancelled before it was sent");
  else
    error_set(err, ERROR_TIMEOUT,
              "the machine took too long between recording the request and sending it; nothing was "
              "sent, run it again");
}

static void keep_answer(struct flow *charge, const struct http_transfer *x, bool answered)
{
  size_t size = x ? x->body.size : 0;
  if (!answered && size > MAX_FAILURE) size = MAX_FAILURE;
  buffer_free(&charge->public.answer);
  if (size > 0 && !buffer_add(&charge->public.answer, x->body.data, size))
    flow_tell(charge, "out of memory: the response of this charge is not in the journal");
}

void flow_on_sent(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  const struct http_transfer *x = call->exchange;
  const char *why = NULL;
  flow_take_over(charge, call);
  if (charge->stale) {
    flow_renew(charge);
    return;
  }
  crash_point("answered");
  charge->public.error = call->error;
  if (charge->withheld) explain_withheld(charge);
  bool answered = call->error.kind == ERROR_NONE;
  keep_answer(charge, x, answered);
  if (answered && agrees(charge, x, &why)) {
    placed(charge, x);
  } else if (!answered && is_refusal(call)) {
    if (call->may_repeat && !charge->abandoned) {
      charge->refusals = call->refusals;
      charge->refused = call->refused;
      flow_send_again(charge);
      return;
    }
    charge->agreed = call->sent;
    flow_settle(charge, JOURNAL_NOT_PLACED, JOURNAL_NO_PRICE, NULL);
  } else {
    charge->lost = call->error;
    if (answered) error_set(&charge->lost, ERROR_PROTOCOL, "%s", why);
    unknown(charge);
  }
}
