/* The parameters of an endpoint's call, checked against its row of the table and turned into a
 * request's path, query and body. Strings stay on the Lua stack, where the request borrows them. */
#ifndef PROXYLUA_BIND_PARAMS_H
#define PROXYLUA_BIND_PARAMS_H

#include <lua.h>
#include <stdbool.h>

#include "api/client.h"
#include "base/money.h"
#include "charge/journal.h"

/* Beside the API's own parameters. */
struct params {
  const char *key; /* a charge's idempotency key, or NULL */
  bool has_max_price;
  money max_price;
  struct journal_budget budget;
  int64_t page, limit; /* asked for, of a paged endpoint; else 0 */
};

/* Reads the table at `index` (or nil) for the endpoint into `request` and `params`, leaving what
 * they borrow on the stack. Raises usage errors that name the endpoint, the parameter and what is
 * expected. */
void params_read(lua_State *L, int index, const struct endpoint *endpoint,
                 struct client_request *request, struct params *params);

/* Reads the options that every call takes (timeout, max_wait, key, max_price) from the table at
 * `index`. */
void params_read_options(lua_State *L, int index, const char *caller,
                         struct client_request *request, struct params *params);

/* Reads {prefix=, per_run=, per_day=} at `index`, or nil: the budget of a charge. The key that was
 * read before must begin with the prefix. */
void params_read_budget(lua_State *L, int index, struct params *params);

#endif
