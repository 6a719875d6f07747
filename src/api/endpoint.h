/* The API as one table: a row an endpoint, a line a parameter. Bindings, validation, the command
 * line, help and completion all come from it; a new endpoint is one row. */
#ifndef PROXYLUA_API_ENDPOINT_H
#define PROXYLUA_API_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/record.h"
#include "base/buffer.h"
#include "base/error.h"

/* How often a request may be sent: again after any failure, only when nothing can have arrived, or
 * through the journal. */
enum endpoint_class { ENDPOINT_SAFE, ENDPOINT_ONCE, ENDPOINT_CHARGE };

enum param_type { PARAM_TEXT, PARAM_INTEGER };
enum param_place { PARAM_PATH, PARAM_QUERY, PARAM_BODY };

struct endpoint_param {
  const char *name;
  enum param_type type;
  enum param_place place;
  bool required;
  int64_t min, max; /* of an integer, or of the length of a text in bytes; max 0: no bound */
  const char *const
      *values; /* known values, NULL-terminated, or NULL; others pass too (the vendor adds some) */
  const char *summary;
};

struct endpoint {
  const char *name;   /* "orders.list" */
  const char *method; /* "GET" */
  const char *path;   /* "/orders/:id" */
  enum endpoint_class kind;
  bool order_scope; /* counts in the "orders" scope besides "general" */
  bool paged;       /* takes page and limit, returns a list with page, limit, total, has_more */
  bool list;        /* returns a list */
  bool text;        /* returns a text file, not JSON */
  enum record_kind record;
  const char *summary;                 /* one line for help */
  const struct endpoint_param *params; /* ends with a row whose name is NULL; never NULL */
  const char *const
      *options; /* what a call takes beside the API's parameters; NULL-terminated, never NULL */
};

/* All rows in the order of the API reference; ends with a row whose name is NULL. */
const struct endpoint *endpoint_table(void);

/* The row of a name, or NULL. */
const struct endpoint *endpoint_find(const char *name);

/* The row that a method and a checked path fall under ("POST", "/orders/ord_1/extend"), or NULL.
 * Upper and lower case are the same here, as they are to many servers. */
const struct endpoint *endpoint_match(const char *method, const char *path);

/* The parameter of a name, or NULL. */
const struct endpoint_param *endpoint_param_find(const struct endpoint *endpoint, const char *name);

/* "safe", "once" or "charge". */
const char *endpoint_class_name(enum endpoint_class kind);

/* Paths (endpoint_path.c) */

/* Checks the path of a request, which is judged and sent as it stands: segments of letters, digits
 * and -_~. that are neither empty nor "." nor "..", and no slash at the end; else usage. A query
 * may follow a '?' and is checked for blanks, control characters, '#' and '\\' alone. Sets the size
 * of the path without the query. */
bool endpoint_check_path(const char *text, size_t size, size_t *path_size, struct error *err);

/* A value for a ":name" in an endpoint's path. */
struct endpoint_value {
  const char *name; /* NULL ends the list */
  const char *text;
};

/* Adds the endpoint's path with its ":name"s replaced, percent-encoded, so that no value can change
 * the path. A missing value, and one of dots and blanks alone, are refused (usage). */
bool endpoint_path(const struct endpoint *endpoint, const struct endpoint_value *values,
                   struct buffer *out, struct error *err);

/* Adds text percent-encoded: all but letters, digits and -._~ */
bool endpoint_encode(struct buffer *out, const char *text);

/* Requests (endpoint_request.c) */

#define ENDPOINT_MAX_VALUES 8 /* in a path */
#define ENDPOINT_MAX_KEY 200  /* bytes of an idempotency key: it travels in a header */

/* The path, the query and the body (JSON) of a request. Zeroed: nothing was added. */
struct endpoint_request {
  struct buffer path, query, body;
  struct endpoint_value values[ENDPOINT_MAX_VALUES + 1];
  int count;
};

/* Adds a checked value: a text, or the digits of an integer. It must live until endpoint_finish.
 * False with an error when memory is out, as for endpoint_finish, which completes path and body;
 * that also refuses what endpoint_path does. Free the request in each case. */
bool endpoint_add(struct endpoint_request *request, const struct endpoint_param *param,
                  const char *value, size_t size, struct error *err);
bool endpoint_finish(struct endpoint_request *request, const struct endpoint *endpoint,
                     struct error *err);
void endpoint_request_free(struct endpoint_request *request);

/* Whether a text can be an idempotency key; else a usage error that begins with the caller. */
bool endpoint_check_key(const char *caller, const char *key, size_t size, struct error *err);

/* Validation (endpoint_check.c). The errors are of kind usage and name the endpoint, the parameter,
 * what was given and what is expected. */
bool endpoint_check_integer(const struct endpoint *endpoint, const struct endpoint_param *param,
                            int64_t value, struct error *err);
bool endpoint_check_text(const struct endpoint *endpoint, const struct endpoint_param *param,
                         const char *value, size_t size, struct error *err);

/* `given` says what was given instead, such as "a table" or "2.5". */
void endpoint_wrong_type(const struct endpoint *endpoint, const struct endpoint_param *param,
                         const char *given, struct error *err);
void endpoint_missing(const struct endpoint *endpoint, const struct endpoint_param *param,
                      struct error *err);
void endpoint_unknown(const struct endpoint *endpoint, const char *name, struct error *err);

/* The known parameter nearest to a misspelt name, or NULL when none is near. */
const char *endpoint_param_nearest(const struct endpoint *endpoint, const char *name);

/* The endpoint whose name is nearest ("orders.creat", "order.list"), or NULL. */
const char *endpoint_name_nearest(const char *name);

/* Nearest of a NULL-terminated list by Damerau-Levenshtein distance (at most 2, and less than half
 * of the word), or NULL. */
const char *endpoint_nearest(const char *word, const char *const *list);

#endif
