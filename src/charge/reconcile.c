#include "charge/reconcile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/endpoint.h"
#include "base/datetime.h"

#define SKEW                                                                           \
  60.0 /* seconds by which the server's Date and the times in its records may be apart \
        */
#define DAY 86400.0
#define ZONES (14 * 3600.0) /* the most that a local time can be behind UTC, and some */

const char *const reconcile_trait_names[] = {"type", "quantity", "period", "country", NULL};
const char *const reconcile_order_fields[] = {"type",       "quantity", "period", "country",
                                              "id",         "status",   "price",  "created_at",
                                              "expires_at", NULL};
const char *const reconcile_movement_fields[] = {"id",       "type",       "amount",
                                                 "order_id", "created_at", NULL};

/* --- rows --- */

bool reconcile_add(struct reconcile_rows *rows, size_t width, const char *const *texts)
{
  if (rows->count == rows->capacity) {
    size_t capacity = rows->capacity ? rows->capacity * 2 : 64;
    char **more = realloc(rows->texts, capacity * width * sizeof *more);
    if (!more) return false;
    rows->texts = more;
    rows->capacity = capacity;
  }
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

/* --- what fits --- */

static bool is_number(const char *text)
{
  return *text && strspn(text, "0123456789") == strlen(text);
}

static bool is_known_type(const char *text)
{
  const struct endpoint_param *type = endpoint_param_find(endpoint_find("orders.create"), "type");
  for (const char *const *value = type->values; *value; value++)
    if (strcasecmp(*value, text) == 0) return true;
  return false;
}

/* Whether a text is in the form that the API's reference gives it: another one may mean the same.
 */
static bool is_understood(enum reconcile_trait trait, const char *text)
{
  if (trait == TRAIT_TYPE) return is_known_type(text);
  if (trait == TRAIT_COUNTRY) return strlen(text) == 2;
  return is_number(text);
}

static bool is_same(enum reconcile_trait trait, const char *a, const char *b)
{
  if (trait == TRAIT_TYPE || trait == TRAIT_COUNTRY) return strcasecmp(a, b) == 0;
  return strtoll(a, NULL, 10) == strtoll(b, NULL, 10);
}

bool reconcile_fits(const struct reconcile_traits *asked, const struct reconcile_traits *given)
{
  for (int i = 0; i < RECONCILE_TRAITS; i++) {
    enum reconcile_trait trait = (enum reconcile_trait)i;
    const char *a = asked->of[i], *b = given->of[i];
    if (a && b && is_understood(trait, a) && is_understood(trait, b) && !is_same(trait, a, b))
      return false;
  }
  return true;
}

static struct reconcile_traits traits_of(const struct reconcile_rows *orders, size_t row)
{
  struct reconcile_traits traits;
  for (int i = 0; i < RECONCILE_TRAITS; i++)
    traits.of[i] = orders->texts[row * orders->width + (size_t)i];
  return traits;
}

/* --- a purchase: which orders came up since, and whose are they --- */

/* By how many seconds a time may be later than it looks: one that tells no zone may be of any, and
 * a day has an end. */
static double slack_of(const char *time)
{
  if (is_number(time)) return SKEW;
  if (strlen(time) <= 10) return SKEW + DAY + ZONES;
  return strpbrk(time + 10, "Zz+-") ? SKEW : SKEW + ZONES;
}

bool reconcile_is_older(const struct reconcile_case *c, const char *created_at)
{
  double time;
  return created_at && c->before.taken_at > 0 && date_parse(created_at, &time) &&
         time + slack_of(created_at) < c->before.taken_at;
}

enum age { OLD, NEW, UNKNOWN };

static enum age age_of(const struct reconcile_case *c, size_t row)
{
  const char *id = reconcile_text(&c->orders, row, ORDER_ID),
             *created_at = reconcile_text(&c->orders, row, ORDER_CREATED_AT);
  double time;
  if (id && ids_have(&c->before.orders, id)) return OLD;
  if (id && c->before.whole) return NEW;
  if (reconcile_is_older(c, created_at)) return OLD;
  return id && created_at && c->before.taken_at > 0 && date_parse(created_at, &time) ? NEW
                                                                                     : UNKNOWN;
}

static bool is_anothers(const struct reconcile_case *c, const char *id)
{
  for (size_t i = 0; i < c->other_count; i++) {
    const struct journal_entry *other = &c->others[i];
    if (other->id != c->entry->id && other->order_id && strcmp(other->order_id, id) == 0)
      return true;
  }
  return false;
}

static bool is_open(const struct journal_entry *entry)
{
  return JOURNAL_OPEN >> entry->state & 1;
}

/* An order that fits two open entries settles neither. */
static bool fits_another_open(const struct reconcile_case *c, size_t row)
{
  struct reconcile_traits given = traits_of(&c->orders, row);
  for (size_t i = 0; i < c->other_count; i++) {
    const struct journal_entry *other = &c->others[i];
    if (other->id == c->entry->id || !is_open(other) || other->state == JOURNAL_INTENT) continue;
    if (strcmp(other->endpoint, c->entry->endpoint) == 0 &&
        reconcile_fits(&c->others_asked[i], &given))
      return true;
  }
  return false;
}

static bool is_cancelled(const struct reconcile_case *c, size_t row)
{
  const char *status = reconcile_text(&c->orders, row, ORDER_STATUS);
  return status && strncasecmp(status, "cancel", 6) == 0;
}

/* The orders that came up since and belong to no other entry. One that was cancelled and refunded
 * is as if it had never been. */
struct newcomers {
  size_t fitting, others; /* how many: that can be this charge's; all else */
  size_t first;           /* of those that fit */
  bool shared, cancelled; /* that one fits another open entry too; is cancelled */
  bool perhaps_refunded;
};

static bool is_gone(const struct reconcile_case *c, size_t row)
{
  return c->complete && is_cancelled(c, row) && reconcile_refund_of(c, row) == RECONCILE_REFUNDED;
}

static void note_first(const struct reconcile_case *c, size_t row, struct newcomers *found)
{
  found->first = row;
  found->shared = fits_another_open(c, row);
  found->cancelled = is_cancelled(c, row);
  found->perhaps_refunded = found->cancelled && reconcile_refund_of(c, row) == RECONCILE_PERHAPS;
}

static struct newcomers count_newcomers(const struct reconcile_case *c)
{
  struct newcomers found = {0};
  for (size_t row = 0; row < c->orders.count; row++) {
    enum age age = age_of(c, row);
    const char *id = reconcile_text(&c->orders, row, ORDER_ID);
    if (age == OLD || (id && is_anothers(c, id)) || is_gone(c, row)) continue;
    struct reconcile_traits given = traits_of(&c->orders, row);
    if (age == UNKNOWN || !reconcile_fits(&c->asked, &given))
      found.others++;
    else if (found.fitting++ == 0)
      note_first(c, row, &found);
  }
  return found;
}

static struct reconcile_verdict doubt(const char *why)
{
  struct reconcile_verdict verdict = {.what = RECONCILE_DOUBT};
  snprintf(verdict.why, sizeof verdict.why, "%s", why);
  return verdict;
}

static struct reconcile_verdict placed(const struct reconcile_case *c, size_t row)
{
  struct reconcile_verdict verdict = {.what = RECONCILE_PLACED, .order = row};
  snprintf(verdict.why, sizeof verdict.why, "order %.100s came up and fits",
           reconcile_text(&c->orders, row, ORDER_ID));
  return verdict;
}

/* When the orders say nothing, and later ones neither. */
static struct reconcile_verdict judge_absence(const struct reconcile_case *c)
{
  struct reconcile_verdict verdict = {.what = RECONCILE_NOT_PLACED};
  if (reconcile_money_moved(c, verdict.why, sizeof verdict.why)) verdict.what = RECONCILE_DOUBT;
  return verdict;
}

static struct reconcile_verdict judge_purchase(const struct reconcile_case *c)
{
  struct newcomers found = count_newcomers(c);
  bool late = c->settled && c->complete;
  bool clear = found.fitting == 1 && !found.shared;
  if (clear && (!found.cancelled || (late && !found.perhaps_refunded)))
    return placed(c, found.first);
  if (!late) return (struct reconcile_verdict){.what = RECONCILE_WAIT};
  if (clear)
    return doubt(
        "a new order fits it, which was cancelled, and nobody knows whether it was refunded");
  if (found.fitting == 1) return doubt("a new order fits it, and another open charge too");
  if (found.fitting > 1) return doubt("several new orders fit it");
  if (found.others > 0) return doubt("there are new orders that belong to no charge on record");
  if (!c->orders_reach) return doubt("the list of orders does not reach back to it");
  return judge_absence(c);
}

/* --- an extension: has the expiry moved, and by whom --- */

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

static struct reconcile_verdict judge_extension(const struct reconcile_case *c)
{
  const char *then = c->before.expires_at;
  const char *now = c->orders.count == 1 ? reconcile_text(&c->orders, 0, ORDER_EXPIRES_AT) : NULL;
  double before, after;
  bool known = then && now && date_parse(then, &before) && date_parse(now, &after);
  if (known && after > before && !is_extended_by_another(c)) {
    struct reconcile_verdict verdict = {.what = RECONCILE_PLACED};
    snprintf(verdict.why, sizeof verdict.why, "its expiry has moved from %.40s to %.40s", then,
             now);
    return verdict;
  }
  if (!c->settled || !c->complete) return (struct reconcile_verdict){.what = RECONCILE_WAIT};
  if (!known && reconcile_charges_since(c) == 1)
    return (struct reconcile_verdict){.what = RECONCILE_PLACED,
                                      .why = "a transaction for its order has come up"};
  if (!known) return doubt("the order's expiry is not told");
  if (after != before)
    return doubt("the order's expiry has moved, and other charges have moved it too");
  return judge_absence(c);
}

struct reconcile_verdict reconcile_judge(const struct reconcile_case *c)
{
  return c->extension ? judge_extension(c) : judge_purchase(c);
}
