/* A file that a script reads piece by piece, each of which is there as soon as it comes. Where nothing has come yet, as from a pipe
 * or a terminal, the task waits and the others run. */
#ifndef PROXYLUA_BIND_SOURCE_H
#define PROXYLUA_BIND_SOURCE_H

#include <lua.h>

/* source(path): a file to read, "-" for standard input; nil and why when it cannot be opened. It has the methods
 *   read(most)  what there is, at most so many bytes; nil at the end, nil and why when it cannot be read. Raises `cancelled`
 *   close() */
int source_open(lua_State *L);

#endif
