#include "sandbox/host.h"

#include <lauxlib.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "base/error.h"
#include "base/fs.h"

static int seconds(lua_State *L, clockid_t clock)
{
  struct timespec time;
  clock_gettime(clock, &time);
  lua_pushnumber(L, (lua_Number)time.tv_sec + (lua_Number)time.tv_nsec / 1e9);
  return 1;
}

static int host_now(lua_State *L)
{
  return seconds(L, CLOCK_REALTIME);
}

static int host_clock(lua_State *L)
{
  return seconds(L, CLOCK_MONOTONIC);
}

static int host_random(lua_State *L)
{
  lua_Integer bits;
  if (getrandom(&bits, sizeof bits, 0) != sizeof bits) return luaL_error(L, "no randomness");
  lua_pushinteger(L, bits);
  return 1;
}

static int host_log(lua_State *L)
{
  fprintf(stderr, "%s\n", luaL_checkstring(L, 1));
  return 0;
}

static int raise(lua_State *L, const struct error *err)
{
  lua_newtable(L);
  lua_pushstring(L, error_kind_name(err->kind));
  lua_setfield(L, -2, "kind");
  lua_pushstring(L, err->message);
  lua_setfield(L, -2, "message");
  return lua_error(L);
}

static int host_write_file(lua_State *L)
{
  const char *path = luaL_checkstring(L, 1);
  size_t size;
  const char *text = luaL_checklstring(L, 2, &size);
  struct error err = ERROR_INIT;
  struct file file = FILE_INIT;
  if (file_begin(&file, path, 0600, &err) && file_write(&file, text, size, &err) &&
      file_commit(&file, &err))
    return 0;
  file_abandon(&file);
  return raise(L, &err);
}

void host_push(lua_State *L)
{
  static const luaL_Reg functions[] = {{"now", host_now},
                                       {"clock", host_clock},
                                       {"random", host_random},
                                       {"log", host_log},
                                       {"write_file", host_write_file},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
}
