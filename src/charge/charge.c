#include "charge/charge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "charge/crash_point.h"
#include "charge/flow.h"

static bool random_hex(char *text, size_t bytes)
{
  unsigned char random[32];
  if (getrandom(random, bytes, 0) != (ssize_t)bytes) return false;
  for (size_t i = 0; i < bytes; i++) snprintf(text + 2 * i, 3, "%02x", random[i]);
  return true;
}

bool purchase_random_key(char key[PURCHASE_RANDOM_KEY])
{
  return random_hex(key, (PURCHASE_RANDOM_KEY - 1) / 2);
}

struct purchase *purchase_open(const struct purchase_settings *settings)
{
  struct purchase *purchase = calloc(1, sizeof *purchase);
  if (!purchase) return NULL;
  purchase->settings = *settings;
  process_host(purchase->host);
  purchase->started = process_start(getpid());
  if (random_hex(purchase->run_id, 16)) return purchase;
  free(purchase);
  return NULL;
}

void flow_free_owner(struct purchase *purchase)
{
  free(purchase->looked_up);
  free(purchase->account);
  free(purchase);
}

void purchase_close(struct purchase *purchase)
{
  if (!purchase) return;
  while (purchase->queue) {
    struct flow *charge = purchase->queue;
    purchase->queue = charge->next;
    charge->closed = charge->working;
    if (charge->questioned) purchase->settings.unask(purchase->settings.ask_arg);
    if (charge->sleeping) loop_timer_clear(purchase->settings.loop, &charge->timer);
    if (charge->call && charge->call != charge->pending) client_release(charge->call);
    charge->call = NULL; /* the client ends a call that is under way */
    if (charge->working)
      purchase->closed++;
    else
      flow_free(charge);
  }
  if (purchase->closed == 0) flow_free_owner(purchase);
}

bool purchase_allow(struct purchase *purchase, money total)
{
  struct journal_allowance *allowance = &purchase->settings.allowance;
  if (allowance->per_run >= 0 || allowance->per_day >= 0 || allowance->per_order >= 0) return false;
  allowance->per_run = total;
  return true;
}

bool purchase_busy(const struct purchase *purchase)
{
  return purchase && purchase->queue;
}

static bool copy(char **to, const char *from)
{
  *to = from ? strdup(from) : NULL;
  return *to || !from;
}

static bool fill(struct flow *charge, const struct purchase_request *request)
{
  charge->request = *request;
  charge->public.error = ERROR_INIT;
  charge->before = charge->left.baseline = SNAPSHOT_INIT;
  if (flow_is_extension(charge) && !(charge->order_id = flow_order_in(request->path))) return false;
  if (!copy(&charge->path, request->path) || !copy(&charge->query, request->query) ||
      !copy(&charge->body, request->body))
    return false;
  if (request->key)
    snprintf(charge->public.key, sizeof charge->public.key, "%s", request->key);
  else if (!purchase_random_key(charge->public.key))
    return false;
  if (request->inquiry) return true;
  if (!buffer_print(&charge->params, "%s %s%s%s %s", request->method, request->path,
                    request->query ? "?" : "", request->query ? request->query : "",
                    request->body ? request->body : "") ||
      !flow_read_traits(request->body ? request->body : "", &charge->asked))
    return false;
  flow_hash(charge->params.data, charge->params.size, charge->params_hash);
  return true;
}

struct purchase_charge *purchase_begin(struct purchase *purchase,
                                       const struct purchase_request *request,
                                       void (*done)(void *arg, struct purchase_charge *charge),
                                       void *arg)
{
  struct flow *charge = calloc(1, sizeof *charge);
  if (!charge) return NULL;
  charge->owner = purchase;
  charge->done = done;
  charge->arg = arg;
  if (!fill(charge, request)) {
    flow_free(charge);
    return NULL;
  }
  struct flow **last = &purchase->queue;
  while (*last) last = &(*last)->next;
  *last = charge;
  if (purchase->queue == charge) flow_begin(charge);
  return &charge->public;
}

bool flow_interrupt(struct flow *charge)
{
  struct client_call *call = charge->pending;
  if (charge->working || charge->ending) return false;
  if (charge->questioned) charge->owner->settings.unask(charge->owner->settings.ask_arg);
  if (charge->sleeping) loop_timer_clear(charge->owner->settings.loop, &charge->timer);
  charge->questioned = charge->sleeping = false;
  charge->pending = NULL;
  if (charge->call == call) charge->call = NULL;
  if (call) client_cancel(call);
  return true;
}

/* Between two sendings: the server has responded with 429, and the charge waits. */
static void stop_sending(struct flow *charge)
{
  error_set(&charge->public.error, ERROR_CANCELLED, "cancelled before it was sent");
  flow_settle(charge, JOURNAL_NOT_PLACED, JOURNAL_NO_PRICE, NULL);
}

bool purchase_abandon(struct purchase_charge *public)
{
  struct flow *charge = (struct flow *)public;
  struct client_call *call = charge->pending;
  bool first = charge->owner->queue == charge;
  bool sending = charge->stage == FLOW_SENDING, prepares = call && call->state == CALL_PREPARE;
  bool left = charge->stage == FLOW_AFTER || (sending && (!call || call->state == CALL_EXCHANGE));
  charge->abandoned = true;
  if (charge->stage == FLOW_SETTLING) return true;
  if (!first || (sending && (left || prepares)) || !flow_interrupt(charge)) return left;
  if (charge->stage == FLOW_SENDING)
    stop_sending(charge);
  else
    flow_is_over(charge);
  return left;
}

void purchase_release(struct purchase_charge *public)
{
  flow_free((struct flow *)public);
}
