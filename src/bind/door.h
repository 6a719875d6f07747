/* The API as scripts reach it: every call of an endpoint goes through here to the core, and its answer comes back as
 * canonical records or as an error value. */
#ifndef PROXYLUA_BIND_DOOR_H
#define PROXYLUA_BIND_DOOR_H

#include <lua.h>

#include "bind/params.h"
#include "core/client.h"

/* Pushes the table: configure, call, request, limits. */
void door_open(lua_State *L);

/* Fills in what the table says of an endpoint. */
void door_fill(struct client_request *request, const struct endpoint *endpoint);

/* Sends what was read, waits, and answers the result. What the request borrows is on the stack. */
int door_visit(lua_State *L, const struct client_request *request, const struct params *params);

/* Calls an endpoint with the parameters in the table at an absolute index, and of a charge the purse at another; 0: none. */
int door_call(lua_State *L, const struct endpoint *endpoint, int index, int purse);

#endif
