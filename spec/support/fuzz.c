#include "spec/support/fuzz.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

#include "bind/error.h"
#include "bind/program.h"
#include "bind/runtime.h"

lua_State *fuzz_state(void)
{
  static struct runtime *runtime;
  if (runtime) return runtime->sched.L;
  struct error err = ERROR_INIT, none = ERROR_INIT;
  runtime = runtime_open(NULL, &none, &err);
  if (!runtime) {
    fprintf(stderr, "%s\n", err.message);
    abort();
  }
  return runtime->sched.L;
}

static void die(lua_State *L)
{
  fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
  abort();
}

static int add_trace(lua_State *L)
{
  if (lua_type(L, 1) == LUA_TSTRING) luaL_traceback(L, L, lua_tostring(L, 1), 1);
  return 1;
}

/* Stack: nothing -> the message handler and the chunk's function. */
static void push_function(lua_State *L, const char *chunk)
{
  lua_pushcfunction(L, add_trace);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, chunk) == LUA_TFUNCTION) return;
  lua_pop(L, 1);
  if (luaL_loadstring(L, chunk) != LUA_OK) die(L);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "proxylua.core");
  if (lua_pcall(L, 1, 1, 0) != LUA_OK || lua_pcall(L, 1, 1, 0) != LUA_OK) die(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, chunk);
}

void fuzz_call(const char *chunk, const uint8_t *data, size_t size)
{
  lua_State *L = fuzz_state();
  push_function(L, chunk);
  lua_pushlstring(L, (const char *)data, size);
  int status = lua_pcall(L, 1, 0, 1);
  if (status == LUA_ERRRUN && !error_test(L, -1)) die(L);
  lua_settop(L, 0);
}
