/* What the response to a charge shows. It is believed only if its content agrees: a refusal if it
 * is the API's own, an order if it is the one that was requested. */
#include <stdlib.h>
#include <string.h>

#include "base/datetime.h"
#include "charge/steps.h"

bool charge_has_failed(const struct http_transfer *x)
{
  static const char *const words[] = {"cancel", "fail", "reject", "refund", NULL};
  char status[64];
  if (!charge_read(x, RECORD_ORDER, "status", status, sizeof status)) return false;
  for (const char *const *word = words; *word; word++)
    if (strncasecmp(status, *word, strlen(*word)) == 0) return true;
  return false;
}

/* Whether an order existed before, or was bought with another key. */
static bool is_known(const struct charge *c, const char *id)
{
  const struct journal_list *settled = &c->review.settled;
  if (ids_have(&c->before.orders.known, id)) return true;
  for (size_t i = 0; i < settled->count; i++)
    if (settled->entries[i].order_id && strcmp(settled->entries[i].order_id, id) == 0) return true;
  return false;
}

/* A smaller order than the requested one is being set up if its price is about the quote; otherwise
 * it is another one, which a gateway or a cache may have sent. */
static bool fits(const struct charge *c, const struct http_transfer *x)
{
  struct reconcile_traits given = {{0}};
  money price, quote = c->public.quote;
  char texts[RECONCILE_TRAITS][128];
  for (int i = 0; i < RECONCILE_TRAITS; i++)
    if (charge_read(x, RECORD_ORDER, reconcile_trait_names[i], texts[i], sizeof texts[i]))
      given.of[i] = texts[i];
  if (!reconcile_fits_order(&c->asked, &given)) return false;
  return !reconcile_is_smaller(&c->asked, &given) ||
         (charge_read_money(x, RECORD_ORDER, "price", &price) && price >= quote / 4 * 3);
}

/* Whether an order is dated before the baseline in any time zone. */
static bool is_old(const struct charge *c, const struct http_transfer *x)
{
  char created_at[64];
  double time;
  return c->before.taken_at > 0 &&
         charge_read(x, RECORD_ORDER, "created_at", created_at, sizeof created_at) &&
         date_parse(created_at, &time) &&
         time + RECONCILE_DAY + RECONCILE_ZONES < c->before.taken_at;
}

/* Whether the response to a purchase is the requested order; stores its id. Otherwise `why`
 * describes the difference. */
static bool is_the_order(struct charge *c, const struct http_transfer *x, const char **why)
{
  char *id = c->public.order_id;
  bool named = charge_read(x, RECORD_ORDER, "id", id, sizeof c->public.order_id) && *id;
  if (!named)
    *why = "the response does not name an order";
  else if (is_known(c, id) || is_old(c, x))
    *why = "the response names an order that existed before";
  else if (!fits(c, x))
    *why = "the response describes another order than the requested one";
  else
    return true;
  *id = '\0';
  return false;
}

/* Whether the response to an extension shows that the order's expiry date moved by the period, or
 * by at least half of it, since servers round. */
static bool is_the_extension(const struct charge *c, const struct http_transfer *x,
                             const char **why)
{
  char id[PURCHASE_MAX_ID + 1], end[64];
  const char *period = c->asked.of[TRAIT_PERIOD];
  double before, after, days = period ? strtod(period, NULL) : 1;
  if (charge_read(x, RECORD_ORDER, "id", id, sizeof id) && strcmp(id, c->order_id) != 0)
    *why = "the response names another order";
  else if (!charge_read(x, RECORD_ORDER, "expires_at", end, sizeof end) || !c->before.expires_at ||
           !date_parse(c->before.expires_at, &before) || !date_parse(end, &after))
    *why = "the response has no expiry date";
  else if (after - before < 0.5 * days * RECONCILE_DAY)
    *why = "the response has the order's old expiry date";
  else
    return true;
  return false;
}

bool charge_agrees(struct charge *c, const struct http_transfer *x, const char **why)
{
  *why = "the response is an error";
  if (response_is_refusal(&x->json)) return false;
  *why = "the response says that the request is still being processed";
  if (x->status != 200 && x->status != 201) return false;
  if (!c->request.endpoint) return true;
  return charge_is_extension(c) ? is_the_extension(c, x, why) : is_the_order(c, x, why);
}

/* Only the API's own error shows that no money moved: a gateway may send an error page after the
 * API has acted. */
bool charge_is_refusal(const struct client_call *call)
{
  const struct http_transfer *x = call->exchange;
  if (!call->sent) return true;
  if (!x || x->code != CURLE_OK) return false;
  bool status = (x->status >= 400 && x->status <= 404) || x->status == 429;
  return status && response_is_refusal(&x->json);
}
