/* Settles open entries of processes that ended, as far as the API shows their outcome. The lock is
 * held, so no other charge of the account is under way. Entries that look like this charge must be
 * settled before it goes on. If some are settled, the others are looked at once more, since open
 * entries can hide each other's outcome. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "charge/crash_point.h"
#include "charge/steps.h"

#define FIRST_PAUSE INT64_C(250000) /* microseconds between two lookups */
#define MAX_PAUSE INT64_C(16000000)

/* One look at all open entries. */
struct pass {
  size_t settled;
  int64_t doubtful; /* the first entry that holds this charge back; 0: none */
  char key[256];    /* of that entry */
  char why[300];
};

static bool has_same_key(const struct charge *c, const struct journal_entry *entry)
{
  return strcmp(entry->key, c->public.key) == 0;
}

/* Whether an open entry must be settled before this charge can go on. */
static bool matters(const struct charge *c, const struct journal_entry *entry)
{
  return has_same_key(c, entry) || (!c->request.inquiry && charge_could_be(c, entry));
}

/* Whether reconciliation understands the request: only those of the table. */
static bool can_be_asked_for(const struct journal_entry *entry)
{
  return endpoint_find(entry->endpoint) != NULL;
}

static bool refuse(struct charge *c, const struct pass *pass)
{
  error_set(&c->public.error, ERROR_OUTCOME_UNKNOWN,
            "nothing was sent: an earlier charge that looks the same, with key %.100s, has an "
            "unknown outcome%s%.200s%s, and "
            "the two cannot be distinguished. " CHARGE_ADVICE,
            pass->key, *pass->why ? " (" : "", pass->why, *pass->why ? ")" : "", pass->key);
  return false;
}

/* The entry stays unknown: it holds this charge back if both may be the same. An entry of the same
 * key is found by its key later. */
static void leave_open(const struct charge *c, const struct journal_entry *entry, struct pass *pass,
                       const char *why)
{
  if (pass->doubtful || !matters(c, entry) || has_same_key(c, entry)) return;
  pass->doubtful = entry->id;
  snprintf(pass->key, sizeof pass->key, "%s", entry->key);
  snprintf(pass->why, sizeof pass->why, "%s", why);
}

/* Entries that do not hold this charge back are looked up once in a run. */

static bool was_looked_up(const struct purchase *purchase, int64_t id)
{
  for (size_t i = 0; i < purchase->looked_up_count; i++)
    if (purchase->looked_up[i] == id) return true;
  return false;
}

static void remember(struct purchase *purchase, int64_t id)
{
  int64_t *more = realloc(purchase->looked_up, (purchase->looked_up_count + 1) * sizeof *more);
  if (!more) return; /* it is looked up once more */
  purchase->looked_up = more;
  purchase->looked_up[purchase->looked_up_count++] = id;
}

#define KEEP(why) \
  ((struct journal_settle){.ends_in = JOURNAL_KEEP_END, .price = JOURNAL_NO_PRICE, .note = (why)})

static bool settle(struct charge *c, const struct journal_entry *entry, enum journal_state state,
                   struct journal_settle what)
{
  what.job = (struct store_job)CHARGE_JOB(c);
  what.token = c->token;
  what.id = entry->id;
  what.state = state;
  journal_settle(c->owner->settings.store, &what);
  return charge_job(c, &what.job);
}

static bool settle_placed(struct charge *c, const struct journal_entry *entry,
                          struct inquiry *inquiry)
{
  struct journal_settle found = KEEP("");
  if (!charge_read_found(inquiry, &found)) return charge_fail(c, ERROR_INTERNAL, "out of memory");
  /* A lower price may be that of a cancelled order. */
  if (found.price < entry->quote) found.price = JOURNAL_NO_PRICE;
  if (found.price > entry->quote) c->owner->overcharged = true;
  charge_report(c,
                "an earlier %.60s with key %.100s, whose response was lost, went through: order "
                "%.100s",
                entry->endpoint, entry->key, found.order_id);
  return settle(c, entry, JOURNAL_PLACED, found);
}

static bool settle_nothing(struct charge *c, const struct journal_entry *entry)
{
  charge_report(c, "an earlier %.60s with key %.100s, whose response was lost, did not go through",
                entry->endpoint, entry->key);
  return settle(c, entry, JOURNAL_NOT_PLACED,
                KEEP("orders, transactions and balance show that nothing was bought"));
}

/* Writes what an inquiry has found. */
static bool settle_found(struct charge *c, const struct journal_entry *entry,
                         struct inquiry *inquiry, struct pass *pass)
{
  const struct reconcile_result *found = &inquiry->result;
  if (found->what == RECONCILE_DOUBT) {
    leave_open(c, entry, pass, found->why);
    return settle(c, entry, JOURNAL_UNKNOWN, KEEP(found->why));
  }
  bool settled =
      found->what == RECONCILE_PLACED ? settle_placed(c, entry, inquiry) : settle_nothing(c, entry);
  pass->settled += settled;
  return settled;
}

static bool look_up(struct charge *c, const struct journal_entry *entry, struct pass *pass)
{
  int64_t pause = 0;
  for (;;) {
    struct inquiry inquiry = {0};
    bool ok = charge_inquire(c, entry->id, &inquiry);
    bool wait = ok && inquiry.result.what == RECONCILE_WAIT;
    if (ok && !wait) ok = settle_found(c, entry, &inquiry, pass);
    charge_end_inquiry(&inquiry);
    if (!wait) return ok;
    if (!charge_pause(c, &pause, FIRST_PAUSE, MAX_PAUSE)) return false;
  }
}

/* The entry is unknown: decides whether to look it up now. */
static bool look_at(struct charge *c, const struct journal_entry *entry, struct pass *pass)
{
  struct purchase *purchase = c->owner;
  bool due = entry->since_ended != JOURNAL_NOT_TIMED &&
             (double)entry->since_ended / 1e6 >= purchase->settings.settle;
  if (!can_be_asked_for(entry)) {
    leave_open(c, entry, pass, entry->note ? entry->note : "");
    return true;
  }
  if (!matters(c, entry)) {
    if (!due || was_looked_up(purchase, entry->id)) return true;
    remember(purchase, entry->id);
  }
  return look_up(c, entry, pass);
}

/* A request has ended if its process has, or if the machine was restarted. For another machine the
 * latest time of its end is known. */
static bool take_over(struct charge *c, const struct journal_entry *entry, bool keep_end,
                      const char *note)
{
  struct journal_settle what = KEEP(note);
  if (!keep_end) what.ends_in = 0;
  if (!settle(c, entry, JOURNAL_UNKNOWN, what)) return false;
  crash_point("taken-over");
  return true;
}

static bool settle_entry(struct charge *c, const struct journal_entry *entry, struct pass *pass)
{
  bool timed = entry->since_ended != JOURNAL_NOT_TIMED;
  if (entry->state == JOURNAL_INTENT) {
    pass->settled++;
    return settle(c, entry, JOURNAL_NOT_PLACED, KEEP("its process ended before it was sent"));
  }
  bool sent = entry->state == JOURNAL_SENT;
  if ((sent || !timed) && !take_over(c, entry, sent && timed && !journal_is_orphan(entry),
                                     sent ? "its process ended before the response arrived" : NULL))
    return false;
  return look_at(c, entry, pass);
}

static bool settle_all(struct charge *c, struct pass *pass)
{
  const struct journal_list *open = &c->review.open;
  *pass = (struct pass){0};
  for (size_t i = 0; i < open->count; i++)
    if (!settle_entry(c, &open->entries[i], pass)) return false;
  return true;
}

static bool read_entries(struct charge *c)
{
  struct journal_review *review = &c->review;
  journal_review_free(review);
  *review = (struct journal_review){.job = CHARGE_JOB(c),
                                    .account = c->owner->account,
                                    .within = CHARGE_RECENT,
                                    .limit = CHARGE_MAX_OPEN};
  journal_review(c->owner->settings.store, review);
  return charge_job(c, &review->job);
}

static bool read_left(struct charge *c)
{
  return charge_read_left(c) || charge_fail(c, ERROR_INTERNAL, "out of memory");
}

bool charge_settle_open_entries(struct charge *c)
{
  struct pass pass;
  if (!read_left(c) || !settle_all(c, &pass)) return false;
  if (pass.doubtful && pass.settled > 0 &&
      (!read_entries(c) || !read_left(c) || !settle_all(c, &pass)))
    return false;
  crash_point("recovered");
  return !pass.doubtful || refuse(c, &pass);
}
