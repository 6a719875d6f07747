/* The lock of an account in a database: a row with the random token of its holder, and a lease by
 * the database's clock. Every write under the lock compares the token in its own transaction, so a
 * process that was stopped or cut off for longer than the lease cannot write once another holds the
 * lock. It works behind any pooler, since it does not depend on a session. The row has one place in
 * a queue, which a process keeps by asking repeatedly: so one that charges all the time does not
 * keep the others out. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "store/postgres.h"

#define RENEW_EVERY INT64_C(1500000) /* microseconds: a quarter of the lease (libpq.c) */

struct digits {
  char text[24];
};

static struct postgres_param param(struct digits *digits, int64_t number)
{
  snprintf(digits->text, sizeof digits->text, "%" PRId64, number);
  return (struct postgres_param){.value = digits->text};
}

/* A token that no other process has: positive and random. */
static bool make_token(int64_t *token, struct error *err)
{
  uint64_t bits = 0;
  if (getrandom(&bits, sizeof bits, 0) != sizeof bits) {
    error_set(err, ERROR_INTERNAL, "the system has no random bytes");
    return false;
  }
  *token = (int64_t)(bits >> 1) | 1;
  return true;
}

bool postgres_hold(struct postgres *pg, int64_t token, struct error *err)
{
  struct digits digits;
  if (token == 0) return true;
  const struct postgres_param params[] = {param(&digits, token)};
  if (token == pg->driver.token) pg->renew_at = loop_clock() + RENEW_EVERY;
  return postgres_ahead(pg, PG_LOCK_HOLD, params, err);
}

static bool give_back(struct postgres *pg, void *arg, struct error *err)
{
  (void)arg;
  struct digits token, asking;
  const struct postgres_param params[] = {param(&token, pg->driver.token ? pg->driver.token : -1),
                                          param(&asking, pg->asking ? pg->asking : -1)};
  return postgres_do(pg, PG_LOCK_GIVE, params, NULL, err);
}

static bool give(struct postgres *pg, struct error *err)
{
  if (pg->driver.token == 0 && pg->asking == 0) return true;
  bool ok = postgres_transact(pg, give_back, NULL, err);
  pg->driver.token = pg->asking = 0;
  return ok;
}

/* A lease that was not released expires by itself. */
void postgres_unlock(struct postgres *pg)
{
  struct error ignored = ERROR_INIT;
  if (!pg->lost && pg->connection) give(pg, &ignored);
}

static bool make_row(struct postgres *pg, void *arg, struct error *err)
{
  const struct journal_lock *lock = arg;
  return postgres_do(pg, PG_LOCK_MAKE, &(struct postgres_param){.value = lock->account}, NULL, err);
}

static bool take(struct postgres *pg, void *arg, struct error *err)
{
  struct journal_lock *lock = arg;
  struct digits token;
  const struct postgres_param params[] = {{.value = lock->account}, param(&token, pg->asking)};
  PGresult *result = postgres_run(pg, PG_LOCK_TAKE, params, false, err);
  if (!result) return false;
  bool got = pg->lib.PQntuples(result) > 0 && pg->lib.PQgetvalue(result, 0, 0)[0] == 't';
  lock->token = got ? pg->asking : 0;
  pg->lib.PQclear(result);
  return true;
}

bool postgres_lock(struct store_driver *driver, struct journal_lock *lock)
{
  struct postgres *pg = (struct postgres *)driver;
  struct error *err = &lock->job.err;
  lock->token = 0;
  if (!lock->account) return give(pg, err);
  if (pg->asking == 0 &&
      (!make_token(&pg->asking, err) || !postgres_transact(pg, make_row, lock, err)))
    return false;
  if (!postgres_transact(pg, take, lock, err)) return false;
  if (lock->token == 0) return true;
  driver->token = lock->token;
  pg->asking = 0;
  pg->renew_at = loop_clock() + RENEW_EVERY;
  return true;
}

static bool renew(struct postgres *pg, void *arg, struct error *err)
{
  struct digits token;
  const struct postgres_param params[] = {param(&token, pg->driver.token)};
  return postgres_do(pg, PG_LOCK_RENEW, params, arg, err);
}

/* A lost lock is detected when something is written under it. */
int64_t postgres_tend(struct store_driver *driver)
{
  struct postgres *pg = (struct postgres *)driver;
  struct error ignored = ERROR_INIT;
  int rows = 0;
  if (driver->token == 0) return -1;
  if (loop_clock() >= pg->renew_at) {
    bool ok = postgres_transact(pg, renew, &rows, &ignored);
    if (ok && rows == 0) driver->token = 0;
    pg->renew_at = loop_clock() + RENEW_EVERY;
  }
  int64_t left = pg->renew_at - loop_clock();
  return left > 0 ? left : 0;
}
