/* Lists on the way to a charge, page by page: orders and transactions. */
#include <string.h>

#include "charge/flow.h"

#define LIMIT 100 /* the API's most */

static bool add_row(void *arg, const char *const *texts)
{
  const struct walk *walk = arg;
  return reconcile_add(walk->rows, walk->width, texts);
}

/* A page that brings nothing new: the server knows no pages, and what lies beyond is out of reach.
 */
static bool is_repeated(const struct walk *walk, size_t first)
{
  const struct reconcile_rows *rows = walk->rows;
  for (size_t row = first; row < rows->count; row++) {
    const char *id = reconcile_text(rows, row, walk->id);
    size_t before = 0;
    while (before < first && id && reconcile_text(rows, before, walk->id) &&
           strcmp(reconcile_text(rows, before, walk->id), id) != 0)
      before++;
    if (before == first || !id) return false;
  }
  return true;
}

/* Newest first, and the last one is older than what is wanted, or known to be old. */
static bool goes_back(const struct walk *walk, size_t first)
{
  const struct reconcile_rows *rows = walk->rows;
  if (!walk->horizon || first == rows->count) return false;
  for (size_t row = first + 1; row < rows->count; row++) {
    const char *newer = reconcile_text(rows, row - 1, walk->created_at),
               *older = reconcile_text(rows, row, walk->created_at);
    if (!newer || !older || strcmp(newer, older) < 0) return false;
  }
  const char *last = reconcile_text(rows, rows->count - 1, walk->id);
  return (last && walk->known && ids_have(walk->known, last)) ||
         reconcile_is_older(walk->horizon, reconcile_text(rows, rows->count - 1, walk->created_at));
}

static void ask_page(struct flow *charge);

static void on_page(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  struct walk *walk = &charge->walk;
  const struct purchase_settings *settings = &charge->owner->settings;
  size_t first = walk->rows->count;
  bool more;
  flow_take_over(charge, call);
  if (flow_is_over(charge)) return;
  const struct http_exchange *x = call->exchange;
  if (call->error.kind == ERROR_NONE &&
      !settings->list(settings->read_arg, &walk->query, x->body.data ? x->body.data : "",
                      x->body.size, &more, add_row, walk))
    error_set(&call->error, ERROR_PROTOCOL, "the answer is no list of %s",
              record_list_name(walk->query.kind));
  bool ok = call->error.kind == ERROR_NONE;
  walk->whole = ok && !more;
  walk->reach = walk->whole || (ok && goes_back(walk, first));
  if (!ok || walk->reach || walk->query.page == walk->pages || is_repeated(walk, first)) {
    walk->done(charge, ok);
    return;
  }
  walk->query.page++;
  ask_page(charge);
}

static void ask_page(struct flow *charge)
{
  struct walk *walk = &charge->walk;
  walk->text.size = 0;
  if (buffer_print(&walk->text, "%slimit=%d&page=%d", walk->base.data ? walk->base.data : "", LIMIT,
                   (int)walk->query.page))
    flow_ask(charge, walk->endpoint, walk->path, walk->text.data, NULL, on_page);
  else
    flow_fail(charge, ERROR_INTERNAL, "out of memory");
}

static void begin(struct flow *charge, struct walk walk)
{
  buffer_free(&charge->walk.base);
  walk.text = charge->walk.text;
  walk.query.page = 1;
  walk.query.limit = LIMIT;
  charge->walk = walk;
  ask_page(charge);
}

void flow_walk_orders(struct flow *charge, const char *type, struct reconcile_rows *rows,
                      const struct reconcile_case *horizon, flow_walked *done)
{
  struct walk walk = {.endpoint = "orders.list",
                      .path = "/orders",
                      .query = {.kind = RECORD_ORDER, .fields = reconcile_order_fields},
                      .width = ORDER_FIELDS,
                      .rows = rows,
                      .horizon = horizon,
                      .pages = FLOW_PAGES,
                      .created_at = ORDER_CREATED_AT,
                      .id = ORDER_ID,
                      .done = done};
  bool ok = !type || (buffer_add_text(&walk.base, "type=") && endpoint_encode(&walk.base, type) &&
                      buffer_add_text(&walk.base, "&"));
  if (ok) {
    begin(charge, walk);
    return;
  }
  buffer_free(&walk.base);
  flow_fail(charge, ERROR_INTERNAL, "out of memory");
}

void flow_walk_movements(struct flow *charge, struct reconcile_rows *rows,
                         const struct reconcile_case *horizon, int pages, flow_walked *done)
{
  begin(charge,
        (struct walk){.endpoint = "account.transactions",
                      .path = "/account/transactions",
                      .query = {.kind = RECORD_TRANSACTION, .fields = reconcile_movement_fields},
                      .width = MOVEMENT_FIELDS,
                      .rows = rows,
                      .horizon = horizon,
                      .known = horizon ? &horizon->before.movements : NULL,
                      .pages = pages,
                      .created_at = MOVEMENT_CREATED_AT,
                      .id = MOVEMENT_ID,
                      .done = done});
}
