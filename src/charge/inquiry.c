/* Finds the outcome of a charge whose response was lost: reads what the reconciliation compares
 * (charge/reconcile). The orders are read first, and the money if the orders do not decide. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/datetime.h"
#include "charge/steps.h"

#define DAY                                                                                   \
  INT64_C(86400000000) /* microseconds by which the store's wall clock may have been set back \
                          meanwhile */
#define MAX_ENTRIES 100000
#define MAX_LOOKED_UP 3 /* orders to look up because a transaction names them, in one inquiry */

void charge_end_inquiry(struct inquiry *inquiry)
{
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
  buffer_free(&inquiry->answer);
  *inquiry = (struct inquiry){0};
}

/* A lookup that fails is tried again later, unless the settling time is over. */
static bool conclude_unanswered(struct inquiry *inquiry, const char *why)
{
  inquiry->result.what = inquiry->c.settled ? RECONCILE_DOUBT : RECONCILE_WAIT;
  snprintf(inquiry->result.why, sizeof inquiry->result.why,
           "the outcome could not be looked up: %.200s", why);
  return true;
}

/* Without the journal the time since the request is unknown: no second attempt. */
static bool conclude_lost(struct inquiry *inquiry, const char *why)
{
  inquiry->c.settled = true;
  return conclude_unanswered(inquiry, why);
}

/* By the server's clock, as its last response showed it: when the request left, and the latest time
 * at which it can have had an effect. After a restart of the machine, its end is unknown. */
static void set_times(const struct charge *charge, struct reconcile_case *c)
{
  const struct purchase_settings *settings = &charge->owner->settings;
  int64_t ended = c->entry->since_ended;
  c->now = client_clock(settings->client);
  if (c->now <= 0) c->now = (double)time(NULL);
  c->sent_from = c->before.sent_at > 0 ? c->before.sent_at : c->before.taken_at;
  if (c->sent_from <= 0) return;
  double end = ended == JOURNAL_NOT_TIMED ? c->now : c->now - (double)ended / 1e6;
  c->sent_until = (end > c->sent_from ? end : c->sent_from) + settings->settle;
}

static void judge(const struct charge *c, struct inquiry *inquiry)
{
  set_times(c, &inquiry->c);
  reconcile_calibrate(&inquiry->c);
  inquiry->result = reconcile_judge(&inquiry->c);
}

/* An order that a transaction names may belong to this charge or not. */
static bool conclude_unlisted(struct inquiry *inquiry)
{
  struct reconcile_result *result = &inquiry->result;
  if (result->what != RECONCILE_DOUBT)
    snprintf(result->why, sizeof result->why,
             "a new transaction names an order that cannot be looked up");
  result->what = RECONCILE_DOUBT;
  return true;
}

static bool write_path(const char *id, struct buffer *path, struct error *err)
{
  const struct endpoint_value values[] = {{"id", id}, {NULL, NULL}};
  return endpoint_path(endpoint_find("orders.get"), values, path, err);
}

/* Reads an order that no list shows into the orders. `found`: it is there. */
static bool read_unlisted(struct charge *c, struct inquiry *inquiry, const char *id, bool *found)
{
  char texts[ORDER_FIELDS][PURCHASE_MAX_ID + 1];
  const char *row[ORDER_FIELDS] = {NULL};
  struct error err = ERROR_INIT;
  struct buffer path = {0};
  *found = false;
  bool ok = !write_path(id, &path, &err) || charge_call(c, "orders.get", path.data, NULL, NULL);
  bool asked = ok && err.kind == ERROR_NONE;
  buffer_free(&path);
  if (!asked || c->call->error.kind != ERROR_NONE) return ok;
  for (int i = 0; i < ORDER_FIELDS; i++)
    if (charge_read(c->call->exchange, RECORD_ORDER, reconcile_order_fields[i], texts[i],
                    sizeof texts[i]))
      row[i] = texts[i];
  struct reconcile_rows *orders = &inquiry->c.orders;
  size_t count = orders->count;
  orders->at_end = true;
  if (!reconcile_add(orders, ORDER_FIELDS, ORDER_ID, row))
    return charge_fail(c, ERROR_INTERNAL, "out of memory");
  *found = orders->count > count; /* it is the order that was requested */
  return true;
}

/* Transactions may name orders that no list shows, of another user or of this charge. A transaction
 * can be judged only when all these orders have been looked up. */
static bool judge_money(struct charge *c, struct inquiry *inquiry)
{
  for (int looked_up = 0;; looked_up++) {
    bool found;
    judge(c, inquiry);
    const char *id = NULL;
    if (!inquiry->c.extension && (inquiry->result.what == RECONCILE_DOUBT || looked_up > 0))
      id = reconcile_find_unlisted(&inquiry->c);
    if (!id) return true;
    if (looked_up == MAX_LOOKED_UP) return conclude_unlisted(inquiry);
    if (!read_unlisted(c, inquiry, id, &found)) return false;
    if (!found) return conclude_unlisted(inquiry);
  }
}

/* A list property that shows now also holds for the baseline. A server that always sends all
 * records has sent them for the baseline. */
static void note_list(const struct pages *pages, struct list_state *before)
{
  before->sorting = pages->state.sorting;
  if (pages->all && before->page_size == (int64_t)before->known.count) before->whole = true;
}

static bool read_money(struct charge *charge, struct inquiry *inquiry)
{
  struct reconcile_case *c = &inquiry->c;
  struct pages pages = {.kind = RECORD_TRANSACTION,
                        .rows = &c->transactions,
                        .hint = &c->before.transactions,
                        .c = c};
  if (!charge_read_pages(charge, &pages)) return false;
  if (pages.failed) return conclude_unanswered(inquiry, charge->call->error.message);
  note_list(&pages, &c->before.transactions);
  c->transactions_reach = pages.complete;
  c->transactions_whole = pages.whole;
  c->transactions_total = pages.state.total;
  if (!charge_call(charge, "account.get", "/account", NULL, NULL)) return false;
  if (charge->call->error.kind != ERROR_NONE)
    return conclude_unanswered(inquiry, charge->call->error.message);
  c->has_balance =
      charge_read_money(charge->call->exchange, RECORD_ACCOUNT, "balance", &c->balance);
  c->complete = true;
  return judge_money(charge, inquiry);
}

static bool judge_orders(struct charge *c, struct inquiry *inquiry)
{
  judge(c, inquiry);
  bool decided = inquiry->result.what != RECONCILE_WAIT || !inquiry->result.ask_money;
  return decided || read_money(c, inquiry);
}

static bool read_orders(struct charge *charge, struct inquiry *inquiry)
{
  struct reconcile_case *c = &inquiry->c;
  struct pages pages = {.kind = RECORD_ORDER,
                        .rows = &c->orders,
                        .hint = &c->before.orders,
                        .c = c};
  if (!charge_read_pages(charge, &pages)) return false;
  if (pages.failed) return conclude_unanswered(inquiry, charge->call->error.message);
  note_list(&pages, &c->before.orders);
  c->orders_reach = pages.complete;
  c->listed = c->orders.count;
  return judge_orders(charge, inquiry);
}

static bool is_own_refusal(const struct http_transfer *x)
{
  return x && response_is_refusal(&x->json);
}

static bool add_order(struct inquiry *inquiry, const struct http_transfer *x,
                      const char *expires_at)
{
  char created_at[64];
  bool dated = charge_read(x, RECORD_ORDER, "created_at", created_at, sizeof created_at);
  const char *texts[ORDER_FIELDS] = {[ORDER_ID] = inquiry->order_id,
                                     [ORDER_CREATED_AT] = dated ? created_at : NULL,
                                     [ORDER_EXPIRES_AT] = expires_at};
  return reconcile_add(&inquiry->c.orders, ORDER_FIELDS, ORDER_ID, texts) &&
         buffer_add(&inquiry->answer, x->body.data ? x->body.data : "", x->body.size);
}

/* The order of an extension. */
static bool read_order(struct charge *c, struct inquiry *inquiry)
{
  struct error err = ERROR_INIT;
  struct buffer path = {0};
  if (!write_path(inquiry->order_id, &path, &err)) {
    buffer_free(&path);
    return conclude_unanswered(inquiry, err.message);
  }
  bool ok = charge_call(c, "orders.get", path.data, NULL, NULL);
  buffer_free(&path);
  if (!ok) return false;
  const struct client_call *call = c->call;
  const struct http_transfer *x = call->exchange;
  char id[PURCHASE_MAX_ID + 1], expires_at[64];
  if (call->error.kind == ERROR_NOT_FOUND && is_own_refusal(x)) {
    inquiry->c.gone = true;
    return judge_orders(c, inquiry);
  }
  if (call->error.kind != ERROR_NONE) return conclude_unanswered(inquiry, call->error.message);
  bool dated = charge_read(x, RECORD_ORDER, "expires_at", expires_at, sizeof expires_at);
  if (!dated && !charge_read(x, RECORD_ORDER, "id", id, sizeof id))
    return conclude_unanswered(inquiry, "the response is not an order");
  if (!add_order(inquiry, x, dated ? expires_at : NULL))
    return charge_fail(c, ERROR_INTERNAL, "out of memory");
  return judge_orders(c, inquiry);
}

static bool is_earlier_extension(const struct reconcile_case *c, const struct journal_entry *other)
{
  return c->extension && other->id < c->entry->id && other->state == JOURNAL_PLACED &&
         other->answer && strcmp(other->endpoint, c->entry->endpoint) == 0 && other->order_id &&
         strcmp(other->order_id, c->order_id) == 0;
}

/* The API may show an extension late: the response to an earlier extension may have a later expiry
 * date than the snapshot. False when out of memory. */
static bool correct_expiry(struct snapshot *before, const struct journal_entry *other)
{
  char text[64];
  double then, later;
  if (!before->expires_at || !date_parse(before->expires_at, &then)) return true;
  if (!charge_read_order(other->answer, "expires_at", text, sizeof text)) return true;
  if (!date_parse(text, &later) || later <= then) return true;
  free(before->expires_at);
  before->expires_at = strdup(text);
  return before->expires_at;
}

static bool read_others(struct inquiry *inquiry)
{
  struct reconcile_case *c = &inquiry->c;
  inquiry->asked = calloc(inquiry->list.count + 1, sizeof *inquiry->asked);
  if (!inquiry->asked) return false;
  c->others = inquiry->list.entries;
  c->others_asked = inquiry->asked;
  c->other_count = inquiry->list.count;
  for (size_t i = 0; i < c->other_count; i++) {
    const struct journal_entry *other = &c->others[i];
    if (JOURNAL_OPEN >> other->state & 1 && !charge_entry_traits(other, &inquiry->asked[i]))
      return false;
    if (is_earlier_extension(c, other) && !correct_expiry(&c->before, other)) return false;
  }
  return true;
}

static bool read_entry(const struct charge *charge, struct inquiry *inquiry)
{
  const struct journal_entry *entry = &inquiry->find.entry;
  struct reconcile_case *c = &inquiry->c;
  c->entry = entry;
  c->before = SNAPSHOT_INIT;
  c->transactions_total = -1;
  c->extension = strcmp(entry->endpoint, "orders.extend") == 0;
  c->settled = entry->since_ended != JOURNAL_NOT_TIMED &&
               (double)entry->since_ended / 1e6 >= charge->owner->settings.settle;
  if (c->extension) c->order_id = inquiry->order_id = charge_entry_order(entry);
  return (c->order_id || !c->extension) && charge_entry_traits(entry, &c->asked) &&
         snapshot_read(&c->before, entry->snapshot);
}

bool charge_inquire(struct charge *c, int64_t id, struct inquiry *inquiry)
{
  struct store *store = c->owner->settings.store;
  struct journal_find *find = &inquiry->find;
  *find = (struct journal_find){.job = CHARGE_JOB(c), .id = id};
  journal_find(store, find);
  if (!charge_finish_job(c) || charge_is_over(c)) return false;
  if (find->job.err.kind != ERROR_NONE) return conclude_lost(inquiry, find->job.err.message);
  if (!find->found) return conclude_lost(inquiry, "its entry is no longer in the journal");
  if (!read_entry(c, inquiry)) return charge_fail(c, ERROR_INTERNAL, "out of memory");
  struct journal_list *list = &inquiry->list;
  *list = (struct journal_list){.job = CHARGE_JOB(c),
                                .account = c->owner->account,
                                .states = JOURNAL_ALL,
                                .since = find->entry.created_at - DAY,
                                .limit = MAX_ENTRIES};
  journal_list(store, list);
  if (!charge_finish_job(c) || charge_is_over(c)) return false;
  if (list->job.err.kind != ERROR_NONE) return conclude_lost(inquiry, list->job.err.message);
  if (!read_others(inquiry)) return charge_fail(c, ERROR_INTERNAL, "out of memory");
  return inquiry->c.extension ? read_order(c, inquiry) : read_orders(c, inquiry);
}

/* For a purchase only the order's id is needed: the rest is found by it. */
bool charge_read_found(struct inquiry *inquiry, struct journal_settle *settle)
{
  const struct reconcile_case *c = &inquiry->c;
  size_t row = inquiry->result.order;
  settle->order_id = c->extension ? c->order_id : reconcile_text(&c->orders, row, ORDER_ID);
  settle->price = JOURNAL_NO_PRICE;
  settle->note = inquiry->result.why;
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
