/* Shared by the parts of the SQLite store: the connection, transactions and errors. Private to
 * sqlite*.c. */
#ifndef PROXYLUA_STORE_SQLITE_H
#define PROXYLUA_STORE_SQLITE_H

#include <sqlite3.h>
#include <sys/types.h>

#include "base/process.h"
#include "store/driver.h"

struct sqlite {
  struct store_driver driver;
  const atomic_bool *hurry;
  sqlite3 *db;
  char *path;
  struct sqlite_files {
    struct sqlite_file {
      dev_t device;
      ino_t inode;
      off_t size;
    } database, wal, index; /* zeros where there is none */
  } files;                  /* that are open; all zeros for :memory: */
  struct sqlite_kept {
    const char *text; /* of struct db_statement */
    sqlite3_stmt *statement;
  } * kept; /* prepared statements */
  size_t kept_count;
  bool durable;   /* synchronous is FULL now */
  int64_t waited; /* for a lock that others hold, in microseconds */
  int lock_fd;    /* of the lock file, -1: not open */
};

/* Takes the write lock, waiting for it. A durable transaction is on disk when it is committed; any
 * other survives the end of the process, but not a power cut. */
bool sqlite_begin(struct sqlite *sqlite, bool durable, struct error *err);

/* Commits if `ok`, else rolls back. Returns whether it committed. */
bool sqlite_end(struct sqlite *sqlite, bool ok, struct error *err);

/* Sets the error for SQLite's last failure, with the path and what to do. Returns false. */
bool sqlite_fail(const struct sqlite *sqlite, struct error *err);

/* Sets the error for damaged data in the store. Returns false. */
bool sqlite_damaged(const struct sqlite *sqlite, struct error *err, const char *what);

/* The process that keeps the file locked (sqlite_holder.c). False if it is not known. */
bool sqlite_find_holder(const char *path, struct process_view *view);

/* Migrates a new or older file to the present schema; refuses newer and foreign ones unchanged
 * (sqlite_schema.c). */
bool sqlite_migrate(struct sqlite *sqlite, struct error *err);
bool sqlite_refuse_newer(const struct sqlite *sqlite, struct error *err);

/* Reads the whole file, and refuses one that is damaged. */
bool sqlite_check(struct sqlite *sqlite, struct error *err);

/* Runs statements that are not prepared in advance. */
bool sqlite_execute(struct sqlite *sqlite, const char *text, struct error *err);

#endif
