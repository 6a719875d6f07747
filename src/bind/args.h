/* Arguments that many functions take: tables of options, queries, paths. */
#ifndef PROXYLUA_BIND_ARGS_H
#define PROXYLUA_BIND_ARGS_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* Raises a usage error for a key of the table at an absolute index that is not one of the
 * NULL-terminated names: it names the nearest, and all of them. */
void options_check(lua_State *L, int index, const char *caller, const char *const *known);

/* Pushes "a=1&b=2", percent-encoded, from the table of names and values at an index. Other values
 * than strings, numbers and booleans are usage errors. */
void query_push(lua_State *L, int index);

/* The path that is the argument at an index; valid while the argument is on the stack. Raises an
 * error for a value that is not a string, and for a string with a NUL. */
const char *path_check(lua_State *L, int index);

/* The seconds of the value at an index: a number, or a text with a unit such as "5s". Returns false
 * for anything else. */
bool seconds_to(lua_State *L, int index, double *seconds);

/* The number of items of the list at an index, past `__len`, which may return anything. Even then
 * it can be far above the number of values in the table, hence `most`. Raises a usage error for a
 * longer list, and an argument error for what is not a table. */
size_t list_length(lua_State *L, int index, size_t most);

#endif
