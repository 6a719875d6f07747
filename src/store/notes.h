/* Small texts that outlive a run: the pool of an order, the last checks of a proxy, reported
 * alerts. A note is a text under an owner (a base URL, or "" for the store itself), a kind and a
 * name. */
#ifndef PROXYLUA_STORE_NOTES_H
#define PROXYLUA_STORE_NOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

struct note {
  char *name;
  char *text;     /* NULL: it does not exist */
  int64_t put_at; /* microseconds since 1970, by the store's clock */
};

/* Jobs like those of charge/journal.h: input texts must be UTF-8 and live until done; the results
 * are freed by notes_free. */

/* Fills in the texts of the given names; the caller owns the names. */
struct notes_get {
  struct store_job job;
  const char *owner, *kind;
  struct note *notes;
  size_t count;
};

/* Writes all of them in one durable transaction. A note without a text is removed. */
struct notes_put {
  struct store_job job;
  const char *owner, *kind;
  const struct note *notes;
  size_t count;
  bool only_new;   /* do not change existing notes */
  int64_t changed; /* number of notes written or removed */
};

/* Lists those of a kind, in the order of the bytes of their names. */
struct notes_list {
  struct store_job job;
  const char *owner, *kind;
  const char *after; /* names after this one; "" for the first */
  int limit;
  struct note *notes;
  size_t count;
};

/* Removes those of a kind that have not been written for longer than `age`. */
struct notes_forget {
  struct store_job job;
  const char *owner, *kind;
  int64_t age; /* microseconds */
  int64_t forgotten;
};

void notes_get(struct store *store, struct notes_get *get);
void notes_put(struct store *store, struct notes_put *put);
void notes_list(struct store *store, struct notes_list *list);
void notes_forget(struct store *store, struct notes_forget *forget);

/* Frees the results of a list, or the texts of a get. */
void notes_list_free(struct notes_list *list);
void notes_get_free(struct notes_get *get);

#endif
