/* Functions for the rules that Lua lacks: clocks, random numbers, the log, files written whole. */
#ifndef PROXYLUA_SANDBOX_HOST_H
#define PROXYLUA_SANDBOX_HOST_H

#include <lua.h>

/* Pushes the table: now() and clock() in seconds (since 1970; of a clock that only goes forward),
 * random() (64 bits), log(line), write_file(path, text), which raises {kind=, message=}. */
void host_push(lua_State *L);

#endif
