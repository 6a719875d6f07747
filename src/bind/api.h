/* The API for scripts: passes each call of an endpoint to the core, and returns the response as
 * canonical records or raises an error value. */
#ifndef PROXYLUA_BIND_API_H
#define PROXYLUA_BIND_API_H

#include <lua.h>

#include "api/client.h"
#include "bind/params.h"

/* Pushes the table: configure, call, request, limits, on_charge, … */
void api_open(lua_State *L);

/* Fills in what the table says of an endpoint. */
void api_fill(struct client_request *request, const struct endpoint *endpoint);

/* Sends the request, waits, and returns the result. The strings it borrows are on the stack. */
int api_visit(lua_State *L, const struct client_request *request, const struct params *params);

/* Calls an endpoint with the parameters in the table at an absolute index, and for a charge with
 * the budget at another; 0: none. */
int api_call(lua_State *L, const struct endpoint *endpoint, int index, int budget);

#endif
