/* px.money: exact amounts as Lua values. Operators take numbers and strings too. A value that is
 * not an amount, has more than 8 decimals or is out of range is a usage error. */
#ifndef PROXYLUA_BIND_MONEY_H
#define PROXYLUA_BIND_MONEY_H

#include <lua.h>

#include "base/money.h"

/* Pushes the table {new, is}, itself callable as `new`. */
void money_open(lua_State *L);

void money_push(lua_State *L, money amount);

/* The amount at a stack index, NULL when it is something else. Valid while the value is on the
 * stack. */
const money *money_test(lua_State *L, int index);

/* The amount that a money value, a number or a string at an index stands for, or a usage error. */
money money_to(lua_State *L, int index);

/* The same of an option; the error says whose. */
money money_option(lua_State *L, int index, const char *caller, const char *name);

/* For many values in a row: pushes the metatable once, then money_push_with takes it from its
 * absolute index. */
void money_push_metatable(lua_State *L);
void money_push_with(lua_State *L, money amount, int metatable);

#endif
