/* core.pattern: Lua patterns that match in linear time (base/pattern.h). */
#include <lauxlib.h>

#include "base/pattern.h"
#include "bind/modules.h"

#define PATTERN "proxylua.pattern"

/* compile(text): a value with the method matches(bytes); or nil and why it is refused. */
static int compile(lua_State *L)
{
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  struct pattern *pattern = lua_newuserdatauv(L, sizeof *pattern, 0);
  const char *why = pattern_compile(pattern, text, size);
  if (why) {
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
  }
  luaL_setmetatable(L, PATTERN);
  return 1;
}

static int matches(lua_State *L)
{
  size_t size;
  const struct pattern *pattern = luaL_checkudata(L, 1, PATTERN);
  const char *bytes = luaL_checklstring(L, 2, &size);
  lua_pushboolean(L, pattern_matches(pattern, bytes, size));
  return 1;
}

void pattern_open(lua_State *L)
{
  luaL_newmetatable(L, PATTERN);
  lua_newtable(L);
  lua_pushcfunction(L, matches);
  lua_setfield(L, -2, "matches");
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushcfunction(L, compile);
  lua_setfield(L, -2, "compile");
}
