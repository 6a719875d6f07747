/* `core.file`: a file that a script writes piece by piece, and that is there whole or not at all (create); and one that it reads
 * (source: bind/source.h). */
#ifndef PROXYLUA_BIND_FILE_H
#define PROXYLUA_BIND_FILE_H

#include <lua.h>

void file_open(lua_State *L);

#endif
