/* The schema of the PostgreSQL store, as numbered migrations in a schema named proxylua. A database
 * is migrated from its version to the present one. One that belongs to another program, or has a
 * newer version, is refused unchanged. */
#include <stdio.h>
#include <stdlib.h>

#include "store/fragments.h"
#include "store/postgres.h"

/* migrations[n] leads from version n to n + 1. Never change a released one: add another. */
static const char *const migrations[] = {
    "CREATE SCHEMA IF NOT EXISTS proxylua;"
    "CREATE TABLE proxylua.version (version int NOT NULL);"
    "INSERT INTO proxylua.version VALUES (0);"
    "CREATE TABLE proxylua.scopes ("
    "  key text PRIMARY KEY,"           /* hash of base URL and API key, slash, name of the scope */
    "  clock text NOT NULL DEFAULT ''," /* the clock of the times: a cluster's system
                                           identifier */
    "  seen_at int8 NOT NULL DEFAULT 0,"
    "  paused_until int8 NOT NULL DEFAULT 0,"
    "  probe_until int8 NOT NULL DEFAULT 0,"
    "  paced_until int8 NOT NULL DEFAULT 0,"
    "  next_at int8 NOT NULL DEFAULT 0,"
    "  slots bytea NOT NULL DEFAULT ''" /* ended_at of each: 64 bit, least significant byte first */
    ") WITH (fillfactor = 20);" /* rows change often: leaves room for new versions */
    "ALTER TABLE proxylua.scopes ALTER slots SET STORAGE MAIN;"
    "CREATE TABLE proxylua.accounts ("
    "  key text PRIMARY KEY," /* hash of base URL and API key */
    "  account text NOT NULL,"
    "  updated_at int8 NOT NULL"
    ");"
    "CREATE TABLE proxylua.charges ("
    "  id bigserial PRIMARY KEY,"
    "  account text NOT NULL,"
    "  key text NOT NULL,"
    "  endpoint text NOT NULL,"
    "  params text NOT NULL,"
    "  params_hash text NOT NULL,"
    "  quote int8 NOT NULL," /* 10^-8 */
    "  state int4 NOT NULL," /* enum journal_state */
    "  order_id text,"
    "  price int8," /* 10^-8 */
    "  answer text,"
    "  snapshot text,"
    "  host text,"
    "  pid int8 NOT NULL,"
    "  started int8 NOT NULL,"
    "  run_id text NOT NULL,"
    "  day text NOT NULL,"
    "  created_at int8 NOT NULL," /* microseconds since 1970 */
    "  updated_at int8 NOT NULL,"
    "  UNIQUE (account, key)"
    ");"
    "CREATE INDEX charges_by_day ON proxylua.charges (account, day);"
    "CREATE INDEX charges_by_run ON proxylua.charges (run_id);",

    "ALTER TABLE proxylua.scopes ADD slowed int8 NOT NULL DEFAULT 0;"
    "ALTER TABLE proxylua.charges ADD note text;"
    "ALTER TABLE proxylua.charges ADD ended_clock text;" /* the clock of ended_at */
    "ALTER TABLE proxylua.charges ADD ended_at int8;"
    "CREATE INDEX charges_open ON proxylua.charges (account) WHERE state NOT IN (2, 3);",

    "CREATE TABLE proxylua.notes ("
    "  owner text NOT NULL," /* base URL, or nothing */
    "  kind text NOT NULL,"
    "  name text COLLATE \"C\" NOT NULL,"
    "  text text NOT NULL,"
    "  put_at int8 NOT NULL," /* microseconds since 1970 */
    "  PRIMARY KEY (owner, kind, name)"
    ");",

    /* Sums instead of rows that are added up each time; snapshots of open entries only. An older
     * program that is running can settle its entries; its new ones fail, since they have no
     * period. */
    "ALTER TABLE proxylua.version ADD id text NOT NULL DEFAULT '';" /* detects a replaced store */
    "UPDATE proxylua.version SET id = md5(random()::text || clock_timestamp() || random());"
    "CREATE TABLE proxylua.ledgers (" /* one row per account */
    "  account text PRIMARY KEY,"
    "  period int8 NOT NULL DEFAULT 0," /* struct journal_day */
    "  day int8 NOT NULL DEFAULT 0,"
    "  time int8 NOT NULL DEFAULT 0,"
    "  clock text NOT NULL DEFAULT '',"
    "  read_at int8 NOT NULL DEFAULT 0,"
    "  baseline text," /* what the last charge left (struct journal_baseline) */
    "  baseline_entry int8,"
    "  baseline_clock text," /* the clock of baseline_at */
    "  baseline_at int8"
    ");"
    "INSERT INTO proxylua.ledgers (account, period, day, time) SELECT account, 1, "
    "  max(created_at) / 86400000000, max(created_at) FROM proxylua.charges GROUP BY account;"
    "DROP INDEX proxylua.charges_by_day, proxylua.charges_by_run;"
    "ALTER TABLE proxylua.charges ALTER key TYPE text COLLATE \"C\","
    "  ADD period int8,"                        /* the period of the ledger */
    "  ADD pruned bool NOT NULL DEFAULT false," /* journal_prune */
    "  ADD purse text;" /* beginning of the key that has its own budget, or nothing */
    "UPDATE proxylua.charges c SET period = CASE WHEN created_at / 86400000000 = l.day THEN 1 "
    "  ELSE 0 END, purse = coalesce(substring(key FROM '^plugin:[^:]*:'), ''), "
    "  snapshot = CASE WHEN state IN (2, 3) THEN " POSTGRES_SNAPSHOT_KEPT
    " ELSE snapshot END "
    "  FROM proxylua.ledgers l WHERE l.account = c.account;"
    "ALTER TABLE proxylua.charges ALTER period SET NOT NULL, ALTER purse SET NOT NULL;"
    "CREATE INDEX charges_by_change ON proxylua.charges (account, updated_at);"
    "CREATE TABLE proxylua.locks (" /* the lock of an account */
    "  account text PRIMARY KEY,"
    "  token int8 NOT NULL DEFAULT 0," /* of the holder; random */
    "  until timestamptz NOT NULL DEFAULT '-infinity',"
    "  next int8 NOT NULL DEFAULT 0," /* of the next in the queue */
    "  next_until timestamptz NOT NULL DEFAULT '-infinity'"
    ") WITH (fillfactor = 20);"
    "CREATE TABLE proxylua.spent ("
    "  span text NOT NULL,"    /* "day N" of a period, or "run ID" */
    "  account text NOT NULL," /* empty for a run */
    "  purse text NOT NULL,"   /* empty: the total */
    "  amount numeric NOT NULL,"
    "  updated_at int8 NOT NULL,"
    "  PRIMARY KEY (span, account, purse)"
    ");"
    "INSERT INTO proxylua.spent SELECT 'day 1', account, purses.purse, "
    "  sum(coalesce(price, quote)), max(updated_at) FROM proxylua.charges c, "
    "  LATERAL (SELECT '' AS purse UNION SELECT c.purse) AS purses "
    "  WHERE period = 1 AND state != 3 GROUP BY account, purses.purse;"
    "CREATE FUNCTION proxylua.count_spent() RETURNS trigger LANGUAGE plpgsql "
    "  SET search_path = pg_catalog AS $$"
    "  DECLARE change numeric := CASE WHEN NEW.state = 3 THEN 0 "
    "    ELSE coalesce(NEW.price, NEW.quote) END;"
    "  BEGIN "
    "    IF TG_OP = 'INSERT' THEN "
    "      INSERT INTO proxylua.spent AS s SELECT spans.*, purses.purse, change, NEW.updated_at "
    "        FROM (VALUES ('day ' || NEW.period, NEW.account), ('run ' || NEW.run_id, '')) AS "
    "        spans, (SELECT '' AS purse UNION SELECT NEW.purse) AS purses "
    "        ON CONFLICT (span, account, purse) DO UPDATE SET amount = s.amount + change, "
    "        updated_at = NEW.updated_at;"
    "      RETURN NULL;"
    "    END IF;"
    "    change := change - CASE WHEN OLD.state = 3 THEN 0 ELSE coalesce(OLD.price, OLD.quote) "
    "      END;"
    "    IF change != 0 THEN "
    "      UPDATE proxylua.spent SET amount = amount + change, updated_at = NEW.updated_at "
    "        WHERE purse IN ('', NEW.purse) AND (span, account) IN "
    "        (('day ' || NEW.period, NEW.account), ('run ' || NEW.run_id, ''));"
    "    END IF;"
    "    RETURN NULL;"
    "  END $$;"
    "CREATE TRIGGER count_spent AFTER INSERT OR UPDATE OF state, price ON proxylua.charges "
    "  FOR EACH ROW EXECUTE PROCEDURE proxylua.count_spent();",

    /* Finds entries by their order and by the stem of their key. An extension that was settled
     * manually may lack its order; the path has it. */
    "ALTER TABLE proxylua.charges ADD retired bool NOT NULL DEFAULT false;" /* journal_retire */
    "UPDATE proxylua.charges SET order_id = " JOURNAL_UNESCAPED(
        "substring(params FROM '^POST /orders/([^/]+)/extend')"
    ) " WHERE endpoint = 'orders.extend' AND state = 2 AND order_id IS NULL;"
    "CREATE INDEX charges_by_order ON proxylua.charges (account, order_id) WHERE state = 2;"
    "UPDATE proxylua.charges c SET retired = true FROM proxylua.notes n "
    "  WHERE n.kind = 'fleet.ended' AND n.name = c.order_id AND c.endpoint = 'orders.create' "
    "  AND state = 2 AND left(account, length(owner) + 1) = owner || ' ';"
    "CREATE INDEX charges_by_stem ON proxylua.charges (account, " JOURNAL_STEM
    ", length(key), key);"
    "CREATE INDEX charges_stock ON proxylua.charges (account, " JOURNAL_STEM ") "
    "  WHERE state = 2 AND endpoint = 'orders.create' AND NOT retired;",

    /* Whose connection shows that the holder of a lock still runs. */
    "ALTER TABLE proxylua.locks ADD backend int NOT NULL DEFAULT 0;",

    /* The clocks of locks and intents as in a file. A process of before that holds a lock writes no
     * more, since the version is another. */
    "DROP TABLE proxylua.locks;"
    "CREATE TABLE proxylua.locks (" /* the lock of an account (charge/lock_store.c) */
    "  account text PRIMARY KEY,"
    "  clock text NOT NULL," /* whose microseconds the times are */
    "  token int8 NOT NULL," /* of the holder; 0: none */
    "  until int8 NOT NULL,"
    "  next int8 NOT NULL," /* of the first in the queue; 0: none */
    "  next_until int8 NOT NULL,"
    "  backend int4 NOT NULL" /* the holder's connection */
    ") WITH (fillfactor = 20);"
    "ALTER TABLE proxylua.charges ADD intent_clock text, ADD intent_at int8;"
    "UPDATE proxylua.charges SET intent_at = created_at, intent_clock = 'postgresql ' || "
    "  (SELECT system_identifier FROM pg_catalog.pg_control_system());",

    /* The journal counts what is spent itself (charge/journal_store.c). */
    "DROP TRIGGER count_spent ON proxylua.charges;"
    "DROP FUNCTION proxylua.count_spent();",
};

#define VERSION ((int)(sizeof migrations / sizeof *migrations))

static bool refuse(const struct postgres *pg, struct error *err, const char *why)
{
  error_set(err, ERROR_STORE, "the store %s: %s; it was left as it is", pg->name, why);
  return false;
}

static bool read_number(struct postgres *pg, const char *query, int *number, struct error *err)
{
  PGresult *result = postgres_query(pg, query, err);
  if (!result) return false;
  *number = pg->lib.PQntuples(result) > 0 ? atoi(pg->lib.PQgetvalue(result, 0, 0)) : 0;
  pg->lib.PQclear(result);
  return true;
}

/* The number of tables and other objects in schema proxylua, less a thousand if it has our version
 * table: one query, since other processes may be creating them. */
static const char objects_query[] =
    "SELECT count(*) - 1000 * count(*) FILTER (WHERE relname = 'version') FROM pg_catalog.pg_class "
    "WHERE relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'proxylua')";

/* 0 if the schema is not there yet. */
static bool read_version(struct postgres *pg, int *version, struct error *err)
{
  int objects;
  *version = 0;
  if (!read_number(pg, objects_query, &objects, err)) return false;
  if (objects > 0) return refuse(pg, err, "its schema proxylua belongs to another program");
  if (objects == 0) return true;
  if (!read_number(pg, "SELECT version FROM proxylua.version", version, err)) return false;
  return *version <= VERSION ||
         refuse(pg, err, "a newer proxylua has written it; use that version, or another database");
}

static bool execute(struct postgres *pg, const char *text, struct error *err)
{
  PGresult *result = postgres_query(pg, text, err);
  if (result) pg->lib.PQclear(result);
  return result;
}

/* Several processes may open a new database at once, so the version is read again under a lock. The
 * version table is locked too; every transaction of a running program has read it (`guard` in
 * postgres.c), so these end before, or find another version. */
static bool migrate(struct postgres *pg, struct error *err)
{
  int version;
  char mark[80];
  snprintf(mark, sizeof mark, "UPDATE proxylua.version SET version = %d", VERSION);
  if (!execute(pg,
               "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('proxylua "
               "migrations'))",
               err) ||
      !read_version(pg, &version, err))
    return false;
  if (version == VERSION) return true;
  if (version > 0 && !execute(pg, "LOCK TABLE proxylua.version IN ACCESS EXCLUSIVE MODE", err))
    return false;
  for (int i = version; i < VERSION; i++)
    if (!execute(pg, migrations[i], err)) return false;
  return execute(pg, mark, err);
}

int postgres_version(void)
{
  return VERSION;
}

bool postgres_migrate(struct postgres *pg, struct error *err)
{
  int version;
  struct error ignored;
  if (!read_version(pg, &version, err)) return false;
  if (version == VERSION) return true;
  if (!execute(pg, "BEGIN", err)) return false;
  pg->migrating = true;
  bool ok = migrate(pg, err) && execute(pg, "COMMIT", err);
  pg->migrating = false;
  if (!ok && !pg->lost) execute(pg, "ROLLBACK", &ignored);
  return ok;
}
