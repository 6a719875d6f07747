/* The store in a PostgreSQL database, for machines that share a key: a connection, its statements
 * and its transactions. All waiting is poll(2) with a deadline, so that a silent server cannot
 * block the store's thread forever.
 *
 * The database's clock decides, not the machines'. It must not jump. Set forward by hours, it frees
 * slots that much too early and ends pauses, which may cause a 429. Set back, requests wait for at
 * most one window longer, since no slot counts as older than at the last save of its row
 * (slots_refresh). spec/core/limiter_time_spec.lua shows both. */
#include "store/postgres.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/schema.h"

#define LONGEST_WAIT                                                          \
  (20 * INT64_C(1000000)) /* microseconds for one statement or for connecting \
                           */
#define LONGEST_WAIT_IN_A_HURRY INT64_C(1000000)
#define LONGEST_MIGRATION (600 * INT64_C(1000000))
#define CLOSING 100 /* milliseconds from a server's last message to the end of its connection */
#define GLANCE 250  /* milliseconds between checks for the program's end */
#define OLDEST_SERVER 100000

static void copy_line(char *line, size_t capacity, const char *said)
{
  size_t size = strcspn(said, "\n");
  if (size >= capacity) size = capacity - 1;
  memcpy(line, said, size);
  line[size] = '\0';
}

static void hide(char *text, const char *secret)
{
  size_t size = secret ? strlen(secret) : 0;
  for (char *found = text; size > 0 && (found = strstr(found, secret)); found += size)
    memset(found, '*', size);
}

static bool fail(const struct postgres *pg, struct error *err, const char *hint, const char *said)
{
  char line[300];
  copy_line(line, sizeof line, said);
  hide(line, pg->password);
  error_set(err, ERROR_STORE, "the store %s: %s%s%s%s", pg->name, hint, *line ? " (" : "", line,
            *line ? ")" : "");
  return false;
}

bool postgres_damaged(const struct postgres *pg, struct error *err, const char *what)
{
  return fail(pg, err, "its data is damaged and was not changed; restore a copy", what);
}

/* By the five characters of an SQLSTATE, or their beginning. */
static const char *hint_for(const char *state)
{
  static const struct {
    const char *begin, *hint;
  } hints[] = {
      {"28", "it refused the user or the password; check the store's address"},
      {"3D", "the database does not exist; create it first"},
      {"42501",
       "the user may not do this; grant the right to create a schema, or what schema proxylua "
       "needs"},
      {"25006", "it is read-only, perhaps a standby; use the primary's address"},
      {"53100", "the server's disk is full; make room and try again"},
      {"53", "the server is out of connections or memory; try again"},
      {"55P03", "another process keeps it locked; try again"},
      {"57014", "it took too long; try again"},
      {"57P", "the server shuts down or starts; try again"},
      {"58", "the server's disk failed; check it"},
      {"XX", "it is damaged; check the server"},
  };
  for (size_t i = 0; state && i < sizeof hints / sizeof *hints; i++)
    if (strncmp(state, hints[i].begin, strlen(hints[i].begin)) == 0) return hints[i].hint;
  return "PostgreSQL refused";
}

static bool fail_lost(struct postgres *pg, struct error *err, const char *said)
{
  pg->lost = true;
  if (strstr(said, "statement pooling mode"))
    return fail(pg, err,
                "its pooler is in statement mode, which has no transactions; set pool_mode to "
                "session or transaction",
                said);
  if (strstr(said, "password authentication failed") || strstr(said, "no password supplied"))
    return fail(pg, err,
                "the server refused the user or the password; check them in the store's address",
                said);
  return fail(pg, err,
              pg->committing
                  ? "the connection was lost while it was being written, which may or may not have "
                    "happened"
                  : "no connection; check the server and the network, and try again",
              said);
}

static bool fail_result(struct postgres *pg, const PGresult *result, struct error *err)
{
  const char *state = pg->lib.PQresultErrorField(result, PG_DIAG_SQLSTATE);
  bool other_version = state && strcmp(state, "22012") == 0; /* of `guard` */
  bool away = !state || other_version || strncmp(state, "57P", 3) == 0 ||
              strncmp(state, "08", 2) == 0 || pg->lib.PQstatus(pg->connection) == CONNECTION_BAD;
  if (away) return fail_lost(pg, err, pg->lib.PQresultErrorMessage(result));
  return fail(pg, err, hint_for(state), pg->lib.PQresultErrorMessage(result));
}

static int64_t deadline_of(const struct postgres *pg)
{
  return loop_clock() + (pg->migrating            ? LONGEST_MIGRATION
                         : atomic_load(pg->hurry) ? LONGEST_WAIT_IN_A_HURRY
                                                  : LONGEST_WAIT);
}

/* Waits until the socket is ready. Checks it once more when the time is over, since the machine may
 * have slept. If the program begins to end meanwhile, the wait is shortened. */
static bool await(struct postgres *pg, short events, int64_t *deadline, struct error *err)
{
  struct pollfd ready = {.fd = pg->lib.PQsocket(pg->connection), .events = events};
  for (;;) {
    int64_t now = loop_clock(), left = *deadline - now;
    if (atomic_load(pg->hurry) && !pg->migrating && left > LONGEST_WAIT_IN_A_HURRY)
      *deadline = now + LONGEST_WAIT_IN_A_HURRY;
    int most = left <= 0 ? 0 : left < (int64_t)GLANCE * 1000 ? (int)(left / 1000) + 1 : GLANCE;
    int count = poll(&ready, 1, most);
    if (count > 0) return true;
    if (count < 0 && errno != EINTR) return fail_lost(pg, err, strerror(errno));
    if (left <= 0) return fail_lost(pg, err, "no response in time; its disk may be too busy");
  }
}

static bool flush(struct postgres *pg, int64_t *deadline, struct error *err)
{
  for (;;) {
    int left = pg->lib.PQflush(pg->connection);
    if (left == 0) return true;
    if (left < 0 || !pg->lib.PQconsumeInput(pg->connection))
      return fail_lost(pg, err, pg->lib.PQerrorMessage(pg->connection));
    if (!await(pg, POLLIN | POLLOUT, deadline, err)) return false;
  }
}

/* Waits for the next result; NULL after the last one of a statement. */
static bool next_result(struct postgres *pg, PGresult **result, int64_t *deadline,
                        struct error *err)
{
  *result = NULL;
  while (pg->lib.PQisBusy(pg->connection)) {
    if (!await(pg, POLLIN, deadline, err)) return false;
    if (!pg->lib.PQconsumeInput(pg->connection))
      return fail_lost(pg, err, pg->lib.PQerrorMessage(pg->connection));
  }
  *result = pg->lib.PQgetResult(pg->connection);
  return true;
}

static bool is_good(const struct postgres *pg, const PGresult *result)
{
  ExecStatusType status = pg->lib.PQresultStatus(result);
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* Whether this was the last result. In a pipeline that is the one of PQpipelineSync; a statement's
 * NULL only ends its own results there, unless the connection is lost. */
static bool is_end(const struct postgres *pg, const PGresult *result)
{
  if (result) return pg->lib.PQresultStatus(result) == PGRES_PIPELINE_SYNC;
  return !pg->pipelined || pg->lib.PQstatus(pg->connection) == CONNECTION_BAD;
}

/* The last result of what was sent; or that of the first failure. */
static PGresult *receive(struct postgres *pg, struct error *err)
{
  int64_t deadline = deadline_of(pg);
  PGresult *last = NULL, *result;
  bool ok = flush(pg, &deadline, err);
  while (ok && (ok = next_result(pg, &result, &deadline, err)) && !is_end(pg, result)) {
    if (!result) continue;
    PGresult *worse = last && !is_good(pg, last) ? last : result;
    pg->lib.PQclear(worse == last ? result : last);
    last = worse;
  }
  if (ok) pg->lib.PQclear(result);
  if (ok && last) return last;
  if (last && !is_good(pg, last)) fail_result(pg, last, err); /* why the server closed */
  pg->lib.PQclear(last);
  if (ok) fail_lost(pg, err, "no response");
  return NULL;
}

static PGresult *judge(struct postgres *pg, PGresult *result, struct error *err)
{
  if (!result || is_good(pg, result)) return result;
  fail_result(pg, result, err);
  pg->lib.PQclear(result);
  return NULL;
}

static PGresult *answer(struct postgres *pg, bool sent, struct error *err)
{
  if (sent) return judge(pg, receive(pg, err), err);
  fail_lost(pg, err, pg->lib.PQerrorMessage(pg->connection));
  return NULL;
}

PGresult *postgres_query(struct postgres *pg, const char *text, struct error *err)
{
  return answer(pg, pg->lib.PQsendQuery(pg->connection, text), err);
}

static void disconnect(struct postgres *pg)
{
  if (pg->connection) pg->lib.PQfinish(pg->connection);
  pg->connection = NULL;
  pg->lost = pg->committing = pg->pipelined = false;
}

static void ignore_notice(void *arg, const char *text)
{
  (void)arg, (void)text;
}

static bool begin_connecting(struct postgres *pg, struct error *err)
{
  /* Settings before the address can be overridden by it. */
  static const char *const names[] = {"fallback_application_name", "target_session_attrs", "dbname",
                                      "client_encoding", NULL};
  const char *values[] = {"proxylua", "any", pg->location, "UTF8", NULL};
  pg->connection = pg->lib.PQconnectStartParams(names, values, 1);
  if (pg->connection) return true;
  error_set(err, ERROR_INTERNAL, "out of memory");
  return false;
}

static bool finish_connecting(struct postgres *pg, struct error *err)
{
  int64_t deadline = deadline_of(pg);
  PostgresPollingStatusType next = PGRES_POLLING_WRITING;
  if (pg->lib.PQstatus(pg->connection) == CONNECTION_BAD) next = PGRES_POLLING_FAILED;
  while (next == PGRES_POLLING_READING || next == PGRES_POLLING_WRITING) {
    if (!await(pg, next == PGRES_POLLING_READING ? POLLIN : POLLOUT, &deadline, err)) return false;
    next = pg->lib.PQconnectPoll(pg->connection);
  }
  return next == PGRES_POLLING_OK || fail_lost(pg, err, pg->lib.PQerrorMessage(pg->connection));
}

static bool ask_server(struct postgres *pg, struct error *err)
{
  if (pg->lib.PQserverVersion(pg->connection) < OLDEST_SERVER)
    return fail(pg, err, "the server is older than PostgreSQL 10; use a newer one", "");
  PGresult *result =
      postgres_query(pg, "SELECT system_identifier FROM pg_catalog.pg_control_system()", err);
  if (!result) return false;
  snprintf(pg->driver.clock, sizeof pg->driver.clock, "postgresql %.40s",
           pg->lib.PQgetvalue(result, 0, 0));
  pg->lib.PQclear(result);
  return true;
}

static bool identify(struct postgres *pg, struct error *err)
{
  PGresult *result = postgres_query(pg, "SELECT id FROM proxylua.version", err);
  if (!result) return false;
  bool found = pg->lib.PQntuples(result) > 0;
  if (found) store_identify(pg->driver.run, pg->lib.PQgetvalue(result, 0, 0));
  pg->lib.PQclear(result);
  if (!found) return postgres_damaged(pg, err, "its version is missing");
  return store_is_same(pg->driver.run, err);
}

/* From now on statements are sent in a pipeline and their results read together. */
static bool begin_pipeline(struct postgres *pg, struct error *err)
{
  pg->pipelined = pg->lib.PQenterPipelineMode(pg->connection) == 1;
  return pg->pipelined || fail_lost(pg, err, pg->lib.PQerrorMessage(pg->connection));
}

static bool connect_server(struct postgres *pg, struct error *err)
{
  disconnect(pg);
  if (!begin_connecting(pg, err)) return false;
  pg->lib.PQsetNoticeProcessor(pg->connection, ignore_notice, NULL);
  return finish_connecting(pg, err) &&
         (pg->lib.PQsetnonblocking(pg->connection, 1) == 0 || fail_lost(pg, err, "cannot wait")) &&
         ask_server(pg, err) && postgres_migrate(pg, err) && identify(pg, err) &&
         begin_pipeline(pg, err);
}

struct arguments {
  const char *values[DB_PARAMS];
  int sizes[DB_PARAMS], formats[DB_PARAMS];
  char digits[DB_PARAMS][24];
  struct buffer clean[DB_PARAMS];
};

/* False when out of memory. */
static bool fill(struct arguments *to, const struct db_value *values, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    const struct db_value *value = &values[i];
    to->values[i] = value->data;
    if (value->kind == DB_IS_NUMBER) {
      snprintf(to->digits[i], sizeof to->digits[i], "%lld", (long long)value->number);
      to->values[i] = to->digits[i];
    } else if (value->kind == DB_IS_BYTES) {
      to->values[i] = value->size ? value->data : "";
      to->sizes[i] = (int)value->size;
      to->formats[i] = 1;
    } else if (value->kind == DB_IS_FOREIGN && value->data && *(const char *)value->data) {
      if (!buffer_add_utf8(&to->clean[i], value->data, strlen(value->data))) return false;
      to->values[i] = to->clean[i].data;
    }
  }
  return true;
}

static bool reserve(struct postgres *pg)
{
  if (pg->pending_count < pg->pending_capacity) return true;
  size_t capacity = pg->pending_capacity ? 2 * pg->pending_capacity : 16;
  struct postgres_pending *pending = realloc(pg->pending, capacity * sizeof *pending);
  if (!pending) return false;
  pg->pending = pending;
  pg->pending_capacity = capacity;
  return true;
}

/* Queues a statement; its results come with the next sync. */
static bool run(struct store_driver *driver, const struct db_statement *wanted, struct error *err)
{
  struct postgres *pg = (struct postgres *)driver;
  struct postgres_pending pending = {wanted->read, wanted->arg, wanted->changed};
  struct arguments arguments = {0};
  bool ok = reserve(pg) && db_text_for(&pg->text, wanted->text, true) &&
            fill(&arguments, wanted->values, wanted->count);
  if (!ok)
    error_set(err, ERROR_INTERNAL, "out of memory");
  else if (pg->lib.PQsendQueryParams(pg->connection, pg->text.data, (int)wanted->count, NULL,
                                     arguments.values, arguments.sizes, arguments.formats, 1))
    pg->pending[pg->pending_count++] = pending;
  else
    ok = fail_lost(pg, err, pg->lib.PQerrorMessage(pg->connection));
  for (size_t i = 0; i < wanted->count; i++) buffer_free(&arguments.clean[i]);
  return ok;
}

static bool deliver(struct postgres *pg, const struct postgres_pending *pending, PGresult *result,
                    struct error *err)
{
  struct db_row row = {.driver = &pg->driver, .source = result};
  int rows = pg->lib.PQntuples(result);
  if (pending->changed) *pending->changed += strtoll(pg->lib.PQcmdTuples(result), NULL, 10);
  for (; pending->read && row.index < rows; row.index++)
    if (!pending->read(pending->arg, &row, err)) return false;
  return true;
}

/* Reads the results up to that of PQpipelineSync. After a failure those of later statements only
 * say that they did not run. */
static bool receive_all(struct postgres *pg, struct error *err)
{
  int64_t deadline = deadline_of(pg);
  PGresult *result;
  bool ok = true;
  if (!flush(pg, &deadline, err)) return false;
  for (size_t at = 0; next_result(pg, &result, &deadline, ok ? err : &(struct error){0});) {
    if (is_end(pg, result)) {
      pg->lib.PQclear(result);
      if (!result && ok) fail_lost(pg, err, "no response");
      return ok && result;
    }
    if (!result)
      at++;
    else if (ok && !is_good(pg, result)) {
      if (at + 1 < pg->pending_count) pg->committing = false; /* that did not run either */
      ok = fail_result(pg, result, err);
    } else if (ok && at < pg->pending_count)
      ok = deliver(pg, &pg->pending[at], result, err);
    pg->lib.PQclear(result);
  }
  return false;
}

static bool sync(struct store_driver *driver, struct error *err)
{
  struct postgres *pg = (struct postgres *)driver;
  if (pg->pending_count == 0) return true;
  bool ok = pg->lib.PQpipelineSync(pg->connection)
                ? receive_all(pg, err)
                : fail_lost(pg, err, pg->lib.PQerrorMessage(pg->connection));
  pg->pending_count = 0;
  return ok;
}

/* Whether the server has closed the connection since it was last used: then nothing is sent in
 * vain, of which it would be unknown whether it was committed. A server says why before it closes.
 */
static bool was_closed(struct postgres *pg)
{
  struct pollfd ready = {.fd = pg->lib.PQsocket(pg->connection), .events = POLLIN};
  for (int tries = 0; tries < 10 && poll(&ready, 1, tries ? CLOSING : 0) > 0; tries++)
    if (!pg->lib.PQconsumeInput(pg->connection)) return true;
  return pg->lib.PQstatus(pg->connection) != CONNECTION_OK;
}

/* Runs before every transaction, with effect for that one only, since a pooler in between may use
 * another session for each: operators of other schemas are not found, waits at the server are
 * limited, and the owner's setting of durability is respected unless it is off. Another version of
 * the schema, or another store in its place, causes a division by zero (error 22012): the
 * connection is made again, which reports the reason. For the same reason no statement is prepared
 * at the server. */
static const char guard[] =
    "SELECT set_config('search_path', 'pg_catalog, proxylua, pg_temp', true), "
    "set_config('statement_timeout', '15s', true), set_config('lock_timeout', '15s', true), "
    "set_config('idle_in_transaction_session_timeout', '15s', true), "
    "CASE WHEN $3 = 'off' THEN set_config('synchronous_commit', 'off', true) WHEN "
    "current_setting('synchronous_commit') = 'off' THEN "
    "set_config('synchronous_commit', 'on', true) END, "
    "1 / (version = $1::int AND id = $2)::int FROM proxylua.version";

static bool begin(struct store_driver *driver, enum db_safety safety, struct error *err)
{
  struct postgres *pg = (struct postgres *)driver;
  pg->committing = false;
  pg->reads = safety == DB_READ;
  pg->pending_count = 0;
  if (was_closed(pg)) return fail_lost(pg, err, pg->lib.PQerrorMessage(pg->connection));
  const char *how = pg->reads ? "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
                              : "BEGIN ISOLATION LEVEL READ COMMITTED";
  return db_run(driver, how, NULL, 0, NULL, err) &&
         db_run(driver, guard,
                DB_WITH(DB_NUMBER(SCHEMA_VERSION), DB_TEXT(driver->run->id),
                        DB_TEXT(safety == DB_LOOSE ? "off" : "")),
                NULL, err);
}

/* A commit waits for the server's disk; no timeout of the server ends that, only this one does. */
static bool end(struct store_driver *driver, bool commit, struct error *err)
{
  struct postgres *pg = (struct postgres *)driver;
  struct error ignored = ERROR_INIT;
  pg->committing = commit && !pg->reads;
  if (commit && db_run(driver, "COMMIT", NULL, 0, NULL, err) && sync(driver, err)) return true;
  for (size_t i = 0; i < pg->pending_count; i++) pg->pending[i] = (struct postgres_pending){0};
  if (!pg->lost) sync(driver, &ignored);
  if (!pg->lost && db_run(driver, "ROLLBACK", NULL, 0, NULL, &ignored)) sync(driver, &ignored);
  return false;
}

/* Not repeated for a silent server: that would double the wait. */
static bool reconnect(struct store_driver *driver, int64_t began, struct error *err)
{
  struct postgres *pg = (struct postgres *)driver;
  if (!pg->lost || pg->committing || loop_clock() - began > LONGEST_WAIT / 4) return false;
  *err = ERROR_INIT;
  bool ok = connect_server(pg, err);
  pg->lost = !ok;
  return ok;
}

static const void *bytes(const struct db_row *row, int column, size_t *size)
{
  const struct postgres *pg = (const struct postgres *)row->driver;
  *size = (size_t)pg->lib.PQgetlength(row->source, row->index, column);
  return pg->lib.PQgetisnull(row->source, row->index, column)
             ? NULL
             : pg->lib.PQgetvalue(row->source, row->index, column);
}

/* Of a bool, an int4 or an int8 in the binary format. */
static int64_t number(const struct db_row *row, int column)
{
  size_t size;
  const unsigned char *data = bytes(row, column, &size);
  uint64_t value = data && size > 1 && data[0] & 0x80 ? UINT64_MAX : 0;
  for (size_t i = 0; data && i < size; i++) value = value << 8 | data[i];
  return (int64_t)value;
}

static bool damaged(struct store_driver *driver, const char *what, struct error *err)
{
  return postgres_damaged((struct postgres *)driver, err, what);
}

static bool read_backend(void *arg, const struct db_row *row, struct error *err)
{
  (void)err;
  *(int64_t *)arg = db_number(row, 0);
  return true;
}

static bool ask_backend(struct store_driver *driver, void *arg, struct error *err)
{
  return db_read(driver, "SELECT pg_backend_pid()", NULL, 0, read_backend, arg, err) &&
         db_sync(driver, err);
}

/* A pooler gives each client a number of its own at the start. The transaction goes on after that,
 * which a pooler in statement mode refuses. */
static bool is_pooled(struct store_driver *driver, struct store_check *check)
{
  struct postgres *pg = (struct postgres *)driver;
  int64_t backend;
  if (!db_transact(driver, DB_READ, ask_backend, &backend, &check->job.err)) return false;
  check->pooled = backend != pg->lib.PQbackendPID(pg->connection);
  return true;
}

static void close_postgres(struct store_driver *driver)
{
  struct postgres *pg = (struct postgres *)driver;
  disconnect(pg);
  if (pg->password) explicit_bzero(pg->password, strlen(pg->password));
  if (pg->location) explicit_bzero(pg->location, strlen(pg->location));
  free(pg->password);
  free(pg->location);
  free(pg->name);
  free(pg->pending);
  buffer_free(&pg->text);
  free(pg);
}

static bool is_stale(struct store_driver *driver)
{
  const struct postgres *pg = (const struct postgres *)driver;
  return pg->lost || pg->lib.PQstatus(pg->connection) != CONNECTION_OK;
}

/* libpq's own message about an invalid address may quote the password, so it is not shown. */
static bool read_address(struct postgres *pg, struct error *err)
{
  char *said = NULL;
  bool ok = true;
  PQconninfoOption *options = pg->lib.PQconninfoParse(pg->location, &said);
  if (said) pg->lib.PQfreemem(said);
  if (!options) {
    error_set(err, ERROR_CONFIG,
              "the store %s: this address is not valid; write it like "
              "postgres://user:password@host/database, with characters other than letters and "
              "digits as %%xx",
              pg->name);
    return false;
  }
  for (const PQconninfoOption *option = options; option->keyword; option++)
    if (strcmp(option->keyword, "password") == 0 && option->val)
      ok = (pg->password = strdup(option->val));
  pg->lib.PQconninfoFree(options);
  if (!ok) error_set(err, ERROR_INTERNAL, "out of memory");
  return ok;
}

static struct store_driver *open_postgres(const char *location, const atomic_bool *hurry,
                                          struct store_run *run, struct error *err)
{
  struct postgres *pg = calloc(1, sizeof *pg);
  if (!pg || !postgres_open_library(&pg->lib, err)) {
    if (!pg) error_set(err, ERROR_INTERNAL, "out of memory");
    free(pg);
    return NULL;
  }
  pg->driver.ops = &store_postgres;
  pg->driver.run = run;
  pg->hurry = hurry;
  pg->location = strdup(location);
  pg->name = store_name(location);
  if (!pg->location || !pg->name)
    error_set(err, ERROR_INTERNAL, "out of memory");
  else if (read_address(pg, err) && connect_server(pg, err))
    return &pg->driver;
  close_postgres(&pg->driver);
  return NULL;
}

const struct store_ops store_postgres = {
    .open = open_postgres,
    .close = close_postgres,
    .stale = is_stale,
    .begin = begin,
    .run = run,
    .sync = sync,
    .end = end,
    .connect = reconnect,
    .bytes = bytes,
    .number = number,
    .damaged = damaged,
    .pooled = is_pooled,
};
