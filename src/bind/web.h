#ifndef PROXYLUA_BIND_WEB_H
#define PROXYLUA_BIND_WEB_H

#include <lua.h>

/* Pushes the table of px.http: get, head, post, put, patch, delete. */
void web_open(lua_State *L);

/* Pushes "a=1&b=2" from the table at an index, keys sorted, percent-encoded. A usage error for other than scalar values. */
void web_push_query(lua_State *L, int index);

#endif
