/* Parts of statements that the schema needs too: an index is used only for the same expression. */
#ifndef PROXYLUA_STORE_FRAGMENTS_H
#define PROXYLUA_STORE_FRAGMENTS_H

/* A key without the number at its end. */
#define JOURNAL_STEM "rtrim(key, '0123456789')"

/* Decodes the escapes that an order's id is likely to have in a path. */
#define JOURNAL_UNESCAPED(text)                                           \
  "replace(replace(replace(replace(replace(replace(replace(replace(" text \
  ", '%3A', ':'), "                                                       \
  "'%2F', '/'), '%3D', '='), '%2B', '+'), '%40', '@'), '%2C', ','), '%20', ' '), '%25', '%')"

/* The part of a snapshot that stays when its entry is settled: the expiry date before an extension
 * (a line "expires_at …", charge/snapshot.h), which identifies it; else NULL. */
#define SQLITE_SNAPSHOT_KEPT                                                                       \
  "CASE WHEN instr(snapshot, 'expires_at ') > 0 THEN substr(snapshot, instr(snapshot, "            \
  "'expires_at '), instr(substr(snapshot, instr(snapshot, 'expires_at ')) || char(10), char(10)) " \
  "- 1) END"
#define POSTGRES_SNAPSHOT_KEPT "substring(snapshot FROM 'expires_at [^\n]*')"

#endif
