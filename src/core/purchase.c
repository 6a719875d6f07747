#include "core/purchase.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/purchase_flow.h"
#include "core/step.h"

static bool random_hex(char *text, size_t bytes)
{
  unsigned char random[32];
  if (getrandom(random, bytes, 0) != (ssize_t)bytes) return false;
  for (size_t i = 0; i < bytes; i++) snprintf(text + 2 * i, 3, "%02x", random[i]);
  return true;
}

static bool hash(const struct buffer *text, char hex[HEX(32)])
{
  unsigned char digest[32];
  if (!EVP_Q_digest(NULL, "SHA256", NULL, text->data, text->size, digest, NULL)) return false;
  for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
  return true;
}

/* --- whose money --- */

static void go_on(struct flow *charge)
{
  if (flow_needs_no_lock(charge))
    flow_find(charge);
  else
    flow_lock(charge);
}

static void on_account(struct store_job *job);

/* By its id or its email. Without either nobody can tell that two keys spend the same money. */
static bool name_account(struct flow *charge, const struct http_exchange *x)
{
  char id[200], name[600];
  if (!flow_read(charge, RECORD_ACCOUNT, x, "id", id, sizeof id) &&
      !flow_read(charge, RECORD_ACCOUNT, x, "email", id, sizeof id))
    return false;
  snprintf(name, sizeof name, "%.390s %s", client_base_url(charge->owner->settings.client), id);
  free(charge->account_name);
  charge->account_name = strdup(name);
  return true;
}

static void on_account_answer(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  if (!flow_answered(charge, call)) return;
  if (!name_account(charge, call->exchange)) {
    flow_fail(charge, ERROR_PROTOCOL, "the answer names no account, by its id or its email; nothing was bought");
    return;
  }
  if (!charge->account_name) {
    flow_fail(charge, ERROR_INTERNAL, "out of memory");
    return;
  }
  charge->account = (struct journal_account){.job.done = on_account,
                                             .key = charge->owner->settings.key_hash,
                                             .put = charge->account_name};
  charge->working = true;
  journal_account(charge->owner->settings.store, &charge->account);
}

static void on_account(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, account);
  struct purchase *purchase = charge->owner;
  if (flow_has_failed(charge, job)) return;
  if (!purchase->account) {
    purchase->account = charge->account.account;
    charge->account.account = NULL;
  }
  step("account");
  if (purchase->account)
    go_on(charge);
  else
    flow_ask(charge, "account.get", "/account", NULL, NULL, on_account_answer);
}

void flow_begin(struct flow *charge)
{
  if (flow_is_over(charge)) return;
  charge->account = (struct journal_account){.job.done = on_account, .key = charge->owner->settings.key_hash};
  charge->working = !charge->owner->account;
  if (charge->owner->account)
    go_on(charge);
  else
    journal_account(charge->owner->settings.store, &charge->account);
}

/* --- what others call --- */

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
    charge->call = NULL; /* one that is under way is the client's to end */
    if (charge->working)
      purchase->closed++;
    else
      flow_free(charge);
  }
  if (purchase->closed == 0) flow_free_owner(purchase);
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
  if (flow_is_extension(charge) && !(charge->order_id = flow_order_in(request->path))) return false;
  if (!copy(&charge->path, request->path) || !copy(&charge->query, request->query) ||
      !copy(&charge->body, request->body))
    return false;
  if (request->key)
    snprintf(charge->public.key, sizeof charge->public.key, "%s", request->key);
  else if (!random_hex(charge->public.key, 16))
    return false;
  if (request->inquiry) return true;
  return buffer_print(&charge->params, "%s %s%s%s %s", request->method, request->path, request->query ? "?" : "",
                      request->query ? request->query : "", request->body ? request->body : "") &&
         flow_read_traits(charge, request->body ? request->body : "", &charge->asked) &&
         hash(&charge->params, charge->params_hash);
}

struct purchase_charge *purchase_begin(struct purchase *purchase, const struct purchase_request *request,
                                       void (*done)(void *arg, struct purchase_charge *charge), void *arg)
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

/* Takes the charge out of whatever it waits for. False when something must come back first. */
static bool interrupt(struct flow *charge)
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

/* Between two sendings, the server has answered 429 and is waited for. */
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
  if (!first || (sending && (left || prepares)) || !interrupt(charge)) return left;
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
