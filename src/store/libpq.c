/* The texts of the PostgreSQL store: the library's functions by name, and every statement. */
#include <dlfcn.h>
#include <string.h>

#include "store/postgres.h"

static bool find(void *handle, const char *name, void *function)
{
  void *found = dlsym(handle, name);
  memcpy(function, &found, sizeof found); /* C has no conversion to a pointer to a function */
  return found;
}

/* Stays open, since its OpenSSL does not support being unloaded. */
bool postgres_open_library(struct libpq *lib, struct error *err)
{
  lib->handle = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  bool ok = lib->handle;
#define LIBPQ_FIND(name) ok = ok && find(lib->handle, #name, &lib->name)
  LIBPQ_FUNCTIONS(LIBPQ_FIND);
  if (!ok)
    error_set(err, ERROR_CONFIG,
              "a store in PostgreSQL needs the client library libpq, which cannot be loaded (%s); "
              "install it (Debian: "
              "libpq5), or use the path of a file as the store",
              lib->handle ? "it is too old" : dlerror());
  return ok;
}

/* The database's clock, in microseconds since 1970. */
#define NOW "(extract(epoch from clock_timestamp()) * 1000000)::int8"

#define CHARGE_COLUMNS                                                                             \
  "account, key, endpoint, params, params_hash, quote, state, order_id, price, answer, snapshot, " \
  "host, pid, started, "                                                                           \
  "run_id, day, created_at, updated_at, note, ended_clock, ended_at"

/* The columns of an entry that are read, and the time since its request ended by this database's
 * clock. */
#define CHARGE_READ "id, " CHARGE_COLUMNS ", " NOW " - ended_at, pruned, " NOW " - created_at"
#define CHARGE_SELECTED \
  "($1::text IS NULL OR account = $1) AND (1 << state) & $2 != 0 AND NOT ($3::bool AND pruned)"

#define SPENT(span, account, purse)                                                 \
  "(SELECT amount FROM proxylua.spent WHERE span = " span " AND account = " account \
  " AND purse = " purse ")"

/* A lock is free when its lease is over, which the store's thread renews every 1.5 s, or when a
 * renewal is late and the holder's connection has ended. Behind a pooler that connection stays. A
 * place in the queue is kept by repeated requests. */
#define LEASE "interval '6 s'"
#define LATE "interval '4 s'" /* what is left of a lease whose renewal is late */
#define PLACE "interval '3 s'"
#define IS_OVER                                \
  "(l.until <= now OR (l.until <= now + " LATE \
  " AND NOT EXISTS (SELECT FROM "              \
  "pg_catalog.pg_stat_activity AS a WHERE a.pid = l.backend)))"
#define IS_FREE "((l.next = $2 OR l.next_until <= now) AND " IS_OVER ")"

/* After an update of an entry (`changed`): writes the baseline of its account if the token is that
 * of a lock, removes it when the text is empty, and leaves it when the text is NULL. */
#define KEEP_BASELINE(text, clock, token)                                                  \
  ", kept AS (INSERT INTO proxylua.ledgers AS l (account, baseline, baseline_entry, "      \
  "baseline_clock, baseline_at) SELECT account, nullif(" text ", ''), id, " clock ", " NOW \
  " FROM changed WHERE " text " = '' OR (" text                                            \
  "::text IS NOT NULL AND EXISTS (SELECT 1 FROM "                                          \
  "proxylua.locks WHERE token = " token                                                    \
  ")) ON CONFLICT (account) DO UPDATE SET baseline = "                                     \
  "excluded.baseline, baseline_entry = excluded.baseline_entry, baseline_clock = "         \
  "excluded.baseline_clock, baseline_at = excluded.baseline_at) SELECT id FROM changed"

#define TEXTS(json) "ARRAY(SELECT json_array_elements_text(" json "::json))"

/* The entry with the highest number of each stem. */
#define LAST_OF_STEM(condition)                                                  \
  "SELECT (SELECT id FROM proxylua.charges WHERE account = $2 AND " JOURNAL_STEM \
  " = stem " condition                                                           \
  " ORDER BY length(key) DESC, key DESC LIMIT 1) FROM unnest(" TEXTS("$5") ") AS stem"

const struct postgres_text postgres_texts[PG_STATEMENTS] = {
    [PG_BEGIN] = {"BEGIN ISOLATION LEVEL READ COMMITTED", 0},
    [PG_COMMIT] = {"COMMIT", 0},
    [PG_ROLLBACK] = {"ROLLBACK", 0},
    /* Runs before every statement and transaction, with effect for that one only: operators of
     * other schemas are not found, waits at the server are limited, and the owner's setting of
     * durability is respected unless it is off. Another version of the schema, or another store in
     * its place, causes a division by zero (error 22012): the connection is made again, which
     * reports the reason. */
    [PG_GUARD] = {"SELECT set_config('search_path', 'pg_catalog, proxylua, pg_temp', true), "
                  "set_config('statement_timeout', '15s', true), "
                  "set_config('lock_timeout', '15s', true), "
                  "set_config('idle_in_transaction_session_timeout', '15s', true), "
                  "CASE WHEN $3 = 'off' THEN set_config('synchronous_commit', 'off', true) WHEN "
                  "current_setting('synchronous_commit') = 'off' THEN "
                  "set_config('synchronous_commit', 'on', true) END, "
                  "1 / (version = $1::int AND id = $2)::int FROM proxylua.version",
                  3},
    [PG_ACCOUNT_PUT] =
        {"INSERT INTO proxylua.accounts (key, account, updated_at) VALUES ($1, coalesce("
         "(SELECT account FROM proxylua.accounts WHERE key = $3), "
         "(SELECT account FROM proxylua.accounts WHERE key = $4), "
         "(SELECT account FROM proxylua.accounts WHERE key = $5), $2), " NOW
         ") ON CONFLICT (key) DO NOTHING",
         5},
    [PG_ACCOUNT_GET] = {"SELECT account FROM proxylua.accounts WHERE key = $1", 1},
    [PG_CHARGE_BY_KEY] = {"SELECT " CHARGE_READ
                          " FROM proxylua.charges WHERE account = $1 AND key = $2",
                          2},
    [PG_CHARGE_BY_ID] = {"SELECT " CHARGE_READ " FROM proxylua.charges WHERE id = $1", 1},
    [PG_CHARGE_LIST] =
        {"SELECT " CHARGE_READ
         " FROM proxylua.charges WHERE id > $1 AND ($2::text IS NULL OR account = $2) "
         "AND (1 << state) & $3 != 0 AND updated_at >= $5 ORDER BY id LIMIT $4",
         5},
    [PG_CHARGE_LIST_OPEN] =
        {"SELECT " CHARGE_READ
         " FROM proxylua.charges WHERE id > $1 AND ($2::text IS NULL OR account = $2) "
         "AND state NOT IN (2, 3) AND (1 << state) & $3 != 0 AND updated_at >= $5 ORDER BY id "
         "LIMIT $4",
         5},
    [PG_CHARGE_LIST_NEWEST] = {"SELECT " CHARGE_READ " FROM proxylua.charges WHERE " CHARGE_SELECTED
                               " AND id < $4 ORDER BY id DESC LIMIT $5",
                               5},
    [PG_CHARGE_COUNT] = {"SELECT count(*) FROM proxylua.charges WHERE " CHARGE_SELECTED, 3},
    [PG_CHARGE_LIST_KEYS] = {"SELECT " CHARGE_READ
                             " FROM proxylua.charges WHERE account = $1 AND key > $3 AND key < $4 "
                             "AND (1 << state) & $2 != 0 ORDER BY key LIMIT $5",
                             5},
    /* Sorted by id + 0, or the planner may scan all entries for a few. */
    [PG_CHARGE_LIST_ORDERS] = {"SELECT " CHARGE_READ
                               " FROM proxylua.charges WHERE id > $1 AND account = $2 AND state = "
                               "2 AND order_id = ANY(" TEXTS(
                                   "$5") ") AND (1 << state) & $3 != 0 ORDER BY id + 0 LIMIT $4",
                               5},
    [PG_CHARGE_LIST_STEMS] =
        {"SELECT " CHARGE_READ
         " FROM proxylua.charges WHERE id > $1 AND id = ANY(ARRAY(SELECT id FROM proxylua.charges "
         "WHERE account = $2 AND " JOURNAL_STEM " = ANY(" TEXTS(
             "$5") ") AND state = 2 AND "
                   "endpoint = 'orders.create' AND NOT retired UNION " LAST_OF_STEM(
                       "AND state = 2") " UNION " LAST_OF_STEM("") ")) AND (1 << state) & $3 != 0 "
                                                                   "ORDER BY id + 0 LIMIT $4",
         5},
    [PG_CHARGE_RETIRE] =
        {"UPDATE proxylua.charges SET retired = true WHERE account = $1 AND state = 2 AND "
         "endpoint = 'orders.create' AND order_id = ANY(" TEXTS("$2") ") AND NOT retired",
         2},
    [PG_CHARGE_PRUNE] =
        {"UPDATE proxylua.charges SET pruned = true, answer = CASE WHEN endpoint = 'orders.extend' "
         "THEN answer ELSE '{\"id\":' || coalesce(to_json(order_id)::text, 'null') || '}' END, "
         "note = NULL, host = NULL, run_id = '', "
         "ended_clock = NULL, ended_at = NULL "
         "WHERE account = $1 AND updated_at < $2 AND state = 2 AND NOT pruned",
         2},
    [PG_CHARGE_REMOVE] =
        {"DELETE FROM proxylua.charges WHERE account = $1 AND updated_at < $2 AND state = 3", 2},
    [PG_RUNS_FORGET] = {"DELETE FROM proxylua.spent WHERE left(span, 4) = 'run ' AND updated_at < "
                        "(SELECT " NOW ") - $1::int8",
                        1},
    [PG_CHARGE_INSERT] =
        {"INSERT INTO proxylua.charges (" CHARGE_COLUMNS
         ", period, purse) VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, NULL, NULL, $8, $9, $10, $11, "
         "$12, $13, " NOW ", " NOW ", NULL, NULL, NULL, $14, $15) RETURNING id",
         15},
    [PG_CHARGE_FORGET] = {"DELETE FROM proxylua.charges WHERE account = $1 AND key = $2", 2},
    [PG_CHARGE_SETTLE] =
        {"WITH changed AS (UPDATE proxylua.charges SET state = $2, order_id = coalesce($3, "
         "order_id), "
         "price = coalesce($4, price), answer = coalesce($5, answer), updated_at = " NOW
         ", note = coalesce($7, note), ended_clock = coalesce($8, ended_clock), "
         "ended_at = coalesce(" NOW " + $9::int8, ended_at), "
         "snapshot = CASE WHEN $2 IN (2, 3) THEN " POSTGRES_SNAPSHOT_KEPT " ELSE snapshot END "
         "WHERE id = $1 AND (1 << state) & $6 != 0 RETURNING id, account)" KEEP_BASELINE("$10",
                                                                                         "$11",
                                                                                         "$12"),
         12},
    [PG_CHARGE_AMEND] =
        {"WITH changed AS (UPDATE proxylua.charges SET price = coalesce($2, price), "
         "answer = coalesce($3, answer), note = coalesce($4, note), updated_at = " NOW
         " WHERE id = $1 AND state = 2 RETURNING id, account)" KEEP_BASELINE("$5", "$6", "$7"),
         7},
    /* clock_timestamp() in a sub-select, since an index is not used for a volatile value. All three
     * parts have the columns of an entry; the baseline is in that of the snapshot, its age in the
     * last one. */
    [PG_REVIEW] =
        {"(SELECT 0 AS part, " CHARGE_READ
         " FROM proxylua.charges WHERE account = $1 AND state NOT IN (2, 3) ORDER BY id LIMIT $2) "
         "UNION ALL (SELECT 1, " CHARGE_READ
         " FROM proxylua.charges WHERE account = $1 AND updated_at >= (SELECT " NOW
         ") - $3::int8 AND state IN (2, 3) ORDER BY updated_at DESC LIMIT $4) "
         "UNION ALL SELECT 2, baseline_entry, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, "
         "NULL, NULL, baseline, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, baseline_clock, "
         "NULL, " NOW " - baseline_at, false, NULL FROM proxylua.ledgers WHERE account = $1 AND "
         "baseline IS NOT NULL",
         4},
    [PG_LEDGER_MAKE] =
        {"INSERT INTO proxylua.ledgers (account) VALUES ($1) ON CONFLICT (account) DO NOTHING", 1},
    /* The result stays true until the commit. The time is read while the lock is held. */
    [PG_LEDGER_LOCK] = {"SELECT period, day, time, clock, read_at, " NOW
                        " FROM (SELECT * FROM proxylua.ledgers WHERE account = $1 FOR UPDATE) AS "
                        "locked",
                        1},
    [PG_LEDGER_LOOK] = {"SELECT period, day, time, clock, read_at, " NOW
                        " FROM (SELECT 1) AS one LEFT JOIN proxylua.ledgers ON account = $1",
                        1},
    [PG_LEDGER_PUT] =
        {"UPDATE proxylua.ledgers SET period = $2, day = $3, time = $4, clock = $5, read_at = $6 "
         "WHERE account = $1",
         6},
    [PG_SPENT] = {"SELECT " SPENT("'run ' || $1::text", "''",
                                  "''") ", " SPENT("'day ' || $2::text", "$3",
                                                   "''") ", " SPENT("'run ' || $1::text", "''",
                                                                    "$4") ", " SPENT("'day ' || "
                                                                                     "$2::text",
                                                                                     "$3", "$4"),
                  4},
    [PG_SPENT_FORGET] = {"DELETE FROM proxylua.spent WHERE span = 'day ' || $2::text AND account = "
                         "$1",
                         2},
    [PG_LOCK_MAKE] =
        {"INSERT INTO proxylua.locks (account) VALUES ($1) ON CONFLICT (account) DO NOTHING", 1},
    /* Takes the lock, or takes or keeps the place in the queue. It need not survive a crash of the
     * server: a lost token only ends its charge. */
    [PG_LOCK_TAKE] =
        {"UPDATE proxylua.locks AS l SET token = CASE WHEN " IS_FREE " THEN $2 ELSE l.token END, "
         "backend = CASE WHEN " IS_FREE " THEN pg_catalog.pg_backend_pid() ELSE l.backend END, "
         "until = CASE WHEN " IS_FREE " THEN now + " LEASE " ELSE l.until END, "
         "next = CASE WHEN NOT " IS_FREE " THEN $2 WHEN l.next = $2 THEN 0 ELSE l.next END, "
         "next_until = CASE WHEN NOT " IS_FREE " THEN now + " PLACE
         " WHEN l.next = $2 THEN '-infinity' ELSE l.next_until END "
         "FROM (SELECT clock_timestamp() AS now OFFSET 0) AS t WHERE l.account = $1 AND "
         "(" IS_FREE " OR l.next_until <= now OR (l.next = $2 AND l.next_until < now + " PLACE
         " / 2)) RETURNING l.token = $2, set_config('synchronous_commit', 'off', true)",
         2},
    /* ln(0) is the error 2201E, which is reported as a lost lock. */
    [PG_LOCK_HOLD] = {"WITH held AS (UPDATE proxylua.locks SET until = clock_timestamp() + " LEASE
                      ", backend = pg_catalog.pg_backend_pid() WHERE token = $1 RETURNING token) "
                      "SELECT ln(count(*)::numeric) FROM held",
                      1},
    [PG_LOCK_RENEW] = {"UPDATE proxylua.locks SET until = clock_timestamp() + " LEASE
                       ", backend = pg_catalog.pg_backend_pid() WHERE token = $1 RETURNING "
                       "set_config('synchronous_commit', 'off', true)",
                       1},
    [PG_LOCK_GIVE] =
        {"UPDATE proxylua.locks SET token = CASE WHEN token = $1 THEN 0 ELSE token END, "
         "until = CASE WHEN token = $1 THEN '-infinity' ELSE until END, "
         "next = CASE WHEN next = $2 THEN 0 ELSE next END, "
         "next_until = CASE WHEN next = $2 THEN '-infinity' ELSE next_until END "
         "WHERE token = $1 OR next = $2 RETURNING set_config('synchronous_commit', 'off', true)",
         2},
};
