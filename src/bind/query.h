#ifndef PROXYLUA_BIND_QUERY_H
#define PROXYLUA_BIND_QUERY_H

#include <lua.h>

/* Pushes "a=1&b=2", percent-encoded, from the table of names and values at an index. Other values than strings, numbers
 * and booleans are usage errors. */
void query_push(lua_State *L, int index);

#endif
