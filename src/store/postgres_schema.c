/* A database is migrated from its version of the schema to the present one. One that belongs to
 * another program, or has a newer version, is refused unchanged. */
#include <stdio.h>
#include <stdlib.h>

#include "store/postgres.h"
#include "store/schema.h"

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
  return *version <= SCHEMA_VERSION ||
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
  snprintf(mark, sizeof mark, "UPDATE proxylua.version SET version = %d", SCHEMA_VERSION);
  if (!execute(pg,
               "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('proxylua "
               "migrations'))",
               err) ||
      !read_version(pg, &version, err))
    return false;
  if (version == SCHEMA_VERSION) return true;
  if (version > 0 && !execute(pg, "LOCK TABLE proxylua.version IN ACCESS EXCLUSIVE MODE", err))
    return false;
  bool ok = true;
  for (; ok && version < SCHEMA_VERSION; version++) {
    ok = schema_migration(&pg->text, version, true);
    if (ok)
      ok = execute(pg, pg->text.data, err);
    else
      error_set(err, ERROR_INTERNAL, "out of memory");
  }
  return ok && execute(pg, mark, err);
}

bool postgres_migrate(struct postgres *pg, struct error *err)
{
  int version;
  struct error ignored;
  if (!read_version(pg, &version, err)) return false;
  if (version == SCHEMA_VERSION) return true;
  if (!execute(pg, "BEGIN", err)) return false;
  pg->migrating = true;
  bool ok = migrate(pg, err) && execute(pg, "COMMIT", err);
  pg->migrating = false;
  if (!ok && !pg->lost) execute(pg, "ROLLBACK", &ignored);
  return ok;
}
