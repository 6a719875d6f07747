/* A file being written, in a userdata: one that is collected, closed or never committed leaves nothing. */
#include "bind/file.h"

#include <lauxlib.h>

#include "bind/error.h"
#include "bind/path.h"
#include "bind/source.h"
#include "core/file.h"

#define NAME "proxylua.file"
#define PRIVATE 0600 /* what is written so holds passwords */

static struct file *check_file(lua_State *L)
{
  struct file *file = luaL_checkudata(L, 1, NAME);
  if (file->fd < 0) error_usage(L, "the file is closed");
  return file;
}

/* file:write(text…) */
static int write_texts(lua_State *L)
{
  struct file *file = check_file(L);
  for (int i = 2, last = lua_gettop(L); i <= last; i++) {
    struct error err = ERROR_INIT;
    size_t size;
    const char *text = luaL_checklstring(L, i, &size);
    if (!file_write(file, text, size, &err)) error_raise(L, &err);
  }
  return 0;
}

/* file:commit(): it takes its name. */
static int commit(lua_State *L)
{
  struct error err = ERROR_INIT;
  if (!file_commit(check_file(L), &err)) error_raise(L, &err);
  return 0;
}

static int abandon(lua_State *L)
{
  file_abandon(luaL_checkudata(L, 1, NAME));
  return 0;
}

/* create(path): begins a file that nobody else will be able to read. */
static int create(lua_State *L)
{
  static const luaL_Reg methods[] = {{"write", write_texts}, {"commit", commit},   {"close", abandon},
                                     {"__gc", abandon},      {"__close", abandon}, {NULL, NULL}};
  const char *path = path_check(L, 1);
  struct file *file = lua_newuserdatauv(L, sizeof *file, 0);
  *file = FILE_INIT;
  if (luaL_newmetatable(L, NAME)) {
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
  }
  lua_setmetatable(L, -2);
  struct error err = ERROR_INIT;
  if (!file_begin(file, path, PRIVATE, &err)) error_raise(L, &err);
  return 1;
}

void file_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"create", create}, {"source", source_open}, {NULL, NULL}};
  luaL_newlib(L, functions);
}
