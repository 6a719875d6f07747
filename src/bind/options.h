#ifndef PROXYLUA_BIND_OPTIONS_H
#define PROXYLUA_BIND_OPTIONS_H

#include <lua.h>

/* Raises a usage error for a key of the table at an absolute index that is none of the NULL-terminated names: it names the
 * nearest, and all of them. */
void options_check(lua_State *L, int index, const char *caller, const char *const *known);

#endif
