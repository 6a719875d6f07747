#include "charge/snapshot.h"

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
  free_ids(&snapshot->orders);
  free_ids(&snapshot->movements);
  free(snapshot->expires_at);
  *snapshot = (struct snapshot){0};
}

/* --- writing --- */

static bool is_one_line(const char *text)
{
  return !strpbrk(text, "\n\r");
}

static bool write_ids(const struct ids *ids, const char *word, bool *whole, struct buffer *text)
{
  for (size_t i = 0; i < ids->count; i++) {
    if (!is_one_line(ids->of[i]))
      *whole = false;
    else if (!buffer_print(text, "%s %s\n", word, ids->of[i]))
      return false;
  }
  return true;
}

bool snapshot_write(const struct snapshot *snapshot, struct buffer *text)
{
  char balance[MONEY_TEXT];
  bool ok = true, whole = snapshot->whole, movements_whole = snapshot->movements_whole;
  if (snapshot->has_balance) {
    money_format(snapshot->balance, balance);
    ok = buffer_print(text, "balance %s\n", balance);
  }
  if (snapshot->taken_at > 0) ok = ok && buffer_print(text, "taken_at %.3f\n", snapshot->taken_at);
  if (snapshot->expires_at && is_one_line(snapshot->expires_at))
    ok = ok && buffer_print(text, "expires_at %s\n", snapshot->expires_at);
  ok = ok && write_ids(&snapshot->orders, "order", &whole, text) &&
       write_ids(&snapshot->movements, "transaction", &movements_whole, text);
  if (whole) ok = ok && buffer_add_text(text, "whole\n");
  if (movements_whole) ok = ok && buffer_add_text(text, "transactions whole\n");
  return ok;
}

/* --- reading --- */

/* What stands behind a word and a blank, or NULL. */
static const char *after(const char *line, const char *word)
{
  size_t size = strlen(word);
  return strncmp(line, word, size) == 0 && line[size] == ' ' ? line + size + 1 : NULL;
}

static bool read_line(struct snapshot *snapshot, const char *line)
{
  const char *rest;
  if ((rest = after(line, "order"))) return ids_add(&snapshot->orders, rest);
  if ((rest = after(line, "transaction"))) return ids_add(&snapshot->movements, rest);
  if ((rest = after(line, "balance"))) {
    snapshot->has_balance = money_parse(rest, strlen(rest), &snapshot->balance) == MONEY_OK;
  } else if ((rest = after(line, "taken_at"))) {
    snapshot->taken_at = strtod(rest, NULL);
  } else if ((rest = after(line, "expires_at"))) {
    free(snapshot->expires_at);
    snapshot->expires_at = strdup(rest);
    return snapshot->expires_at;
  } else if (strcmp(line, "whole") == 0) {
    snapshot->whole = true;
  } else if (strcmp(line, "transactions whole") == 0) {
    snapshot->movements_whole = true;
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
