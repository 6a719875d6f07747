/* Reads orders and transactions, page by page, at the end of the list where new records appear:
 * the beginning of a list sorted newest first, the last pages of one sorted oldest first, both
 * while the sorting is unknown. A baseline needs one page; a reconciliation reads until it meets a
 * record of the baseline. So the length of a list does not matter. If a list has no total and is
 * not known to be sorted newest first, a late reconciliation reads it to its end, up to FLOW_PAGES
 * pages. */
#include <string.h>

#include "charge/flow.h"

#define LIMIT 100 /* the API's maximum */

static bool add_row(void *arg, const char *const *texts)
{
  struct walk *walk = arg;
  walk->visited++;
  return reconcile_add(walk->rows, walk->width, walk->id, texts);
}

static bool is_transactions(const struct walk *walk)
{
  return walk->query.kind == RECORD_TRANSACTION;
}

/* What the baseline knows a row by, stored in `mark` if need be; NULL: nothing. */
static const char *mark_of(const struct walk *walk, size_t row, struct buffer *mark)
{
  if (!is_transactions(walk)) return reconcile_text(walk->rows, row, walk->id);
  return reconcile_mark(walk->rows, row, mark) ? mark->data : NULL;
}

static const struct list_state *baseline_of(const struct walk *walk)
{
  return is_transactions(walk) ? &walk->c->before.transactions : &walk->c->before.orders;
}

static bool meets_known(const struct walk *walk, size_t first)
{
  struct buffer mark = {0};
  bool met = false;
  for (size_t row = first; !met && row < walk->rows->count; row++) {
    const char *text = mark_of(walk, row, &mark);
    met = text && ids_have(&baseline_of(walk)->known, text);
  }
  buffer_free(&mark);
  return met;
}

/* Whether new records have appeared above those of the baseline, which follow in the same order:
 * then the list is sorted newest first, although its records have no times. */
static bool grows_at_the_top(const struct walk *walk)
{
  const struct reconcile_rows *rows = walk->rows;
  const struct ids *known = &baseline_of(walk)->known;
  struct buffer mark = {0};
  size_t above = 0, same = 0;
  bool grows = !rows->at_end;
  for (size_t row = 0; grows && row < rows->count && same < known->count; row++) {
    const char *text = mark_of(walk, row, &mark);
    bool next = text && strcmp(known->of[same], text) == 0;
    if (next)
      same++;
    else if (same == 0 && text && !ids_have(known, text))
      above++;
    else
      grows = false;
  }
  buffer_free(&mark);
  return grows && above > 0 && same > 1;
}

/* Whether the last record read is older than every possible new record. */
static bool goes_back(const struct walk *walk)
{
  const struct reconcile_rows *rows = walk->rows;
  return rows->count > 0 && reconcile_sorting(rows, walk->created_at) == LIST_NEWEST_FIRST &&
         reconcile_is_older(walk->c, reconcile_text(rows, rows->count - 1, walk->created_at));
}

/* The page that held the end of the list when it had this many records. */
static int64_t last_page(int64_t total, int64_t page_size)
{
  return total > 0 && page_size > 0 ? (total + page_size - 1) / page_size : 0;
}

static void ask_page(struct flow *charge);

/* The sorting by the times of the records; without times, by the journal's orders among them, or by
 * where new ones have appeared. */
static void note_sorting(struct flow *charge)
{
  struct walk *walk = &charge->walk;
  const struct journal_list *settled = &charge->recovery.review.settled;
  enum list_order sorting = reconcile_sorting(walk->rows, walk->created_at);
  int order_id = is_transactions(walk) ? TRANSACTION_ORDER_ID : ORDER_ID;
  if (sorting == LIST_UNSORTED)
    sorting = reconcile_sorting_by_journal(walk->rows, order_id,
                                           walk->c ? walk->c->others : settled->entries,
                                           walk->c ? walk->c->other_count : settled->count);
  if (sorting == LIST_UNSORTED && walk->state.sorting == LIST_UNSORTED && walk->c &&
      grows_at_the_top(walk))
    sorting = LIST_NEWEST_FIRST;
  if (sorting != LIST_UNSORTED) walk->state.sorting = sorting;
}

static void finish(struct flow *charge, bool ok)
{
  charge->walk.done(charge, ok);
}

/* Continues at the end of the list, or where the baseline saw the end if that page is earlier.
 * False if the page is unknown, or was read already. */
static bool go_to_end(struct flow *charge)
{
  struct walk *walk = &charge->walk;
  int64_t page = last_page(walk->state.total, walk->state.page_size);
  if (walk->known_total > 0 && last_page(walk->known_total, walk->state.page_size) < page)
    page = last_page(walk->known_total, walk->state.page_size);
  if (walk->rows->at_end || page <= walk->query.page) return false;
  walk->rows->at_end = true;
  walk->met = false;
  walk->query.page = walk->tail_page = page;
  ask_page(charge);
  return true;
}

/* After a page of a baseline. */
static void go_on_with_baseline(struct flow *charge, bool more)
{
  struct walk *walk = &charge->walk;
  bool head = !walk->rows->at_end;
  walk->state.whole = head && !more && walk->query.page == 1;
  if (head && (walk->state.whole || walk->state.sorting == LIST_NEWEST_FIRST)) {
    finish(charge, true);
  } else if (head) {
    if (!go_to_end(charge)) finish(charge, true);
  } else if (more && walk->left > 0) {
    walk->query.page++;
    ask_page(charge);
  } else {
    finish(charge, true);
  }
}

/* Whether the second page is the first one again. */
static bool is_repeated(const struct walk *walk, size_t first)
{
  const struct reconcile_rows *rows = walk->rows;
  if (rows->at_end || walk->query.page != 2 || walk->visited == 0) return false;
  if (rows->count == first) return true;
  if (walk->visited != first || rows->count != 2 * first) return false;
  for (size_t i = 0; i < first * rows->width; i++) {
    const char *a = rows->texts[i], *b = rows->texts[first * rows->width + i];
    if (a != b && !(a && b && strcmp(a, b) == 0)) return false;
  }
  return true;
}

/* A server that repeats its first page ignores page numbers. If it ignores limits too, that page is
 * the whole list. */
static void ask_for_one(struct flow *charge, size_t first)
{
  struct walk *walk = &charge->walk;
  walk->repeated = first;
  walk->query.page = walk->query.limit = 1;
  ask_page(charge);
}

static void on_one(struct flow *charge)
{
  struct walk *walk = &charge->walk;
  walk->all = walk->visited == walk->repeated;
  walk->reach = walk->all || (walk->state.sorting == LIST_NEWEST_FIRST && walk->met);
  walk->whole = walk->all;
  if (walk->all) reconcile_cut(walk->rows, walk->repeated);
  finish(charge, true);
}

/* Looks for the end of a list that has become shorter. */
static void step_back(struct flow *charge)
{
  struct walk *walk = &charge->walk;
  walk->stepped_back = true;
  reconcile_cut(walk->rows, walk->rows->tail);
  walk->query.page = last_page(walk->state.total, walk->state.page_size) - 1;
  if (walk->query.page < 1) walk->query.page = 1;
  ask_page(charge);
}

/* After a page of a reconciliation; `first`: its first row. */
static void go_on_until_known(struct flow *charge, bool more, size_t first)
{
  struct walk *walk = &charge->walk;
  bool at_end = walk->rows->at_end;
  enum list_order sorting = walk->state.sorting;
  if (more && walk->left > 0 && is_repeated(walk, first)) {
    ask_for_one(charge, first);
    return;
  }
  walk->met |= meets_known(walk, first) || (!at_end && goes_back(walk));
  walk->whole = !more && !at_end;
  /* What is new comes after a baseline that had all records, on a further page if one was full. */
  bool to_end = sorting != LIST_NEWEST_FIRST &&
                (baseline_of(walk)->whole || (walk->c->settled && walk->state.total < 0));
  bool next = more && (at_end || to_end || !walk->met);
  if (next && walk->left > 0 && walk->rows->count > first) {
    walk->query.page++;
    ask_page(charge);
    return;
  }
  if (at_end && !walk->met && walk->left > 0 && walk->query.page > 1 && !walk->stepped_back) {
    step_back(charge);
    return;
  }
  if (!walk->whole && !at_end && sorting != LIST_NEWEST_FIRST && walk->left > 0 &&
      go_to_end(charge))
    return;
  walk->reach =
      walk->whole || (sorting == LIST_NEWEST_FIRST && walk->met) || (at_end && walk->met && !more);
  finish(charge, true);
}

static void on_page(void *arg, struct client_call *call)
{
  struct flow *charge = arg;
  struct walk *walk = &charge->walk;
  size_t first = walk->rows->count;
  struct record_listing listing = {0};
  flow_take_over(charge, call);
  if (flow_is_over(charge)) return;
  const struct http_transfer *x = call->exchange;
  walk->visited = 0;
  if (call->error.kind == ERROR_NONE &&
      !response_list(&x->json, &walk->query, &listing, add_row, walk))
    error_set(&call->error, ERROR_PROTOCOL, "the response is not a list of %s",
              record_list_name(walk->query.kind));
  if (call->error.kind != ERROR_NONE) {
    finish(charge, false);
    return;
  }
  if (listing.total >= 0) walk->state.total = listing.total;
  if (walk->repeated > 0) {
    on_one(charge);
    return;
  }
  if (listing.more && walk->query.page == 1) walk->state.page_size = (int64_t)walk->visited;
  note_sorting(charge);
  if (walk->c)
    go_on_until_known(charge, listing.more, first);
  else
    go_on_with_baseline(charge, listing.more);
}

static void ask_page(struct flow *charge)
{
  struct walk *walk = &charge->walk;
  walk->text.size = 0;
  walk->left--;
  if (buffer_print(&walk->text, "limit=%d&page=%d", (int)walk->query.limit, (int)walk->query.page))
    flow_ask(charge, walk->endpoint, walk->path, walk->text.data, NULL, on_page);
  else
    flow_fail(charge, ERROR_INTERNAL, "out of memory");
}

/* `hint`: what an earlier reading showed of the list. */
static void begin(struct flow *charge, struct walk walk, const struct list_state *hint)
{
  walk.text = charge->walk.text;
  walk.query.page = 1;
  walk.query.limit = LIMIT;
  walk.left = FLOW_PAGES;
  walk.state = LIST_STATE_INIT;
  if (hint) {
    walk.state.sorting = hint->sorting;
    walk.state.total = hint->total;
    walk.state.page_size = hint->page_size;
    walk.known_total = hint->total;
  }
  if (hint && hint->sorting == LIST_OLDEST_FIRST && last_page(hint->total, hint->page_size) > 1) {
    walk.rows->at_end = true;
    walk.query.page = walk.tail_page = last_page(hint->total, hint->page_size);
  }
  charge->walk = walk;
  ask_page(charge);
}

void flow_walk_orders(struct flow *charge, struct reconcile_rows *rows,
                      const struct list_state *hint, const struct reconcile_case *c,
                      flow_walked *done)
{
  begin(charge,
        (struct walk){.endpoint = "orders.list",
                      .path = "/orders",
                      .query = {.kind = RECORD_ORDER, .fields = reconcile_order_fields},
                      .width = ORDER_FIELDS,
                      .rows = rows,
                      .c = c,
                      .created_at = ORDER_CREATED_AT,
                      .id = ORDER_ID,
                      .done = done},
        hint);
}

void flow_walk_transactions(struct flow *charge, struct reconcile_rows *rows,
                            const struct list_state *hint, const struct reconcile_case *c,
                            flow_walked *done)
{
  begin(charge,
        (struct walk){.endpoint = "account.transactions",
                      .path = "/account/transactions",
                      .query = {.kind = RECORD_TRANSACTION, .fields = reconcile_transaction_fields},
                      .width = TRANSACTION_FIELDS,
                      .rows = rows,
                      .c = c,
                      .created_at = TRANSACTION_CREATED_AT,
                      .id = TRANSACTION_ID,
                      .done = done},
        hint);
}

bool flow_keep_known(const struct flow *charge, struct list_state *state)
{
  const struct walk *walk = &charge->walk;
  struct ids known = state->known;
  *state = walk->state;
  state->known = known;
  struct buffer mark = {0};
  bool ok = true;
  for (size_t row = 0; ok && row < walk->rows->count; row++) {
    const char *id = reconcile_text(walk->rows, row, walk->id);
    if (is_transactions(walk))
      ok = reconcile_mark(walk->rows, row, &mark) && ids_add(&state->known, mark.data);
    else
      ok = !id || ids_add(&state->known, id);
  }
  buffer_free(&mark);
  return ok;
}
