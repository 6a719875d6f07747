#ifndef PROXYLUA_BIND_CORE_H
#define PROXYLUA_BIND_CORE_H

#include <lua.h>

/* The opener of `proxylua.core`: one table with all that C gives to the standard module. */
int core_open(lua_State *L);

#endif
