/* The processes of plugins, from their parent's side. */
#ifndef PROXYLUA_BIND_PLUGIN_H
#define PROXYLUA_BIND_PLUGIN_H

#include <lua.h>

#define PLUGIN_ARGUMENT "--plugin-process" /* of the command line; then come name, bytes of memory, seconds, calls */

/* Pushes the table: start, caged, and what bind/grants.h and bind/exec.h add. */
void plugin_open(lua_State *L);

#endif
