/* What a charge may cost. */
#include <string.h>

#include "charge/steps.h"

static bool nothing_is_allowed(const struct journal_allowance *allowance)
{
  return allowance->per_run < 0 && allowance->per_day < 0 && allowance->per_order < 0;
}

bool charge_must_ask(const struct charge *c)
{
  const struct purchase_settings *settings = &c->owner->settings;
  return settings->ask && !c->approved && nothing_is_allowed(&settings->allowance);
}

struct journal_allowance charge_allowance(const struct charge *c)
{
  if (!c->approved) return c->owner->settings.allowance;
  return (struct journal_allowance){.per_run = -1, .per_day = -1, .per_order = c->approval};
}

void charge_explain_refusal(struct charge *c, const struct journal_reserve *reservation)
{
  char quote[MONEY_TEXT], allowed[MONEY_TEXT], spent[MONEY_TEXT], elsewhere[MONEY_TEXT];
  struct error *err = &c->public.error;
  money_format(c->public.quote, quote);
  money_format(reservation->allowed > 0 ? reservation->allowed : 0, allowed);
  money_format(reservation->spent, spent);
  money_format(reservation->elsewhere, elsewhere);
  if (reservation->of_budget)
    error_set(err, ERROR_SPEND_REFUSED,
              "this would cost %s; the budget %s of %.*s is %s, of which %s is spent or reserved",
              quote, reservation->limit, (int)reservation->budget.prefix, c->public.key, allowed,
              spent);
  else if (nothing_is_allowed(&reservation->allowance))
    error_set(err, ERROR_SPEND_REFUSED,
              "this would cost %s, and spending is not allowed; allow it with --spend %s or "
              "the setting spend.per_run",
              quote, quote);
  else if (c->approved)
    error_set(err, ERROR_SPEND_REFUSED,
              "the price is now %s, but %s was confirmed; nothing was bought", quote, allowed);
  else if (strcmp(reservation->limit, "per_order") == 0)
    error_set(err, ERROR_SPEND_REFUSED,
              "this would cost %s; the limit per_order is %s; raise it with spend.per_order", quote,
              allowed);
  else if (reservation->elsewhere > 0 && strcmp(reservation->limit, "per_day") == 0)
    error_set(
        err, ERROR_SPEND_REFUSED,
        "this would cost %s; the limit per_day is %s, of which %s is spent or reserved: %s of "
        "it was charged to the account today without this journal (proxylua account "
        "transactions lists all charges). Raise it with spend.per_day, or leave those charges "
        "out with spend.ignore_elsewhere",
        quote, allowed, spent, elsewhere);
  else
    error_set(err, ERROR_SPEND_REFUSED,
              "this would cost %s; the limit %s is %s, of which %s is spent or reserved; raise it "
              "with %s%s",
              quote, reservation->limit, allowed, spent,
              strcmp(reservation->limit, "per_run") == 0 ? "--spend or spend." : "spend.",
              reservation->limit);
}

bool charge_check_price(struct charge *c)
{
  char quote[MONEY_TEXT], most[MONEY_TEXT];
  const struct purchase_request *r = &c->request;
  if (!r->has_max_price || c->public.quote <= r->max_price) return true;
  money_format(c->public.quote, quote);
  money_format(r->max_price, most);
  error_set(&c->public.error, ERROR_SPEND_REFUSED,
            "this would cost %s, above max_price %s; nothing was bought", quote, most);
  return false;
}
