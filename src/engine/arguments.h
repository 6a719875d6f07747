/* The parameters of a call as a JSON object, checked against the endpoint's row of the table and
 * turned into a request's path, query and body. */
#ifndef PROXYLUA_ENGINE_ARGUMENTS_H
#define PROXYLUA_ENGINE_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "api/client.h"
#include "base/json.h"
#include "base/money.h"

/* Owns the texts that `request` borrows. */
struct arguments {
  struct client_request request;
  const char *key; /* a charge's idempotency key, or NULL */
  bool has_max_price;
  money max_price;
  int64_t page, limit; /* asked for, of a paged endpoint; else 0 */
  struct json_document json;
  struct endpoint_request built;
};

/* Reads a JSON object (NULL: an empty one) into zeroed arguments. False with a usage error that
 * names the endpoint and the parameter. Free them in both cases. */
bool arguments_read(struct arguments *arguments, const struct endpoint *endpoint, const char *json,
                    struct error *err);

void arguments_free(struct arguments *arguments);

#endif
