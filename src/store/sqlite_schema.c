/* A file is migrated from its version of the schema to the present one. One that belongs to another
 * program, or has a newer version, is refused unchanged. */
#include <stdio.h>
#include <string.h>

#include "store/schema.h"
#include "store/sqlite.h"

#define APPLICATION_ID 0x70786c75 /* "pxlu" */

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

bool sqlite_refuse_newer(const struct sqlite *sqlite, struct error *err)
{
  return refuse(sqlite, err, "a newer proxylua has written it; use that version, or another path");
}

/* The version of our file: 0 for an empty one. */
static bool read_version(struct sqlite *sqlite, int64_t *version, struct error *err)
{
  int64_t id, objects;
  if (!read_number(sqlite, "PRAGMA application_id", &id, err) ||
      !read_number(sqlite, "PRAGMA user_version", version, err) ||
      !read_number(sqlite, "SELECT count(*) FROM sqlite_schema", &objects, err))
    return false;
  bool empty = id == 0 && *version == 0 && objects == 0;
  if (!empty && (id != APPLICATION_ID || *version < 1))
    return refuse(sqlite, err, "it is a database of another program; use another path");
  return *version <= SCHEMA_VERSION || sqlite_refuse_newer(sqlite, err);
}

/* Sets WAL mode, and reports whether the file supports it; some network file systems do not. */
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
  return wal ||
         refuse(sqlite, err,
                "its file system cannot share it between processes; move it to a local disk");
}

static bool migrate_from(struct sqlite *sqlite, int64_t version, struct error *err)
{
  char mark[96];
  struct buffer text = {0};
  bool ok = true;
  for (int i = (int)version; ok && i < SCHEMA_VERSION; i++) {
    ok = schema_migration(&text, i, false);
    if (ok)
      ok = sqlite_execute(sqlite, text.data, err);
    else
      error_set(err, ERROR_INTERNAL, "out of memory");
  }
  buffer_free(&text);
  if (!ok) return false;
  snprintf(mark, sizeof mark, "PRAGMA application_id=%d; PRAGMA user_version=%d", APPLICATION_ID,
           SCHEMA_VERSION);
  return sqlite_execute(sqlite, mark, err);
}

/* Several processes may open a new file at once, so the version is read again under the lock. */
static bool migrate(struct sqlite *sqlite, struct error *err)
{
  int64_t version;
  if (!sqlite_begin(sqlite, true, err)) return false;
  bool ok = read_version(sqlite, &version, err) &&
            (version == SCHEMA_VERSION || migrate_from(sqlite, version, err));
  return sqlite_end(sqlite, ok, err);
}

/* In one transaction: between its three queries, another process may migrate the file. */
static bool read_version_at_once(struct sqlite *sqlite, int64_t *version, struct error *err)
{
  struct error ignored;
  if (!sqlite_execute(sqlite, "BEGIN DEFERRED", err)) return false;
  bool ok = read_version(sqlite, version, err);
  return sqlite_execute(sqlite, "ROLLBACK", ok ? err : &ignored) && ok;
}

static bool identify(struct sqlite *sqlite, struct error *err)
{
  sqlite3_stmt *statement = NULL;
  bool ok = sqlite3_prepare_v2(sqlite->db, "SELECT id FROM identity", -1, &statement, NULL) ==
                SQLITE_OK &&
            sqlite3_step(statement) == SQLITE_ROW;
  const char *id = ok ? (const char *)sqlite3_column_text(statement, 0) : NULL;
  if (id) store_identify(sqlite->driver.run, id);
  if (!id) sqlite_fail(sqlite, err);
  sqlite3_finalize(statement);
  return id;
}

bool sqlite_check(struct sqlite *sqlite, struct error *err)
{
  sqlite3_stmt *statement = NULL;
  if (sqlite3_prepare_v2(sqlite->db, "PRAGMA quick_check(1)", -1, &statement, NULL) != SQLITE_OK)
    return sqlite_fail(sqlite, err);
  bool read = sqlite3_step(statement) == SQLITE_ROW;
  const char *found = read ? (const char *)sqlite3_column_text(statement, 0) : NULL;
  bool good = found && strcmp(found, "ok") == 0;
  if (!read)
    sqlite_fail(sqlite, err);
  else if (!good)
    sqlite_damaged(sqlite, err, found ? found : "it cannot be checked");
  sqlite3_finalize(statement);
  return good;
}

bool sqlite_migrate(struct sqlite *sqlite, struct error *err)
{
  int64_t version;
  if (!read_version_at_once(sqlite, &version, err) || !set_wal(sqlite, err)) return false;
  sqlite->durable = true; /* SQLite's default */
  if (!sqlite_execute(sqlite, "PRAGMA synchronous=FULL; PRAGMA cell_size_check=ON", err))
    return false;
  return (version == SCHEMA_VERSION || migrate(sqlite, err)) && identify(sqlite, err);
}
