/* The fifth step of a charge: what it would cost, and whether that may be spent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "charge/crash_point.h"
#include "charge/flow.h"

static void on_quote(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  if (!flow_answered(charge, call)) return;
  if (flow_read_money(charge, RECORD_QUOTE, call->exchange, "price", &charge->public.quote) &&
      charge->public.quote >= 0)
    flow_decide(charge);
  else
    flow_fail(charge, ERROR_PROTOCOL,
              "the quote holds no price that can be read; nothing was bought");
}

/* Without its type nothing can be quoted, and what was answered is no order. */
static bool is_order(const struct flow *charge, const struct http_exchange *x)
{
  char type[64];
  return flow_read(charge, RECORD_ORDER, x, "type", type, sizeof type);
}

static bool add_order_fields(struct flow *charge, const struct http_exchange *x)
{
  static const char *const fields[] = {"type", "country", "quantity"};
  char text[64];
  for (int i = 0; i < 3; i++) {
    if (!flow_read(charge, RECORD_ORDER, x, fields[i], text, sizeof text)) continue;
    bool number = i == 2 && strspn(text, "0123456789") == strlen(text);
    if (!buffer_print(&charge->calc, ",\"%s\":", fields[i])) return false;
    if (!(number ? buffer_add_text(&charge->calc, text)
                 : buffer_add_json(&charge->calc, text, strlen(text))))
      return false;
  }
  return true;
}

static void note_expiry(struct flow *charge, const struct http_exchange *x)
{
  char text[64];
  if (!flow_read(charge, RECORD_ORDER, x, "expires_at", text, sizeof text)) return;
  free(charge->before.expires_at);
  charge->before.expires_at = strdup(text); /* without it, a lost answer stays in doubt */
}

/* An extension is quoted as a new order of the same kind for its period. */
static void on_order(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  char period[32];
  if (!flow_answered(charge, call)) return;
  if (!is_order(charge, call->exchange)) {
    flow_fail(charge, ERROR_PROTOCOL,
              "the answer holds no order that can be read; nothing was bought");
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

void flow_quote(struct flow *charge)
{
  if (!charge->request.endpoint) {
    charge->public.quote = charge->request.max_price;
    flow_decide(charge);
  } else if (flow_is_extension(charge)) {
    char *slash = strrchr(charge->path, '/');
    *slash = '\0';
    flow_ask(charge, "orders.get", charge->path, NULL, NULL, on_order);
    *slash = '/';
  } else {
    flow_ask(charge, "orders.calc", "/orders/calc", NULL, charge->body, on_quote);
  }
}
