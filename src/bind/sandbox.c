#include "bind/modules.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "bind/args.h"
#include "bind/embedded.h"
#include "bind/error.h"
#include "bind/json.h"
#include "bind/push.h"
#include "bind/runtime.h"
#include "sandbox/sandbox.h"

#define MAX_OPTIONS 10000 /* texts of one option */

/* Stack: nothing -> the JSON module. Runs in the sandbox's lua_State, which finds modules in the
 * program alone. */
static int prepare(lua_State *L)
{
  lua_getglobal(L, LUA_LOADLIBNAME);
  lua_getfield(L, -1, "searchers");
  for (lua_Integer i = luaL_len(L, -1); i >= 1; i--) {
    lua_pushnil(L);
    lua_rawseti(L, -2, i);
  }
  lua_pushcfunction(L, embedded_searcher);
  lua_rawseti(L, -2, 1);
  lua_settop(L, 0);
  error_open(L);
  json_open(L);
  return 1;
}

/* Pops the value. */
static void add_text(lua_State *L, int texts, const char *name)
{
  lua_pushfstring(L, "%s=%s", name, luaL_tolstring(L, -1, NULL));
  lua_rawseti(L, texts, (lua_Integer)lua_rawlen(L, texts) + 1);
  lua_pop(L, 2);
}

/* Pops the list. */
static void add_texts(lua_State *L, int texts, const char *name)
{
  size_t count = list_length(L, -1, MAX_OPTIONS);
  for (size_t i = 1; i <= count; i++) {
    lua_rawgeti(L, -1, (lua_Integer)i);
    add_text(L, texts, name);
  }
  lua_pop(L, 1);
}

static int read_port(lua_State *L)
{
  int valid;
  lua_Integer port = lua_tointegerx(L, -1, &valid);
  if (!valid || port < 0 || port > 65535)
    error_usage(L, "sandbox: port is a number from 0 to 65535, not %s",
                luaL_tolstring(L, -1, NULL));
  return (int)port;
}

/* Stack: options -> options, list of strings. Returns the port. */
static int read_options(lua_State *L)
{
  int port = 0;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, 1);) {
    if (lua_type(L, -2) != LUA_TSTRING) error_usage(L, "sandbox: options have names");
    const char *name = lua_tostring(L, -2);
    if (strcmp(name, "port") == 0) {
      port = read_port(L);
      lua_pop(L, 1);
    } else if (lua_istable(L, -1)) {
      add_texts(L, 2, name);
    } else {
      add_text(L, 2, name);
    }
  }
  return port;
}

static void set_url(lua_State *L, const char *name, int port, const char *path)
{
  lua_pushfstring(L, "http://127.0.0.1:%d%s", port, path);
  lua_setfield(L, -2, name);
}

static int get_place(lua_State *L)
{
  const struct sandbox *sandbox = runtime_of(L)->sandbox;
  if (!sandbox) return 0;
  int port = sandbox_port(sandbox);
  lua_newtable(L);
  set_url(L, "url", port, "/api/v1");
  set_url(L, "admin_url", port, "/_sandbox");
  set_url(L, "trace_url", port, "/_sandbox/trace");
  set_text(L, "key", sandbox_key(sandbox));
  return 1;
}

static int start_sandbox(lua_State *L)
{
  sched_check_process(L);
  struct runtime *runtime = runtime_of(L);
  struct error err = ERROR_INIT;
  if (runtime->sandbox) error_usage(L, "a sandbox runs already: stop it first");
  struct sandbox_options options = {.port = read_options(L), .prepare = prepare};
  size_t count = lua_rawlen(L, 2);
  const char **texts = lua_newuserdatauv(L, (count + 1) * sizeof *texts, 0);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, 2, (lua_Integer)i + 1);
    texts[i] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  texts[count] = NULL;
  options.settings = texts;
  runtime->sandbox = sandbox_start(&options, &err);
  if (!runtime->sandbox) return error_raise(L, &err);
  return get_place(L);
}

static int stop_sandbox(lua_State *L)
{
  struct runtime *runtime = runtime_of(L);
  sandbox_stop(runtime->sandbox);
  runtime->sandbox = NULL;
  return 0;
}

void sandbox_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"start", start_sandbox},
                                       {"stop", stop_sandbox},
                                       {"place", get_place},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
}
