#include "core/purchase.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/purchase_flow.h"

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

/* --- whose money, and was it spent before --- */

static void found(struct flow *charge, const struct journal_entry *entry)
{
  struct purchase_charge *public = &charge->public;
  if (strcmp(entry->params_hash, charge->params_hash) != 0) {
    error_set(&public->error, ERROR_KEY_REUSED,
              "key %s was used before for another purchase (%.300s); use a key of its own for each purchase",
              public->key, entry->params);
  } else if (entry->state == JOURNAL_PLACED) {
    snprintf(public->order_id, sizeof public->order_id, "%s", entry->order_id ? entry->order_id : "");
    public->quote = entry->quote;
    public->has_quote = true;
    if (entry->answer && !buffer_add_text(&public->answer, entry->answer))
      error_set(&public->error, ERROR_INTERNAL, "out of memory");
  } else {
    error_set(
        &public->error, ERROR_OUTCOME_UNKNOWN,
        "an earlier attempt under key %s has an unknown outcome; it is not sent again. proxylua journal show KEY tells what is "
        "known of it; when proxylua orders list shows whether it was bought, say so with proxylua journal settle",
        public->key);
    public->error.charge = CHARGE_UNKNOWN;
  }
  flow_end(charge);
}

static void on_found(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, find);
  if (flow_is_closed(charge)) return;
  if (flow_is_over(charge)) return;
  if (job->err.kind != ERROR_NONE) {
    charge->public.error = job->err;
    flow_end(charge);
  } else if (charge->find.found && charge->find.entry.state != JOURNAL_NOT_PLACED) {
    found(charge, &charge->find.entry);
  } else {
    flow_quote(charge);
  }
}

static void look_up(struct flow *charge)
{
  charge->find =
      (struct journal_find){.job.done = on_found, .account = charge->owner->account, .key = charge->public.key};
  charge->working = true;
  journal_find(charge->owner->settings.store, &charge->find);
}

static void on_account(struct store_job *job);

static void on_account_answer(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  char id[200], account[600];
  if (!flow_answered(charge, call)) return;
  if (!flow_read(charge, RECORD_ACCOUNT, call->exchange, "id", id, sizeof id) &&
      !flow_read(charge, RECORD_ACCOUNT, call->exchange, "email", id, sizeof id))
    snprintf(id, sizeof id, "key %s", charge->owner->settings.key_hash);
  snprintf(account, sizeof account, "%.390s %s", client_base_url(charge->owner->settings.client), id);
  charge->owner->account = strdup(account);
  if (!charge->owner->account) {
    flow_fail(charge, ERROR_INTERNAL, "out of memory");
    return;
  }
  charge->account = (struct journal_account){.job.done = on_account,
                                             .key = charge->owner->settings.key_hash,
                                             .put = charge->owner->account};
  charge->working = true;
  journal_account(charge->owner->settings.store, &charge->account);
}

static void on_account(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, account);
  struct purchase *purchase = charge->owner;
  if (flow_is_closed(charge) || flow_is_over(charge)) return;
  if (job->err.kind != ERROR_NONE) {
    charge->public.error = job->err;
    flow_end(charge);
    return;
  }
  if (!purchase->account) {
    purchase->account = charge->account.account;
    charge->account.account = NULL;
  }
  if (purchase->account)
    look_up(charge);
  else
    flow_ask(charge, "account.get", "/account", NULL, on_account_answer);
}

void flow_begin(struct flow *charge)
{
  if (flow_is_over(charge)) return;
  charge->account = (struct journal_account){.job.done = on_account, .key = charge->owner->settings.key_hash};
  charge->working = !charge->owner->account;
  if (charge->owner->account)
    look_up(charge);
  else
    journal_account(charge->owner->settings.store, &charge->account);
}

/* --- what others call --- */

struct purchase *purchase_open(const struct purchase_settings *settings)
{
  struct purchase *purchase = calloc(1, sizeof *purchase);
  if (!purchase) return NULL;
  purchase->settings = *settings;
  if (gethostname(purchase->host, sizeof purchase->host - 1) != 0) strcpy(purchase->host, "unknown");
  if (random_hex(purchase->run_id, 16)) return purchase;
  free(purchase);
  return NULL;
}

void purchase_close(struct purchase *purchase)
{
  if (!purchase) return;
  while (purchase->queue) {
    struct flow *charge = purchase->queue;
    purchase->queue = charge->next;
    charge->closed = charge->working;
    if (charge->call && charge->call != charge->pending) client_release(charge->call);
    charge->call = NULL; /* one that is under way is the client's to end */
    if (!charge->working) flow_free(charge);
  }
  free(purchase->account);
  free(purchase);
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
  if (!copy(&charge->path, request->path) || !copy(&charge->query, request->query) ||
      !copy(&charge->body, request->body))
    return false;
  if (request->key)
    snprintf(charge->public.key, sizeof charge->public.key, "%s", request->key);
  else if (!random_hex(charge->public.key, 16))
    return false;
  return buffer_print(&charge->params, "%s %s%s%s %s", request->method, request->path, request->query ? "?" : "",
                      request->query ? request->query : "", request->body ? request->body : "") &&
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

/* A call that is not being sent is stopped: before its intent nothing was decided, and after it the server has answered 429
 * and is waited for. */
bool purchase_abandon(struct purchase_charge *public)
{
  struct flow *charge = (struct flow *)public;
  struct client_call *call = charge->pending;
  charge->abandoned = true;
  bool left = charge->sending && call && call->state == CALL_EXCHANGE;
  if (!call || left || call->state == CALL_PREPARE) return left;
  charge->pending = NULL;
  if (charge->call == call) charge->call = NULL;
  client_cancel(call);
  error_set(&charge->public.error, ERROR_CANCELLED, "cancelled before it was sent");
  if (charge->sending)
    flow_settle(charge, JOURNAL_NOT_PLACED, JOURNAL_NO_PRICE);
  else
    flow_end(charge);
  return false;
}

void purchase_release(struct purchase_charge *public)
{
  flow_free((struct flow *)public);
}
