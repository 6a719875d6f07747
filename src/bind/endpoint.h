#ifndef PROXYLUA_BIND_ENDPOINT_H
#define PROXYLUA_BIND_ENDPOINT_H

#include <lua.h>

/* Pushes the function that answers the table of endpoints as a list of rows: name, method, path, class (safe, once or
 * charge), summary, record, list, paged, text, options, and params: a list of {name, type, where, required, min, max, values,
 * summary}. A new copy each time. */
void endpoint_open(lua_State *L);

#endif
