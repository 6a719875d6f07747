/* The one way failures leave C: as an error value, a table with the fields of the error contract
 * and a text that says what happened, to which endpoint, whether money moved, and what to do next.
 * It holds no traceback. */
#ifndef PROXYLUA_BIND_ERROR_H
#define PROXYLUA_BIND_ERROR_H

#include <lua.h>
#include <stdbool.h>

#include "base/error.h"

/* Pushes the table {new, is, raise}. Comes before anything that can fail. */
void error_open(lua_State *L);

/* Pushes the error value of `err`. Its `details` are the caller's to set. */
void error_push(lua_State *L, const struct error *err);

/* Makes an error value of the table on top, whose fields are taken as they are. */
void error_mark(lua_State *L);

/* Raise; they return nothing, their type is for `return error_raise(L, &err)`. */
int error_raise(lua_State *L, const struct error *err) __attribute__((noreturn));

/* With the value at a stack index as `details` (nil: none). */
int error_raise_with(lua_State *L, const struct error *err, int details) __attribute__((noreturn));

/* Of kind usage; the format is lua_pushfstring's. */
int error_usage(lua_State *L, const char *format, ...) __attribute__((noreturn));

/* Whether the value at an index is an error value, and its kind: ERROR_NONE when it is none. */
bool error_test(lua_State *L, int index);
enum error_kind error_kind_at(lua_State *L, int index);

/* Whether the error value at an index says that money has moved. */
enum error_charge error_charge_at(lua_State *L, int index);

#endif
