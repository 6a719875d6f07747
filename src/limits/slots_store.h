/* The states of the scopes in the store, where all processes share them. */
#ifndef PROXYLUA_LIMITS_SLOTS_STORE_H
#define PROXYLUA_LIMITS_SLOTS_STORE_H

#include <stddef.h>

#include "limits/slots.h"
#include "store/store.h"

/* Endings, takings and views, in this order, in one transaction. Without endings and takings it
 * only reads. */
struct slots_job {
  struct store_job job;
  char key[65];    /* the owner of the slots: hex SHA-256 of base URL and key */
  unsigned scopes; /* those wanted in `views`; must include the scopes of all endings and
                      takings */
  struct slots_rule rules[SLOTS_SCOPES];
  struct slots_ending *endings;
  size_t ending_count;
  struct slots_taking *takings; /* the results are written here */
  size_t taking_count;
  int64_t asked_at; /* a time of loop_clock() before the takings, from which the leases count */
  struct slots_view views[SLOTS_SCOPES]; /* the result, after all takings */
  int64_t answered_at;                   /* loop_clock() from which the views' durations count */
};

/* job.done must be set. Errors are of kind `store`: then no slot was taken, and endings keep their
 * leases. */
void slots_submit(struct store *store, struct slots_job *slots);

#endif
