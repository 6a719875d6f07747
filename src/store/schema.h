/* The schema of both kinds of store, as numbered migrations, and the parts of statements that it
 * shares with others. */
#ifndef PROXYLUA_STORE_SCHEMA_H
#define PROXYLUA_STORE_SCHEMA_H

#include "base/buffer.h"
#include "store/driver.h"

/* A key without the number at its end: an index is used only for the same expression. */
#define SCHEMA_STEM "rtrim(key, '0123456789')"

/* The part of a snapshot that stays when its entry is settled: the expiry date before an extension
 * (a line "expires_at …", charge/snapshot.h), which identifies it; else NULL. */
#define SCHEMA_SNAPSHOT_KEPT                                                                 \
  DB_EITHER(                                                                                 \
      "CASE WHEN instr(snapshot, 'expires_at ') > 0 THEN substr(snapshot, instr(snapshot, "  \
      "'expires_at '), instr(substr(snapshot, instr(snapshot, 'expires_at ')) || char(10), " \
      "char(10)) - 1) END",                                                                  \
      "substring(snapshot FROM 'expires_at [^\n]*')")

#define SCHEMA_VERSION 8

/* Writes the statements that lead from a version to the next one. False when out of memory. */
bool schema_migration(struct buffer *text, int version, bool postgres);

#endif
