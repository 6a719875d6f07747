/* How much room texts take on a terminal. */
#ifndef PROXYLUA_BIND_TEXT_H
#define PROXYLUA_BIND_TEXT_H

#include <lua.h>

/* Pushes the table:
 *   width(text) -> columns of a UTF-8 text: 2 for most of East Asia's characters and emoji, 0 for what combines with the character
 *     before it. Bytes that are not UTF-8, and control characters, count 1 each
 *   prefix(text, columns) -> the longest beginning that needs no more columns than that */
void text_open(lua_State *L);

#endif
