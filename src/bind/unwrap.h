/* The two dialects of the API's answers: an envelope, or the bare value. Everything here is told by stack indices, which must
 * be absolute. */
#ifndef PROXYLUA_BIND_UNWRAP_H
#define PROXYLUA_BIND_UNWRAP_H

#include <lua.h>
#include <stdbool.h>

#include "core/record.h"

/* Whether the value is a table that JSON would call a list, or an object. */
bool unwrap_has_list(lua_State *L, int index);
bool unwrap_has_object(lua_State *L, int index);

/* Whether the document says that it is an error: {"success": false, …}. */
bool unwrap_is_failure(lua_State *L, int document);

/* Pushes what the document is about: its data when it is an envelope, nil when it is an empty one, or itself. */
void unwrap_data(lua_State *L, int document, enum record_kind kind);

/* Pushes the list that the data is or has; one that is null is an empty one. Nothing and false when there is none. */
bool unwrap_list(lua_State *L, int data, enum record_kind kind);

/* Pushes the record that the data is or has ({"order": {…}}); of an order the id alone will do. Nothing and false when there
 * is none. */
bool unwrap_record(lua_State *L, int data, enum record_kind kind);

#endif
