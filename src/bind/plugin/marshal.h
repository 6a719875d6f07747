/* Values as bytes, for another process: nil, booleans, numbers, strings, tables, amounts of money
 * and errors. By copy: what has two names becomes two, and a table that holds itself is refused.
 * Reading trusts nothing. */
#ifndef PROXYLUA_BIND_PLUGIN_MARSHAL_H
#define PROXYLUA_BIND_PLUGIN_MARSHAL_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

#define VALUE_ARGUMENTS 250 /* values side by side */
#define VALUE_DEPTH 64      /* tables in tables */
#define VALUE_COUNT 1000000 /* values of a message, those in tables too */
#define VALUE_ODD_KEYS \
  10000 /* numbers outside of lists that are keys: such keys can be chosen to collide */

/* Adds the values at the indices from `first` to `last`. NULL, or why that cannot be, with the
 * buffer half written. Raises nothing. */
const char *value_write(lua_State *L, int first, int last, struct buffer *buffer);

/* Pushes the values in the bytes and returns how many; or -1, with some of them pushed, if they are
 * malformed. *values: how many they are with those in tables; NULL: not asked for. Raises only for
 * memory. */
int value_read(lua_State *L, const char *bytes, size_t size, size_t *values);

#endif
