/* Paths that Lua code gives. */
#ifndef PROXYLUA_BIND_PATH_H
#define PROXYLUA_BIND_PATH_H

#include <lua.h>

/* The path that is the argument at an index, for as long as that stays on the stack. Raises an error for what is no text, and for
 * one with a NUL, which a path cannot hold. */
const char *path_check(lua_State *L, int index);

#endif
