/* The first step of a charge: identify the account that pays. An account is known by its id and its
 * email, as far as the API reports them, so that another key of the same account finds what this
 * key bought. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "charge/crash_point.h"
#include "charge/flow.h"

void flow_hash(const char *text, size_t size, char hex[HEX(32)])
{
  digest_hex(&(struct digest_part){text, size}, 1, hex);
}

static void go_on(struct flow *charge)
{
  if (flow_needs_no_lock(charge))
    flow_find(charge);
  else
    flow_lock(charge);
}

/* Fills in the job that stores the account under its id, or under its email if it has no id (two
 * accounts can share an email). Returns false if the response has neither: then nothing would show
 * that two keys spend the same money. */
static bool read_names(struct flow *charge, const struct http_transfer *x)
{
  static const char *const fields[JOURNAL_ALIASES] = {"id", "email"};
  const struct purchase_settings *settings = &charge->owner->settings;
  const char *base = client_base_url(settings->client);
  char value[200], text[700];
  charge->account = (struct journal_account){.key = settings->key_hash};
  for (int i = 0; i < JOURNAL_ALIASES; i++) {
    if (charge->account.put || !flow_read(x, RECORD_ACCOUNT, fields[i], value, sizeof value))
      continue;
    int size = snprintf(text, sizeof text, "%.390s\n%s\n%s", base, fields[i], value);
    flow_hash(text, (size_t)size, charge->aliases[i]);
    charge->account.aliases[i] = charge->aliases[i];
    snprintf(charge->account_name, sizeof charge->account_name, "%.390s %s", base, value);
    charge->account.put = charge->account_name;
  }
  return charge->account.put;
}

static void put_account(struct flow *charge, void (*done)(struct store_job *job))
{
  charge->account.job.done = done;
  charge->working = true;
  journal_account(charge->owner->settings.store, &charge->account);
}

static void on_account(struct store_job *job);

static void on_answer(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  if (!flow_answered(charge, call)) return;
  struct purchase *purchase = charge->owner;
  purchase->has_named_balance =
      flow_read_money(call->exchange, RECORD_ACCOUNT, "balance", &purchase->named_balance);
  purchase->named_at = loop_clock();
  purchase->named_date = http_date(call->exchange);
  if (read_names(charge, call->exchange))
    put_account(charge, on_account);
  else
    flow_fail(charge, ERROR_PROTOCOL,
              "the account in the response has neither id nor email; nothing was bought");
}

static void on_account(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, account);
  struct purchase *purchase = charge->owner;
  if (flow_has_failed(charge, job)) return;
  purchase->named |= charge->account.put != NULL;
  if (!purchase->account) {
    purchase->account = charge->account.account;
    charge->account.account = NULL;
  }
  crash_point("account");
  if (purchase->account)
    go_on(charge);
  else
    flow_ask(charge, "account.get", "/account", NULL, NULL, on_answer);
}

void flow_begin(struct flow *charge)
{
  if (flow_is_over(charge)) return;
  charge->account = (struct journal_account){.key = charge->owner->settings.key_hash};
  if (charge->owner->account)
    go_on(charge);
  else
    put_account(charge, on_account);
}

static void on_named(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, account);
  if (flow_has_failed(charge, job)) return;
  charge->owner->named = true;
  flow_send(charge);
}

/* An account that was known by its email alone may have an id by now. */
void flow_note_account(struct flow *charge)
{
  const struct client_call *call = charge->call;
  free(charge->account.account);
  charge->account.account = NULL;
  bool at_hand = call && call->exchange && call->request.endpoint == endpoint_find("account.get");
  if (!charge->owner->named && at_hand && read_names(charge, charge->call->exchange))
    put_account(charge, on_named);
  else
    flow_send(charge);
}
