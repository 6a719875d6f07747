/* What the permissions of plugins are checked with, where Lua cannot: files beneath a folder, and the parts of a URL. */
#ifndef PROXYLUA_BIND_GRANTS_H
#define PROXYLUA_BIND_GRANTS_H

#include <lua.h>

/* Adds to the table on top: read_beneath, write_beneath, url. */
void grants_add(lua_State *L);

#endif
