/* The schema of the SQLite store, as numbered migrations: a file is brought from its version to the
 * present one, and a file that is not ours, or newer than we are, is refused untouched. */
#include <stdio.h>
#include <string.h>

#include "store/sqlite.h"

#define APPLICATION_ID 0x70786c75 /* "pxlu" */

/* migrations[n] leads from version n to n + 1. Never change one that was released: add another. */
static const char *const migrations[] = {
    "CREATE TABLE scopes ("
    "  key TEXT PRIMARY KEY," /* hash of base URL and API key, slash, name of the scope */
    "  clock TEXT NOT NULL,"  /* whose microseconds the times are: a boot id */
    "  seen_at INTEGER NOT NULL,"
    "  paused_until INTEGER NOT NULL,"
    "  probe_until INTEGER NOT NULL,"
    "  paced_until INTEGER NOT NULL,"
    "  next_at INTEGER NOT NULL,"
    "  slots BLOB NOT NULL" /* ended_at of each: 64 bit, least significant byte first */
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE accounts ("
    "  key TEXT PRIMARY KEY," /* hash of base URL and API key */
    "  account TEXT NOT NULL,"
    "  updated_at INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE charges ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  account TEXT NOT NULL,"
    "  key TEXT NOT NULL,"
    "  endpoint TEXT NOT NULL,"
    "  params TEXT NOT NULL,"
    "  params_hash TEXT NOT NULL,"
    "  quote INTEGER NOT NULL," /* 10^-8 */
    "  state INTEGER NOT NULL," /* enum journal_state */
    "  order_id TEXT,"
    "  price INTEGER," /* 10^-8 */
    "  answer TEXT,"
    "  snapshot TEXT,"
    "  host TEXT,"
    "  pid INTEGER NOT NULL,"
    "  started INTEGER NOT NULL,"
    "  run_id TEXT NOT NULL,"
    "  day TEXT NOT NULL,"
    "  created_at INTEGER NOT NULL," /* microseconds since 1970 */
    "  updated_at INTEGER NOT NULL,"
    "  UNIQUE (account, key)"
    ") STRICT;"
    "CREATE INDEX charges_by_day ON charges (account, day);"
    "CREATE INDEX charges_by_run ON charges (run_id);",

    "ALTER TABLE scopes ADD slowed INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE charges ADD note TEXT;"
    "ALTER TABLE charges ADD ended_clock TEXT;" /* whose microseconds ended_at is: a boot id */
    "ALTER TABLE charges ADD ended_at INTEGER;"
    "CREATE INDEX charges_open ON charges (account) WHERE state NOT IN (2, 3);",

    "CREATE TABLE notes ("
    "  owner TEXT NOT NULL," /* base URL, or nothing */
    "  kind TEXT NOT NULL,"
    "  name TEXT NOT NULL,"
    "  text TEXT NOT NULL,"
    "  put_at INTEGER NOT NULL," /* microseconds since 1970 */
    "  PRIMARY KEY (owner, kind, name)"
    ") STRICT, WITHOUT ROWID;",

    "CREATE TABLE ledgers (" /* one row per account */
    "  account TEXT PRIMARY KEY,"
    "  baseline TEXT," /* what the last charge left (struct journal_baseline) */
    "  baseline_entry INTEGER,"
    "  baseline_clock TEXT," /* whose microseconds baseline_at is: a boot id */
    "  baseline_at INTEGER"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX charges_by_change ON charges (account, updated_at);",
};

#define VERSION ((int)(sizeof migrations / sizeof *migrations))

static bool read_number(struct sqlite *sqlite, const char *query, int64_t *number,
                        struct error *err)
{
  sqlite3_stmt *statement = NULL;
  bool ok = sqlite3_prepare_v2(sqlite->db, query, -1, &statement, NULL) == SQLITE_OK &&
            sqlite3_step(statement) == SQLITE_ROW;
  if (ok)
    *number = sqlite3_column_int64(statement, 0);
  else
    sqlite_fail(sqlite, err);
  sqlite3_finalize(statement);
  return ok;
}

static bool refuse(const struct sqlite *sqlite, struct error *err, const char *why)
{
  error_set(err, ERROR_STORE, "the store %s: %s; it was left as it is", sqlite->path, why);
  return false;
}

/* The version of a file that is ours: 0 for an empty one. */
static bool read_version(struct sqlite *sqlite, int64_t *version, struct error *err)
{
  int64_t id, objects;
  if (!read_number(sqlite, "PRAGMA application_id", &id, err) ||
      !read_number(sqlite, "PRAGMA user_version", version, err) ||
      !read_number(sqlite, "SELECT count(*) FROM sqlite_schema", &objects, err))
    return false;
  bool empty = id == 0 && *version == 0 && objects == 0;
  if (!empty && (id != APPLICATION_ID || *version < 1))
    return refuse(sqlite, err, "it is a database of another program; give another path");
  if (*version <= VERSION) return true;
  return refuse(sqlite, err,
                "a newer proxylua has written it; use that version, or give another path");
}

/* Answers, when it could be asked, whether the file takes part in WAL mode; some network file
 * systems do not. */
static bool set_wal(struct sqlite *sqlite, struct error *err)
{
  if (!sqlite_execute(sqlite, "PRAGMA journal_mode=WAL", err)) return false;
  sqlite3_stmt *statement = NULL;
  bool wal =
      sqlite3_prepare_v2(sqlite->db, "PRAGMA journal_mode", -1, &statement, NULL) == SQLITE_OK &&
      sqlite3_step(statement) == SQLITE_ROW;
  const char *mode = wal ? (const char *)sqlite3_column_text(statement, 0) : NULL;
  wal = mode && (strcmp(mode, "wal") == 0 || strcmp(mode, "memory") == 0);
  sqlite3_finalize(statement);
  return wal || refuse(sqlite, err,
                       "its file system cannot share it between processes; put it on a local disk");
}

static bool migrate_from(struct sqlite *sqlite, int64_t version, struct error *err)
{
  char mark[96];
  for (int64_t i = version; i < VERSION; i++)
    if (!sqlite_execute(sqlite, migrations[i], err)) return false;
  snprintf(mark, sizeof mark, "PRAGMA application_id=%d; PRAGMA user_version=%d", APPLICATION_ID,
           VERSION);
  return sqlite_execute(sqlite, mark, err);
}

/* Several processes may come to a new file at once: the version is read again under the lock. */
static bool migrate(struct sqlite *sqlite, struct error *err)
{
  int64_t version;
  if (!sqlite_begin(sqlite, true, err)) return false;
  bool ok = read_version(sqlite, &version, err) &&
            (version == VERSION || migrate_from(sqlite, version, err));
  return sqlite_end(sqlite, ok, err);
}

/* In one transaction: between its three questions, another process may migrate the file. */
static bool read_version_at_once(struct sqlite *sqlite, int64_t *version, struct error *err)
{
  struct error ignored;
  if (!sqlite_execute(sqlite, "BEGIN DEFERRED", err)) return false;
  bool ok = read_version(sqlite, version, err);
  return sqlite_execute(sqlite, "ROLLBACK", ok ? err : &ignored) && ok;
}

bool sqlite_migrate(struct sqlite *sqlite, struct error *err)
{
  int64_t version;
  if (!read_version_at_once(sqlite, &version, err) || !set_wal(sqlite, err)) return false;
  sqlite->durable = true; /* SQLite's default */
  if (!sqlite_execute(sqlite, "PRAGMA synchronous=FULL; PRAGMA cell_size_check=ON", err))
    return false;
  return version == VERSION || migrate(sqlite, err);
}
