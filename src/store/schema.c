/* The tables are created as in SQLite and changed to what they are now: new stores go the way of
 * old ones. In a database they are in a schema named proxylua. */
#include "store/schema.h"

#define OURS DB_EITHER("", "proxylua.")
#define INT DB_EITHER("INTEGER", "int8")
#define BOOL DB_EITHER("INTEGER NOT NULL DEFAULT 0", "bool NOT NULL DEFAULT false")
#define END_KEYED DB_EITHER(") STRICT, WITHOUT ROWID;", ");")
/* Of a table whose rows change often: a database leaves room for new versions of them. */
#define END_BUSY DB_EITHER(") STRICT, WITHOUT ROWID;", ") WITH (fillfactor = 20);")

/* Decodes the escapes that an order's id is likely to have in a path. */
#define UNESCAPED(text)                                                   \
  "replace(replace(replace(replace(replace(replace(replace(replace(" text \
  ", '%3A', ':'), "                                                       \
  "'%2F', '/'), '%3D', '='), '%2B', '+'), '%40', '@'), '%2C', ','), '%20', ' '), '%25', '%')"

#define CHARGES(int, small_int) \
  "account text NOT NULL, key text NOT NULL, endpoint text NOT NULL, "                    \
  "params text NOT NULL, params_hash text NOT NULL, "                                     \
  "quote " int " NOT NULL, "       /* 10^-8 */                                            \
  "state " small_int " NOT NULL, " /* enum journal_state */                               \
  "order_id text, price " int ", answer text, "                                           \
  "snapshot text, " /* since version 4 of open entries */                                 \
  "host text, pid " int " NOT NULL, started " int " NOT NULL, run_id text NOT NULL, "     \
  "day text NOT NULL, "                                                                   \
  "created_at " int " NOT NULL, updated_at " int " NOT NULL, " /* microseconds since 1970 */

/* Sums by account, and by account and budget. The column of a budget is called purse. */
#define SUM_SPENT(purse, more)                                                  \
  "INSERT INTO " OURS                                                           \
  "spent (span, account, purse, amount, updated_at) SELECT 'day 1', "           \
  "account, " purse ", sum(coalesce(price, quote)), max(updated_at) FROM " OURS \
  "charges "                                                                    \
  "WHERE period = 1 AND state != 3 " more ";"

/* migrations[n] leads from version n to n + 1. Never change what a released one results in: add
 * another, and its number to SCHEMA_VERSION. */
static const char *const migrations[SCHEMA_VERSION] = {
    DB_EITHER("", "CREATE SCHEMA IF NOT EXISTS proxylua;"
                  "CREATE TABLE proxylua.version (version int NOT NULL);"
                  "INSERT INTO proxylua.version VALUES (0);")
    "CREATE TABLE " OURS "scopes ("
    "  key text PRIMARY KEY," /* hash of base URL and API key, slash, name of the scope */
    "  clock text NOT NULL,"  /* whose microseconds the times are: a boot, or a database */
    "  seen_at " INT " NOT NULL,"
    "  paused_until " INT " NOT NULL,"
    "  probe_until " INT " NOT NULL,"
    "  paced_until " INT " NOT NULL,"
    "  next_at " INT " NOT NULL,"
    "  slots " DB_EITHER("BLOB", "bytea") " NOT NULL" /* ended_at of each: 64 bit, least significant
                                                         byte first */
    END_BUSY
    DB_EITHER("", "ALTER TABLE proxylua.scopes ALTER slots SET STORAGE MAIN;")
    "CREATE TABLE " OURS "accounts ("
    "  key text PRIMARY KEY," /* hash of base URL and API key */
    "  account text NOT NULL,"
    "  updated_at " INT " NOT NULL"
    END_KEYED
    DB_EITHER("CREATE TABLE charges (id INTEGER PRIMARY KEY AUTOINCREMENT, " CHARGES(
                  "INTEGER", "INTEGER") "UNIQUE (account, key)) STRICT;",
              "CREATE TABLE proxylua.charges (id bigserial PRIMARY KEY, " CHARGES(
                  "int8", "int4") "UNIQUE (account, key));")
    "CREATE INDEX charges_by_day ON " OURS "charges (account, day);"
    "CREATE INDEX charges_by_run ON " OURS "charges (run_id);",

    "ALTER TABLE " OURS "scopes ADD slowed " INT " NOT NULL DEFAULT 0;"
    "ALTER TABLE " OURS "charges ADD note text;"
    "ALTER TABLE " OURS "charges ADD ended_clock text;" /* whose microseconds ended_at is */
    "ALTER TABLE " OURS "charges ADD ended_at " INT ";"
    "CREATE INDEX charges_open ON " OURS "charges (account) WHERE state NOT IN (2, 3);",

    "CREATE TABLE " OURS "notes ("
    "  owner text NOT NULL," /* base URL, or nothing */
    "  kind text NOT NULL,"
    "  name text " DB_EITHER("", "COLLATE \"C\" ") "NOT NULL,"
    "  text text NOT NULL,"
    "  put_at " INT " NOT NULL," /* microseconds since 1970 */
    "  PRIMARY KEY (owner, kind, name)"
    END_KEYED,

    /* Sums instead of rows that are added up each time; snapshots of open entries only. An older
     * program that is running can settle its entries; its new ones fail, since they have no period.
     * SQLite creates `charges` again for that. Its id recognises another store in its place. */
    DB_EITHER("CREATE TABLE identity (id TEXT NOT NULL) STRICT;"
              "INSERT INTO identity VALUES (lower(hex(randomblob(16))));",
              "ALTER TABLE proxylua.version ADD id text NOT NULL DEFAULT '';"
              "UPDATE proxylua.version SET id = md5(random()::text || clock_timestamp() || "
              "random());")
    "CREATE TABLE " OURS "ledgers (" /* one row per account */
    "  account text PRIMARY KEY,"
    "  period " INT " NOT NULL DEFAULT 0," /* struct journal_day */
    "  day " INT " NOT NULL DEFAULT 0,"
    "  time " INT " NOT NULL DEFAULT 0,"
    "  clock text NOT NULL DEFAULT '',"
    "  read_at " INT " NOT NULL DEFAULT 0,"
    "  baseline text," /* what the last charge left (struct journal_baseline) */
    "  baseline_entry " INT ","
    "  baseline_clock text," /* the clock of baseline_at */
    "  baseline_at " INT
    END_KEYED
    "INSERT INTO " OURS "ledgers (account, period, day, time) SELECT account, 1, "
    "  max(created_at) / 86400000000, max(created_at) FROM " OURS "charges GROUP BY account;"
    DB_EITHER(
        "CREATE TABLE charges_4 (id INTEGER PRIMARY KEY AUTOINCREMENT, "
        CHARGES("INTEGER", "INTEGER")
        "note text, ended_clock text, ended_at INTEGER, period INTEGER NOT NULL, "
        "pruned INTEGER NOT NULL DEFAULT 0, purse text NOT NULL, UNIQUE (account, key)) STRICT;"
        "INSERT INTO charges_4 SELECT id, account, key, endpoint, params, params_hash, quote, "
        "  state, order_id, price, answer, snapshot, host, pid, started, run_id, day, created_at, "
        "  updated_at, note, ended_clock, ended_at, 0, 0, '' FROM charges ORDER BY id;"
        "DELETE FROM sqlite_sequence WHERE name = 'charges_4';"
        "INSERT INTO sqlite_sequence SELECT 'charges_4', seq FROM sqlite_sequence "
        "  WHERE name = 'charges';"
        "DROP TABLE charges;"
        "ALTER TABLE charges_4 RENAME TO charges;"
        "CREATE INDEX charges_open ON charges (account) WHERE state NOT IN (2, 3);",
        "DROP INDEX proxylua.charges_by_day, proxylua.charges_by_run;"
        "ALTER TABLE proxylua.charges ALTER key TYPE text COLLATE \"C\", ADD period int8, "
        "  ADD pruned bool NOT NULL DEFAULT false, ADD purse text;"
        "UPDATE proxylua.charges SET period = 0, purse = '';"
        "ALTER TABLE proxylua.charges ALTER period SET NOT NULL, ALTER purse SET NOT NULL;")
    /* period: of the ledger; pruned: journal_prune; purse: the beginning of a key that has its own
     * budget, or nothing. */
    "UPDATE " OURS "charges AS c SET period = CASE WHEN created_at / 86400000000 = l.day THEN 1 "
    "  ELSE 0 END, purse = " DB_EITHER(
        "CASE WHEN key LIKE 'plugin:%:%' THEN substr(key, 1, 7 + instr(substr(key, 8), ':')) "
        "ELSE '' END",
        "coalesce(substring(key FROM '^plugin:[^:]*:'), '')") ", "
    "  snapshot = CASE WHEN state IN (2, 3) THEN " SCHEMA_SNAPSHOT_KEPT " ELSE snapshot END "
    "  FROM " OURS "ledgers AS l WHERE l.account = c.account;"
    "CREATE INDEX charges_by_change ON " OURS "charges (account, updated_at);"
    "CREATE TABLE " OURS "spent ("
    "  span text NOT NULL,"    /* "day N" of a period, or "run ID" */
    "  account text NOT NULL," /* nothing for a run */
    "  purse text NOT NULL,"   /* nothing: all in all */
    "  amount " DB_EITHER("INTEGER", "numeric") " NOT NULL,"
    "  updated_at " INT " NOT NULL,"
    "  PRIMARY KEY (span, account, purse)"
    END_KEYED
    SUM_SPENT("''", "GROUP BY account")
    SUM_SPENT("purse", "AND purse != '' GROUP BY account, purse"),

    /* Finds entries by their order and by the stem of their key. An extension that was settled
     * manually may lack its order; the path has it. */
    "ALTER TABLE " OURS "charges ADD retired " BOOL ";" /* journal_retire */
    "UPDATE " OURS "charges SET order_id = " UNESCAPED(
        DB_EITHER("substr(params, 14, instr(substr(params, 14), '/extend') - 1)",
                  "substring(params FROM '^POST /orders/([^/]+)/extend')"))
    " WHERE endpoint = 'orders.extend' AND state = 2 AND order_id IS NULL AND "
    "  params LIKE 'POST /orders/_%/extend%';"
    "CREATE INDEX charges_by_order ON " OURS "charges (account, order_id) WHERE state = 2;"
    "UPDATE " OURS "charges AS c SET retired = true FROM " OURS "notes AS n "
    "  WHERE n.kind = 'fleet.ended' AND n.name = c.order_id AND c.endpoint = 'orders.create' "
    "  AND state = 2 AND substr(account, 1, length(owner) + 1) = owner || ' ';"
    "CREATE INDEX charges_by_stem ON " OURS "charges (account, " SCHEMA_STEM ", length(key), key);"
    "CREATE INDEX charges_stock ON " OURS "charges (account, " SCHEMA_STEM ") "
    "  WHERE state = 2 AND endpoint = 'orders.create' AND NOT retired;",

    "SELECT 1;", /* locks, which the next version makes anew */

    /* Times that clocks cannot change which can be set, as created_at is. A process of before that
     * has a lock writes no more, since the version is another. */
    "DROP TABLE IF EXISTS " OURS "locks;"
    "CREATE TABLE " OURS "locks (" /* the lock of an account (charge/lock_store.c) */
    "  account text PRIMARY KEY,"
    "  clock text NOT NULL," /* whose microseconds the times are */
    "  token " INT " NOT NULL," /* of the holder; 0: none */
    "  until " INT " NOT NULL,"
    "  next " INT " NOT NULL," /* of the first in the queue; 0: none */
    "  next_until " INT " NOT NULL" DB_EITHER("", ", backend int4 NOT NULL") /* the connection */
    END_BUSY
    "ALTER TABLE " OURS "charges ADD intent_clock text;"
    "ALTER TABLE " OURS "charges ADD intent_at " INT ";"
    DB_EITHER("", "UPDATE proxylua.charges SET intent_at = created_at, intent_clock = "
                  "'postgresql ' || (SELECT system_identifier FROM "
                  "pg_catalog.pg_control_system());"),

    /* The journal counts what is spent itself (charge/journal_store.c). */
    DB_EITHER("DROP TRIGGER IF EXISTS charges_reserve; DROP TRIGGER IF EXISTS charges_correct;",
              "DROP TRIGGER IF EXISTS count_spent ON proxylua.charges;"
              "DROP FUNCTION IF EXISTS proxylua.count_spent();"),
};

bool schema_migration(struct buffer *text, int version, bool postgres)
{
  return db_text_for(text, migrations[version], postgres);
}
