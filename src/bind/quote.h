/* How texts are written into others, for work in which Lua's patterns would be most of the cost. */
#ifndef PROXYLUA_BIND_QUOTE_H
#define PROXYLUA_BIND_QUOTE_H

#include <lua.h>

/* Pushes the table:
 *   percent(text) -> the text in which only letters, digits and - . _ ~ stand for themselves
 *   json(text) -> the JSON string of an ASCII text, quotes included; nil when it holds other bytes */
void quote_open(lua_State *L);

#endif
