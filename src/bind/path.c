#include "bind/path.h"

#include <lauxlib.h>
#include <string.h>

#include "bind/error.h"

const char *path_check(lua_State *L, int index)
{
  size_t size;
  const char *path = luaL_checklstring(L, index, &size);
  if (strlen(path) != size) error_usage(L, "a path cannot hold a NUL");
  return path;
}
