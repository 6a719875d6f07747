/* JSON in and out, the one place that touches lua-cjson.
 *
 * Reading: integers become Lua integers; numbers of more than 15 significant digits arrive as
 * strings, digit by digit; null is absent, and px.json.null where it stands in a list, so that
 * a list keeps its length and its order. An empty list carries the mark of json.array. At most 128
 * levels, no NUL bytes, nothing after the value; bytes in strings are taken as they are. Writing:
 * see json_encode. */
#ifndef PROXYLUA_BIND_JSON_H
#define PROXYLUA_BIND_JSON_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* Pushes the table {encode, decode, array}. */
void json_open(lua_State *L);

/* Replaces the text on top by its value, or raises an error of kind protocol. */
void json_decode(lua_State *L);

struct json_form {
  int indent;  /* blanks a level; 0: all on one line */
  bool escape; /* bytes that are not UTF-8 are written as unpaired surrogates, \udc80 to \udcff, one
                  for each */
};

/* Pushes the text of the value at an index, with object keys sorted. A list is a table marked by
 * json.array, whose items alone are written, or one whose keys are 1 to n. What JSON cannot hold
 * (functions, NaN, gaps, mixed keys, bytes that are not UTF-8, more than 128 levels) is a usage
 * error that names its place. The first form returns whether bytes were escaped, and then pushes
 * the place of the first ones ("orders[3].note"). */
bool json_encode_as(lua_State *L, int index, const struct json_form *form);
void json_encode(lua_State *L, int index);

/* px.json.null: a null in a list of json_decode, and in what is encoded. Pushes it; tests a value.
 */
void json_push_null_value(lua_State *L);
bool json_is_null(lua_State *L, int index);

/* Marks the table on top as a list; returns whether the one at an index is marked. */
void json_mark_list(lua_State *L);
bool json_is_list(lua_State *L, int index);

#endif
