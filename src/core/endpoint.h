/* The API as one table: a row an endpoint, a line a parameter. Bindings, validation, the command line, help and completion
 * all come from it; a new endpoint is one row. */
#ifndef PROXYLUA_ENDPOINT_H
#define PROXYLUA_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "core/record.h"

/* How often a request may be sent: again after any failure, only when nothing can have arrived, or through the journal. */
enum endpoint_class { ENDPOINT_SAFE, ENDPOINT_ONCE, ENDPOINT_CHARGE };

enum param_type { PARAM_TEXT, PARAM_INTEGER };
enum param_place { PARAM_PATH, PARAM_QUERY, PARAM_BODY };

struct endpoint_param {
  const char *name;
  enum param_type type;
  enum param_place place;
  bool required;
  int64_t min, max;           /* of an integer; max 0: no bound */
  const char *const *values;  /* known values, NULL-terminated, or NULL; others pass too (the vendor adds some) */
  const char *summary;
};

struct endpoint {
  const char *name;      /* "orders.list" */
  const char *method;    /* "GET" */
  const char *path;      /* "/orders/:id" */
  enum endpoint_class kind;
  bool order_scope;      /* counts in the "orders" scope besides "general" */
  bool paged;            /* takes page and limit, answers a list with page, limit, total, has_more */
  bool list;             /* answers a list */
  bool text;             /* answers a text file, not JSON */
  enum record_kind record;
  const char *summary;   /* one line for help */
  const struct endpoint_param *params; /* ends with a row whose name is NULL */
};

/* All rows in the order of the API reference; ends with a row whose name is NULL. */
const struct endpoint *endpoint_table(void);

/* The row of a name, or NULL. */
const struct endpoint *endpoint_find(const char *name);

/* The row that a method and a normalised path fall under ("POST", "/orders/ord_1/extend"), or NULL. */
const struct endpoint *endpoint_match(const char *method, const char *path);

/* The parameter of a name, or NULL. */
const struct endpoint_param *endpoint_param_find(const struct endpoint *endpoint, const char *name);

/* The known parameter nearest to a misspelt name, or NULL when none is near. */
const char *endpoint_param_nearest(const struct endpoint *endpoint, const char *name);

/* Nearest of a NULL-terminated list by Damerau-Levenshtein distance (at most 2, and less than half of the word), or NULL. */
const char *endpoint_nearest(const char *word, const char *const *list);

#endif
