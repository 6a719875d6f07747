#include "core/snapshot.h"

#include <stdlib.h>
#include <string.h>

void snapshot_free(struct snapshot *snapshot)
{
  for (size_t i = 0; i < snapshot->count; i++) free(snapshot->orders[i]);
  free(snapshot->orders);
  free(snapshot->expires_at);
  *snapshot = (struct snapshot){0};
}

bool snapshot_add(struct snapshot *snapshot, const char *id)
{
  if (strchr(id, '\n')) {
    snapshot->whole = false;
    return true;
  }
  if (snapshot->count == snapshot->capacity) {
    size_t capacity = snapshot->capacity ? snapshot->capacity * 2 : 64;
    char **orders = realloc(snapshot->orders, capacity * sizeof *orders);
    if (!orders) return false;
    snapshot->orders = orders;
    snapshot->capacity = capacity;
  }
  char *copy = strdup(id);
  if (copy) snapshot->orders[snapshot->count++] = copy;
  return copy;
}

bool snapshot_has(const struct snapshot *snapshot, const char *id)
{
  for (size_t i = 0; i < snapshot->count; i++)
    if (strcmp(snapshot->orders[i], id) == 0) return true;
  return false;
}

bool snapshot_write(const struct snapshot *snapshot, struct buffer *text)
{
  char balance[MONEY_TEXT];
  bool ok = true;
  if (snapshot->has_balance) {
    money_format(snapshot->balance, balance);
    ok = buffer_print(text, "balance %s\n", balance);
  }
  if (snapshot->taken_at > 0) ok = ok && buffer_print(text, "taken_at %.3f\n", snapshot->taken_at);
  if (snapshot->expires_at && !strchr(snapshot->expires_at, '\n'))
    ok = ok && buffer_print(text, "expires_at %s\n", snapshot->expires_at);
  if (snapshot->whole) ok = ok && buffer_add_text(text, "whole\n");
  for (size_t i = 0; i < snapshot->count; i++) ok = ok && buffer_print(text, "order %s\n", snapshot->orders[i]);
  return ok;
}

/* What stands behind a word and a blank, or NULL. */
static const char *after(const char *line, const char *word)
{
  size_t size = strlen(word);
  return strncmp(line, word, size) == 0 && line[size] == ' ' ? line + size + 1 : NULL;
}

static bool read_line(struct snapshot *snapshot, const char *line)
{
  const char *rest;
  if ((rest = after(line, "order"))) return snapshot_add(snapshot, rest);
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
