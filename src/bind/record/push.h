/* Parsed responses as Lua values. */
#ifndef PROXYLUA_BIND_RECORD_PUSH_H
#define PROXYLUA_BIND_RECORD_PUSH_H

#include <lua.h>
#include <stdbool.h>

#include "api/record.h"
#include "base/json.h"

/* Pushes a value as px.json.decode would: null is absent in an object and px.json.null in a list;
 * numbers of more than 15 significant digits are texts; an empty list is marked as one. NULL is
 * nil. */
void push_json(lua_State *L, const struct json_value *value);

/* Pushes a table with room for so many items and fields. */
void push_table(lua_State *L, size_t items, size_t fields);

/* Pushes a record: its canonical fields with their types, and the other ones as they came. Of an
 * order the id alone will do. Returns NULL, or what makes it unusable, pushed above it ("id is
 * empty"); the field at fault is left out then. `metatable`: the stack index of money's. */
const char *push_record(lua_State *L, const struct json_value *record, enum record_kind kind,
                        bool mended, int metatable);

#endif
