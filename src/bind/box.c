#include "bind/box.h"

#include <string.h>

void box_set_type(lua_State *L, const char *name, lua_CFunction collect, const luaL_Reg *methods)
{
  if (luaL_newmetatable(L, name)) {
    if (collect) {
      lua_pushcfunction(L, collect);
      lua_setfield(L, -2, "__gc");
    }
    if (methods) {
      luaL_setfuncs(L, methods, 0);
      lua_pushvalue(L, -1);
      lua_setfield(L, -2, "__index");
    }
  }
  lua_setmetatable(L, -2);
}

void *box_push(lua_State *L, size_t size, const char *name, lua_CFunction collect,
               const luaL_Reg *methods)
{
  void *box = lua_newuserdatauv(L, size, 0);
  memset(box, 0, size);
  box_set_type(L, name, collect, methods);
  return box;
}
