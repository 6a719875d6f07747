#include "charge/reconcile.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/country.h"
#include "api/endpoint.h"
#include "base/datetime.h"

const char *const reconcile_trait_names[] = {"type", "quantity", "period", "country", NULL};
const char *const reconcile_order_fields[] = {"type",       "quantity", "period", "country",
                                              "id",         "status",   "price",  "created_at",
                                              "expires_at", NULL};
const char *const reconcile_transaction_fields[] = {"id",       "type",       "amount",
                                                    "order_id", "created_at", NULL};

static bool is_there(const struct reconcile_rows *rows, int field, const char *id)
{
  for (size_t row = 0; row < rows->count; row++) {
    const char *text = reconcile_text(rows, row, field);
    if (text && strcmp(text, id) == 0) return true;
  }
  return false;
}

bool reconcile_add(struct reconcile_rows *rows, size_t width, int id, const char *const *texts)
{
  if (texts[id] && rows->count > 0 && is_there(rows, id, texts[id])) return true;
  if (rows->count == rows->capacity) {
    size_t capacity = rows->capacity ? rows->capacity * 2 : 64;
    char **more = realloc(rows->texts, capacity * width * sizeof *more);
    if (!more) return false;
    rows->texts = more;
    rows->capacity = capacity;
  }
  if (!rows->at_end) rows->tail = rows->count + 1;
  char **row = rows->texts + rows->count++ * width;
  bool ok = true;
  rows->width = width;
  for (size_t i = 0; i < width; i++) {
    row[i] = texts[i] ? strdup(texts[i]) : NULL;
    ok = ok && (row[i] || !texts[i]);
  }
  return ok;
}

const char *reconcile_text(const struct reconcile_rows *rows, size_t row, int field)
{
  return rows->texts[row * rows->width + (size_t)field];
}

void reconcile_cut(struct reconcile_rows *rows, size_t count)
{
  for (size_t i = count * rows->width; i < rows->count * rows->width; i++) free(rows->texts[i]);
  if (count < rows->count) rows->count = count;
}

void reconcile_rows_free(struct reconcile_rows *rows)
{
  for (size_t i = 0; i < rows->count * rows->width; i++) free(rows->texts[i]);
  free(rows->texts);
  *rows = (struct reconcile_rows){0};
}

void reconcile_traits_free(struct reconcile_traits *traits)
{
  for (int i = 0; i < RECONCILE_TRAITS; i++) free(traits->of[i]);
  *traits = (struct reconcile_traits){{0}};
}

static bool is_known_type(const char *text)
{
  const struct endpoint_param *type = endpoint_param_find(endpoint_find("orders.create"), "type");
  for (const char *const *value = type->values; *value; value++)
    if (strcasecmp(*value, text) == 0) return true;
  return false;
}

/* A whole number, perhaps with a unit that does not change it. False for anything else. */
static bool read_number(const char *text, enum reconcile_trait trait, long long *number)
{
  static const char *const quantities[] = {"",   "pc",      "pcs",   "ip", "ips",
                                           "gb", "proxies", "units", NULL};
  static const char *const periods[] = {"", "d", "day", "days", NULL};
  const char *const *unit = trait == TRAIT_PERIOD ? periods : quantities;
  size_t digits = strspn(text, "0123456789");
  if (digits == 0 || digits > 18) return false;
  *number = strtoll(text, NULL, 10);
  const char *rest = text + digits;
  if (rest[0] == '.') rest += 1 + strspn(rest + 1, "0");
  while (*rest == ' ') rest++;
  while (*unit && strcasecmp(*unit, rest) != 0) unit++;
  return *unit;
}

enum likeness { SAME, DIFFERENT, UNREADABLE };

/* Texts may be NULL, for a field that is missing. */
static enum likeness compare(enum reconcile_trait trait, const char *a, const char *b)
{
  char first[3], second[3];
  long long m, n;
  if (!a || !b) return UNREADABLE;
  if (trait == TRAIT_TYPE) {
    if (!is_known_type(a) || !is_known_type(b)) return UNREADABLE;
    return strcasecmp(a, b) == 0 ? SAME : DIFFERENT;
  }
  if (trait == TRAIT_COUNTRY) {
    if (!country_code(a, first) || !country_code(b, second)) return UNREADABLE;
    return strcmp(first, second) == 0 ? SAME : DIFFERENT;
  }
  if (!read_number(a, trait, &m) || !read_number(b, trait, &n)) return UNREADABLE;
  return m == n ? SAME : DIFFERENT;
}

bool reconcile_fits(const struct reconcile_traits *asked, const struct reconcile_traits *given)
{
  for (int i = 0; i < RECONCILE_TRAITS; i++)
    if (compare((enum reconcile_trait)i, asked->of[i], given->of[i]) == DIFFERENT) return false;
  return true;
}

/* The requested traits and the order's: an order that is being set up may show less than was
 * bought. */
static enum likeness compare_order(enum reconcile_trait trait, const char *asked, const char *given)
{
  long long m, n;
  enum likeness likeness = compare(trait, asked, given);
  if (likeness != DIFFERENT || trait != TRAIT_QUANTITY) return likeness;
  return read_number(asked, trait, &m) && read_number(given, trait, &n) && n < m ? UNREADABLE
                                                                                 : DIFFERENT;
}

bool reconcile_fits_order(const struct reconcile_traits *asked,
                          const struct reconcile_traits *given)
{
  for (int i = 0; i < RECONCILE_TRAITS; i++)
    if (compare_order((enum reconcile_trait)i, asked->of[i], given->of[i]) == DIFFERENT)
      return false;
  return true;
}

bool reconcile_is_smaller(const struct reconcile_traits *asked,
                          const struct reconcile_traits *given)
{
  const char *m = asked->of[TRAIT_QUANTITY], *n = given->of[TRAIT_QUANTITY];
  return compare(TRAIT_QUANTITY, m, n) == DIFFERENT &&
         compare_order(TRAIT_QUANTITY, m, n) == UNREADABLE;
}

static bool read_price(const struct reconcile_case *c, size_t row, money *price)
{
  const char *text = reconcile_text(&c->orders, row, ORDER_PRICE);
  return text && money_parse(text, strlen(text), price) == MONEY_OK && *price >= 0;
}

enum fit { FITS, MAY_FIT, CANNOT_FIT };

/* If a field cannot be read, an order fits by its price; without a price, only the money decides. A
 * price far from the quote fits nothing. */
static enum fit fit_of(const struct reconcile_case *c, size_t row)
{
  money price, quote = c->entry->quote;
  bool readable = true, fewer = false, priced = read_price(c, row, &price);
  for (int i = 0; i < RECONCILE_TRAITS; i++) {
    enum reconcile_trait trait = (enum reconcile_trait)i;
    const char *given = reconcile_text(&c->orders, row, i); /* the fields begin with the traits */
    if (!c->asked.of[i]) continue;
    enum likeness likeness = compare_order(trait, c->asked.of[i], given);
    if (likeness == DIFFERENT) return CANNOT_FIT;
    readable &= likeness == SAME;
    fewer |= likeness == UNREADABLE && compare(trait, c->asked.of[i], given) == DIFFERENT;
  }
  if (priced && price > 0 && (price / 2 > quote || price < quote / 2)) return CANNOT_FIT;
  if (readable) return FITS;
  if (priced && llabs(price - quote) <= quote / 4) return FITS;
  return priced && fewer ? CANNOT_FIT : MAY_FIT; /* a smaller order of another user */
}

enum age { OLD, NEW, UNKNOWN };

static bool is_known(const struct reconcile_case *c, size_t row)
{
  const char *id = reconcile_text(&c->orders, row, ORDER_ID);
  return id && ids_have(&c->before.orders.known, id);
}

/* Whether the baseline has read to its end a list that is sorted oldest first. */
static bool has_known_end(const struct list_state *list)
{
  return list->whole || list->total >= 0;
}

/* By its place among the orders of the baseline: the place at the end of a sorted list shows more
 * than a date, since servers write local times as UTC, and clocks differ. */
static enum age age_by_place(const struct reconcile_case *c, size_t row)
{
  if (row >= c->listed) return UNKNOWN;
  enum list_order sorting = reconcile_sorting(&c->orders, ORDER_CREATED_AT);
  bool tail = row >= c->orders.tail;
  if (sorting == LIST_UNSORTED) sorting = c->before.orders.sorting;
  if (sorting == LIST_UNSORTED) sorting = tail ? LIST_OLDEST_FIRST : LIST_NEWEST_FIRST;
  size_t from = tail ? c->orders.tail : 0, to = tail ? c->listed : c->orders.tail;
  if (tail && sorting == LIST_NEWEST_FIRST) return OLD;
  bool before = false, after = false;
  for (size_t i = from; i < to; i++) {
    if (!is_known(c, i)) continue;
    before |= i < row;
    after |= i > row;
  }
  if (!before && !after) return UNKNOWN;
  if (sorting == LIST_NEWEST_FIRST) return before ? OLD : NEW;
  if (after) return OLD;
  return has_known_end(&c->before.orders) ? NEW : UNKNOWN;
}

static enum age age_of(const struct reconcile_case *c, size_t row)
{
  const char *id = reconcile_text(&c->orders, row, ORDER_ID),
             *created_at = reconcile_text(&c->orders, row, ORDER_CREATED_AT);
  double time;
  if (id && ids_have(&c->before.orders.known, id)) return OLD;
  if (id && (c->before.orders.whole || reconcile_is_first_charge(c, id))) return NEW;
  enum age place = id ? age_by_place(c, row) : UNKNOWN;
  if (place != UNKNOWN) return place;
  if (reconcile_is_older(c, created_at)) return OLD;
  return id && c->before.taken_at > 0 && reconcile_read_time(c, created_at, &time) ? NEW : UNKNOWN;
}

/* Whether another entry's purchase created the order; an extension of it proves nothing. */
static bool is_anothers(const struct reconcile_case *c, const char *id)
{
  for (size_t i = 0; i < c->other_count; i++) {
    const struct journal_entry *other = &c->others[i];
    if (other->id != c->entry->id && other->order_id && reconcile_is_create(other) &&
        strcmp(other->order_id, id) == 0)
      return true;
  }
  return false;
}

enum window { INSIDE, OUTSIDE, UNDATED };

/* Whether an order is dated between the request's sending and the latest moment at which it can
 * have had an effect. */
static enum window window_of(const struct reconcile_case *c, size_t row)
{
  const char *created_at = reconcile_text(&c->orders, row, ORDER_CREATED_AT);
  double time;
  if (c->sent_from <= 0 || c->sent_until <= 0 || !reconcile_read_time(c, created_at, &time))
    return UNDATED;
  double slack = reconcile_slack(c, created_at);
  return time + slack >= c->sent_from && time - slack <= c->sent_until ? INSIDE : OUTSIDE;
}

/* Whether everything that is new now is new since the request, regardless of its date. */
static bool is_prompt(const struct reconcile_case *c)
{
  return c->now > 0 && c->now <= c->sent_until + RECONCILE_SKEW;
}

static bool is_cancelled(const struct reconcile_case *c, size_t row)
{
  static const char *const words[] = {"cancel", "fail", "reject", "refund", NULL};
  const char *status = reconcile_text(&c->orders, row, ORDER_STATUS);
  for (const char *const *word = words; status && *word; word++)
    if (strncasecmp(status, *word, strlen(*word)) == 0) return true;
  return false;
}

/* How an order relates to the charge. */
enum standing {
  EARLIER,   /* existed before, is another entry's, or was cancelled and refunded */
  FOREIGN,   /* new, and cannot be the charge's */
  CANDIDATE, /* new, fits, and dated within the time of the request */
  WEAK,      /* the charge's, if the money agrees */
  UNCLEAR    /* may be anything */
};

static enum standing standing_of(const struct reconcile_case *c, size_t row)
{
  enum age age = age_of(c, row);
  const char *id = reconcile_text(&c->orders, row, ORDER_ID);
  if (age == OLD || (id && is_anothers(c, id))) return EARLIER;
  if (c->complete && is_cancelled(c, row) && reconcile_refund_of(c, row) == RECONCILE_REFUNDED)
    return EARLIER;
  enum fit fit = fit_of(c, row);
  if (fit == CANNOT_FIT) return FOREIGN;
  if (age == UNKNOWN || !id) return UNCLEAR;
  if (window_of(c, row) == OUTSIDE) {
    if (c->calibrated) return FOREIGN;
    return is_prompt(c) ? WEAK : UNCLEAR;
  }
  return fit == FITS ? CANDIDATE : WEAK;
}

bool reconcile_is_foreign(const struct reconcile_case *c, size_t order)
{
  return standing_of(c, order) == FOREIGN;
}

/* Servers write local times as UTC. Unless their zone is known, a date counts as older only if it
 * is older in every zone. */
bool reconcile_is_excluded(const struct reconcile_case *c, size_t order)
{
  const char *id = reconcile_text(&c->orders, order, ORDER_ID),
             *created_at = reconcile_text(&c->orders, order, ORDER_CREATED_AT);
  double time, zones = c->calibrated ? 0 : RECONCILE_ZONES;
  if (id && (ids_have(&c->before.orders.known, id) || is_anothers(c, id))) return true;
  if (c->before.taken_at > 0 && reconcile_read_time(c, created_at, &time) &&
      time + reconcile_slack(c, created_at) + zones < c->before.taken_at)
    return true;
  return standing_of(c, order) == FOREIGN;
}

static struct reconcile_result doubt(const char *why)
{
  struct reconcile_result result = {.what = RECONCILE_DOUBT};
  snprintf(result.why, sizeof result.why, "%s", why);
  return result;
}

static struct reconcile_result ask_again(bool ask_money)
{
  return (struct reconcile_result){.what = RECONCILE_WAIT, .ask_money = ask_money};
}

static struct reconcile_result placed(const struct reconcile_case *c, size_t row)
{
  struct reconcile_result result = {.what = RECONCILE_PLACED, .order = row};
  snprintf(result.why, sizeof result.why, "order %.100s appeared and fits the request",
           reconcile_text(&c->orders, row, ORDER_ID));
  return result;
}

/* After the settling time, when no order fits. */
static struct reconcile_result judge_absence(const struct reconcile_case *c)
{
  struct reconcile_result result = {.what = RECONCILE_NOT_PLACED};
  if (reconcile_money_moved(c, result.why, sizeof result.why)) result.what = RECONCILE_DOUBT;
  return result;
}

/* Other open purchases that the same orders would fit. Which of them gets which order does not
 * matter: the oldest entry gets the first. */
struct rivals {
  size_t older, all;
};

static struct rivals count_rivals(const struct reconcile_case *c)
{
  struct rivals rivals = {0};
  for (size_t i = 0; i < c->other_count; i++) {
    const struct journal_entry *other = &c->others[i];
    if (other->id == c->entry->id || !(JOURNAL_OPEN >> other->state & 1)) continue;
    if (other->state == JOURNAL_INTENT || !reconcile_is_create(other)) continue;
    if (!reconcile_fits(&c->asked, &c->others_asked[i])) continue;
    rivals.all++;
    rivals.older += other->id < c->entry->id;
  }
  return rivals;
}

struct found {
  size_t of[UNCLEAR + 1]; /* how many orders of each standing */
  size_t
      row[UNCLEAR + 1]; /* the one that this entry gets: the first that is not an older rival's */
};

static struct found count_orders(const struct reconcile_case *c, size_t older_rivals)
{
  struct found found = {{0}, {0}};
  enum list_order sorting = reconcile_sorting(&c->orders, ORDER_CREATED_AT);
  if (sorting == LIST_UNSORTED) sorting = c->before.orders.sorting;
  for (size_t i = 0; i < c->orders.count; i++) { /* the oldest first, and then those looked up */
    size_t row = sorting == LIST_OLDEST_FIRST || i >= c->listed ? i : c->listed - 1 - i;
    enum standing standing = standing_of(c, row);
    if (found.of[standing]++ == older_rivals) found.row[standing] = row;
  }
  return found;
}

/* The one order that can be the charge's. */
static struct reconcile_result judge_order(const struct reconcile_case *c, size_t row, bool weak)
{
  bool late = c->settled && c->complete;
  if (is_cancelled(c, row)) {
    if (!late) return ask_again(c->settled);
    if (reconcile_refund_of(c, row) == RECONCILE_PERHAPS)
      return doubt(
          "a new order fits the request; it was cancelled, and the API does not show whether it "
          "was refunded");
  }
  if (!weak && c->before.reused == 0) return placed(c, row);
  if (!c->complete) return ask_again(true);
  if (reconcile_money_agrees(c, reconcile_text(&c->orders, row, ORDER_ID), weak))
    return placed(c, row);
  if (!c->settled) return ask_again(false);
  return doubt(
      "a new order may fit the request, but neither a transaction nor the balance shows "
      "that it was charged");
}

static struct reconcile_result judge_purchase(const struct reconcile_case *c)
{
  struct rivals rivals = count_rivals(c);
  struct found found = count_orders(c, rivals.older);
  size_t candidates = found.of[CANDIDATE], weak = found.of[WEAK];
  bool late = c->settled && c->complete;
  if (candidates > rivals.older && candidates <= rivals.all + 1)
    return judge_order(c, found.row[CANDIDATE], false);
  if (candidates == 0 && weak == 1 && rivals.all == 0 && found.of[UNCLEAR] == 0)
    return judge_order(c, found.row[WEAK], true);
  if (!late) return ask_again(c->settled);
  if (candidates > rivals.all + 1) return doubt("several new orders fit the request");
  if (candidates > 0)
    return doubt("a new order fits the request, and an earlier open charge as well");
  if (weak > 0) return doubt("several new orders may fit the request and cannot be distinguished");
  if (found.of[UNCLEAR] > 0) return doubt("new orders may or may not belong to this charge");
  if (!c->orders_reach && !reconcile_money_is_clear(c))
    return doubt(c->before.orders.sorting == LIST_NEWEST_FIRST
                     ? "the list of orders does not reach back to the request"
                     : "the API neither lists the newest orders first nor reports their "
                       "total number");
  return judge_absence(c);
}

static bool is_extended_by_another(const struct reconcile_case *c)
{
  for (size_t i = 0; i < c->other_count; i++) {
    const struct journal_entry *other = &c->others[i];
    if (other->id > c->entry->id && other->state == JOURNAL_PLACED &&
        strcmp(other->endpoint, c->entry->endpoint) == 0 && other->order_id &&
        strcmp(other->order_id, c->order_id) == 0)
      return true;
  }
  return false;
}

/* Whether the expiry date moved by about the period: by at least half of it, since servers round,
 * and by at most one and a half. */
static bool moved_as_asked(const struct reconcile_case *c, double before, double after)
{
  const char *period = c->asked.of[TRAIT_PERIOD];
  long long days;
  if (!period || !read_number(period, TRAIT_PERIOD, &days) || days < 1) days = 1;
  double moved = (after - before) / RECONCILE_DAY;
  return moved >= 0.5 * (double)days && moved <= 1.5 * (double)days + 1;
}

static struct reconcile_result judge_extension(const struct reconcile_case *c)
{
  struct reconcile_result result = {.what = RECONCILE_PLACED};
  const char *then = c->before.expires_at;
  const char *now = c->orders.count == 1 ? reconcile_text(&c->orders, 0, ORDER_EXPIRES_AT) : NULL;
  double before = 0, after = 0;
  bool known = then && now && date_parse(then, &before) && date_parse(now, &after);
  bool moved = known && moved_as_asked(c, before, after) && !is_extended_by_another(c);
  if (!c->complete) return ask_again(moved || c->settled);
  if (moved && reconcile_money_agrees(c, c->order_id, false)) {
    snprintf(result.why, sizeof result.why, "its expiry date changed from %.40s to %.40s", then,
             now);
    return result;
  }
  if (!c->settled) return ask_again(false);
  if (!known && reconcile_charges_for(c, c->order_id) == 1) {
    snprintf(result.why, sizeof result.why, "a charge for the order appeared");
    return result;
  }
  if (!known && !c->gone) return doubt("the API does not report the order's expiry date");
  if (moved)
    return doubt("the order's expiry date changed, but no transaction or balance shows a charge");
  if (known && after - before > RECONCILE_DAY / 2)
    return doubt("the order's expiry date changed, but other charges have changed it too");
  return judge_absence(c);
}

struct reconcile_result reconcile_judge(const struct reconcile_case *c)
{
  return c->extension ? judge_extension(c) : judge_purchase(c);
}
