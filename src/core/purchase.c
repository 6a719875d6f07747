#include "core/purchase.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define STALE_US INT64_C(5000000) /* after the commit of its intent a request must leave within this, or not at all */
#define HEX(bytes) (2 * (bytes) + 1)

struct flow {
  struct purchase_charge public; /* first: a caller's pointer is the charge's */
  struct purchase *owner;
  struct flow *next;
  struct purchase_request request;
  char *path, *query, *body; /* what the request points to */
  struct buffer calc;        /* the body that an extension is quoted with */
  struct buffer params;      /* endpoint, path and body: what makes it the same purchase again */
  char params_hash[HEX(32)];
  struct client_call *call; /* the exchange under way, NULL between them */
  int64_t entry;            /* of the journal, 0 before the intent */
  int64_t committed_at;     /* loop_clock() of the last commit, for may_send */
  bool sending;             /* the slots are in hand: from here on the outcome is settled in the journal */
  bool abandoned;
  void (*done)(void *arg, struct purchase_charge *charge);
  void *arg;
  struct journal_account account;
  struct journal_find find;
  struct journal_intend intend;
  struct journal_settle settle;
};

struct purchase {
  struct purchase_settings settings;
  char *account; /* base URL and account, once known */
  char run_id[HEX(16)];
  char host[128];
  bool overcharged;   /* a charge came out above its quote: no more of them in this run */
  struct flow *queue; /* the first one is under way */
};

#define CHARGE_OF(job, field) ((struct flow *)((char *)(job)-offsetof(struct flow, field)))

/* --- small things --- */

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

static const char *name_of(const struct flow *charge)
{
  return charge->request.endpoint ? charge->request.endpoint->name : charge->path;
}

static bool is_extension(const struct flow *charge)
{
  return charge->request.endpoint && charge->request.endpoint == endpoint_find("orders.extend");
}

static bool read_field(const struct flow *charge, enum record_kind kind, const struct http_exchange *x,
                       const char *field, char *text, size_t capacity)
{
  const struct purchase_settings *settings = &charge->owner->settings;
  return settings->read(settings->read_arg, kind, x->body.data ? x->body.data : "", x->body.size, field, text,
                        capacity);
}

static bool read_money(const struct flow *charge, enum record_kind kind, const struct http_exchange *x,
                       const char *field, money *amount)
{
  char text[64];
  return read_field(charge, kind, x, field, text, sizeof text) && money_parse(text, strlen(text), amount) == MONEY_OK;
}

/* --- the end of a charge --- */

static void begin(struct flow *charge);

static void free_charge(struct flow *charge)
{
  if (charge->call) client_release(charge->call);
  buffer_free(&charge->public.answer);
  buffer_free(&charge->params);
  journal_entry_free(&charge->find.entry);
  journal_entry_free(&charge->intend.existing);
  free(charge->account.account);
  buffer_free(&charge->calc);
  free(charge->path);
  free(charge->query);
  free(charge->body);
  free(charge);
}

static void end(struct flow *charge)
{
  struct purchase *purchase = charge->owner;
  charge->public.error.endpoint = charge->request.endpoint ? charge->request.endpoint->name : NULL;
  purchase->queue = charge->next;
  if (charge->abandoned)
    free_charge(charge);
  else
    charge->done(charge->arg, &charge->public);
  if (purchase->queue) begin(purchase->queue);
}

static void fail(struct flow *charge, enum error_kind kind, const char *message)
{
  error_set(&charge->public.error, kind, "%s", message);
  end(charge);
}

/* Ends the charge with the failure of a call, and what the server said of it. */
static void fail_with_call(struct flow *charge, const struct client_call *call)
{
  charge->public.error = call->error;
  if (call->exchange && call->exchange->body.size > 0)
    buffer_add(&charge->public.answer, call->exchange->body.data, call->exchange->body.size);
  end(charge);
}

/* Nobody waits and nothing has left: no further step. */
static bool is_over(struct flow *charge)
{
  if (!charge->abandoned || charge->sending) return false;
  fail(charge, ERROR_CANCELLED, "nobody waits for this charge any more");
  return true;
}

/* A call of another endpoint on the way to the charge. */
static void ask(struct flow *charge, const char *endpoint, const char *path, const char *body,
                void (*done)(void *arg, struct client_call *call))
{
  const struct endpoint *row = endpoint_find(endpoint);
  struct client_request request = {.endpoint = row,
                                   .kind = row->kind,
                                   .method = row->method,
                                   .path = path,
                                   .body = body,
                                   .body_size = body ? strlen(body) : 0,
                                   .timeout = charge->request.timeout,
                                   .max_wait = charge->request.max_wait};
  if (charge->call) client_release(charge->call);
  charge->call = NULL;
  struct client_call *call = client_send(charge->owner->settings.client, &request, done, charge);
  if (!call) fail(charge, ERROR_INTERNAL, "out of memory");
}

/* Takes over the call that is done. False when the charge ends here. */
static bool answered(struct flow *charge, struct client_call *call)
{
  charge->call = call;
  if (is_over(charge)) return false;
  if (call->error.kind == ERROR_NONE) return true;
  fail_with_call(charge, call);
  return false;
}

/* --- 4. what came of the sending --- */

static void tell(const struct flow *charge, const char *text)
{
  const struct purchase_settings *settings = &charge->owner->settings;
  settings->tell(settings->tell_arg, text);
}

static void on_settled(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, settle);
  if (job->err.kind != ERROR_NONE) {
    char text[1400];
    snprintf(text, sizeof text, "%s with key %s: the journal could not take down the outcome (%s): %s", name_of(charge),
             charge->public.key, journal_state_name(charge->settle.state), job->err.message);
    tell(charge, text);
  }
  end(charge);
}

static void settle(struct flow *charge, enum journal_state state, money price)
{
  charge->settle = (struct journal_settle){.job.done = on_settled,
                                           .id = charge->entry,
                                           .state = state,
                                           .order_id = charge->public.order_id[0] ? charge->public.order_id : NULL,
                                           .price = price,
                                           .answer = charge->public.answer.data};
  if (charge->entry == 0)
    end(charge);
  else
    journal_settle(charge->owner->settings.store, &charge->settle);
}

static void check_price(struct flow *charge, money price)
{
  if (price <= charge->public.quote) return;
  char quoted[MONEY_TEXT], paid[MONEY_TEXT], text[400];
  money_format(charge->public.quote, quoted);
  money_format(price, paid);
  snprintf(text, sizeof text, "%s with key %s cost %s, above its quote of %s; this run spends nothing more",
           name_of(charge), charge->public.key, paid, quoted);
  charge->owner->overcharged = true;
  tell(charge, text);
}

static void placed(struct flow *charge, const struct http_exchange *x)
{
  money price = JOURNAL_NO_PRICE;
  if (read_money(charge, is_extension(charge) ? RECORD_QUOTE : RECORD_ORDER, x, "price", &price))
    check_price(charge, price);
  settle(charge, JOURNAL_PLACED, price);
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
      "it is not known whether this charge went through (%s). It is not sent again; key %s is in the journal. Look at "
      "proxylua orders list and account transactions before buying again under another key",
      cause, charge->public.key);
  charge->public.error.charge = CHARGE_UNKNOWN;
  settle(charge, JOURNAL_UNKNOWN, JOURNAL_NO_PRICE);
}

static void on_sent(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  const struct http_exchange *x = call->exchange;
  charge->call = call;
  charge->public.error = call->error;
  if (x && x->body.size > 0) buffer_add(&charge->public.answer, x->body.data, x->body.size);
  bool extension = is_extension(charge), created = false;
  if (call->error.kind == ERROR_NONE)
    created = read_field(charge, RECORD_ORDER, x, "id", charge->public.order_id, sizeof charge->public.order_id);
  if (created || (call->error.kind == ERROR_NONE && (extension || !charge->request.endpoint)))
    placed(charge, x);
  else if (call->error.kind == ERROR_NONE)
    unknown(charge, "the answer names no order");
  else if (is_refusal(call))
    settle(charge, JOURNAL_NOT_PLACED, JOURNAL_NO_PRICE);
  else
    unknown(charge, call->error.message);
}

/* --- 3. intent and sending --- */

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
              "this would cost %s; the limit %s is %s, of which %s is spent or reserved", quote, intend->limit, allowed,
              spent);
}

static void on_intended(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, intend);
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
  charge->sending = true;
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
                                                     .endpoint = (char *)name_of(charge),
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
  if (charge->call) client_release(charge->call);
  charge->call = NULL;
  if (!client_send(charge->owner->settings.client, &request, on_sent, charge))
    fail(charge, ERROR_INTERNAL, "out of memory");
}

static void decide(struct flow *charge)
{
  const struct purchase *purchase = charge->owner;
  char quote[MONEY_TEXT], most[MONEY_TEXT];
  charge->public.has_quote = true;
  money_format(charge->public.quote, quote);
  money_format(charge->request.max_price, most);
  if (charge->request.has_max_price && charge->public.quote > charge->request.max_price) {
    error_set(&charge->public.error, ERROR_SPEND_REFUSED, "this would cost %s, above max_price %s; nothing was sent",
              quote, most);
    end(charge);
  } else if (purchase->settings.dry_run) {
    charge->public.dry_run = true;
    end(charge);
  } else if (purchase->overcharged) {
    fail(charge, ERROR_SPEND_REFUSED,
         "an earlier charge of this run came out above its quote; this run spends nothing more");
  } else {
    send_it(charge);
  }
}

/* --- 2. the quote --- */

static void on_quote(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  if (!answered(charge, call)) return;
  if (read_money(charge, RECORD_QUOTE, call->exchange, "price", &charge->public.quote) && charge->public.quote >= 0)
    decide(charge);
  else
    fail(charge, ERROR_PROTOCOL, "the quote holds no price that can be read; nothing was bought");
}

static bool add_order_fields(struct flow *charge, const struct http_exchange *x)
{
  static const char *const fields[] = {"type", "country", "quantity"};
  char text[64];
  for (int i = 0; i < 3; i++) {
    if (!read_field(charge, RECORD_ORDER, x, fields[i], text, sizeof text)) continue;
    bool number = i == 2 && strspn(text, "0123456789") == strlen(text);
    if (!buffer_print(&charge->calc, ",\"%s\":", fields[i])) return false;
    if (!(number ? buffer_add_text(&charge->calc, text) : buffer_add_json(&charge->calc, text, strlen(text))))
      return false;
  }
  return true;
}

/* An extension is quoted as a new order of the same kind for its period. */
static void on_order(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  char period[32];
  if (!answered(charge, call)) return;
  const char *digits = charge->body ? strstr(charge->body, "\"period\":") : NULL;
  if (digits && sscanf(digits, "\"period\":%31[0-9]", period) == 1 &&
      buffer_print(&charge->calc, "{\"period\":%s", period) && add_order_fields(charge, call->exchange) &&
      buffer_add_text(&charge->calc, "}"))
    ask(charge, "orders.calc", "/orders/calc", charge->calc.data, on_quote);
  else
    fail(charge, ERROR_INTERNAL, "cannot ask for a quote of this extension");
}

static void quote(struct flow *charge)
{
  if (!charge->request.endpoint) {
    charge->public.quote = charge->request.max_price;
    decide(charge);
  } else if (is_extension(charge)) {
    char *slash = strrchr(charge->path, '/');
    *slash = '\0';
    ask(charge, "orders.get", charge->path, NULL, on_order);
    *slash = '/';
  } else {
    ask(charge, "orders.calc", "/orders/calc", charge->body, on_quote);
  }
}

/* --- 1. whose money, and was it spent before --- */

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
        "an earlier attempt under key %s has an unknown outcome; it is not sent again. Look at proxylua orders list and "
        "account transactions before buying again under another key",
        public->key);
    public->error.charge = CHARGE_UNKNOWN;
  }
  end(charge);
}

static void on_found(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, find);
  if (is_over(charge)) return;
  if (job->err.kind != ERROR_NONE) {
    charge->public.error = job->err;
    end(charge);
  } else if (charge->find.found && charge->find.entry.state != JOURNAL_NOT_PLACED) {
    found(charge, &charge->find.entry);
  } else {
    quote(charge);
  }
}

static void look_up(struct flow *charge)
{
  charge->find =
      (struct journal_find){.job.done = on_found, .account = charge->owner->account, .key = charge->public.key};
  journal_find(charge->owner->settings.store, &charge->find);
}

static void on_account(struct store_job *job);

static void on_account_answer(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  char id[200], account[600];
  if (!answered(charge, call)) return;
  if (!read_field(charge, RECORD_ACCOUNT, call->exchange, "id", id, sizeof id) &&
      !read_field(charge, RECORD_ACCOUNT, call->exchange, "email", id, sizeof id))
    snprintf(id, sizeof id, "key %s", charge->owner->settings.key_hash);
  snprintf(account, sizeof account, "%.390s %s", client_base_url(charge->owner->settings.client), id);
  charge->owner->account = strdup(account);
  if (!charge->owner->account) {
    fail(charge, ERROR_INTERNAL, "out of memory");
    return;
  }
  charge->account = (struct journal_account){.job.done = on_account,
                                             .key = charge->owner->settings.key_hash,
                                             .put = charge->owner->account};
  journal_account(charge->owner->settings.store, &charge->account);
}

static void on_account(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, account);
  struct purchase *purchase = charge->owner;
  if (is_over(charge)) return;
  if (job->err.kind != ERROR_NONE) {
    charge->public.error = job->err;
    end(charge);
    return;
  }
  if (!purchase->account) {
    purchase->account = charge->account.account;
    charge->account.account = NULL;
  }
  if (purchase->account)
    look_up(charge);
  else
    ask(charge, "account.get", "/account", NULL, on_account_answer);
}

static void begin(struct flow *charge)
{
  if (is_over(charge)) return;
  charge->account = (struct journal_account){.job.done = on_account, .key = charge->owner->settings.key_hash};
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
    free_charge(charge);
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
    free_charge(charge);
    return NULL;
  }
  struct flow **last = &purchase->queue;
  while (*last) last = &(*last)->next;
  *last = charge;
  if (purchase->queue == charge) begin(charge);
  return &charge->public;
}

bool purchase_abandon(struct purchase_charge *public)
{
  struct flow *charge = (struct flow *)public;
  charge->abandoned = true;
  return charge->sending;
}

void purchase_release(struct purchase_charge *public)
{
  free_charge((struct flow *)public);
}
