/* Finds the outcome of a charge whose response was lost: reads what the reconciliation compares
 * (charge/reconcile). The orders are read first, and the money if the orders do not decide. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/datetime.h"
#include "charge/flow.h"

#define DAY                                                                                   \
  INT64_C(86400000000) /* microseconds by which the store's wall clock may have been set back \
                          meanwhile */
#define MAX_ENTRIES 100000
#define MAX_LOOKED_UP 3 /* orders to look up because a transaction names them, in one inquiry */

void flow_inquiry_end(struct flow *charge)
{
  struct inquiry *inquiry = &charge->inquiry;
  for (size_t i = 0; inquiry->asked && i < inquiry->list.count; i++)
    reconcile_traits_free(&inquiry->asked[i]);
  free(inquiry->asked);
  free(inquiry->order_id);
  journal_list_free(&inquiry->list);
  journal_entry_free(&inquiry->find.entry);
  reconcile_traits_free(&inquiry->c.asked);
  reconcile_rows_free(&inquiry->c.orders);
  reconcile_rows_free(&inquiry->c.transactions);
  snapshot_free(&inquiry->c.before);
  buffer_free(&inquiry->path);
  buffer_free(&inquiry->answer);
  *inquiry = (struct inquiry){0};
}

static void conclude(struct flow *charge)
{
  charge->inquiry.done(charge);
}

/* A lookup that fails is tried again later, unless the settling time is over. */
static void conclude_unanswered(struct flow *charge, const char *why)
{
  struct inquiry *inquiry = &charge->inquiry;
  inquiry->verdict.what = inquiry->c.settled ? RECONCILE_DOUBT : RECONCILE_WAIT;
  snprintf(inquiry->verdict.why, sizeof inquiry->verdict.why,
           "the outcome could not be looked up: %.200s", why);
  conclude(charge);
}

/* Without the journal the time since the request is unknown: no second attempt. */
static void conclude_lost(struct flow *charge, const char *why)
{
  charge->inquiry.c.settled = true;
  conclude_unanswered(charge, why);
}

/* By the server's clock, as its last response showed it: when the request left, and the latest time
 * at which it can have had an effect. After a restart of the machine, its end is unknown. */
static void set_times(struct flow *charge)
{
  struct reconcile_case *c = &charge->inquiry.c;
  const struct purchase_settings *settings = &charge->owner->settings;
  int64_t ended = c->entry->since_ended;
  c->now = client_clock(settings->client);
  if (c->now <= 0) c->now = (double)time(NULL);
  c->sent_from = c->before.sent_at > 0 ? c->before.sent_at : c->before.taken_at;
  if (c->sent_from <= 0) return;
  double end = ended == JOURNAL_NOT_TIMED ? c->now : c->now - (double)ended / 1e6;
  c->sent_until = (end > c->sent_from ? end : c->sent_from) + settings->settle;
}

static void judge(struct flow *charge)
{
  struct inquiry *inquiry = &charge->inquiry;
  set_times(charge);
  reconcile_calibrate(&inquiry->c);
  inquiry->verdict = reconcile_judge(&inquiry->c);
}

static void ask_unlisted(struct flow *charge, const char *id);

/* An order that a transaction names may belong to this charge or not. */
static void conclude_unlisted(struct flow *charge)
{
  struct reconcile_verdict *verdict = &charge->inquiry.verdict;
  if (verdict->what != RECONCILE_DOUBT)
    snprintf(verdict->why, sizeof verdict->why,
             "a new transaction names an order that cannot be looked up");
  verdict->what = RECONCILE_DOUBT;
  conclude(charge);
}

/* Transactions may name orders that no list shows, of another user or of this charge. A transaction
 * can be judged only when all these orders have been looked up. */
static void judge_money(struct flow *charge)
{
  struct inquiry *inquiry = &charge->inquiry;
  judge(charge);
  const char *id = NULL;
  if (!inquiry->c.extension && (inquiry->verdict.what == RECONCILE_DOUBT || inquiry->looked_up > 0))
    id = reconcile_find_unlisted(&inquiry->c);
  if (!id)
    conclude(charge);
  else if (inquiry->looked_up < MAX_LOOKED_UP)
    ask_unlisted(charge, id);
  else
    conclude_unlisted(charge);
}

static void on_unlisted(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  char texts[ORDER_FIELDS][PURCHASE_MAX_ID + 1];
  const char *row[ORDER_FIELDS] = {NULL};
  flow_take_over(charge, call);
  if (flow_is_over(charge)) return;
  if (call->error.kind != ERROR_NONE) {
    conclude_unlisted(charge);
    return;
  }
  for (int i = 0; i < ORDER_FIELDS; i++)
    if (flow_read(call->exchange, RECORD_ORDER, reconcile_order_fields[i], texts[i],
                  sizeof texts[i]))
      row[i] = texts[i];
  struct reconcile_rows *orders = &charge->inquiry.c.orders;
  size_t count = orders->count;
  orders->at_end = true;
  if (!reconcile_add(orders, ORDER_FIELDS, ORDER_ID, row))
    flow_fail(charge, ERROR_INTERNAL, "out of memory");
  else if (orders->count == count) /* not the order that was requested */
    conclude_unlisted(charge);
  else
    judge_money(charge);
}

static void ask_unlisted(struct flow *charge, const char *id)
{
  struct inquiry *inquiry = &charge->inquiry;
  const struct endpoint_value values[] = {{"id", id}, {NULL, NULL}};
  struct error err = ERROR_INIT;
  inquiry->looked_up++;
  inquiry->path.size = 0;
  if (endpoint_path(endpoint_find("orders.get"), values, &inquiry->path, &err))
    flow_ask(charge, "orders.get", inquiry->path.data, NULL, NULL, on_unlisted);
  else
    conclude_unlisted(charge);
}

static void on_account(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  struct reconcile_case *c = &charge->inquiry.c;
  flow_take_over(charge, call);
  if (flow_is_over(charge)) return;
  if (call->error.kind != ERROR_NONE) {
    conclude_unanswered(charge, call->error.message);
    return;
  }
  c->has_balance = flow_read_money(call->exchange, RECORD_ACCOUNT, "balance", &c->balance);
  c->complete = true;
  judge_money(charge);
}

/* A list property that shows now also holds for the baseline. A server that always sends all
 * records has sent them for the baseline. */
static void note_list(const struct flow *charge, struct list_state *before)
{
  const struct list_state *state = &charge->walk.state;
  before->sorting = state->sorting;
  if (charge->walk.all && before->page_size == (int64_t)before->known.count) before->whole = true;
}

static void on_transactions(struct flow *charge, bool ok)
{
  if (!ok) {
    conclude_unanswered(charge, charge->call->error.message);
    return;
  }
  note_list(charge, &charge->inquiry.c.before.transactions);
  charge->inquiry.c.transactions_reach = charge->walk.reach;
  charge->inquiry.c.transactions_whole = charge->walk.whole;
  charge->inquiry.c.transactions_total = charge->walk.state.total;
  flow_ask(charge, "account.get", "/account", NULL, NULL, on_account);
}

static void ask_money(struct flow *charge)
{
  struct reconcile_case *c = &charge->inquiry.c;
  flow_walk_transactions(charge, &c->transactions, &c->before.transactions, c, on_transactions);
}

static void judge_orders(struct flow *charge)
{
  struct inquiry *inquiry = &charge->inquiry;
  judge(charge);
  if (inquiry->verdict.what == RECONCILE_WAIT && inquiry->verdict.ask_money)
    ask_money(charge);
  else
    conclude(charge);
}

static void on_orders(struct flow *charge, bool ok)
{
  if (!ok) {
    conclude_unanswered(charge, charge->call->error.message);
    return;
  }
  note_list(charge, &charge->inquiry.c.before.orders);
  charge->inquiry.c.orders_reach = charge->walk.reach;
  charge->inquiry.c.listed = charge->inquiry.c.orders.count;
  judge_orders(charge);
}

static bool is_own_refusal(const struct http_transfer *x)
{
  return x && response_is_refusal(&x->json);
}

static bool read_order(struct flow *charge, const struct http_transfer *x, const char *expires_at)
{
  char created_at[64];
  bool dated = flow_read(x, RECORD_ORDER, "created_at", created_at, sizeof created_at);
  const char *texts[ORDER_FIELDS] = {[ORDER_ID] = charge->inquiry.order_id,
                                     [ORDER_CREATED_AT] = dated ? created_at : NULL,
                                     [ORDER_EXPIRES_AT] = expires_at};
  return reconcile_add(&charge->inquiry.c.orders, ORDER_FIELDS, ORDER_ID, texts) &&
         buffer_add(&charge->inquiry.answer, x->body.data ? x->body.data : "", x->body.size);
}

static void on_order(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  flow_take_over(charge, call);
  if (flow_is_over(charge)) return;
  const struct http_transfer *x = call->exchange;
  char id[PURCHASE_MAX_ID + 1], expires_at[64];
  bool answered = call->error.kind == ERROR_NONE;
  bool dated = answered && flow_read(x, RECORD_ORDER, "expires_at", expires_at, sizeof expires_at);
  if (call->error.kind == ERROR_NOT_FOUND && is_own_refusal(x)) {
    charge->inquiry.c.gone = true;
    judge_orders(charge);
  } else if (!answered)
    conclude_unanswered(charge, call->error.message);
  else if (!dated && !flow_read(x, RECORD_ORDER, "id", id, sizeof id))
    conclude_unanswered(charge, "the response is not an order");
  else if (!read_order(charge, x, dated ? expires_at : NULL))
    flow_fail(charge, ERROR_INTERNAL, "out of memory");
  else
    judge_orders(charge);
}

static void ask_order(struct flow *charge)
{
  struct inquiry *inquiry = &charge->inquiry;
  const struct endpoint_value values[] = {{"id", inquiry->order_id}, {NULL, NULL}};
  struct error err = ERROR_INIT;
  if (endpoint_path(endpoint_find("orders.get"), values, &inquiry->path, &err))
    flow_ask(charge, "orders.get", inquiry->path.data, NULL, NULL, on_order);
  else
    conclude_unanswered(charge, err.message);
}

static void ask_orders(struct flow *charge)
{
  struct reconcile_case *c = &charge->inquiry.c;
  flow_walk_orders(charge, &c->orders, &c->before.orders, c, on_orders);
}

static bool is_earlier_extension(const struct reconcile_case *c, const struct journal_entry *other)
{
  return c->extension && other->id < c->entry->id && other->state == JOURNAL_PLACED &&
         other->answer && strcmp(other->endpoint, c->entry->endpoint) == 0 && other->order_id &&
         strcmp(other->order_id, c->order_id) == 0;
}

/* The API may show an extension late: the response to an earlier extension may have a later expiry
 * date than the snapshot. False when out of memory. */
static bool correct_expiry(struct flow *charge, const struct journal_entry *other)
{
  struct snapshot *before = &charge->inquiry.c.before;
  char text[64];
  double then, told;
  if (!before->expires_at || !date_parse(before->expires_at, &then)) return true;
  if (!flow_read_order(other->answer, "expires_at", text, sizeof text)) return true;
  if (!date_parse(text, &told) || told <= then) return true;
  free(before->expires_at);
  before->expires_at = strdup(text);
  return before->expires_at;
}

static bool read_others(struct flow *charge)
{
  struct inquiry *inquiry = &charge->inquiry;
  struct reconcile_case *c = &inquiry->c;
  inquiry->asked = calloc(inquiry->list.count + 1, sizeof *inquiry->asked);
  if (!inquiry->asked) return false;
  c->others = inquiry->list.entries;
  c->others_asked = inquiry->asked;
  c->other_count = inquiry->list.count;
  for (size_t i = 0; i < c->other_count; i++) {
    const struct journal_entry *other = &c->others[i];
    if (JOURNAL_OPEN >> other->state & 1 && !flow_entry_traits(other, &inquiry->asked[i]))
      return false;
    if (is_earlier_extension(c, other) && !correct_expiry(charge, other)) return false;
  }
  return true;
}

static void on_others(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, inquiry.list);
  if (flow_is_closed(charge) || flow_is_over(charge)) return;
  if (job->err.kind != ERROR_NONE)
    conclude_lost(charge, job->err.message);
  else if (!read_others(charge))
    flow_fail(charge, ERROR_INTERNAL, "out of memory");
  else if (charge->inquiry.c.extension)
    ask_order(charge);
  else
    ask_orders(charge);
}

static bool read_entry(struct flow *charge)
{
  struct inquiry *inquiry = &charge->inquiry;
  const struct journal_entry *entry = &inquiry->find.entry;
  struct reconcile_case *c = &inquiry->c;
  c->entry = entry;
  c->before = SNAPSHOT_INIT;
  c->transactions_total = -1;
  c->extension = strcmp(entry->endpoint, "orders.extend") == 0;
  c->settled = entry->since_ended != JOURNAL_NOT_TIMED &&
               (double)entry->since_ended / 1e6 >= charge->owner->settings.settle;
  if (c->extension) c->order_id = inquiry->order_id = flow_entry_order(entry);
  return (c->order_id || !c->extension) && flow_entry_traits(entry, &c->asked) &&
         snapshot_read(&c->before, entry->snapshot);
}

static void on_entry(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, inquiry.find);
  struct inquiry *inquiry = &charge->inquiry;
  if (flow_is_closed(charge) || flow_is_over(charge)) return;
  if (job->err.kind != ERROR_NONE || !inquiry->find.found) {
    conclude_lost(charge, job->err.kind != ERROR_NONE ? job->err.message
                                                      : "its entry is no longer in the journal");
    return;
  }
  if (!read_entry(charge)) {
    flow_fail(charge, ERROR_INTERNAL, "out of memory");
    return;
  }
  inquiry->list = (struct journal_list){.job.done = on_others,
                                        .account = charge->owner->account,
                                        .states = JOURNAL_ALL,
                                        .since = inquiry->find.entry.created_at - DAY,
                                        .limit = MAX_ENTRIES};
  charge->working = true;
  journal_list(charge->owner->settings.store, &inquiry->list);
}

void flow_inquire(struct flow *charge, int64_t id, void (*done)(struct flow *charge))
{
  flow_inquiry_end(charge);
  charge->inquiry.id = id;
  charge->inquiry.done = done;
  charge->inquiry.find = (struct journal_find){.job.done = on_entry, .id = id};
  charge->working = true;
  journal_find(charge->owner->settings.store, &charge->inquiry.find);
}

/* For a purchase only the order's id is needed: the rest is found by it. */
bool flow_inquiry_found(struct flow *charge, struct journal_settle *settle)
{
  struct inquiry *inquiry = &charge->inquiry;
  const struct reconcile_case *c = &inquiry->c;
  size_t row = inquiry->verdict.order;
  settle->order_id = c->extension ? c->order_id : reconcile_text(&c->orders, row, ORDER_ID);
  settle->price = JOURNAL_NO_PRICE;
  settle->note = inquiry->verdict.why;
  const char *price = c->extension ? NULL : reconcile_text(&c->orders, row, ORDER_PRICE),
             *id = settle->order_id;
  if (price && money_parse(price, strlen(price), &settle->price) != MONEY_OK)
    settle->price = JOURNAL_NO_PRICE;
  bool ok = c->extension || (buffer_add_text(&inquiry->answer, "{\"id\":") &&
                             buffer_add_json(&inquiry->answer, id, strlen(id)) &&
                             buffer_add_text(&inquiry->answer, "}"));
  settle->answer = ok ? inquiry->answer.data : NULL;
  return ok;
}
