/* The fifth step of a charge: its price, and whether it may be spent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/datetime.h"
#include "charge/crash_point.h"
#include "charge/flow.h"

#define BASELINE_US INT64_C(120000000) /* after a longer wait the baseline is read again */

#define MAX_RENEWALS 5

static void take_quote(struct flow *charge, money quote, int64_t at)
{
  charge->public.quote = charge->quoted = quote;
  charge->quoted_at = at;
}

static bool read_quote(struct flow *charge, const struct client_call *call)
{
  money quote;
  if (!flow_read_money(call->exchange, RECORD_QUOTE, "price", &quote) || quote < 0) return false;
  take_quote(charge, quote, loop_clock());
  return true;
}

static void on_quote(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  if (!flow_answered(charge, call)) return;
  if (read_quote(charge, call))
    flow_decide(charge);
  else
    flow_fail(charge, ERROR_PROTOCOL, "the quote has no readable price; nothing was bought");
}

static void on_requote(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  if (!flow_answered(charge, call)) return;
  if (!read_quote(charge, call))
    flow_fail(charge, ERROR_PROTOCOL, "the quote has no readable price; nothing was bought");
  else if (!flow_check_max_price(charge))
    flow_end(charge);
  else
    flow_send(charge);
}

/* Discards everything that was read before. */
static void start_again(struct flow *charge)
{
  snapshot_free(&charge->before);
  bool ok = flow_read_left(charge);
  charge->left.fresh = charge->left.has_quote = false;
  charge->stage = FLOW_BEFORE;
  if (ok)
    flow_quote(charge);
  else
    flow_fail(charge, ERROR_INTERNAL, "out of memory");
}

void flow_renew(struct flow *charge)
{
  charge->stale = false;
  charge->stage = FLOW_BEFORE;
  if (++charge->renewals > MAX_RENEWALS)
    flow_fail(charge, ERROR_TIMEOUT,
              "waiting for rate-limit slots took so long that the price became too old repeatedly; "
              "nothing was bought. Try again");
  else if (loop_clock() - charge->baseline_at > BASELINE_US)
    start_again(charge);
  else
    flow_ask(charge, "orders.calc", "/orders/calc", NULL,
             flow_is_extension(charge) ? charge->calc.data : charge->body, on_requote);
}

static void on_withdrawn(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, settle);
  if (flow_has_failed(charge, job)) return;
  charge->entry = 0;
  start_again(charge);
}

/* The pause may be long enough for price, orders and balance to change. So the entry is settled as
 * not placed, and the same key begins again. */
void flow_send_again(struct flow *charge)
{
  charge->stage = FLOW_BEFORE;
  charge->renewals = 0;
  charge->public.error = ERROR_INIT;
  charge->settle = (struct journal_settle){.job.done = on_withdrawn,
                                           .token = charge->token,
                                           .id = charge->entry,
                                           .state = JOURNAL_NOT_PLACED,
                                           .ends_in = JOURNAL_KEEP_END,
                                           .price = JOURNAL_NO_PRICE,
                                           .note = "the API refused it with 429"};
  charge->working = true;
  journal_settle(charge->owner->settings.store, &charge->settle);
}

/* A response without a type is not an order, and the extension cannot be quoted. */
static bool is_order(const struct http_transfer *x)
{
  char type[64];
  return flow_read(x, RECORD_ORDER, "type", type, sizeof type);
}

static bool add_order_fields(struct flow *charge, const struct http_transfer *x)
{
  static const char *const fields[] = {"type", "country", "quantity"};
  char text[64];
  for (int i = 0; i < 3; i++) {
    if (!flow_read(x, RECORD_ORDER, fields[i], text, sizeof text)) continue;
    bool number = i == 2 && strspn(text, "0123456789") == strlen(text);
    if (!buffer_print(&charge->calc, ",\"%s\":", fields[i])) return false;
    if (!(number ? buffer_add_text(&charge->calc, text)
                 : buffer_add_json(&charge->calc, text, strlen(text))))
      return false;
  }
  return true;
}

/* Keeps an expiry date if it is later than the one known. Without one, the outcome stays unknown if
 * the response is lost. */
static void note_end(struct flow *charge, const char *text)
{
  double end, known;
  char **kept = &charge->before.expires_at;
  if (!date_parse(text, &end)) return;
  if (*kept && date_parse(*kept, &known) && known >= end) return;
  free(*kept);
  *kept = strdup(text);
}

/* The latest expiry date that is known: the order's, or that of a recent extension which the order
 * may not show yet. */
static void note_expiry(struct flow *charge, const struct http_transfer *x)
{
  const struct journal_list *settled = &charge->recovery.review.settled;
  char text[64];
  if (flow_read(x, RECORD_ORDER, "expires_at", text, sizeof text)) note_end(charge, text);
  for (size_t i = 0; i < settled->count; i++) {
    const struct journal_entry *entry = &settled->entries[i];
    if (entry->state != JOURNAL_PLACED || !entry->answer || !entry->order_id ||
        strcmp(entry->endpoint, "orders.extend") != 0 ||
        strcmp(entry->order_id, charge->order_id) != 0)
      continue;
    if (flow_read_order(entry->answer, "expires_at", text, sizeof text)) note_end(charge, text);
  }
}

/* An extension is quoted as a new order of the same kind for its period. */
static void on_order(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  char period[32];
  if (!flow_answered(charge, call)) return;
  if (!is_order(call->exchange)) {
    flow_fail(charge, ERROR_PROTOCOL, "the response has no readable order; nothing was bought");
    return;
  }
  note_expiry(charge, call->exchange);
  charge->calc.size = 0;
  const char *digits = charge->body ? strstr(charge->body, "\"period\":") : NULL;
  if (digits && sscanf(digits, "\"period\":%31[0-9]", period) == 1 &&
      buffer_print(&charge->calc, "{\"period\":%s", period) &&
      add_order_fields(charge, call->exchange) && buffer_add_text(&charge->calc, "}"))
    flow_ask(charge, "orders.calc", "/orders/calc", NULL, charge->calc.data, on_quote);
  else
    flow_fail(charge, ERROR_INTERNAL, "cannot ask for a quote of this extension");
}

static void on_account(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  if (flow_answered(charge, call)) flow_decide(charge);
}

/* It has no quote, but a response must show the API's time before anything is sent. */
static void quote_unknown(struct flow *charge)
{
  int64_t local, server;
  take_quote(charge, charge->request.max_price, loop_clock());
  if (client_clock_skew(charge->owner->settings.client, &local, &server))
    flow_decide(charge);
  else
    flow_ask(charge, "account.get", "/account", NULL, NULL, on_account);
}

void flow_quote(struct flow *charge)
{
  if (!charge->request.endpoint) {
    quote_unknown(charge);
  } else if (flow_is_extension(charge)) {
    char *slash = strrchr(charge->path, '/');
    *slash = '\0';
    flow_ask(charge, "orders.get", charge->path, NULL, NULL, on_order);
    *slash = '/';
  } else if (charge->left.has_quote && !charge->owner->settings.dry_run) {
    take_quote(charge, charge->left.quote, charge->left.quoted_at);
    flow_decide(charge);
  } else {
    flow_ask(charge, "orders.calc", "/orders/calc", NULL, charge->body, on_quote);
  }
}
