/* Fields of the table on top of the stack. */
#ifndef PROXYLUA_BIND_PUSH_H
#define PROXYLUA_BIND_PUSH_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

/* NULL: no field. */
static inline void set_text(lua_State *L, const char *name, const char *text)
{
  if (!text) return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

/* NULL or empty: no field. */
static inline void set_given(lua_State *L, const char *name, const char *text)
{
  if (text && *text) set_text(L, name, text);
}

static inline void set_bytes(lua_State *L, const char *name, const char *bytes, size_t size)
{
  lua_pushlstring(L, bytes, size);
  lua_setfield(L, -2, name);
}

static inline void set_integer(lua_State *L, const char *name, int64_t value)
{
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

static inline void set_number(lua_State *L, const char *name, double value)
{
  lua_pushnumber(L, value);
  lua_setfield(L, -2, name);
}

static inline void set_flag(lua_State *L, const char *name, bool flag)
{
  lua_pushboolean(L, flag);
  lua_setfield(L, -2, name);
}

#endif
