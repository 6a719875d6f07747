#include "charge/snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool ids_add(struct ids *ids, const char *id)
{
  if (ids->count == ids->capacity) {
    size_t capacity = ids->capacity ? ids->capacity * 2 : 64;
    char **of = realloc(ids->of, capacity * sizeof *of);
    if (!of) return false;
    ids->of = of;
    ids->capacity = capacity;
  }
  char *copy = strdup(id);
  if (copy) ids->of[ids->count++] = copy;
  return copy;
}

bool ids_have(const struct ids *ids, const char *id)
{
  for (size_t i = 0; i < ids->count; i++)
    if (strcmp(ids->of[i], id) == 0) return true;
  return false;
}

static void free_ids(struct ids *ids)
{
  for (size_t i = 0; i < ids->count; i++) free(ids->of[i]);
  free(ids->of);
}

void snapshot_free(struct snapshot *snapshot)
{
  free_ids(&snapshot->orders.known);
  free_ids(&snapshot->transactions.known);
  free(snapshot->expires_at);
  *snapshot = SNAPSHOT_INIT;
}

static const char *const sorting_words[] = {[LIST_UNSORTED] = "",
                                            [LIST_NEWEST_FIRST] = "newest first",
                                            [LIST_OLDEST_FIRST] = "oldest first"};

static bool is_one_line(const char *text)
{
  return !strpbrk(text, "\n\r");
}

/* `name`: "orders"; a record of it has the same name without the s. */
static bool write_list(const struct list_state *list, const char *name, struct buffer *text)
{
  bool ok = true, whole = list->whole;
  int record = (int)strlen(name) - 1;
  for (size_t i = 0; ok && i < list->known.count; i++) {
    if (!is_one_line(list->known.of[i]))
      whole = false;
    else
      ok = buffer_print(text, "%.*s %s\n", record, name, list->known.of[i]);
  }
  if (whole) ok = ok && buffer_print(text, "%s whole\n", name);
  if (list->sorting != LIST_UNSORTED)
    ok = ok && buffer_print(text, "%s %s\n", name, sorting_words[list->sorting]);
  if (list->total >= 0)
    ok = ok && buffer_print(text, "%s total %lld\n", name, (long long)list->total);
  if (list->page_size > 0)
    ok = ok && buffer_print(text, "%s page %lld\n", name, (long long)list->page_size);
  return ok;
}

#define MILLISECOND 0.001 /* seconds: a smaller time is written as 0, which means unknown */

bool snapshot_write(const struct snapshot *snapshot, struct buffer *text)
{
  char balance[MONEY_TEXT];
  bool ok = true;
  if (snapshot->has_balance) {
    money_format(snapshot->balance, balance);
    ok = buffer_print(text, "balance %s\n", balance);
  }
  if (snapshot->has_balance && snapshot->returned_balance != snapshot->balance) {
    money_format(snapshot->returned_balance, balance);
    ok = ok && buffer_print(text, "returned_balance %s\n", balance);
  }
  if (snapshot->taken_at >= MILLISECOND)
    ok = ok && buffer_print(text, "taken_at %.3f\n", snapshot->taken_at);
  if (snapshot->sent_at >= MILLISECOND)
    ok = ok && buffer_print(text, "sent_at %.3f\n", snapshot->sent_at);
  if (snapshot->reused > 0)
    ok = ok && buffer_print(text, "reused %lld\n", (long long)snapshot->reused);
  if (snapshot->expires_at && is_one_line(snapshot->expires_at))
    ok = ok && buffer_print(text, "expires_at %s\n", snapshot->expires_at);
  if (snapshot->elsewhere.known) {
    const struct elsewhere *elsewhere = &snapshot->elsewhere;
    money_format(elsewhere->sum, balance);
    ok = ok && buffer_print(text, "elsewhere %" PRId64 " %s %" PRId64 " %d\n", elsewhere->day,
                            balance, elsewhere->count, elsewhere->partial);
  }
  return ok && write_list(&snapshot->orders, "orders", text) &&
         write_list(&snapshot->transactions, "transactions", text);
}

/* The text after a word and a space, or NULL. */
static const char *after(const char *line, const char *word)
{
  size_t size = strlen(word);
  return strncmp(line, word, size) == 0 && line[size] == ' ' ? line + size + 1 : NULL;
}

static void read_fact(struct list_state *list, const char *fact)
{
  const char *count;
  if (strcmp(fact, "whole") == 0) list->whole = true;
  if ((count = after(fact, "total"))) list->total = strtoll(count, NULL, 10);
  if ((count = after(fact, "page"))) list->page_size = strtoll(count, NULL, 10);
  for (int sorting = LIST_NEWEST_FIRST; sorting <= LIST_OLDEST_FIRST; sorting++)
    if (strcmp(fact, sorting_words[sorting]) == 0) list->sorting = (enum list_order)sorting;
}

static void read_elsewhere(struct elsewhere *elsewhere, const char *text)
{
  char sum[MONEY_TEXT];
  int partial;
  elsewhere->known = sscanf(text, "%" SCNd64 " %23s %" SCNd64 " %d", &elsewhere->day, sum,
                            &elsewhere->count, &partial) == 4 &&
                     money_parse(sum, strlen(sum), &elsewhere->sum) == MONEY_OK;
  elsewhere->partial = elsewhere->known && partial != 0;
}

static bool read_line(struct snapshot *snapshot, const char *line)
{
  const char *rest;
  if ((rest = after(line, "order"))) return ids_add(&snapshot->orders.known, rest);
  if ((rest = after(line, "transaction"))) return ids_add(&snapshot->transactions.known, rest);
  if ((rest = after(line, "orders"))) {
    read_fact(&snapshot->orders, rest);
  } else if ((rest = after(line, "transactions"))) {
    read_fact(&snapshot->transactions, rest);
  } else if ((rest = after(line, "balance"))) {
    snapshot->has_balance = money_parse(rest, strlen(rest), &snapshot->balance) == MONEY_OK;
    snapshot->returned_balance = snapshot->balance;
  } else if ((rest = after(line, "returned_balance"))) {
    if (money_parse(rest, strlen(rest), &snapshot->returned_balance) != MONEY_OK)
      snapshot->returned_balance = snapshot->balance;
  } else if ((rest = after(line, "taken_at"))) {
    snapshot->taken_at = strtod(rest, NULL);
  } else if ((rest = after(line, "sent_at"))) {
    snapshot->sent_at = strtod(rest, NULL);
  } else if ((rest = after(line, "reused"))) {
    snapshot->reused = strtoll(rest, NULL, 10);
  } else if ((rest = after(line, "elsewhere"))) {
    read_elsewhere(&snapshot->elsewhere, rest);
  } else if ((rest = after(line, "expires_at"))) {
    free(snapshot->expires_at);
    snapshot->expires_at = strdup(rest);
    return snapshot->expires_at;
  } else if (strcmp(line, "whole") == 0) { /* as earlier versions wrote it */
    snapshot->orders.whole = true;
  }
  return true;
}

bool snapshot_read(struct snapshot *snapshot, const char *text)
{
  char *copy = strdup(text ? text : ""), *next = copy, *line;
  bool ok = copy;
  while (ok && (line = strsep(&next, "\n"))) ok = read_line(snapshot, line);
  free(copy);
  return ok;
}
