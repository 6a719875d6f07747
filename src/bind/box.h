/* Userdata that own what C has allocated: an error of Lua on the way frees it. */
#ifndef PROXYLUA_BIND_BOX_H
#define PROXYLUA_BIND_BOX_H

#include <lauxlib.h>
#include <lua.h>

/* Pushes a zeroed userdata of the type of that name, without user values. `collect` is called
 * before its memory goes, NULL: not; it can also be called by a script, and checks its argument
 * with luaL_checkudata. `methods` may be NULL; metamethods are among them. */
void *box_push(lua_State *L, size_t size, const char *name, lua_CFunction collect,
               const luaL_Reg *methods);

/* Gives the userdata on top that type. */
void box_set_type(lua_State *L, const char *name, lua_CFunction collect, const luaL_Reg *methods);

#endif
