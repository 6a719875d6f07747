/* How many parameters a function names: the guard against surplus arguments asks for it. */
#include <lauxlib.h>

#include "bind/modules.h"

/* parameters(fn): their number, nil if it takes any number or is written in C; and whether it is
 * written in C. */
static int count_parameters(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_Debug info;
  lua_settop(L, 1);
  lua_getinfo(L, ">uS", &info);
  if (info.isvararg)
    lua_pushnil(L);
  else
    lua_pushinteger(L, info.nparams);
  lua_pushboolean(L, *info.what == 'C');
  return 2;
}

void arity_open(lua_State *L)
{
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, count_parameters);
  lua_setfield(L, -2, "parameters");
}
