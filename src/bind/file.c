/* A file being written, in a userdata: one that is collected, closed or never committed leaves nothing. */
#include "bind/file.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bind/error.h"
#include "core/file.h"

#define NAME "proxylua.file"
#define SOURCE "proxylua.source"
#define MOST (1 << 20) /* bytes of a piece that is read */
#define PRIVATE 0600   /* what is written so holds passwords */

/* A path cannot hold a NUL. */
static const char *check_path(lua_State *L)
{
  size_t size;
  const char *path = luaL_checklstring(L, 1, &size);
  luaL_argcheck(L, strlen(path) == size, 1, "a path cannot hold a NUL");
  return path;
}

/* Pushes the metatable of a kind of userdata. */
static void push_class(lua_State *L, const char *name, const luaL_Reg *methods)
{
  if (!luaL_newmetatable(L, name)) return;
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
}

/* --- writing --- */

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
  const char *path = check_path(L);
  struct file *file = lua_newuserdatauv(L, sizeof *file, 0);
  *file = FILE_INIT;
  push_class(L, NAME, methods);
  lua_setmetatable(L, -2);
  struct error err = ERROR_INIT;
  if (!file_begin(file, path, PRIVATE, &err)) error_raise(L, &err);
  return 1;
}

/* --- reading --- */

static int close_source(lua_State *L)
{
  int *fd = luaL_checkudata(L, 1, SOURCE);
  if (*fd > STDIN_FILENO) close(*fd);
  *fd = -1;
  return 0;
}

/* source:read(most): what there is, as soon as there is something; nil at the end, nil and why when it cannot be read. */
static int read_some(lua_State *L)
{
  const int *fd = luaL_checkudata(L, 1, SOURCE);
  lua_Integer most = luaL_checkinteger(L, 2);
  luaL_argcheck(L, most > 0 && most <= MOST, 2, "out of range");
  if (*fd < 0) return error_usage(L, "the file is closed");
  luaL_Buffer text;
  char *bytes = luaL_buffinitsize(L, &text, (size_t)most);
  ssize_t got;
  do got = read(*fd, bytes, (size_t)most);
  while (got < 0 && errno == EINTR);
  int why = errno;
  luaL_pushresultsize(&text, got > 0 ? (size_t)got : 0);
  if (got > 0) return 1;
  lua_pushnil(L);
  if (got == 0) return 1;
  lua_pushstring(L, strerror(why));
  return 2;
}

/* source(path): a file to read, "-" for standard input; nil and why when it cannot be opened. */
static int open_source(lua_State *L)
{
  static const luaL_Reg methods[] = {{"read", read_some},
                                     {"close", close_source},
                                     {"__gc", close_source},
                                     {"__close", close_source},
                                     {NULL, NULL}};
  const char *path = check_path(L);
  int *fd = lua_newuserdatauv(L, sizeof *fd, 0);
  *fd = -1;
  push_class(L, SOURCE, methods);
  lua_setmetatable(L, -2);
  *fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (*fd >= 0) return 1;
  lua_pushnil(L);
  lua_pushstring(L, strerror(errno));
  return 2;
}

void file_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"create", create}, {"source", open_source}, {NULL, NULL}};
  luaL_newlib(L, functions);
}
