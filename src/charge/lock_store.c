/* The lock of an account in the store: a row with the random token of its holder, and a lease by
 * the store's clock. Each write under the lock matches the token in its own transaction, so a
 * process that was stopped or cut off for longer than the lease cannot write after another one has
 * taken the lock; no session or connection matters. A holder that has ended is recognised earlier:
 * in a file by the lock that it had on a byte (`claim` of struct store_ops), in a database by its
 * connection. The row has one place in a queue, which a process keeps by asking repeatedly: one
 * that charges again and again does not lock the others out. */
#include <string.h>
#include <sys/random.h>

#include "charge/journal_store.h"

#define RENEW_EVERY INT64_C(1500000) /* microseconds */
#define PLACE INT64_C(3000000)       /* of the place in the queue */
#define LEASE DB_EITHER("10000000", "6000000")

/* While the holder renews its lease in time, at least four seconds of it are left. Behind a pooler
 * its connection stays open. */
#define HOLDER_LIVES                                                                         \
  DB_EITHER("alive(token)", "(until > " DB_SERVER_TIME                                       \
                            " + 4000000 OR EXISTS (SELECT FROM pg_stat_activity AS a WHERE " \
                            "a.pid = backend))")
#define NEXT_LIVES DB_EITHER("alive(next)", "true")
#define BACKEND DB_EITHER("", ", backend")
#define BACKEND_IS DB_EITHER("", ", backend = pg_backend_pid()")

enum { TOKEN, UNTIL, NEXT, NEXT_UNTIL, NOW, LIVES, WAITS };

static const char look_at_lock[] =
    "SELECT token, until, next, next_until, " DB_TICK ", " HOLDER_LIVES ", " NEXT_LIVES
    " FROM locks WHERE account = $1 AND clock = $2";
/* If the row is as it was read, or of another boot. */
static const char take_lock[] =
    "INSERT INTO locks (account, clock, token, until, next, next_until" BACKEND
    ") VALUES ($1, $2, $3, " DB_TICK " + " LEASE ", 0, 0" DB_EITHER("", ", pg_backend_pid()")
    ") ON CONFLICT (account) DO UPDATE SET clock = excluded.clock, token = excluded.token, "
    "until = excluded.until, next = 0, next_until = 0" BACKEND_IS
    " WHERE locks.clock != excluded.clock OR (locks.token = $4 AND locks.until = $5 AND "
    "locks.next = $6)";
static const char take_place[] = "UPDATE locks SET next = $3, next_until = " DB_TICK
                                 " + $6 WHERE account = $1 AND clock = $2 AND token = $4 AND "
                                 "next = $5";
static const char renew_lock[] =
    "UPDATE locks SET until = " DB_TICK " + " LEASE BACKEND_IS " WHERE token = $1";
static const char give_lock[] =
    "UPDATE locks SET until = CASE WHEN token = $1 THEN 0 ELSE until END, "
    "token = CASE WHEN token = $1 THEN 0 ELSE token END, "
    "next_until = CASE WHEN next = $2 THEN 0 ELSE next_until END, "
    "next = CASE WHEN next = $2 THEN 0 ELSE next END WHERE token = $1 OR next = $2";

struct asking {
  struct journal_lock *job;
  int64_t asking;
  bool first; /* it has not asked before: it tries to take a lock that is free */
  int64_t taken;
  struct {
    int64_t token, until, next, next_until, now;
    bool lives, next_lives;
  } row; /* zero: there is none of this boot */
};

static bool lost(struct error *err)
{
  error_set(err, ERROR_STORE,
            "this process lost the lock of the account: it was stopped or cut off from the store "
            "for too long, or the store was replaced; try again");
  return false;
}

bool journal_hold(struct store_driver *driver, int64_t token, int64_t *held, struct error *err)
{
  *held = 0;
  if (token == 0) return true;
  struct journal_run *run = journal_run(driver, err);
  if (!run) return false;
  if (token == run->token) run->renew_at = loop_clock() + RENEW_EVERY;
  return db_run(driver, renew_lock, DB_WITH(DB_NUMBER(token)), held, err);
}

bool journal_has_lock(struct store_driver *driver, int64_t token, int64_t held, struct error *err)
{
  if (token == 0 || held > 0) return true;
  struct journal_run *run = journal_run(driver, err);
  if (run && run->token == token) run->token = 0;
  return lost(err);
}

/* A positive random number that no other process has. */
static bool make_token(struct store_driver *driver, int64_t *token, struct error *err)
{
  uint64_t bits = 0;
  if (getrandom(&bits, sizeof bits, 0) != sizeof bits) {
    error_set(err, ERROR_INTERNAL, "the system returned no random bytes");
    return false;
  }
  int64_t number = (int64_t)(bits >> 2 | 1);
  if (driver->ops->claim && !driver->ops->claim(driver, number, err)) return false;
  *token = number;
  return true;
}

static bool read_lock(void *arg, const struct db_row *row, struct error *err)
{
  (void)err;
  struct asking *ask = arg;
  ask->row.token = db_number(row, TOKEN);
  ask->row.until = db_number(row, UNTIL);
  ask->row.next = db_number(row, NEXT);
  ask->row.next_until = db_number(row, NEXT_UNTIL);
  ask->row.now = db_number(row, NOW);
  ask->row.lives = db_number(row, LIVES);
  ask->row.next_lives = db_number(row, WAITS);
  return true;
}

static bool take(struct store_driver *driver, struct asking *ask, struct error *err)
{
  return db_run(driver, take_lock,
                DB_WITH(DB_TEXT(ask->job->account), DB_TEXT(driver->clock), DB_NUMBER(ask->asking),
                        DB_NUMBER(ask->row.token), DB_NUMBER(ask->row.until),
                        DB_NUMBER(ask->row.next)),
                &ask->taken, err);
}

static bool read_entries(struct store_driver *driver, const struct journal_lock *job,
                         struct error *err)
{
  return (!job->review || journal_read_review(driver, job->review, err)) &&
         (!job->find || journal_read_find(driver, job->find, err));
}

static void free_entries(const struct journal_lock *job)
{
  if (job->review) journal_review_free(job->review);
  if (job->find) journal_entry_free(&job->find->entry);
}

/* Most times this only reads, so that processes that wait do not slow down the one that writes. */
static bool look(struct store_driver *driver, void *arg, struct error *err)
{
  struct asking *ask = arg;
  memset(&ask->row, 0, sizeof ask->row);
  ask->taken = 0;
  return (!ask->first || take(driver, ask, err)) &&
         db_read(driver, look_at_lock, DB_WITH(DB_TEXT(ask->job->account), DB_TEXT(driver->clock)),
                 read_lock, ask, err) &&
         (!ask->first || read_entries(driver, ask->job, err));
}

enum step { WAIT, TAKE_PLACE, TAKE };

static enum step next_step(const struct asking *ask)
{
  bool mine = ask->row.token == ask->asking, next = ask->row.next == ask->asking;
  bool held = ask->row.token != 0 && !mine && ask->row.until > ask->row.now && ask->row.lives;
  bool waited_for =
      ask->row.next != 0 && !next && ask->row.next_until > ask->row.now && ask->row.next_lives;
  if (waited_for) return WAIT;
  if (!held) return TAKE;
  return next && ask->row.next_until > ask->row.now + PLACE / 2 ? WAIT : TAKE_PLACE;
}

static bool write(struct store_driver *driver, void *arg, struct error *err)
{
  struct asking *ask = arg;
  if (next_step(ask) == TAKE) return take(driver, ask, err) && read_entries(driver, ask->job, err);
  return db_run(driver, take_place,
                DB_WITH(DB_TEXT(ask->job->account), DB_TEXT(driver->clock), DB_NUMBER(ask->asking),
                        DB_NUMBER(ask->row.token), DB_NUMBER(ask->row.next), DB_NUMBER(PLACE)),
                NULL, err);
}

bool journal_release(struct store_driver *driver, struct error *err)
{
  const struct journal_run *run = driver->run->kept;
  return db_run(driver, give_lock,
                DB_WITH(DB_NUMBER(run->token ? run->token : -1),
                        DB_NUMBER(run->asking ? run->asking : -1)),
                NULL, err);
}

bool journal_forget_lock(struct store_driver *driver, struct error *err)
{
  struct journal_run *run = driver->run->kept;
  run->token = run->asking = 0;
  return !driver->ops->unclaim || driver->ops->unclaim(driver, err);
}

static bool release(struct store_driver *driver, void *arg, struct error *err)
{
  (void)arg;
  return journal_release(driver, err);
}

/* A lease that was not released expires by itself. */
static bool give(struct store_driver *driver, struct journal_run *run, struct error *err)
{
  if (run->token == 0 && run->asking == 0) return true;
  bool ok = db_transact(driver, DB_LOOSE, release, NULL, err);
  return journal_forget_lock(driver, err) && ok;
}

static void leave(struct store_driver *driver, bool usable)
{
  struct journal_run *run = driver->run->kept;
  struct error ignored = ERROR_INIT;
  if (usable) give(driver, run, &ignored);
  run->token = run->asking = 0;
}

struct renewal {
  int64_t token, held;
};

static bool renew(struct store_driver *driver, void *arg, struct error *err)
{
  struct renewal *renewal = arg;
  return journal_hold(driver, renewal->token, &renewal->held, err);
}

/* A lock that was lost shows in the next write under it. */
static int64_t tend(struct store_driver *driver)
{
  struct journal_run *run = driver->run->kept;
  struct error ignored = ERROR_INIT;
  if (run->token == 0) return -1;
  if (loop_clock() >= run->renew_at) {
    struct renewal renewal = {.token = run->token};
    run->renew_at = loop_clock() + RENEW_EVERY;
    if (db_transact(driver, DB_LOOSE, renew, &renewal, &ignored) && renewal.held == 0)
      run->token = 0;
  }
  int64_t left = run->renew_at - loop_clock();
  return left > 0 ? left : 0;
}

static void ask(struct store_driver *driver, struct journal_run *run, struct journal_lock *job)
{
  struct error *err = &job->job.err;
  struct asking ask = {.job = job, .first = run->asking == 0};
  driver->run->tend = tend;
  driver->run->leave = leave;
  if (ask.first && !make_token(driver, &run->asking, err)) return;
  ask.asking = run->asking;
  if (!db_transact(driver, ask.first ? DB_LOOSE : DB_READ, look, &ask, err) ||
      (!ask.taken && next_step(&ask) != WAIT && !db_transact(driver, DB_LOOSE, write, &ask, err)))
    return;
  if (!ask.taken) return;
  job->token = run->token = run->asking;
  run->asking = 0;
  run->renew_at = loop_clock() + RENEW_EVERY;
}

static void work(struct store_job *job, struct store_driver *driver)
{
  struct journal_lock *lock = (struct journal_lock *)job;
  struct journal_run *run = journal_run(driver, &job->err);
  lock->token = 0;
  if (!run || !store_is_same(driver->run, &job->err)) return;
  if (lock->account) {
    ask(driver, run, lock);
    if (lock->token == 0) free_entries(lock);
  } else {
    give(driver, run, &job->err);
  }
}

void journal_lock(struct store *store, struct journal_lock *lock)
{
  lock->job.work = work;
  store_submit(store, &lock->job);
}
