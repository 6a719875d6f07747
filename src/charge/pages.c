/* Reads orders and transactions, page by page, at the end of the list where new records appear:
 * the beginning of a list sorted newest first, the last pages of one sorted oldest first, both
 * while the sorting is unknown. A baseline needs one page; a reconciliation reads until it meets a
 * record of the baseline. So the length of a list does not matter. If a list has no total and is
 * not known to be sorted newest first, a late reconciliation reads it to its end, up to
 * CHARGE_PAGES pages. */
#include <string.h>

#include "charge/steps.h"

#define LIMIT 100 /* the API's maximum */

/* The state of reading a list. */
struct walk {
  struct pages *pages;
  struct reconcile_rows *rows;
  const struct reconcile_case *c;
  struct record_query query;
  size_t width;
  int created_at, id;     /* fields of a row */
  int left;               /* pages that may still be read */
  size_t first;           /* the first row of this page */
  size_t visited;         /* records of this page */
  bool more;              /* records follow it */
  bool met, stepped_back; /* a record of the baseline, or an older one, was read; the end was looked
                             for one page earlier */
  int64_t known_total;    /* records when the hint was taken; 0: unknown */
};

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

/* The sorting by the times of the records; without times, by the journal's orders among them, or by
 * where new ones have appeared. */
static void note_sorting(struct walk *walk, const struct journal_list *settled)
{
  enum list_order *known = &walk->pages->state.sorting;
  enum list_order sorting = reconcile_sorting(walk->rows, walk->created_at);
  int order_id = is_transactions(walk) ? TRANSACTION_ORDER_ID : ORDER_ID;
  if (sorting == LIST_UNSORTED)
    sorting = reconcile_sorting_by_journal(walk->rows, order_id,
                                           walk->c ? walk->c->others : settled->entries,
                                           walk->c ? walk->c->other_count : settled->count);
  if (sorting == LIST_UNSORTED && *known == LIST_UNSORTED && walk->c && grows_at_the_top(walk))
    sorting = LIST_NEWEST_FIRST;
  if (sorting != LIST_UNSORTED) *known = sorting;
}

/* Continues at the end of the list, or where the baseline saw the end if that page is earlier.
 * False if the page is unknown, or was read already. */
static bool go_to_end(struct walk *walk)
{
  const struct list_state *state = &walk->pages->state;
  int64_t page = last_page(state->total, state->page_size);
  if (walk->known_total > 0 && last_page(walk->known_total, state->page_size) < page)
    page = last_page(walk->known_total, state->page_size);
  if (walk->rows->at_end || page <= walk->query.page) return false;
  walk->rows->at_end = true;
  walk->met = false;
  walk->query.page = walk->pages->tail_page = page;
  return true;
}

static bool go_to_next(struct walk *walk)
{
  walk->query.page++;
  return true;
}

/* After a page of a baseline: whether to read another one, which is then in the query. */
static bool continue_baseline(struct walk *walk)
{
  struct list_state *state = &walk->pages->state;
  bool head = !walk->rows->at_end;
  state->whole = head && !walk->more && walk->query.page == 1;
  if (!head) return walk->more && walk->left > 0 && go_to_next(walk);
  return !state->whole && state->sorting != LIST_NEWEST_FIRST && go_to_end(walk);
}

/* Whether the second page is the first one again. */
static bool is_repeated(const struct walk *walk)
{
  size_t first = walk->first;
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

/* Looks for the end of a list that has become shorter. */
static bool step_back(struct walk *walk)
{
  const struct list_state *state = &walk->pages->state;
  walk->stepped_back = true;
  reconcile_cut(walk->rows, walk->rows->tail);
  walk->query.page = last_page(state->total, state->page_size) - 1;
  if (walk->query.page < 1) walk->query.page = 1;
  return true;
}

/* After a page of a reconciliation; the same. */
static bool continue_until_known(struct walk *walk)
{
  struct pages *pages = walk->pages;
  bool at_end = walk->rows->at_end, more = walk->more;
  enum list_order sorting = pages->state.sorting;
  walk->met |= meets_known(walk, walk->first) || (!at_end && goes_back(walk));
  pages->whole = !more && !at_end;
  /* What is new comes after a baseline that had all records, on a further page if one was full. */
  bool to_end = sorting != LIST_NEWEST_FIRST &&
                (baseline_of(walk)->whole || (walk->c->settled && pages->state.total < 0));
  bool next = more && (at_end || to_end || !walk->met);
  if (next && walk->left > 0 && walk->rows->count > walk->first) return go_to_next(walk);
  if (at_end && !walk->met && walk->left > 0 && walk->query.page > 1 && !walk->stepped_back)
    return step_back(walk);
  if (!pages->whole && !at_end && sorting != LIST_NEWEST_FIRST && walk->left > 0 && go_to_end(walk))
    return true;
  pages->complete =
      pages->whole || (sorting == LIST_NEWEST_FIRST && walk->met) || (at_end && walk->met && !more);
  return false;
}

/* Reads the page of the query, and adds its records to the rows. False if the charge is over. */
static bool read_page(struct charge *c, struct walk *walk)
{
  struct pages *pages = walk->pages;
  bool transactions = is_transactions(walk);
  struct record_listing listing = {0};
  struct buffer text = {0};
  walk->left--;
  walk->first = walk->rows->count;
  walk->visited = 0;
  bool ok = buffer_print(&text, "limit=%d&page=%d", (int)walk->query.limit, (int)walk->query.page);
  if (!ok)
    charge_fail(c, ERROR_INTERNAL, "out of memory");
  else
    ok = charge_call(c, transactions ? "account.transactions" : "orders.list",
                     transactions ? "/account/transactions" : "/orders", text.data, NULL);
  buffer_free(&text);
  if (!ok) return false;
  struct client_call *call = c->call;
  if (call->error.kind == ERROR_NONE &&
      !response_list(&call->exchange->json, &walk->query, &listing, add_row, walk))
    error_set(&call->error, ERROR_PROTOCOL, "the response is not a list of %s",
              record_list_name(walk->query.kind));
  pages->failed = call->error.kind != ERROR_NONE;
  if (!pages->failed && listing.total >= 0) pages->state.total = listing.total;
  walk->more = listing.more;
  return true;
}

/* A server that repeats its first page ignores page numbers. If it ignores limits too, that page is
 * the whole list: then a limit of 1 makes no difference. */
static bool check_limit(struct charge *c, struct walk *walk)
{
  struct pages *pages = walk->pages;
  size_t repeated = walk->first;
  walk->query.page = walk->query.limit = 1;
  if (!read_page(c, walk) || pages->failed) return false;
  pages->all = pages->whole = walk->visited == repeated;
  pages->complete = pages->all || (pages->state.sorting == LIST_NEWEST_FIRST && walk->met);
  if (pages->all) reconcile_cut(walk->rows, repeated);
  return true;
}

static struct walk begin(struct pages *pages)
{
  bool transactions = pages->kind == RECORD_TRANSACTION;
  const struct list_state *hint = pages->hint;
  struct walk walk = {.pages = pages,
                      .rows = pages->rows,
                      .c = pages->c,
                      .query = {.kind = pages->kind,
                                .fields = transactions ? reconcile_transaction_fields
                                                       : reconcile_order_fields,
                                .page = 1,
                                .limit = LIMIT},
                      .width = transactions ? TRANSACTION_FIELDS : ORDER_FIELDS,
                      .created_at = transactions ? TRANSACTION_CREATED_AT : ORDER_CREATED_AT,
                      .id = transactions ? TRANSACTION_ID : ORDER_ID,
                      .left = CHARGE_PAGES};
  pages->state = LIST_STATE_INIT;
  if (!hint) return walk;
  pages->state.sorting = hint->sorting;
  pages->state.total = hint->total;
  pages->state.page_size = hint->page_size;
  walk.known_total = hint->total;
  if (hint->sorting == LIST_OLDEST_FIRST && last_page(hint->total, hint->page_size) > 1) {
    walk.rows->at_end = true;
    walk.query.page = pages->tail_page = last_page(hint->total, hint->page_size);
  }
  return walk;
}

bool charge_read_pages(struct charge *c, struct pages *pages)
{
  struct walk walk = begin(pages);
  bool again;
  do {
    if (!read_page(c, &walk)) return false;
    if (pages->failed) return true;
    if (walk.more && walk.query.page == 1) pages->state.page_size = (int64_t)walk.visited;
    note_sorting(&walk, &c->review.settled);
    if (pages->c && walk.more && walk.left > 0 && is_repeated(&walk))
      return check_limit(c, &walk) || pages->failed;
    again = pages->c ? continue_until_known(&walk) : continue_baseline(&walk);
  } while (again);
  return true;
}

bool charge_keep_known(const struct pages *pages, struct list_state *state)
{
  struct ids known = state->known;
  *state = pages->state;
  state->known = known;
  struct buffer mark = {0};
  bool ok = true;
  for (size_t row = 0; ok && row < pages->rows->count; row++) {
    if (pages->kind == RECORD_TRANSACTION) {
      ok = reconcile_mark(pages->rows, row, &mark) && ids_add(&state->known, mark.data);
    } else {
      const char *id = reconcile_text(pages->rows, row, ORDER_ID);
      ok = !id || ids_add(&state->known, id);
    }
  }
  buffer_free(&mark);
  return ok;
}
