/* The right to charge an account, in a database: advisory locks of the session, which end with it.
 * An account has two: the lock, and the place in the queue for it. Whatever is written under the
 * right is written on this very session, so a machine that was cut off for a while cannot act on a
 * right that has passed to another. A pooler between the two must leave a session to one client
 * (PgBouncer: pool_mode=session). */
#include <stdio.h>

#include "store/postgres.h"

/* Calls a function of one lock's name that answers a boolean. */
static bool call(struct postgres *pg, enum postgres_statement function, int64_t name, bool *yes,
                 struct error *err)
{
  char text[24];
  snprintf(text, sizeof text, "%lld", (long long)name);
  PGresult *result =
      postgres_run(pg, function, &(struct postgres_param){.value = text}, false, err);
  if (!result) return false;
  *yes = pg->lib.PQgetvalue(result, 0, 0)[0] == 't';
  pg->lib.PQclear(result);
  return true;
}

static bool give_back(struct postgres *pg, void *arg, struct error *err)
{
  (void)arg;
  pg->driver.token = 0;
  pg->queued = false;
  return postgres_do(pg, PG_UNLOCK_ALL, NULL, NULL, err);
}

/* Such locks are counted: none is asked for that is there already. */
static bool take(struct postgres *pg, void *arg, struct error *err)
{
  const struct journal_lock *lock = arg;
  int64_t name = store_lock_name(lock->account);
  bool got;
  if (!pg->queued && !call(pg, PG_TRY_LOCK, name + 1, &pg->queued, err)) return false;
  if (!pg->queued) return true;
  if (!call(pg, PG_TRY_LOCK, name, &got, err)) return false;
  if (!got) return true;
  if (!call(pg, PG_UNLOCK, name + 1, &got, err)) return false;
  pg->queued = false;
  pg->driver.token = loop_clock();
  return true;
}

bool postgres_lock(struct store_driver *driver, struct journal_lock *lock)
{
  struct postgres *pg = (struct postgres *)driver;
  lock->token = 0;
  if (!lock->account) return postgres_read(pg, give_back, lock, &lock->job.err);
  if (!postgres_read(pg, take, lock, &lock->job.err)) return false;
  lock->token = driver->token;
  return true;
}
