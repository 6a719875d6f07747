#ifndef PROXYLUA_BIND_COROUTINE_H
#define PROXYLUA_BIND_COROUTINE_H

#include <lua.h>

/* Replaces what must be replaced in the global table `coroutine`. */
void coroutine_open(lua_State *L);

#endif
