/* `core.file`: a file that a script writes piece by piece, and that is there whole or not at all; and one that it reads piece by
 * piece, of which each is there as soon as it comes. */
#ifndef PROXYLUA_BIND_FILE_H
#define PROXYLUA_BIND_FILE_H

#include <lua.h>

void file_open(lua_State *L);

#endif
