/* Maps the server's names of fields to those that scripts see: a table for each kind of record, so
 * that a transaction's amount is never read as a price. Unknown fields are passed on unchanged. */
#ifndef PROXYLUA_API_RECORD_H
#define PROXYLUA_API_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum record_kind {
  RECORD_NONE, /* any value, passed on as it is */
  RECORD_ACCOUNT,
  RECORD_TRANSACTION,
  RECORD_QUOTE,
  RECORD_ORDER,
  RECORD_PROXY,
  RECORD_REFERENCE,
  RECORD_ADDRESS,
  RECORD_PAGE, /* properties of a list: page, limit, total, pages, has_more */
  RECORD_KIND_COUNT
};

/* What a field becomes. A value that does not fit its type stays as it came. */
enum record_type {
  RECORD_TEXT,    /* a number becomes its text */
  RECORD_ID,      /* as RECORD_TEXT; 1 to RECORD_MAX_ID bytes of valid text, without NUL */
  RECORD_EXACT,   /* as RECORD_TEXT; valid text: refused with an unreadable character */
  RECORD_INTEGER, /* "8080" becomes 8080 */
  RECORD_MONEY,   /* exact, to the nearest 10^-8 */
  RECORD_TIME, /* a number of seconds (or milliseconds) since 1970 becomes "2026-11-23T22:15:00Z" */
  RECORD_ANY
};

#define RECORD_MAX_ID 512

/* The positions in record_fields(RECORD_PROXY). */
enum { PROXY_HOST, PROXY_PORT, PROXY_USERNAME, PROXY_PASSWORD, PROXY_PROTOCOL };

struct record_field {
  const char *name; /* the canonical one; it wins where the server sends an alias as well */
  enum record_type type;
  const char *const *aliases; /* in the order of preference, NULL-terminated; never NULL */
};

/* A list of which so much is wanted. */
struct record_query {
  enum record_kind kind;
  const char *const *fields; /* canonical names, NULL-terminated; at most 15 */
  int64_t page, limit;       /* as requested, since the server may not report them */
};

/* Properties of the whole list, from the response with one page of it. */
struct record_listing {
  bool more;     /* further pages follow, or may */
  int64_t total; /* records of all pages; negative: unknown */
};

/* The fields of a kind; ends with a row whose name is NULL. */
const struct record_field *record_fields(enum record_kind kind);

/* The position of a canonical name in record_fields(kind), or -1. */
int record_field_find(enum record_kind kind, const char *name);

/* The names of the fields of which a record has at least one, NULL-terminated; without any of them
 * it is not a record of its kind. Empty where a record may be anything. */
const char *const *record_marks(enum record_kind kind);

/* "order"; "record" for RECORD_NONE. */
const char *record_kind_name(enum record_kind kind);

/* "orders": what people, and the server, call several of them. */
const char *record_list_name(enum record_kind kind);

#endif
