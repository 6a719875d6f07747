/* What a charge leaves for the next one of the account, from any process: its baseline and its
 * quote, with their ages. So each further purchase of a batch costs two requests: the balance,
 * which shows whether the baseline is still valid, and the order. The text is stored in the
 * journal, which removes it while a charge is under way. It begins with these lines, followed by
 * the baseline (charge/snapshot): "with orders": the baseline has the orders; an extension's does
 * not. "age 1500000": microseconds, when it was written. "quote HASH 6.20 AGE": for the parameters
 * with this hash. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "charge/steps.h"

#define BASELINE_US INT64_C(120000000) /* microseconds for which a baseline is used */
#define QUOTE_US INT64_C(60000000)     /* microseconds for which a quote is used */

static const char *line_of(const char *text, const char *word)
{
  size_t size = strlen(word);
  while (text) {
    if (strncmp(text, word, size) == 0 && text[size] == ' ') return text + size + 1;
    text = strchr(text, '\n');
    if (text) text++;
  }
  return NULL;
}

static bool read_quote(struct charge *c, const char *text, int64_t age)
{
  char hash[HEX(32)], price[MONEY_TEXT];
  int64_t then;
  const char *line = line_of(text, "quote");
  if (!line || sscanf(line, "%64s %23s %" SCNd64, hash, price, &then) != 3) return true;
  if (strcmp(hash, c->params_hash) != 0) return true;
  struct left *left = &c->left;
  left->has_quote =
      money_parse(price, strlen(price), &left->quote) == MONEY_OK && then + age <= QUOTE_US;
  left->quoted_at = loop_clock() - then - age;
  return true;
}

bool charge_read_left(struct charge *c)
{
  struct left *left = &c->left;
  const struct journal_review *review = &c->review;
  int64_t then;
  snapshot_free(&left->baseline);
  *left = (struct left){.baseline = SNAPSHOT_INIT};
  const char *text = review->baseline, *age = line_of(text, "age");
  if (!text || !age || review->baseline_age == JOURNAL_NOT_TIMED) return true;
  if (sscanf(age, "%" SCNd64, &then) != 1) return true;
  if (then < 0 || review->baseline_age < 0) return true;
  left->there = true;
  left->taken_at = loop_clock() - then - review->baseline_age;
  left->orders = line_of(text, "with");
  bool alone = review->open.count == 0;
  left->fresh = alone && then + review->baseline_age <= BASELINE_US;
  return snapshot_read(&left->baseline, text) &&
         (!alone || read_quote(c, text, review->baseline_age));
}

bool charge_can_reuse_baseline(const struct charge *c)
{
  const struct left *left = &c->left;
  return left->fresh && left->baseline.reused > 0 && left->baseline.has_balance &&
         charge_knows_elsewhere(c, &left->baseline) && (charge_is_extension(c) || left->orders);
}

void charge_reuse_baseline(struct charge *c)
{
  struct snapshot *before = &c->before;
  char *expires_at = before->expires_at; /* of the order, just read */
  before->expires_at = NULL;
  snapshot_free(before);
  *before = c->left.baseline;
  c->left.baseline = SNAPSHOT_INIT;
  free(before->expires_at);
  before->expires_at = expires_at;
  c->baseline_at = c->left.taken_at;
}

bool charge_leave(struct charge *c, struct buffer *text)
{
  struct snapshot *before = &c->before;
  char price[MONEY_TEXT];
  int64_t now = loop_clock();
  if (!c->request.endpoint || !before->has_balance || c->entry == 0) return false;
  bool reused = before->reused > 0;
  if (!reused) before->reused = c->entry;
  bool orders = reused ? c->left.orders : !charge_is_extension(c);
  money_format(c->quoted, price);
  bool ok = buffer_print(text, "%sage %" PRId64 "\n", orders ? "with orders\n" : "",
                         now - c->baseline_at);
  if (!charge_is_extension(c))
    ok = ok &&
         buffer_print(text, "quote %s %s %" PRId64 "\n", c->params_hash, price, now - c->quoted_at);
  char *expires_at = before->expires_at;
  double sent_at = before->sent_at;
  before->expires_at = NULL; /* these apply to this charge only */
  before->sent_at = 0;
  ok = ok && snapshot_write(before, text);
  before->expires_at = expires_at;
  before->sent_at = sent_at;
  if (!reused) before->reused = 0;
  return ok; /* without it, the next charge reads the account again */
}
