/* Lua text as data: a chunk that returns a table, run where there is nothing to call and no more than so much memory and
 * work to have. */
#ifndef PROXYLUA_BIND_DATA_H
#define PROXYLUA_BIND_DATA_H

#include <lua.h>

/* Pushes the table {load}. load(text, chunkname [, limits]) answers a copy of the table that the chunk returns, made of tables,
 * strings, numbers and booleans. `limits`: memory (bytes, of the state and again of the copied strings), instructions, values,
 * depth. Whatever is wrong with the chunk is raised as an error of kind config, with file and line or the field's path. */
void data_open(lua_State *L);

#endif
