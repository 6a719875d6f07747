/* QR codes for Lua: `core.qr`. */
#ifndef PROXYLUA_BIND_QR_H
#define PROXYLUA_BIND_QR_H

#include <lua.h>

/* Pushes the table; both raise usage for a text that no code can hold:
 *   rows(text) -> list of texts, a row of modules each, margin included: "1" is dark, "0" light
 *   png(text, scale) -> the bytes of a picture, scale in pixels a module */
void qr_open(lua_State *L);

#endif
