/* Shared by the parts of the SQLite store: the connection, its prepared statements, transactions,
 * and errors. Private to store_sqlite*.c. */
#ifndef PROXYLUA_STORE_SQLITE_H
#define PROXYLUA_STORE_SQLITE_H

#include <sqlite3.h>
#include <sys/types.h>

#include "store/driver.h"

/* The part of a snapshot that stays when its entry is settled: the expiry date before an extension
 * (a line "expires_at …", charge/snapshot.h), which identifies it; else NULL. */
#define SQLITE_SNAPSHOT_KEPT                                                                       \
  "CASE WHEN instr(snapshot, 'expires_at ') > 0 THEN substr(snapshot, instr(snapshot, "            \
  "'expires_at '), instr(substr(snapshot, instr(snapshot, 'expires_at ')) || char(10), char(10)) " \
  "- 1) END"

/* Every prepared statement; their text is in sqlite.c. */
enum statement {
  BEGIN,
  BEGIN_READ,
  COMMIT,
  ROLLBACK,
  USER_VERSION,
  ACCOUNT_PUT,
  ACCOUNT_GET,
  CHARGE_BY_KEY,
  CHARGE_BY_ID,
  CHARGE_LIST,
  CHARGE_LIST_OPEN,
  CHARGE_LIST_SINCE,
  CHARGE_LIST_NEWEST,
  CHARGE_LIST_KEYS,
  CHARGE_LIST_ORDERS,
  CHARGE_LIST_STEMS,
  CHARGE_RETIRE,
  CHARGE_COUNT,
  CHARGE_PRUNE,
  CHARGE_REMOVE,
  RUNS_FORGET,
  CHARGE_INSERT,
  CHARGE_FORGET,
  CHARGE_SETTLE,
  CHARGE_AMEND,
  CHARGE_LIST_SETTLED,
  BASELINE_PUT,
  BASELINE_DROP,
  BASELINE_GET,
  LEDGER_GET,
  LEDGER_PUT,
  SPENT_GET,
  SPENT_FORGET,
  LOCK_GET,
  LOCK_PUT,
  LOCK_RENEW,
  LOCK_GIVE,
  STATEMENTS
};

struct sqlite {
  struct store_driver driver;
  const atomic_bool *hurry;
  sqlite3 *db;
  char *path;
  dev_t device; /* of the file that was opened, 0 for :memory: */
  ino_t inode;
  sqlite3_stmt *statements[STATEMENTS];
  struct sqlite_kept {
    const char *text; /* of struct db_statement */
    sqlite3_stmt *statement;
  } * kept; /* prepared statements */
  size_t kept_count;
  bool durable;     /* synchronous is FULL now */
  int64_t waited;   /* for a lock that others hold, in microseconds */
  int lock_fd;      /* of the lock file, -1: not open (lock_sqlite.c) */
  int64_t asking;   /* token with which a lock is asked for, 0: none */
  int64_t renew_at; /* loop_clock() when the lease is renewed */
};

/* The statement, ready to be bound. NULL with the error set. */
sqlite3_stmt *sqlite_statement(struct sqlite *sqlite, enum statement name, struct error *err);

/* Binds a text that must not change while the statement runs; NULL binds NULL. */
void sqlite_text(sqlite3_stmt *statement, int at, const char *text);

/* Microseconds since 1970. */
int64_t sqlite_wall_clock(void);

/* Runs a statement for its effect, and resets it. */
bool sqlite_run(struct sqlite *sqlite, sqlite3_stmt *statement, struct error *err);

/* Takes the write lock, waiting for it. A durable transaction is on disk when it is committed; any
 * other survives the end of the process, but not a power cut. */
bool sqlite_begin(struct sqlite *sqlite, bool durable, struct error *err);

/* Commits if `ok`, else rolls back. Returns whether it committed. */
bool sqlite_end(struct sqlite *sqlite, bool ok, struct error *err);

/* Sets the error for SQLite's last failure, with the path and what to do. Returns false. */
bool sqlite_fail(const struct sqlite *sqlite, struct error *err);

/* Sets the error for damaged data in the store. Returns false. */
bool sqlite_damaged(const struct sqlite *sqlite, struct error *err, const char *what);

/* Migrates a new or older file to the present schema; refuses newer and foreign ones unchanged
 * (sqlite_schema.c). */
bool sqlite_migrate(struct sqlite *sqlite, struct error *err);
int sqlite_version(void); /* the version of that schema */
bool sqlite_refuse_newer(const struct sqlite *sqlite, struct error *err);

/* Runs statements that are not prepared in advance. */
bool sqlite_execute(struct sqlite *sqlite, const char *text, struct error *err);

/* The journal's operations (journal_sqlite.c). */
bool sqlite_account(struct store_driver *driver, struct journal_account *account);
bool sqlite_find(struct store_driver *driver, struct journal_find *find);
bool sqlite_list(struct store_driver *driver, struct journal_list *list);
bool sqlite_intend(struct store_driver *driver, struct journal_intend *intend);
bool sqlite_settle(struct store_driver *driver, struct journal_settle *settle);
bool sqlite_amend(struct store_driver *driver, struct journal_amend *amend);
bool sqlite_prune(struct store_driver *driver, struct journal_prune *prune);
bool sqlite_review(struct store_driver *driver, struct journal_review *review);
bool sqlite_retire(struct store_driver *driver, struct journal_retire *retire);

/* The lock of an account (lock_sqlite.c). */
bool sqlite_lock(struct store_driver *driver, struct journal_lock *lock);
int64_t sqlite_tend(struct store_driver *driver);

/* Inside of a transaction: renews the lease. False with a store error if another process has taken
 * the lock since. A token of 0 is not checked. */
bool sqlite_hold(struct sqlite *sqlite, int64_t token, struct error *err);

#endif
