/* The error of all modules of the core: what happened, at which endpoint, and whether money moved.
 * The bindings turn it into the error value that scripts see. */
#ifndef PROXYLUA_BASE_ERROR_H
#define PROXYLUA_BASE_ERROR_H

#include <stdarg.h>
#include <stddef.h>

/* The kinds of the error contract. Names and exit codes live in error.c, next to each other. */
enum error_kind {
  ERROR_NONE,
  ERROR_USAGE,
  ERROR_CANCELLED,
  ERROR_CONFIG,
  ERROR_AUTH,
  ERROR_FORBIDDEN,
  ERROR_NOT_FOUND,
  ERROR_INVALID,
  ERROR_FUNDS,
  ERROR_KEY_REUSED,
  ERROR_UPSTREAM,
  ERROR_NETWORK,
  ERROR_TIMEOUT,
  ERROR_PROTOCOL,
  ERROR_RATE_LIMITED,
  ERROR_STORE,
  ERROR_OUTCOME_UNKNOWN,
  ERROR_SPEND_REFUSED,
  ERROR_INTERNAL,
  ERROR_KIND_COUNT
};

/* Whether the failed call moved money. */
enum error_charge { CHARGE_NONE, CHARGE_MADE, CHARGE_UNKNOWN };

struct error {
  enum error_kind kind;
  enum error_charge charge;
  int status;           /* HTTP status, 0 without a response */
  double retry_after;   /* seconds, negative if not given */
  const char *endpoint; /* name of the endpoint table ("orders.create"), a static string, or NULL */
  char code[64];        /* the server's error code, "" when it gave none */
  char message[1024];   /* what happened and what to do next; may quote the server, never the key */
};

#define ERROR_INIT ((struct error){.retry_after = -1})

/* Sets kind and message (printf-style, cut at the buffer's end on a whole UTF-8 character), keeping
 * the other fields. */
void error_set(struct error *err, enum error_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The contract's name of a kind ("not_found"), and back (ERROR_NONE for an unknown name). */
const char *error_kind_name(enum error_kind kind);
enum error_kind error_kind_from_name(const char *name);

/* "none", "made" or "unknown". */
const char *error_charge_name(enum error_charge charge);

/* The process exit code of a kind: 0 for ERROR_NONE. */
int error_exit_code(enum error_kind kind);

#endif
