/* The names of a table of options. */
#include "bind/options.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

#include "bind/error.h"
#include "core/endpoint.h"

static bool is_among(const char *name, const char *const *known)
{
  while (*known && strcmp(*known, name) != 0) known++;
  return *known;
}

static void refuse(lua_State *L, const char *caller, const char *name, const char *const *known)
{
  const char *near = endpoint_nearest(name, known);
  lua_pushstring(L, *known);
  while (*++known) {
    lua_pushfstring(L, "%s, %s", lua_tostring(L, -1), *known);
    lua_remove(L, -2);
  }
  error_usage(L, "%s: unknown option %s%s%s; known are %s", caller, name, near ? ", did you mean " : "",
              near ? near : "", lua_tostring(L, -1));
}

void options_check(lua_State *L, int index, const char *caller, const char *const *known)
{
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : luaL_typename(L, -2);
    if (!is_among(name, known)) refuse(L, caller, name, known);
  }
}
