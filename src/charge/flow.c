#include "charge/flow.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "charge/crash_point.h"

const char *flow_name(const struct flow *charge)
{
  if (charge->request.inquiry) return "an inquiry";
  return charge->request.endpoint ? charge->request.endpoint->name : charge->path;
}

bool flow_is_extension(const struct flow *charge)
{
  return charge->request.endpoint && charge->request.endpoint == endpoint_find("orders.extend");
}

bool flow_read(const struct http_transfer *x, enum record_kind kind, const char *field, char *text,
               size_t capacity)
{
  return response_field(&x->json, kind, field, text, capacity);
}

bool flow_read_money(const struct http_transfer *x, enum record_kind kind, const char *field,
                     money *amount)
{
  char text[64];
  return flow_read(x, kind, field, text, sizeof text) &&
         money_parse(text, strlen(text), amount) == MONEY_OK;
}

bool flow_read_order(const char *json, const char *field, char *text, size_t capacity)
{
  struct json_document order = {0};
  bool found = json_parse(&order, json, strlen(json)) &&
               response_field(&order, RECORD_ORDER, field, text, capacity);
  json_free(&order);
  return found;
}

void flow_free(struct flow *charge)
{
  if (charge->call) client_release(charge->call);
  buffer_free(&charge->public.answer);
  buffer_free(&charge->params);
  buffer_free(&charge->calc);
  buffer_free(&charge->snapshot);
  buffer_free(&charge->walk.text);
  buffer_free(&charge->day.text);
  journal_list_free(&charge->day.list);
  journal_entry_free(&charge->find.entry);
  journal_entry_free(&charge->intend.existing);
  journal_review_free(&charge->recovery.review);
  flow_inquiry_end(charge);
  buffer_free(&charge->left_text);
  buffer_free(&charge->idempotency);
  snapshot_free(&charge->left.baseline);
  snapshot_free(&charge->before);
  reconcile_rows_free(&charge->orders);
  reconcile_rows_free(&charge->transactions);
  reconcile_traits_free(&charge->asked);
  free(charge->account.account);
  free(charge->order_id);
  free(charge->path);
  free(charge->query);
  free(charge->body);
  free(charge);
}

/* What a plugin bought itself is not news to plugins. */
static void report_late(struct flow *charge)
{
  const struct purchase_settings *settings = &charge->owner->settings;
  bool placed = charge->stage == FLOW_SETTLING && charge->settle.state == JOURNAL_PLACED &&
                charge->public.error.kind == ERROR_NONE;
  if (placed && settings->placed_late && charge->request.budget.prefix == 0)
    settings->placed_late(settings->placed_late_arg, &charge->public, charge->request.endpoint,
                          charge->params.data);
}

static void finish(struct flow *charge)
{
  struct purchase *purchase = charge->owner;
  purchase->queue = charge->next;
  crash_point("ended");
  if (charge->abandoned) {
    report_late(charge);
    flow_free(charge);
  } else {
    charge->done(charge->arg, &charge->public);
  }
  if (purchase->queue) flow_begin(purchase->queue);
}

/* If this fails, closing the store gives the lock back. */
static void on_unlocked(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, lock);
  if (!flow_is_closed(charge)) finish(charge);
}

void flow_end(struct flow *charge)
{
  charge->public.error.endpoint = charge->request.endpoint ? charge->request.endpoint->name : NULL;
  charge->ending = true;
  if (!charge->locking) {
    finish(charge);
    return;
  }
  charge->lock = (struct journal_lock){.job.done = on_unlocked};
  charge->locking = false;
  charge->token = 0;
  charge->working = true;
  journal_lock(charge->owner->settings.store, &charge->lock);
}

void flow_fail(struct flow *charge, enum error_kind kind, const char *message)
{
  error_set(&charge->public.error, kind, "%s", message);
  /* Without memory to look it up, the outcome of a request that was sent stays unknown. */
  if (kind == ERROR_INTERNAL && charge->stage >= FLOW_SENDING)
    charge->public.error.charge = CHARGE_UNKNOWN;
  flow_end(charge);
}

/* Ends the charge with the error of a call and the server's message. */
void flow_fail_with(struct flow *charge, const struct client_call *call)
{
  charge->public.error = call->error;
  if (call->exchange && call->exchange->body.size > 0)
    buffer_add(&charge->public.answer, call->exchange->body.data, call->exchange->body.size);
  flow_end(charge);
}

bool flow_is_closed(struct flow *charge)
{
  struct purchase *purchase = charge->owner;
  charge->working = false;
  if (!charge->closed) return false;
  flow_free(charge);
  if (--purchase->closed == 0) flow_free_owner(purchase);
  return true;
}

/* An unknown outcome is in the journal, and the next run settles it. */
bool flow_is_over(struct flow *charge)
{
  if (!charge->abandoned || charge->stage == FLOW_SENDING || charge->stage == FLOW_SETTLING)
    return false;
  if (charge->stage == FLOW_AFTER)
    flow_tell(charge,
              "%s with key %s, was cancelled while its outcome was unknown; the next run looks it "
              "up",
              flow_name(charge), charge->public.key);
  flow_fail(charge, ERROR_CANCELLED, "the charge was cancelled by its caller");
  return true;
}

bool flow_has_failed(struct flow *charge, const struct store_job *job)
{
  if (flow_is_closed(charge) || flow_is_over(charge)) return true;
  if (job->err.kind == ERROR_NONE) return false;
  charge->public.error = job->err;
  flow_end(charge);
  return true;
}

void flow_tell(const struct flow *charge, const char *format, ...)
{
  const struct purchase_settings *settings = &charge->owner->settings;
  char text[1400];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  settings->tell(settings->tell_arg, text);
}

static void on_awake(void *arg)
{
  struct flow *charge = arg;
  charge->sleeping = false;
  charge->awake(charge);
}

void flow_sleep(struct flow *charge, int64_t first, int64_t most,
                void (*awake)(struct flow *charge))
{
  charge->pause = charge->pause == 0 ? first : charge->pause + charge->pause / 2;
  if (charge->pause > most) charge->pause = most;
  int64_t disorder = loop_clock() % (charge->pause / 4);
  charge->awake = awake;
  charge->sleeping = loop_timer_set(charge->owner->settings.loop, &charge->timer,
                                    charge->pause - disorder, on_awake, charge);
  if (!charge->sleeping) flow_fail(charge, ERROR_INTERNAL, "out of memory");
}

/* The call may be done, and the charge ended, before client_send returns. */
void flow_call(struct flow *charge, const struct client_request *request,
               void (*done)(void *arg, struct client_call *call))
{
  if (charge->call) client_release(charge->call);
  charge->call = NULL;
  unsigned number = ++charge->calls;
  charge->asking = true;
  struct client_call *call = client_send(charge->owner->settings.client, request, done, charge);
  if (!call)
    flow_fail(charge, ERROR_INTERNAL, "out of memory");
  else if (charge->calls == number && charge->asking)
    charge->pending = call;
}

/* In a call's `done`. */
void flow_take_over(struct flow *charge, struct client_call *call)
{
  charge->call = call;
  charge->pending = NULL;
  charge->asking = false;
}

/* A call of another endpoint on the way to the charge. */
void flow_ask(struct flow *charge, const char *endpoint, const char *path, const char *query,
              const char *body, void (*done)(void *arg, struct client_call *call))
{
  const struct endpoint *row = endpoint_find(endpoint);
  struct client_request request = {.endpoint = row,
                                   .kind = row->kind,
                                   .method = row->method,
                                   .path = path,
                                   .query = query,
                                   .body = body,
                                   .body_size = body ? strlen(body) : 0,
                                   .timeout = charge->request.timeout,
                                   .max_wait = charge->request.max_wait};
  flow_call(charge, &request, done);
}

/* Takes over the call that is done. False when the charge ends here. */
bool flow_answered(struct flow *charge, struct client_call *call)
{
  flow_take_over(charge, call);
  if (flow_is_over(charge)) return false;
  if (call->error.kind == ERROR_NONE) return true;
  flow_fail_with(charge, call);
  return false;
}
