/* The lock of an account, beside a SQLite store: open-file-description locks on bytes of a file
 * next to it, which the kernel releases when the process ends. Each account has two bytes: the
 * lock, and the place in the queue for it. A waiting process holds that place, so one that charges
 * all the time does not keep the others out. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/sqlite.h"

static bool fail(const struct sqlite *sqlite, struct error *err)
{
  const char *why = strerror(errno), *next = errno == ENOSPC ? "make room and try again"
                                             : errno == EACCES
                                                 ? "change its owner and mode so that you can write"
                                                 : "the folder must be writable";
  error_set(err, ERROR_STORE, "the store %s: its lock file %s-lock: %s; %s", sqlite->path,
            sqlite->path, why, next);
  return false;
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

/* 1: locked, 0: another process holds it, -1: failed. */
static int set(const struct sqlite *sqlite, int64_t at, short type)
{
  struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
  if (fcntl(sqlite->lock_fd, F_OFD_SETLK, &lock) == 0) return 1;
  return errno == EAGAIN || errno == EACCES ? 0 : -1;
}

static bool give_back(struct sqlite *sqlite, struct error *err)
{
  bool ok = sqlite->lock_fd < 0 || (set(sqlite, sqlite->lock_name, F_UNLCK) > 0 &&
                                    set(sqlite, sqlite->lock_name + 1, F_UNLCK) > 0);
  sqlite->driver.token = 0;
  sqlite->queued = false;
  return ok || fail(sqlite, err);
}

static bool take(struct sqlite *sqlite, struct error *err)
{
  if (!sqlite->queued) {
    int got = set(sqlite, sqlite->lock_name + 1, F_WRLCK);
    if (got <= 0) return got == 0 || fail(sqlite, err);
    sqlite->queued = true;
  }
  int got = set(sqlite, sqlite->lock_name, F_WRLCK);
  if (got <= 0) return got == 0 || fail(sqlite, err);
  sqlite->queued = false;
  sqlite->driver.token = loop_clock();
  return set(sqlite, sqlite->lock_name + 1, F_UNLCK) > 0 || fail(sqlite, err);
}

bool sqlite_lock(struct store_driver *driver, struct journal_lock *lock)
{
  struct sqlite *sqlite = (struct sqlite *)driver;
  struct error *err = &lock->job.err;
  bool shared = strcmp(sqlite->path, ":memory:") != 0;
  lock->token = 0;
  if (!lock->account) return give_back(sqlite, err);
  sqlite->lock_name = store_lock_name(lock->account);
  if (!shared)
    driver->token = loop_clock();
  else if (!open_file(sqlite, err) || !take(sqlite, err))
    return false;
  lock->token = driver->token;
  return true;
}
