/* The schema of the SQLite store, as numbered migrations. A file is migrated from its version to
 * the present one. One that belongs to another program, or has a newer version, is refused
 * unchanged. */
#include <stdio.h>
#include <string.h>

#include "store/fragments.h"
#include "store/sqlite.h"

#define APPLICATION_ID 0x70786c75 /* "pxlu" */

/* The amount of a row of `charges` that counts towards the allowances. */
#define COUNTED(row) \
  "CASE WHEN " row ".state = 3 THEN 0 ELSE coalesce(" row ".price, " row ".quote) END"
#define MAX_AMOUNT "9223372036854775807" /* sums stop there; it exceeds every allowance */

/* migrations[n] leads from version n to n + 1. Never change a released one: add another. */
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

    /* Sums instead of rows that are added up each time; snapshots of open entries only. `charges`
     * is created again: an older program that has it open can settle its entries, and its new ones
     * fail, since they have no period. */
    "CREATE TABLE identity (id TEXT NOT NULL) STRICT;" /* by which another file is recognised */
    "INSERT INTO identity VALUES (lower(hex(randomblob(16))));"
    "CREATE TABLE ledgers (" /* one row per account */
    "  account TEXT PRIMARY KEY,"
    "  period INTEGER NOT NULL DEFAULT 0," /* struct journal_day */
    "  day INTEGER NOT NULL DEFAULT 0,"
    "  time INTEGER NOT NULL DEFAULT 0,"
    "  clock TEXT NOT NULL DEFAULT '',"
    "  read_at INTEGER NOT NULL DEFAULT 0,"
    "  baseline TEXT," /* what the last charge left (struct journal_baseline) */
    "  baseline_entry INTEGER,"
    "  baseline_clock TEXT," /* the clock of baseline_at: a boot id */
    "  baseline_at INTEGER"
    ") STRICT, WITHOUT ROWID;"
    "INSERT INTO ledgers (account, period, day, time) SELECT account, 1, "
    "  max(created_at) / 86400000000, max(created_at) FROM charges GROUP BY account;"
    "CREATE TABLE charges_4 ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  account TEXT NOT NULL,"
    "  key TEXT NOT NULL,"
    "  endpoint TEXT NOT NULL,"
    "  params TEXT NOT NULL,"
    "  params_hash TEXT NOT NULL,"
    "  quote INTEGER NOT NULL,"
    "  state INTEGER NOT NULL,"
    "  order_id TEXT,"
    "  price INTEGER,"
    "  answer TEXT,"
    "  snapshot TEXT," /* of open entries */
    "  host TEXT,"
    "  pid INTEGER NOT NULL,"
    "  started INTEGER NOT NULL,"
    "  run_id TEXT NOT NULL,"
    "  day TEXT NOT NULL,"
    "  created_at INTEGER NOT NULL,"
    "  updated_at INTEGER NOT NULL,"
    "  note TEXT,"
    "  ended_clock TEXT,"
    "  ended_at INTEGER,"
    "  period INTEGER NOT NULL," /* of the ledger */
    "  pruned INTEGER NOT NULL DEFAULT 0," /* journal_prune */
    /* purse: the beginning of the key that has its own budget, or nothing */
    "  purse TEXT NOT NULL,"
    "  UNIQUE (account, key)"
    ") STRICT;"
    "INSERT INTO charges_4 (id, account, key, endpoint, params, params_hash, quote, state, "
    "  order_id, price, answer, snapshot, host, pid, started, run_id, day, created_at, "
    "  updated_at, note, ended_clock, ended_at, period, purse) "
    "SELECT id, charges.account, key, endpoint, params, params_hash, quote, "
    "  state, order_id, price, answer, "
    "  CASE WHEN state IN (2, 3) THEN " SQLITE_SNAPSHOT_KEPT " ELSE snapshot END, "
    "  host, pid, started, run_id, charges.day, created_at, updated_at, note, ended_clock, "
    "  ended_at, created_at / 86400000000 = ledgers.day, CASE WHEN key LIKE 'plugin:%:%' THEN "
    "  substr(key, 1, 7 + instr(substr(key, 8), ':')) ELSE '' END "
    "  FROM charges JOIN ledgers ON ledgers.account = charges.account ORDER BY id;"
    "DELETE FROM sqlite_sequence WHERE name = 'charges_4';"
    "INSERT INTO sqlite_sequence SELECT 'charges_4', seq FROM sqlite_sequence "
    "  WHERE name = 'charges';"
    "DROP TABLE charges;"
    "ALTER TABLE charges_4 RENAME TO charges;"
    "CREATE INDEX charges_open ON charges (account) WHERE state NOT IN (2, 3);"
    "CREATE INDEX charges_by_change ON charges (account, updated_at);"
    "CREATE TABLE spent ("
    "  span TEXT NOT NULL,"    /* "day N" of a period, or "run ID" */
    "  account TEXT NOT NULL," /* nothing for a run */
    "  purse TEXT NOT NULL,"   /* nothing: all in all */
    "  amount INTEGER NOT NULL,"
    "  updated_at INTEGER NOT NULL,"
    "  PRIMARY KEY (span, account, purse)"
    ") STRICT, WITHOUT ROWID;"
    "INSERT INTO spent SELECT 'day 1', account, '', sum(coalesce(price, quote)), max(updated_at) "
    "  FROM charges WHERE period = 1 AND state != 3 GROUP BY account;"
    "INSERT INTO spent SELECT 'day 1', account, purse, sum(coalesce(price, quote)), "
    "  max(updated_at) FROM charges WHERE period = 1 AND state != 3 AND purse != '' "
    "  GROUP BY account, purse;"
    "CREATE TRIGGER charges_reserve AFTER INSERT ON charges BEGIN "
    "  INSERT INTO spent SELECT span, account, purse, " COUNTED("NEW") ", NEW.updated_at "
    "    FROM (SELECT 'day ' || NEW.period AS span, NEW.account AS account "
    "      UNION ALL SELECT 'run ' || NEW.run_id, ''), "
    "      (SELECT '' AS purse UNION SELECT NEW.purse) WHERE true "
    "    ON CONFLICT (span, account, purse) DO UPDATE SET updated_at = excluded.updated_at, "
    "      amount = CASE WHEN amount > " MAX_AMOUNT " - excluded.amount THEN " MAX_AMOUNT
    "      ELSE amount + excluded.amount END; "
    "END;"
    "CREATE TRIGGER charges_correct AFTER UPDATE OF state, price ON charges "
    "  WHEN " COUNTED("NEW") " != " COUNTED("OLD") " BEGIN "
    "  UPDATE spent SET updated_at = NEW.updated_at, amount = CASE WHEN " COUNTED("NEW")
    "    > " COUNTED("OLD") " AND amount > " MAX_AMOUNT " - (" COUNTED("NEW") " - " COUNTED("OLD")
    "    ) THEN " MAX_AMOUNT " ELSE amount + " COUNTED("NEW") " - " COUNTED("OLD") " END "
    "    WHERE span = 'day ' || NEW.period AND account = NEW.account AND purse IN ('', NEW.purse); "
    "  UPDATE spent SET updated_at = NEW.updated_at, amount = CASE WHEN " COUNTED("NEW")
    "    > " COUNTED("OLD") " AND amount > " MAX_AMOUNT " - (" COUNTED("NEW") " - " COUNTED("OLD")
    "    ) THEN " MAX_AMOUNT " ELSE amount + " COUNTED("NEW") " - " COUNTED("OLD") " END "
    "    WHERE span = 'run ' || NEW.run_id AND account = '' AND purse IN ('', NEW.purse); "
    "END;",

    /* Finds entries by their order and by the stem of their key. An extension that was settled
     * manually may lack its order; the path has it. */
    "ALTER TABLE charges ADD retired INTEGER NOT NULL DEFAULT 0;" /* journal_retire */
    "UPDATE charges SET order_id = " JOURNAL_UNESCAPED(
        "substr(params, 14, instr(substr(params, 14), '/extend') - 1)"
    ) " WHERE endpoint = 'orders.extend' AND state = 2 AND order_id IS NULL "
    "  AND params LIKE 'POST /orders/_%/extend%';"
    "CREATE INDEX charges_by_order ON charges (account, order_id) WHERE state = 2;"
    "UPDATE charges SET retired = 1 FROM notes WHERE notes.kind = 'fleet.ended' "
    "  AND notes.name = charges.order_id AND charges.endpoint = 'orders.create' AND state = 2 "
    "  AND substr(account, 1, length(owner) + 1) = owner || ' ';"
    "CREATE INDEX charges_by_stem ON charges (account, " JOURNAL_STEM ", length(key), key);"
    "CREATE INDEX charges_stock ON charges (account, " JOURNAL_STEM ") "
    "  WHERE state = 2 AND endpoint = 'orders.create' AND NOT retired;",

    /* The lock of an account (charge/lock_store.c). Times are microseconds of `clock`, the boot id.
     */
    "CREATE TABLE locks ("
    "  account TEXT PRIMARY KEY,"
    "  clock TEXT NOT NULL,"
    "  token INTEGER NOT NULL," /* of the holder; 0: none */
    "  until INTEGER NOT NULL,"
    "  next INTEGER NOT NULL," /* of the first in the queue; 0: none */
    "  next_until INTEGER NOT NULL"
    ") WITHOUT ROWID;",

    /* The moment of the intent by a clock that cannot be set: created_at is by one that can. */
    ("ALTER TABLE charges ADD intent_clock TEXT;"
     "ALTER TABLE charges ADD intent_at INTEGER;"),

    /* The journal counts what is spent itself (charge/journal_store.c). */
    "DROP TRIGGER charges_reserve; DROP TRIGGER charges_correct;",
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

int sqlite_version(void)
{
  return VERSION;
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
  return *version <= VERSION || sqlite_refuse_newer(sqlite, err);
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
  for (int64_t i = version; i < VERSION; i++)
    if (!sqlite_execute(sqlite, migrations[i], err)) return false;
  snprintf(mark, sizeof mark, "PRAGMA application_id=%d; PRAGMA user_version=%d", APPLICATION_ID,
           VERSION);
  return sqlite_execute(sqlite, mark, err);
}

/* Several processes may open a new file at once, so the version is read again under the lock. */
static bool migrate(struct sqlite *sqlite, struct error *err)
{
  int64_t version;
  if (!sqlite_begin(sqlite, true, err)) return false;
  bool ok = read_version(sqlite, &version, err) &&
            (version == VERSION || migrate_from(sqlite, version, err));
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

bool sqlite_migrate(struct sqlite *sqlite, struct error *err)
{
  int64_t version;
  if (!read_version_at_once(sqlite, &version, err) || !set_wal(sqlite, err)) return false;
  sqlite->durable = true; /* SQLite's default */
  if (!sqlite_execute(sqlite, "PRAGMA synchronous=FULL; PRAGMA cell_size_check=ON", err))
    return false;
  return (version == VERSION || migrate(sqlite, err)) && identify(sqlite, err);
}
