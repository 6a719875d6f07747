/* The API as scripts reach it: every call of an endpoint goes through here to the core, and its answer comes back as
 * canonical records or as an error value. */
#ifndef PROXYLUA_BIND_DOOR_H
#define PROXYLUA_BIND_DOOR_H

#include <lua.h>

/* Pushes the table: configure, call, request, limits. */
void door_open(lua_State *L);

#endif
