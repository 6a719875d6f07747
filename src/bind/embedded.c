/* Modules from inside the program, or from PROXYLUA_LUA_DIR while they are being changed. */
#include "bind/embedded.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int compare(const void *name, const void *file)
{
  return strcmp(name, ((const struct embedded_file *)file)->name);
}

const struct embedded_file *embedded_find(const char *name)
{
  return bsearch(name, embedded_files, embedded_count, sizeof embedded_files[0], compare);
}

static bool is_own(const char *name)
{
  static const char prefix[] = "proxylua";
  size_t size = sizeof prefix - 1;
  return strncmp(name, prefix, size) == 0 && (name[size] == '\0' || name[size] == '.');
}

/* Pushes DIR/a/b.lua or DIR/a/b/init.lua, whichever can be read; nothing and false when neither
 * can. */
static bool push_path(lua_State *L, const char *dir, const char *name)
{
  static const char *const forms[] = {"%s/%s.lua", "%s/%s/init.lua"};
  const char *relative = luaL_gsub(L, name, ".", "/");
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    if (access(lua_pushfstring(L, forms[i], dir, relative), R_OK) == 0) {
      lua_remove(L, -2);
      return true;
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return false;
}

/* The globals of the program's own modules: a copy of Lua's, made as the first of them is loaded,
 * before any other code runs. So a script may call its variables `type` or `next` and breaks
 * nothing but itself. Stack: module -> module. */
static void set_globals(lua_State *L)
{
  if (!luaL_getsubtable(L, LUA_REGISTRYINDEX, "proxylua.globals")) {
    lua_pushglobaltable(L);
    for (lua_pushnil(L); lua_next(L, -2);) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, -5);
    }
    lua_pop(L, 1);
  }
  lua_setupvalue(L, -2, 1);
}

static int search_folder(lua_State *L, const char *dir, const char *name)
{
  if (!push_path(L, dir, name)) {
    lua_pushfstring(L, "no file for '%s' in PROXYLUA_LUA_DIR (%s)", name, dir);
    return 1;
  }
  const char *path = lua_tostring(L, -1);
  if (luaL_loadfilex(L, path, "t") != LUA_OK)
    return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", name, path,
                      lua_tostring(L, -1));
  set_globals(L);
  lua_insert(L, -2);
  return 2; /* the loader, then the path that require hands it */
}

static int load_embedded(lua_State *L, const char *name)
{
  const struct embedded_file *file = embedded_find(name);
  if (!file || file->data[0] != LUA_SIGNATURE[0]) {
    if (!is_own(name)) return 0;
    lua_pushfstring(L, "no module '%s' inside the program", name);
    return 1;
  }
  if (luaL_loadbufferx(L, (const char *)file->data, file->size, name, "b") != LUA_OK)
    return lua_error(L);
  set_globals(L);
  lua_pushliteral(L, ":embedded:");
  return 2;
}

int embedded_own(lua_State *L, const char *name)
{
  return is_own(name) ? load_embedded(L, name) : 0;
}

int embedded_searcher(lua_State *L)
{
  const char *name = luaL_checkstring(L, 1);
  const char *dir = getenv("PROXYLUA_LUA_DIR");
  return dir && *dir && is_own(name) ? search_folder(L, dir, name) : load_embedded(L, name);
}
