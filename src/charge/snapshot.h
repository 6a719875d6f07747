/* The baseline of a charge: what existed before it was sent. If its response is lost, the
 * reconciliation compares the baseline with what exists later. */
#ifndef PROXYLUA_CHARGE_SNAPSHOT_H
#define PROXYLUA_CHARGE_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/money.h"

struct ids {
  char **of;
  size_t count, capacity;
};

/* How the server sorts a list, as far as the times of its records show. */
enum list_order { LIST_UNSORTED, LIST_NEWEST_FIRST, LIST_OLDEST_FIRST };

/* What a list held, as far as it was read: one page at the end where new records appear (at both
 * ends, if the sorting is unknown), however long the list is. */
struct list_state {
  bool whole; /* `known` has all records */
  enum list_order sorting;
  int64_t total;     /* records, as the server counts them; negative: unknown */
  int64_t page_size; /* records that the server puts on a page; 0: unknown */
  struct ids known;
};

/* What the account was charged on a day that the journal does not have (reconcile_sum_day). */
struct elsewhere {
  bool known;  /* the other fields are filled in */
  int64_t day; /* days since 1970, UTC */
  money sum;
  int64_t count;
  bool partial; /* there may be more, since the API does not show all of that day */
};

struct snapshot {
  bool has_balance;
  money balance;
  money returned_balance; /* as the API returned it: without the charges that were then subtracted,
                             since the journal has them and a cached balance lacks them */
  double taken_at;        /* seconds since 1970 by the server's clock; 0: unknown */
  double sent_at;   /* same unit: when the intent was written, right before the request left */
  int64_t reused;   /* the id of the earlier journal entry for which it was taken: later entries are
                       not included; 0: it was taken for this charge */
  char *expires_at; /* of the order to extend, as the server writes it; NULL: unknown */
  struct list_state orders;
  struct list_state transactions; /* by their marks: ids, or fields (reconcile_mark) */
  struct elsewhere elsewhere;
};

#define LIST_STATE_INIT ((struct list_state){.total = -1})
#define SNAPSHOT_INIT ((struct snapshot){.orders.total = -1, .transactions.total = -1})

void snapshot_free(struct snapshot *snapshot);

/* Adds an id. False if memory is out. */
bool ids_add(struct ids *ids, const char *id);
bool ids_have(const struct ids *ids, const char *id);

/* Appends the form stored in the journal, one fact a line: "balance 9.30", "returned_balance
 * 12.40" where it differs, "taken_at 1764086400", "sent_at …", "reused 17", "expires_at …", "order
 * ord_1", "transaction txn_1"; and for each list "orders whole", "orders newest first" or "orders
 * oldest first", "orders total 600", "orders page 100"; "elsewhere DAY 3.10 COUNT PARTIAL". Texts
 * with line breaks are skipped, and then the list is not whole. False if out of memory. */
bool snapshot_write(const struct snapshot *snapshot, struct buffer *text);

/* Reads it back into SNAPSHOT_INIT. NULL and unknown lines are skipped. False if memory is out. */
bool snapshot_read(struct snapshot *snapshot, const char *text);

#endif
