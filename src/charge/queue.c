/* The module and its charges: one is under way, the others wait for it in a queue. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "charge/crash_point.h"
#include "charge/steps.h"

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

static void free_charge(struct charge *c)
{
  if (c->call) client_release(c->call);
  buffer_free(&c->public.answer);
  json_free(&c->public.response);
  buffer_free(&c->params);
  buffer_free(&c->calc);
  buffer_free(&c->idempotency);
  journal_review_free(&c->review);
  journal_entry_free(&c->find.entry);
  snapshot_free(&c->left.baseline);
  snapshot_free(&c->before);
  reconcile_traits_free(&c->asked);
  free(c->order_id);
  free(c->path);
  free(c->query);
  free(c->body);
  free(c);
}

void purchase_release(struct purchase_charge *public)
{
  free_charge((struct charge *)public);
}

static void release_owner(struct purchase *purchase)
{
  if (--purchase->closed > 0) return;
  free(purchase->looked_up);
  free(purchase->account);
  free(purchase);
}

/* The client is closed next, but a job of the store is done first; its charge ends with it. */
static void close_charge(struct charge *c)
{
  c->owner->closed++;
  c->wait.closed = true;
  if (!c->begun) {
    charge_finish(c);
  } else if (c->wait.what == WAIT_JOB) {
    if (c->wait.call) client_cancel(c->wait.call);
    if (c->call) client_release(c->call);
    c->wait.call = c->call = NULL;
  } else {
    charge_interrupt(c);
  }
}

void purchase_close(struct purchase *purchase)
{
  if (!purchase) return;
  purchase->closed++;
  while (purchase->queue) {
    struct charge *c = purchase->queue;
    purchase->queue = c->next;
    close_charge(c);
  }
  release_owner(purchase);
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

static bool fill(struct charge *c, const struct purchase_request *request)
{
  c->request = *request;
  c->public.error = ERROR_INIT;
  c->before = c->left.baseline = SNAPSHOT_INIT;
  if (charge_is_extension(c) && !(c->order_id = charge_order_in(request->path))) return false;
  if (!copy(&c->path, request->path) || !copy(&c->query, request->query) ||
      !copy(&c->body, request->body))
    return false;
  if (request->key)
    snprintf(c->public.key, sizeof c->public.key, "%s", request->key);
  else if (!purchase_random_key(c->public.key))
    return false;
  if (request->inquiry) return true;
  if (!buffer_print(&c->params, "%s %s%s%s %s", request->method, request->path,
                    request->query ? "?" : "", request->query ? request->query : "",
                    request->body ? request->body : "") ||
      !charge_read_traits(request->body ? request->body : "", &c->asked))
    return false;
  charge_hash(c->params.data, c->params.size, c->params_hash);
  return true;
}

static void begin(struct charge *c)
{
  c->begun = true;
  int why = c->wait.abandoned ? 0 : thread_start(&c->thread, charge_run, c);
  if (!c->wait.abandoned && why == 0) {
    c->wait.done = true;
    charge_drive(c);
    return;
  }
  if (why)
    error_set(&c->public.error, ERROR_INTERNAL,
              "cannot start a thread for this charge: %s; nothing was bought", strerror(why));
  charge_finish(c);
}

struct purchase_charge *purchase_begin(struct purchase *purchase,
                                       const struct purchase_request *request,
                                       void (*done)(void *arg, struct purchase_charge *charge),
                                       void *arg)
{
  struct charge *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->owner = purchase;
  c->done = done;
  c->arg = arg;
  if (!fill(c, request)) {
    free_charge(c);
    return NULL;
  }
  struct charge **last = &purchase->queue;
  while (*last) last = &(*last)->next;
  *last = c;
  if (purchase->queue == c) begin(c);
  return &c->public;
}

bool purchase_abandon(struct purchase_charge *public)
{
  struct charge *c = (struct charge *)public;
  const struct client_call *call = c->wait.call;
  bool first = c->owner->queue == c;
  bool sending = c->stage == STAGE_SENDING, prepares = call && call->state == CALL_PREPARE;
  bool left = c->stage == STAGE_AFTER || (sending && (!call || call->state == CALL_EXCHANGE));
  c->wait.abandoned = true;
  if (c->stage == STAGE_SETTLING) return true;
  if (!first || (sending && (left || prepares)) || c->wait.what == WAIT_JOB) return left;
  charge_interrupt(c);
  return left;
}

/* What a plugin bought itself is not news to plugins. */
static void report_late(struct charge *c)
{
  const struct purchase_settings *settings = &c->owner->settings;
  bool placed = c->stage == STAGE_SETTLING && c->outcome == JOURNAL_PLACED &&
                c->public.error.kind == ERROR_NONE;
  if (placed && settings->placed_late && c->request.budget.prefix == 0)
    settings->placed_late(settings->placed_late_arg, &c->public, c->request.endpoint,
                          c->params.data);
}

void charge_finish(struct charge *c)
{
  struct purchase *purchase = c->owner;
  if (c->wait.closed) {
    free_charge(c);
    release_owner(purchase);
    return;
  }
  purchase->queue = c->next;
  crash_point("ended");
  c->public.error.endpoint = c->request.endpoint ? c->request.endpoint->name : NULL;
  if (c->wait.abandoned) {
    report_late(c);
    free_charge(c);
  } else {
    c->done(c->arg, &c->public);
  }
  if (purchase->queue && !purchase->queue->begun) begin(purchase->queue);
}
