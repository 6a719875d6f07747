/* The lock of an account in a SQLite store: a row with a random token and a lease by the clock of
 * this boot. Each write under the lock matches the token in its own transaction, so a process that
 * was stopped for longer than the lease cannot write after another one has taken the lock. While a
 * process holds or waits for a lock it also has an open-file-description lock on one byte of a file
 * beside the store, at the offset of its token. The kernel drops that lock when the process ends,
 * so the lock of a killed process is free at once. The row has one place in the queue, which keeps
 * a process that charges again and again from locking the others out. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "store/sqlite.h"

#define LEASE INT64_C(10000000) /* microseconds */
#define RENEW_EVERY INT64_C(2000000)
#define PLACE INT64_C(3000000) /* of the place in the queue, which asking renews */

struct row {
  int64_t token, until, next, next_until;
};

static bool fail(const struct sqlite *sqlite, struct error *err)
{
  const char *why = strerror(errno),
             *next = errno == ENOLCK   ? "its file system has no locks; use a local one"
                     : errno == ENOSPC ? "make room and try again"
                     : errno == EACCES ? "change its owner and mode so that you can write"
                                       : "the folder must be writable";
  error_set(err, ERROR_STORE, "the store %s: its lock file %s-lock: %s; %s", sqlite->path,
            sqlite->path, why, next);
  return false;
}

static bool is_shared(const struct sqlite *sqlite)
{
  return strcmp(sqlite->path, ":memory:") != 0;
}

static bool open_file(struct sqlite *sqlite, struct error *err)
{
  char *path = NULL;
  if (sqlite->lock_fd >= 0) return true;
  if (asprintf(&path, "%s-lock", sqlite->path) < 0) {
    error_set(err, ERROR_INTERNAL, "out of memory");
    return false;
  }
  sqlite->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  free(path);
  return sqlite->lock_fd >= 0 || fail(sqlite, err);
}

/* A positive random token, and a lock on its byte. */
static bool begin_asking(struct sqlite *sqlite, struct error *err)
{
  uint64_t bits = 0;
  if (sqlite->asking != 0) return true;
  if (getrandom(&bits, sizeof bits, 0) != sizeof bits) {
    error_set(err, ERROR_INTERNAL, "the system returned no random bytes");
    return false;
  }
  struct flock byte = {.l_type = F_WRLCK,
                       .l_whence = SEEK_SET,
                       .l_start = (off_t)(bits >> 2 | 1),
                       .l_len = 1};
  if (is_shared(sqlite) &&
      (!open_file(sqlite, err) ||
       (fcntl(sqlite->lock_fd, F_OFD_SETLK, &byte) != 0 && !fail(sqlite, err))))
    return false;
  sqlite->asking = byte.l_start;
  return true;
}

/* Whether the process with a token still runs, stopped or not. */
static bool is_alive(const struct sqlite *sqlite, int64_t token)
{
  struct flock byte = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = token, .l_len = 1};
  return !is_shared(sqlite) || fcntl(sqlite->lock_fd, F_OFD_GETLK, &byte) != 0 ||
         byte.l_type != F_UNLCK;
}

static bool is_taken(const struct sqlite *sqlite, int64_t token, int64_t until, int64_t now)
{
  return token != 0 && token != sqlite->asking && until > now && is_alive(sqlite, token);
}

/* A lease of another boot is over. */
static bool read_row(struct sqlite *sqlite, const char *account, struct row *row, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement(sqlite, LOCK_GET, err);
  if (!statement) return false;
  *row = (struct row){0};
  sqlite_text(statement, 1, account);
  sqlite_text(statement, 2, sqlite->driver.clock);
  int code = sqlite3_step(statement);
  bool ok = code == SQLITE_DONE || code == SQLITE_ROW || sqlite_fail(sqlite, err);
  if (code == SQLITE_ROW)
    *row = (struct row){sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1),
                        sqlite3_column_int64(statement, 2), sqlite3_column_int64(statement, 3)};
  sqlite3_reset(statement);
  return ok;
}

static bool write_row(struct sqlite *sqlite, const char *account, const struct row *row,
                      struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement(sqlite, LOCK_PUT, err);
  if (!statement) return false;
  sqlite_text(statement, 1, account);
  sqlite_text(statement, 2, sqlite->driver.clock);
  const int64_t numbers[] = {row->token, row->until, row->next, row->next_until};
  for (int i = 0; i < 4; i++) sqlite3_bind_int64(statement, 3 + i, numbers[i]);
  return sqlite_run(sqlite, statement, err);
}

/* Takes the lock or the place in the queue, or keeps that. False if nothing is to be written. */
static bool advance(const struct sqlite *sqlite, struct row *row)
{
  int64_t now = loop_clock();
  bool taken = is_taken(sqlite, row->token, row->until, now);
  if (is_taken(sqlite, row->next, row->next_until, now)) return false;
  if (!taken)
    *row = (struct row){.token = sqlite->asking, .until = now + LEASE};
  else if (row->next == sqlite->asking && row->next_until > now + PLACE / 2)
    return false;
  else
    row->next = sqlite->asking, row->next_until = now + PLACE;
  return true;
}

/* Most tries only read, so that processes that wait do not slow down the one that writes. */
static bool take(struct sqlite *sqlite, struct journal_lock *lock, struct error *err)
{
  struct row row;
  if (!begin_asking(sqlite, err) || !read_row(sqlite, lock->account, &row, err)) return false;
  if (!advance(sqlite, &row)) return true;
  if (!sqlite_begin(sqlite, false, err)) return false;
  bool ok = read_row(sqlite, lock->account, &row, err);
  bool write = ok && advance(sqlite, &row);
  if (!sqlite_end(sqlite, ok && (!write || write_row(sqlite, lock->account, &row, err)), err))
    return false;
  if (!write || row.token != sqlite->asking) return true;
  lock->token = sqlite->driver.token = sqlite->asking;
  sqlite->asking = 0;
  sqlite->renew_at = loop_clock() + RENEW_EVERY;
  return true;
}

static bool run_give(struct sqlite *sqlite, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement(sqlite, LOCK_GIVE, err);
  if (!statement) return false;
  sqlite3_bind_int64(statement, 1, sqlite->driver.token ? sqlite->driver.token : -1);
  sqlite3_bind_int64(statement, 2, sqlite->asking ? sqlite->asking : -1);
  return sqlite_run(sqlite, statement, err);
}

static bool give(struct sqlite *sqlite, struct error *err)
{
  if (sqlite->driver.token == 0 && sqlite->asking == 0) return true;
  struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
  bool ok = sqlite_begin(sqlite, false, err) && sqlite_end(sqlite, run_give(sqlite, err), err);
  sqlite->driver.token = sqlite->asking = 0;
  if (sqlite->lock_fd < 0 || fcntl(sqlite->lock_fd, F_OFD_SETLK, &all) == 0) return ok;
  return ok && fail(sqlite, err);
}

bool sqlite_lock(struct store_driver *driver, struct journal_lock *lock)
{
  struct sqlite *sqlite = (struct sqlite *)driver;
  struct error *err = &lock->job.err;
  lock->token = 0;
  return lock->account ? take(sqlite, lock, err) : give(sqlite, err);
}

bool sqlite_hold(struct sqlite *sqlite, int64_t token, struct error *err)
{
  if (token == 0) return true;
  sqlite3_stmt *statement = sqlite_statement(sqlite, LOCK_RENEW, err);
  if (!statement || !journal_holds(&sqlite->driver, token, err)) return false;
  sqlite3_bind_int64(statement, 1, token);
  sqlite3_bind_int64(statement, 2, loop_clock() + LEASE);
  if (!sqlite_run(sqlite, statement, err)) return false;
  sqlite->renew_at = loop_clock() + RENEW_EVERY;
  if (sqlite3_changes(sqlite->db) > 0) return true;
  sqlite->driver.token = 0;
  return journal_lost(err);
}

/* A lock that was lost shows in the next write under it. */
int64_t sqlite_tend(struct store_driver *driver)
{
  struct sqlite *sqlite = (struct sqlite *)driver;
  struct error ignored = ERROR_INIT;
  if (driver->token == 0) return -1;
  if (loop_clock() >= sqlite->renew_at) {
    sqlite->renew_at = loop_clock() + RENEW_EVERY;
    if (sqlite_begin(sqlite, false, &ignored))
      sqlite_end(sqlite, sqlite_hold(sqlite, driver->token, &ignored), &ignored);
  }
  int64_t left = sqlite->renew_at - loop_clock();
  return left > 0 ? left : 0;
}
