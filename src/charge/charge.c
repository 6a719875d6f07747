/* A charge from top to bottom: charge_run is the procedure, and its steps follow in their order. */
#include "charge/charge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/datetime.h"
#include "charge/crash_point.h"
#include "charge/steps.h"

/* In microseconds: */
#define FIRST_LOCK_PAUSE INT64_C(2000) /* between two attempts; a release is not signalled */
#define MAX_LOCK_PAUSE INT64_C(50000)
#define LONG_LOCK_WAIT INT64_C(10000000) /* after which the user is informed */
#define BASELINE_US INT64_C(120000000)   /* an older baseline is read again */
#define QUOTE_US INT64_C(30000000)       /* an older quote is renewed before the request leaves */
#define STALE_US                                                                                 \
  INT64_C(5000000) /* a request must leave within this time after its entry was written as sent, \
                      or not at all: other processes rely on it */
#define MARGIN_US INT64_C(1000000)         /* by which a request may exceed its timeout */
#define FIRST_LOOKUP_PAUSE INT64_C(250000) /* between two lookups of the outcome */
#define MAX_LOOKUP_PAUSE INT64_C(16000000)
#define SETTLE_PAUSE INT64_C(1000000) /* between two attempts to write the outcome */

#define MAX_RENEWALS 5
#define MAX_SETTLE_TRIES 3
#define MAX_FAILURE 65536 /* bytes of a failed response that are stored */

enum next {
  OVER,        /* nothing more to do */
  SENT,        /* it has ended, perhaps without a response */
  SEND_AGAIN,  /* nothing was sent, and the quote has been renewed */
  QUOTE_AGAIN, /* nothing was sent, or it was refused: begin again at the quote */
};

static bool identify_account(struct charge *c);
static bool is_priced_without_lock(const struct charge *c);
static bool price_without_lock(struct charge *c);
static bool take_lock(struct charge *c);
static bool check_key(struct charge *c);
static bool get_quote(struct charge *c);
static bool is_allowed(struct charge *c);
static bool name_account(struct charge *c);
static enum next send_request(struct charge *c);
static enum next read_response(struct charge *c);
static void release_lock(struct charge *c);

static void procedure(struct charge *c)
{
  if (!identify_account(c)) return;
  do {
    if (is_priced_without_lock(c) && !price_without_lock(c)) return;
    if (!take_lock(c) || !charge_settle_open_entries(c)) return;
    if (c->request.inquiry || !check_key(c)) return;
    /* The user is not asked under the lock, since that may take long. */
    if (charge_must_ask(c)) release_lock(c);
  } while (charge_must_ask(c));
  enum next next;
  do {
    if (!get_quote(c) || !is_allowed(c)) return;
    if (!charge_take_baseline(c) || !name_account(c)) return;
    do next = send_request(c);
    while (next == SEND_AGAIN);
    if (next == SENT) next = read_response(c);
  } while (next == QUOTE_AGAIN);
}

/* The client has parsed its last response; an answer from the journal is parsed here. */
static void parse_answer(struct charge *c)
{
  const struct buffer *answer = &c->public.answer;
  struct http_transfer *x = c->call ? c->call->exchange : NULL;
  if (answer->size == 0) return;
  if (x && x->body.size == answer->size && memcmp(x->body.data, answer->data, answer->size) == 0) {
    c->public.response = x->json;
    x->json = (struct json_document){0};
  } else {
    json_parse(&c->public.response, answer->data, answer->size);
  }
}

void charge_run(void *charge)
{
  procedure(charge);
  release_lock(charge);
  parse_answer(charge);
}

/* The account that pays. It is known by its id and its email, as far as the API reports them, so
 * that another key of the same account finds what this key bought. */

struct account_names {
  char hashes[JOURNAL_ALIASES][HEX(32)];
  char first[600];
};

/* Fills in the job that stores the account under its id, or under its email if it has no id (two
 * accounts can share an email). Returns false if the response has neither: then nothing would show
 * that two keys spend the same money. */
static bool read_names(const struct charge *c, struct account_names *names,
                       struct journal_account *job)
{
  static const char *const fields[JOURNAL_ALIASES] = {"id", "email"};
  const char *base = client_base_url(c->owner->settings.client);
  char value[200], text[700];
  for (int i = 0; i < JOURNAL_ALIASES; i++) {
    if (job->put || !charge_read(c->call->exchange, RECORD_ACCOUNT, fields[i], value, sizeof value))
      continue;
    int size = snprintf(text, sizeof text, "%.390s\n%s\n%s", base, fields[i], value);
    charge_hash(text, (size_t)size, names->hashes[i]);
    job->aliases[i] = names->hashes[i];
    snprintf(names->first, sizeof names->first, "%.390s %s", base, value);
    job->put = names->first;
  }
  return job->put;
}

/* Reads the account of the key from the store; with names, stores it first. */
static bool find_account(struct charge *c, struct journal_account *job)
{
  struct purchase *purchase = c->owner;
  journal_account(purchase->settings.store, job);
  if (!charge_job(c, &job->job)) {
    free(job->account);
    return false;
  }
  purchase->named |= job->put != NULL;
  if (purchase->account)
    free(job->account);
  else
    purchase->account = job->account;
  return true;
}

static bool identify_account(struct charge *c)
{
  struct purchase *purchase = c->owner;
  struct account_names names;
  while (!purchase->account) {
    struct journal_account job = {.job = CHARGE_JOB(c), .key = purchase->settings.key_hash};
    bool responded = c->call;
    if (responded && !read_names(c, &names, &job))
      return charge_fail(c, ERROR_PROTOCOL,
                         "the account in the response has neither id nor email; nothing was "
                         "bought");
    if (!find_account(c, &job)) return false;
    crash_point("account");
    if (purchase->account) break;
    if (!charge_request(c, "account.get", "/account", NULL)) return false;
    purchase->has_named_balance =
        charge_read_money(c->call->exchange, RECORD_ACCOUNT, "balance", &purchase->named_balance);
    purchase->named_at = loop_clock();
    purchase->named_date = http_date(c->call->exchange);
  }
  return true;
}

/* An account that was known by its email alone may have an id by now. */
static bool name_account(struct charge *c)
{
  const struct client_call *call = c->call;
  struct account_names names;
  struct journal_account job = {.job = CHARGE_JOB(c), .key = c->owner->settings.key_hash};
  bool at_hand = call && call->exchange && call->request.endpoint == endpoint_find("account.get");
  if (c->owner->named || !at_hand || !read_names(c, &names, &job)) return true;
  return find_account(c, &job);
}

/* Without the lock: a dry run ends with its price, and a user who must confirm it is asked. */

static bool is_priced_without_lock(const struct charge *c)
{
  return !c->request.inquiry && (c->owner->settings.dry_run || charge_must_ask(c));
}

enum key { KEY_NEW, KEY_OPEN, KEY_OVER };
static bool read_entry(struct charge *c);
static enum key find_key(struct charge *c, bool final);
static bool check_quote(struct charge *c);
static bool try_to_reserve(struct charge *c, struct journal_reserve *reservation);

static bool ask_user(struct charge *c)
{
  if (!charge_request(c, "account.get", "/account", NULL)) return false;
  struct purchase_question question = {.name = charge_name(c),
                                       .params = c->params.data,
                                       .quote = c->public.quote,
                                       .estimate = charge_is_extension(c)};
  question.has_balance =
      charge_read_money(c->call->exchange, RECORD_ACCOUNT, "balance", &question.balance);
  if (!charge_confirm(c, &question)) return false;
  c->approved = c->wait.confirmed;
  c->approval = c->public.quote;
  return c->approved || charge_fail(c, ERROR_SPEND_REFUSED, "not confirmed; nothing was bought");
}

/* Whether a budget refuses what the user would be asked to confirm. */
static bool is_within_budget(struct charge *c)
{
  struct journal_reserve reservation;
  if (c->request.budget.prefix == 0) return true;
  if (!try_to_reserve(c, &reservation)) return false;
  if (reservation.of_budget) charge_explain_refusal(c, &reservation);
  return !reservation.of_budget;
}

static bool price_without_lock(struct charge *c)
{
  if (!read_entry(c)) return false;
  switch (find_key(c, c->owner->settings.dry_run)) {
    case KEY_OVER:
      return false;
    case KEY_OPEN: /* it may be settled under the lock */
      return true;
    default:
      return get_quote(c) && check_quote(c) && is_within_budget(c) && ask_user(c);
  }
}

/* The lock of the account, which one process holds at a time, among all processes and machines. */

static bool has_waited_too_long(const struct charge *c, int64_t waited)
{
  return c->request.max_wait >= 0 && (double)waited / 1e6 >= c->request.max_wait;
}

static void prepare_find(struct charge *c)
{
  journal_entry_free(&c->find.entry);
  c->find = (struct journal_find){.job = CHARGE_JOB(c),
                                  .account = c->owner->account,
                                  .key = c->public.key};
}

/* In the same transaction the account's entries are read. */
static bool take_lock(struct charge *c)
{
  int64_t since = loop_clock(), pause = 0;
  bool reported = false;
  for (;;) {
    prepare_find(c);
    journal_review_free(&c->review);
    c->review = (struct journal_review){.account = c->owner->account,
                                        .within = CHARGE_RECENT,
                                        .limit = CHARGE_MAX_OPEN};
    struct journal_lock job = {.job = CHARGE_JOB(c),
                               .account = c->owner->account,
                               .review = &c->review,
                               .find = &c->find};
    c->locking = true;
    journal_lock(c->owner->settings.store, &job);
    if (!charge_job(c, &job.job)) return false;
    c->token = job.token;
    if (c->token != 0) break;
    int64_t waited = loop_clock() - since;
    if (has_waited_too_long(c, waited)) {
      error_set(&c->public.error, ERROR_TIMEOUT,
                "another charge on this account did not finish within max_wait (%g s); nothing was "
                "bought. Try again, or raise max_wait",
                c->request.max_wait);
      return false;
    }
    if (waited > LONG_LOCK_WAIT && !reported) {
      reported = true;
      charge_report(c,
                    "%s with key %s waits for another charge on this account; proxylua journal "
                    "list --state open shows which",
                    charge_name(c), c->public.key);
    }
    if (!charge_pause(c, &pause, FIRST_LOCK_PAUSE, MAX_LOCK_PAUSE)) return false;
  }
  crash_point("locked");
  return true;
}

/* If this fails, closing the store gives the lock back. */
static void release_lock(struct charge *c)
{
  struct journal_lock job = {.job = CHARGE_JOB(c)};
  if (!c->locking || c->wait.closed) return;
  c->locking = false;
  c->token = 0;
  journal_lock(c->owner->settings.store, &job);
  charge_finish_job(c);
}

/* Whether the key was used before. */

static void return_again(struct charge *c, const struct journal_entry *entry)
{
  struct purchase_charge *public = &c->public;
  snprintf(public->order_id, sizeof public->order_id, "%s", entry->order_id ? entry->order_id : "");
  public->quote = entry->quote;
  public->has_quote = true;
  public->repeated = true;
  if (entry->answer && !buffer_add_text(&public->answer, entry->answer))
    error_set(&public->error, ERROR_INTERNAL, "out of memory");
}

static void explain_open(struct charge *c, const struct journal_entry *entry)
{
  error_set(&c->public.error, ERROR_OUTCOME_UNKNOWN,
            "an earlier attempt with key %s has an unknown outcome%s%.200s%s; it is not sent "
            "again. " CHARGE_ADVICE,
            c->public.key, entry->note ? " (" : "", entry->note ? entry->note : "",
            entry->note ? ")" : "", c->public.key);
  c->public.error.charge = CHARGE_UNKNOWN;
}

static void use_entry(struct charge *c, const struct journal_entry *entry)
{
  if (strcmp(entry->params_hash, c->params_hash) != 0)
    error_set(&c->public.error, ERROR_KEY_REUSED,
              "key %s was used before for another purchase (%.300s); use a new key for each "
              "purchase",
              c->public.key, entry->params);
  else if (entry->state == JOURNAL_PLACED)
    return_again(c, entry);
  else
    explain_open(c, entry);
}

/* A server that stores idempotency keys repeats its response forever, even if it is a refusal or an
 * order that was cancelled. So after a failed attempt the next one uses another key. */
static bool choose_key(struct charge *c, const struct journal_find *find)
{
  c->idempotency.size = 0;
  if (find->found && find->entry.state == JOURNAL_NOT_PLACED)
    return buffer_print(&c->idempotency, "%s.%lld", c->public.key, (long long)find->entry.id);
  return buffer_add_text(&c->idempotency, c->public.key);
}

static bool read_entry(struct charge *c)
{
  prepare_find(c);
  journal_find(c->owner->settings.store, &c->find);
  return charge_job(c, &c->find.job);
}

/* `final`: an open entry will not be settled any more. */
static enum key find_key(struct charge *c, bool final)
{
  const struct journal_find *find = &c->find;
  crash_point("looked-up");
  if (!choose_key(c, find)) {
    charge_fail(c, ERROR_INTERNAL, "out of memory");
    return KEY_OVER;
  }
  if (!find->found || find->entry.state == JOURNAL_NOT_PLACED) return KEY_NEW;
  if (!final && find->entry.state != JOURNAL_PLACED) return KEY_OPEN;
  use_entry(c, &find->entry);
  return KEY_OVER;
}

/* The entry was read with the lock. Open entries may have been settled since. */
static bool check_key(struct charge *c)
{
  return (c->review.open.count == 0 || read_entry(c)) && find_key(c, true) == KEY_NEW;
}

/* The quote. */

static bool take_quote(struct charge *c, money quote, int64_t at)
{
  c->public.quote = c->quoted = quote;
  c->quoted_at = at;
  return true;
}

static bool request_quote(struct charge *c, const char *body)
{
  money quote;
  if (!charge_request(c, "orders.calc", "/orders/calc", body)) return false;
  if (charge_read_money(c->call->exchange, RECORD_QUOTE, "price", &quote) && quote >= 0)
    return take_quote(c, quote, loop_clock());
  return charge_fail(c, ERROR_PROTOCOL, "the quote has no readable price; nothing was bought");
}

/* Keeps an expiry date if it is later than the one known. Without one, the outcome stays unknown if
 * the response is lost. */
static void note_end(struct charge *c, const char *text)
{
  double end, known;
  char **kept = &c->before.expires_at;
  if (!date_parse(text, &end)) return;
  if (*kept && date_parse(*kept, &known) && known >= end) return;
  free(*kept);
  *kept = strdup(text);
}

/* The latest expiry date that is known: the order's, or that of a recent extension which the order
 * may not show yet. */
static void note_expiry(struct charge *c, const struct http_transfer *x)
{
  const struct journal_list *settled = &c->review.settled;
  char text[64];
  if (charge_read(x, RECORD_ORDER, "expires_at", text, sizeof text)) note_end(c, text);
  for (size_t i = 0; i < settled->count; i++) {
    const struct journal_entry *entry = &settled->entries[i];
    if (entry->state != JOURNAL_PLACED || !entry->answer || !entry->order_id ||
        strcmp(entry->endpoint, "orders.extend") != 0 || strcmp(entry->order_id, c->order_id) != 0)
      continue;
    if (charge_read_order(entry->answer, "expires_at", text, sizeof text)) note_end(c, text);
  }
}

/* An extension is quoted as a new order of the same kind for its period: writes its parameters.
 * False if the order lacks them, or out of memory. */
static bool write_order(const struct charge *c, const struct http_transfer *x, struct buffer *order)
{
  static const char *const fields[] = {"type", "country", "quantity"};
  char text[64];
  const char *digits = c->body ? strstr(c->body, "\"period\":") : NULL;
  if (!digits || sscanf(digits, "\"period\":%31[0-9]", text) != 1 ||
      !buffer_print(order, "{\"period\":%s", text))
    return false;
  for (int i = 0; i < 3; i++) {
    if (!charge_read(x, RECORD_ORDER, fields[i], text, sizeof text)) continue;
    bool number = i == 2 && strspn(text, "0123456789") == strlen(text);
    if (!buffer_print(order, ",\"%s\":", fields[i])) return false;
    if (!(number ? buffer_add_text(order, text) : buffer_add_json(order, text, strlen(text))))
      return false;
  }
  return buffer_add_text(order, "}");
}

static bool quote_extension(struct charge *c)
{
  char type[64];
  c->calc.size = 0;
  char *slash = strrchr(c->path, '/');
  *slash = '\0';
  bool ok = charge_request(c, "orders.get", c->path, NULL);
  *slash = '/';
  if (!ok) return false;
  const struct http_transfer *x = c->call->exchange;
  /* A response without a type is not an order, and the extension cannot be quoted. */
  if (!charge_read(x, RECORD_ORDER, "type", type, sizeof type))
    return charge_fail(c, ERROR_PROTOCOL, "the response has no readable order; nothing was bought");
  note_expiry(c, x);
  if (!write_order(c, x, &c->calc))
    return charge_fail(c, ERROR_INTERNAL, "cannot ask for a quote of this extension");
  return request_quote(c, c->calc.data);
}

/* A path that the table does not know has no quote, but a response must show the API's time before
 * anything is sent. */
static bool quote_unknown(struct charge *c)
{
  int64_t local, server;
  take_quote(c, c->request.max_price, loop_clock());
  return client_clock_skew(c->owner->settings.client, &local, &server) ||
         charge_request(c, "account.get", "/account", NULL);
}

static bool get_quote(struct charge *c)
{
  if (!c->request.endpoint) return quote_unknown(c);
  if (charge_is_extension(c)) return quote_extension(c);
  if (c->left.has_quote && !c->owner->settings.dry_run)
    return take_quote(c, c->left.quote, c->left.quoted_at);
  return request_quote(c, c->body);
}

static bool check_quote(struct charge *c)
{
  const struct purchase *purchase = c->owner;
  c->public.has_quote = true;
  crash_point("quoted");
  if (!charge_check_price(c)) return false;
  c->public.dry_run = purchase->settings.dry_run;
  if (c->public.dry_run || !client_clocks_agree(purchase->settings.client, &c->public.error))
    return false;
  return !purchase->overcharged ||
         charge_fail(c, ERROR_SPEND_REFUSED,
                     "an earlier charge of this run cost more than its quote; this run spends "
                     "nothing more");
}

/* Reserves the amount and writes the intent; a dry run writes nothing. */
static bool submit_intent(struct charge *c, bool dry_run, struct journal_reserve *reservation)
{
  const struct purchase *purchase = c->owner;
  struct buffer snapshot = {0};
  if (!dry_run && !charge_write_baseline(c, &snapshot)) buffer_free(&snapshot);
  *reservation =
      (struct journal_reserve){.job = CHARGE_JOB(c),
                               .token = c->token,
                               .dry_run = dry_run,
                               .server_time = (int64_t)client_clock(purchase->settings.client),
                               .allowance = charge_allowance(c),
                               .elsewhere = charge_elsewhere(c),
                               .budget = c->request.budget,
                               .entry = {.account = purchase->account,
                                         .key = c->public.key,
                                         .endpoint = (char *)charge_name(c),
                                         .params = c->params.data,
                                         .params_hash = c->params_hash,
                                         .quote = c->public.quote,
                                         .snapshot = snapshot.data,
                                         .host = (char *)purchase->host,
                                         .pid = getpid(),
                                         .started = purchase->started,
                                         .run_id = (char *)purchase->run_id}};
  journal_reserve(purchase->settings.store, reservation);
  bool open = charge_finish_job(c);
  reservation->entry.snapshot = NULL;
  buffer_free(&snapshot);
  journal_entry_free(&reservation->existing);
  return open;
}

/* Whether the allowance has room for the quote. Nothing is written: it is checked again when the
 * intent is. */
static bool try_to_reserve(struct charge *c, struct journal_reserve *reservation)
{
  return submit_intent(c, true, reservation) && charge_check_job(c, &reservation->job);
}

static bool is_allowed(struct charge *c)
{
  struct journal_reserve reservation;
  if (!check_quote(c) || !try_to_reserve(c, &reservation)) return false;
  if (reservation.decision == JOURNAL_REFUSED) {
    charge_explain_refusal(c, &reservation);
    return false;
  }
  crash_point("allowed");
  return true;
}

/* The request: once its slots are granted, the intent is written, then the entry as sent, then the
 * request leaves. */

/* On the loop's thread. */
static bool may_send(void *arg)
{
  struct charge *c = arg;
  crash_point("leaving");
  c->withheld = c->wait.abandoned || loop_clock() - c->committed_at > STALE_US;
  return !c->withheld;
}

static bool is_cancelled(struct charge *c)
{
  if (c->wait.abandoned)
    error_set(&c->public.error, ERROR_CANCELLED, "cancelled before it was sent");
  return c->wait.abandoned;
}

static bool write_intent(struct charge *c)
{
  struct error *err = &c->public.error;
  struct journal_reserve reservation;
  if (!submit_intent(c, false, &reservation)) return false;
  if (reservation.job.err.kind != ERROR_NONE)
    *err = reservation.job.err;
  else if (reservation.decision == JOURNAL_REFUSED)
    charge_explain_refusal(c, &reservation);
  else if (reservation.decision == JOURNAL_EXISTS)
    error_set(err, ERROR_OUTCOME_UNKNOWN,
              "another process used key %s at the same time; run the command again to see its "
              "outcome",
              c->public.key);
  else
    c->entry = reservation.id;
  bool written = err->kind == ERROR_NONE && !is_cancelled(c);
  crash_point("intent");
  return written;
}

/* Before the first byte leaves, the entry is on disk as sent. */
static bool write_sent(struct charge *c)
{
  struct error *err = &c->public.error;
  int64_t longest = (int64_t)(c->owner->settings.timeout * 1e6) + STALE_US + MARGIN_US;
  struct journal_settle job = {.job = CHARGE_JOB(c),
                               .token = c->token,
                               .id = c->entry,
                               .state = JOURNAL_SENT,
                               .ends_in = longest,
                               .price = JOURNAL_NO_PRICE};
  journal_settle(c->owner->settings.store, &job);
  bool open = charge_finish_job(c);
  crash_point("sending");
  if (!open) return false;
  c->committed_at = job.began_at;
  if (job.job.err.kind != ERROR_NONE)
    *err = job.job.err;
  else if (!is_cancelled(c) && !job.changed)
    error_set(err, ERROR_OUTCOME_UNKNOWN,
              "another process has settled this charge's entry; nothing was sent");
  return err->kind == ERROR_NONE;
}

/* Discards everything that was read before. */
static enum next start_again(struct charge *c)
{
  snapshot_free(&c->before);
  bool ok = charge_read_left(c);
  c->left.fresh = c->left.has_quote = false;
  if (!ok) charge_fail(c, ERROR_INTERNAL, "out of memory");
  return ok ? QUOTE_AGAIN : OVER;
}

/* Waiting for slots took so long that the quote became too old. */
static enum next renew_quote(struct charge *c)
{
  c->stage = STAGE_BEFORE;
  if (++c->renewals > MAX_RENEWALS) {
    charge_fail(c, ERROR_TIMEOUT,
                "waiting for rate-limit slots took so long that the price became too old "
                "repeatedly; nothing was bought. Try again");
    return OVER;
  }
  if (loop_clock() - c->baseline_at > BASELINE_US) return start_again(c);
  bool ok = request_quote(c, charge_is_extension(c) ? c->calc.data : c->body);
  return ok && charge_check_price(c) ? SEND_AGAIN : OVER;
}

static bool write_outcome(struct charge *c, enum journal_state state, money price, bool releases,
                          const char *note);

static enum next send_request(struct charge *c)
{
  const struct purchase_request *r = &c->request;
  struct client_request request = {.endpoint = r->endpoint,
                                   .kind = ENDPOINT_CHARGE,
                                   .order_scope = r->endpoint && r->endpoint->order_scope,
                                   .method = r->method,
                                   .path = c->path,
                                   .query = c->query,
                                   .body = c->body,
                                   .body_size = r->body_size,
                                   .idempotency_key = c->idempotency.data,
                                   .timeout = r->timeout,
                                   .max_wait = r->max_wait,
                                   .refusals = c->refusals,
                                   .refused = c->refused,
                                   .may_send = may_send};
  bool has_slots = charge_begin(c, &request);
  while (has_slots) { /* again, if they expired before it was sent */
    c->stage = STAGE_SENDING;
    crash_point("slots");
    bool stale = r->endpoint && loop_clock() - c->quoted_at > QUOTE_US;
    bool written = !stale && (c->entry != 0 || write_intent(c)) && write_sent(c);
    has_slots = written && charge_go(c);
    if (!written) charge_stop(c);
    if (stale) return renew_quote(c);
  }
  if (c->call) return SENT;
  if (c->stage == STAGE_SENDING && is_cancelled(c))
    write_outcome(c, JOURNAL_NOT_PLACED, JOURNAL_NO_PRICE, true, NULL);
  return OVER;
}

/* The outcome is in the journal before the caller learns it. */

/* Reports the outcome of an abandoned charge, since no caller receives it. */
static void report_outcome(struct charge *c)
{
  static const char *const outcomes[] = {[JOURNAL_PLACED] = "went through",
                                         [JOURNAL_NOT_PLACED] = "did not go through",
                                         [JOURNAL_UNKNOWN] = "has an unknown outcome"};
  charge_report(c, "%s with key %s, which was cancelled, %s%s%s", charge_name(c), c->public.key,
                outcomes[c->outcome], c->public.order_id[0] ? ": order " : "", c->public.order_id);
}

/* What reconciliation found holds only under the lock: another process may have bought since. The
 * entry stays unknown, and the next run looks it up. */
static void leave_unknown(struct charge *c)
{
  struct error *err = &c->public.error;
  c->public.order_id[0] = '\0';
  error_set(err, ERROR_OUTCOME_UNKNOWN,
            "it is unknown whether this charge went through, since what the API shows of it could "
            "not be recorded. " CHARGE_ADVICE,
            c->public.key);
  err->charge = CHARGE_UNKNOWN;
}

/* Tries a few times. False if the program or the charge ends meanwhile. What the response says is
 * recorded even if the lock was lost. */
static bool try_to_settle(struct charge *c, struct journal_settle *job)
{
  const struct journal_settle what = *job;
  int64_t pause = 0;
  for (int tries = 1;; tries++) {
    *job = what;
    journal_settle(c->owner->settings.store, job);
    if (!charge_finish_job(c)) return false;
    if (job->job.err.kind == ERROR_NONE || tries == MAX_SETTLE_TRIES) return true;
    if (!charge_pause(c, &pause, SETTLE_PAUSE, SETTLE_PAUSE)) return false;
  }
}

/* Returns whether it is written. */
static bool write_outcome(struct charge *c, enum journal_state state, money price, bool releases,
                          const char *note)
{
  struct buffer left = {0};
  struct journal_settle job = {.job = CHARGE_JOB(c),
                               .id = c->entry,
                               .token = c->reconciled ? c->token : 0,
                               .state = state,
                               .releases = releases,
                               .proven = state == JOURNAL_PLACED && !c->reconciled,
                               .ends_in = JOURNAL_KEEP_END,
                               .order_id = c->public.order_id[0] ? c->public.order_id : NULL,
                               .price = price,
                               .answer = c->public.answer.data,
                               .note = note};
  c->stage = STAGE_SETTLING;
  c->outcome = state;
  if (c->entry == 0) return false;
  if (c->agreed && charge_leave(c, &left))
    job.baseline = (struct journal_baseline){.text = left.data, .token = c->token};
  bool open = try_to_settle(c, &job);
  buffer_free(&left);
  if (!open) return false;
  bool written = job.job.err.kind == ERROR_NONE;
  if (!written)
    charge_report(c, "%s with key %s: cannot write its outcome (%s) to the journal: %s",
                  charge_name(c), c->public.key, journal_state_name(state), job.job.err.message);
  else if (!job.changed)
    charge_report(c, "%s with key %s is %s; another process settled its entry meanwhile",
                  charge_name(c), c->public.key, journal_state_name(state));
  if (!written && c->reconciled) leave_unknown(c);
  if (written && releases) c->locking = false;
  crash_point("settled");
  if (c->wait.abandoned) report_outcome(c);
  return written;
}

void charge_note_price(struct charge *c, money price)
{
  if (price <= c->public.quote) return;
  char quoted[MONEY_TEXT], paid[MONEY_TEXT];
  money_format(c->public.quote, quoted);
  money_format(price, paid);
  c->owner->overcharged = true;
  c->public.quote = price;
  charge_report(c, "%s with key %s cost %s, above its quote of %s; this run spends nothing more",
                charge_name(c), c->public.key, paid, quoted);
}

/* A price below the quote may be a discount, or an order that was cancelled: the transaction shows
 * the amount that counts. The next charge reads the transactions anyway. */
static void settle_placed(struct charge *c, money price, const char *note)
{
  bool known = price != JOURNAL_NO_PRICE && price >= c->public.quote;
  if (known) charge_note_price(c, price);
  bool look = !known && c->before.has_balance && (charge_is_extension(c) || c->before.reused == 0);
  bool releases = !look || c->request.endpoint;
  bool written = write_outcome(c, JOURNAL_PLACED, known ? price : JOURNAL_NO_PRICE, releases, note);
  if (look && written && !c->wait.abandoned) charge_find_price(c);
}

static void settle_order(struct charge *c, const struct http_transfer *x)
{
  money price = JOURNAL_NO_PRICE;
  c->agreed = true;
  if (charge_is_extension(c)) /* its response has the price of the order */
    snprintf(c->public.order_id, sizeof c->public.order_id, "%s", c->order_id);
  else if (!charge_has_failed(x) && !charge_read_money(x, RECORD_ORDER, "price", &price))
    price = JOURNAL_NO_PRICE;
  settle_placed(c, price, NULL);
}

static void settle_refused(struct charge *c)
{
  c->agreed = c->call->sent;
  write_outcome(c, JOURNAL_NOT_PLACED, JOURNAL_NO_PRICE, true, NULL);
}

/* After a 429 the pause may be long enough for price, orders and balance to change. So the entry is
 * settled as not placed, and the same key begins again. */
static enum next withdraw(struct charge *c)
{
  struct journal_settle job = {.job = CHARGE_JOB(c),
                               .token = c->token,
                               .id = c->entry,
                               .state = JOURNAL_NOT_PLACED,
                               .ends_in = JOURNAL_KEEP_END,
                               .price = JOURNAL_NO_PRICE,
                               .note = "the API refused it with 429"};
  c->refusals = c->call->refusals;
  c->refused = c->call->refused;
  c->stage = STAGE_BEFORE;
  c->renewals = 0;
  c->public.error = ERROR_INIT;
  journal_settle(c->owner->settings.store, &job);
  if (!charge_job(c, &job.job)) return OVER;
  c->entry = 0;
  return start_again(c);
}

/* A response that was lost, or that cannot be believed: the journal says `unknown`, and the charge
 * is reconciled until the settling time is over. */

static void settle_found(struct charge *c, struct inquiry *inquiry)
{
  struct journal_settle found = {0};
  struct purchase_charge *public = &c->public;
  bool ok = charge_read_found(inquiry, &found);
  snprintf(public->order_id, sizeof public->order_id, "%s", found.order_id);
  buffer_free(&public->answer);
  public->answer = inquiry->answer;
  inquiry->answer = (struct buffer){0};
  public->error = ERROR_INIT;
  c->agreed = c->reconciled = true;
  if (!ok)
    error_set(&public->error, ERROR_INTERNAL, "out of memory, after order %s was placed",
              public->order_id);
  settle_placed(c, found.price, found.note);
}

static void settle_nothing(struct charge *c)
{
  struct error *err = &c->public.error;
  *err = c->lost;
  error_set(err, c->lost.kind,
            "%.900s. Orders, transactions and balance show that nothing was bought; run the "
            "command again",
            c->lost.message);
  c->agreed = c->reconciled = true;
  write_outcome(c, JOURNAL_NOT_PLACED, JOURNAL_NO_PRICE, true,
                "orders, transactions and balance show that nothing was bought");
}

static void settle_unknown(struct charge *c, const char *why)
{
  struct error *err = &c->public.error;
  error_set(err, ERROR_OUTCOME_UNKNOWN,
            "it is unknown whether this charge went through (%.400s%s%.300s); it is not sent "
            "again. " CHARGE_ADVICE,
            c->lost.message, *why ? "; " : "", why, c->public.key);
  err->charge = CHARGE_UNKNOWN;
  err->status = c->lost.status;
  write_outcome(c, JOURNAL_UNKNOWN, JOURNAL_NO_PRICE, true, *why ? why : NULL);
}

static bool write_unknown(struct charge *c)
{
  struct journal_settle job = {.job = CHARGE_JOB(c),
                               .id = c->entry,
                               .state = JOURNAL_UNKNOWN,
                               .ends_in = 0,
                               .price = JOURNAL_NO_PRICE,
                               .answer = c->public.answer.data,
                               .note = c->lost.message};
  journal_settle(c->owner->settings.store, &job);
  if (!charge_finish_job(c)) return false;
  crash_point("unknown");
  if (job.job.err.kind != ERROR_NONE) settle_unknown(c, "");
  return job.job.err.kind == ERROR_NONE && !charge_is_over(c);
}

/* Returns whether to look again later. */
static bool look_up(struct charge *c)
{
  struct inquiry inquiry = {0};
  bool again = false;
  if (charge_inquire(c, c->entry, &inquiry)) {
    again = inquiry.result.what == RECONCILE_WAIT;
    if (inquiry.result.what == RECONCILE_PLACED) settle_found(c, &inquiry);
    if (inquiry.result.what == RECONCILE_NOT_PLACED) settle_nothing(c);
    if (inquiry.result.what == RECONCILE_DOUBT) settle_unknown(c, inquiry.result.why);
  }
  charge_end_inquiry(&inquiry);
  return again;
}

static void reconcile(struct charge *c)
{
  int64_t pause = 0;
  c->stage = STAGE_AFTER;
  if (!c->request.endpoint) { /* its traces cannot be recognised */
    settle_unknown(c, "");
    return;
  }
  if (!write_unknown(c)) return;
  while (look_up(c))
    if (!charge_pause(c, &pause, FIRST_LOOKUP_PAUSE, MAX_LOOKUP_PAUSE)) return;
}

static void explain_withheld(struct charge *c)
{
  if (!is_cancelled(c))
    error_set(&c->public.error, ERROR_TIMEOUT,
              "the machine took too long between recording the request and sending it; nothing was "
              "sent, run it again");
}

static void keep_response(struct charge *c, const struct http_transfer *x, bool responded)
{
  size_t size = x ? x->body.size : 0;
  if (!responded && size > MAX_FAILURE) size = MAX_FAILURE;
  buffer_free(&c->public.answer);
  if (size > 0 && !buffer_add(&c->public.answer, x->body.data, size))
    charge_report(c, "out of memory: the response of this charge is not in the journal");
}

static enum next read_response(struct charge *c)
{
  const struct client_call *call = c->call;
  const struct http_transfer *x = call->exchange;
  const char *why = NULL;
  bool responded = call->error.kind == ERROR_NONE;
  crash_point("answered");
  c->public.error = call->error;
  if (c->withheld) explain_withheld(c);
  keep_response(c, x, responded);
  if (responded && charge_agrees(c, x, &why)) {
    settle_order(c, x);
  } else if (!responded && charge_is_refusal(call)) {
    if (call->may_repeat && !c->wait.abandoned) return withdraw(c);
    settle_refused(c);
  } else {
    c->lost = call->error;
    if (responded) error_set(&c->lost, ERROR_PROTOCOL, "%s", why);
    reconcile(c);
  }
  return OVER;
}
