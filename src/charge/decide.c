/* Whether the charge may be made at its price. */
#include <stdio.h>
#include <string.h>

#include "charge/crash_point.h"
#include "charge/flow.h"

/* The lock of the account is not held while the user is asked, since that may take long. */

static bool nothing_is_allowed(const struct journal_allowance *allowance)
{
  return allowance->per_run < 0 && allowance->per_day < 0 && allowance->per_order < 0;
}

static bool must_ask(const struct flow *charge)
{
  const struct purchase_settings *settings = &charge->owner->settings;
  return settings->ask && !charge->approved && nothing_is_allowed(&settings->allowance);
}

static void on_account(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  const struct purchase_settings *settings = &charge->owner->settings;
  if (!flow_answered(charge, call)) return;
  struct purchase_question question = {.name = flow_name(charge),
                                       .params = charge->params.data,
                                       .quote = charge->public.quote,
                                       .estimate = flow_is_extension(charge)};
  question.has_balance =
      flow_read_money(call->exchange, RECORD_ACCOUNT, "balance", &question.balance);
  charge->questioned = true;
  settings->ask(settings->ask_arg, &charge->public, &question);
}

void purchase_answer(struct purchase_charge *public, bool yes)
{
  struct flow *charge = (struct flow *)public;
  charge->questioned = false;
  if (flow_is_over(charge)) return;
  charge->approved = yes;
  charge->approval = public->quote;
  if (yes)
    flow_lock(charge);
  else
    flow_fail(charge, ERROR_SPEND_REFUSED, "not confirmed; nothing was bought");
}

struct journal_allowance flow_allowance(const struct flow *charge)
{
  if (!charge->approved) return charge->owner->settings.allowance;
  return (struct journal_allowance){.per_run = -1, .per_day = -1, .per_order = charge->approval};
}

void flow_explain_allowance(struct flow *charge)
{
  const struct journal_intend *intend = &charge->intend;
  char quote[MONEY_TEXT], allowed[MONEY_TEXT], spent[MONEY_TEXT], elsewhere[MONEY_TEXT];
  struct error *err = &charge->public.error;
  money_format(charge->public.quote, quote);
  money_format(intend->allowed > 0 ? intend->allowed : 0, allowed);
  money_format(intend->spent, spent);
  money_format(intend->elsewhere, elsewhere);
  if (intend->of_budget)
    error_set(err, ERROR_SPEND_REFUSED,
              "this would cost %s; the budget %s of %.*s is %s, of which %s is spent or reserved",
              quote, intend->limit, (int)intend->budget.prefix, charge->public.key, allowed, spent);
  else if (nothing_is_allowed(&intend->allowance))
    error_set(err, ERROR_SPEND_REFUSED,
              "this would cost %s, and spending is not allowed; allow it with --spend %s or "
              "the setting spend.per_run",
              quote, quote);
  else if (charge->approved)
    error_set(err, ERROR_SPEND_REFUSED,
              "the price is now %s, but %s was confirmed; nothing was bought", quote, allowed);
  else if (strcmp(intend->limit, "per_order") == 0)
    error_set(err, ERROR_SPEND_REFUSED,
              "this would cost %s; the limit per_order is %s; raise it with spend.per_order", quote,
              allowed);
  else if (intend->elsewhere > 0 && strcmp(intend->limit, "per_day") == 0)
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
              quote, intend->limit, allowed, spent,
              strcmp(intend->limit, "per_run") == 0 ? "--spend or spend." : "spend.",
              intend->limit);
}

static void ask_person(struct flow *charge)
{
  flow_ask(charge, "account.get", "/account", NULL, NULL, on_account);
}

/* Nothing was written: the allowance is checked again when the intent is. */
static void on_rehearsed(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, intend);
  if (flow_has_failed(charge, job)) return;
  if (must_ask(charge) && !charge->intend.of_budget) {
    ask_person(charge);
    return;
  }
  if (charge->intend.verdict == JOURNAL_REFUSED) {
    flow_explain_allowance(charge);
    flow_end(charge);
    return;
  }
  crash_point("allowed");
  flow_snapshot(charge);
}

bool flow_check_max_price(struct flow *charge)
{
  char quote[MONEY_TEXT], most[MONEY_TEXT];
  const struct purchase_request *r = &charge->request;
  if (!r->has_max_price || charge->public.quote <= r->max_price) return true;
  money_format(charge->public.quote, quote);
  money_format(r->max_price, most);
  error_set(&charge->public.error, ERROR_SPEND_REFUSED,
            "this would cost %s, above max_price %s; nothing was bought", quote, most);
  return false;
}

void flow_decide(struct flow *charge)
{
  const struct purchase *purchase = charge->owner;
  charge->public.has_quote = true;
  crash_point("quoted");
  if (!flow_check_max_price(charge)) {
    flow_end(charge);
  } else if (purchase->settings.dry_run) {
    charge->public.dry_run = true;
    flow_end(charge);
  } else if (!client_clocks_agree(purchase->settings.client, &charge->public.error)) {
    flow_end(charge);
  } else if (purchase->overcharged) {
    flow_fail(charge, ERROR_SPEND_REFUSED,
              "an earlier charge of this run cost more than its quote; this run spends nothing "
              "more");
  } else if (must_ask(charge) && charge->request.budget.prefix == 0) {
    ask_person(charge);
  } else { /* check the budget first: it may refuse what the user would confirm */
    flow_intend(charge, true, on_rehearsed);
  }
}

bool flow_needs_no_lock(const struct flow *charge)
{
  return !charge->request.inquiry && (charge->owner->settings.dry_run || must_ask(charge));
}
