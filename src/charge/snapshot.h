/* What existed before a charge was sent. Should its answer be lost, this and what exists then tell
 * what came of it. */
#ifndef PROXYLUA_CHARGE_SNAPSHOT_H
#define PROXYLUA_CHARGE_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/money.h"

struct ids {
  char **of;
  size_t count, capacity;
};

struct snapshot {
  bool has_balance;
  money balance;
  double taken_at;  /* seconds since 1970 by the server's clock; 0: not known */
  bool whole;       /* `orders` are all that there were */
  char *expires_at; /* of the order that is to be extended, as the server tells it; NULL: not told,
                       or no extension */
  struct ids orders;
  bool movements_whole; /* `movements` are all transactions that there were; else the newest, or
                           some */
  struct ids movements;
};

void snapshot_free(struct snapshot *snapshot);

/* Adds an id. False when memory is out. */
bool ids_add(struct ids *ids, const char *id);
bool ids_have(const struct ids *ids, const char *id);

/* As it lies in the journal, a line a fact: "balance 9.30", "taken_at 1764086400", "expires_at …",
 * "whole", "order ord_1", "transactions whole", "transaction txn_1". Texts with control characters
 * are left out, and nothing is whole then. */
bool snapshot_write(const struct snapshot *snapshot, struct buffer *text);

/* Reads it back; zero it first. False when memory is out. NULL and lines that are not known are
 * passed over. */
bool snapshot_read(struct snapshot *snapshot, const char *text);

#endif
