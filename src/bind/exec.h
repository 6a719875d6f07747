/* Programs that are run for plugins: no shell, no input, bounded output. */
#ifndef PROXYLUA_BIND_EXEC_H
#define PROXYLUA_BIND_EXEC_H

#include <lua.h>

/* Adds exec to the table on top. */
void exec_add(lua_State *L);

#endif
