#include "bind/modules.h"

#include <lauxlib.h>

#include "bind/engine.h"
#include "bind/error.h"
#include "bind/runtime.h"
#include "bind/wait_job.h"
#include "store/store.h"

static const char *source_of(const struct runtime *runtime, const struct engine *engine)
{
  if (engine->key) return "sandbox";
  if (runtime->key || runtime->key_error.kind != ERROR_NONE) return "environment";
  return engine->key_file ? "file" : "command";
}

/* key(): reads the API key and returns its source: sandbox, environment, file or command. Raises
 * an error without a key. */
static int read_key(lua_State *L)
{
  struct runtime *runtime = runtime_of(L);
  struct error err = ERROR_INIT;
  if (!runtime->engine) return error_usage(L, "there are no settings yet");
  lua_pushstring(L, source_of(runtime, runtime->engine));
  if (!engine_find_key(runtime, runtime->engine, &err)) error_raise(L, &err);
  return 1;
}

/* Lies on the waiting thread's stack. */
struct look {
  struct store_check check;
  struct wait_job wait;
  struct store *store;
};

static int finish_store(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  struct look *look = (struct look *)context;
  store_close(look->store);
  look->store = NULL;
  wait_job_check(L, &look->wait);
  lua_pushboolean(L, look->check.pooled);
  return 1;
}

/* store(location): opens a store on its own and closes it; raises why it cannot be opened. */
static int check_store(lua_State *L)
{
  struct error err = ERROR_INIT;
  const char *location = luaL_optstring(L, 1, NULL);
  struct look *look = lua_newuserdatauv(L, sizeof *look, 0);
  *look = (struct look){0};
  look->store = store_open(runtime_of(L)->sched.loop, location, &err);
  if (!look->store) error_raise(L, &err);
  wait_job_begin(&look->wait, &look->check.job);
  store_check(look->store, &look->check);
  return wait_job_for(L, &look->wait, finish_store, look);
}

/* clock(): seconds by which the server's clock is ahead of ours, as of the last response of the
 * API; nil before. */
static int server_clock(lua_State *L)
{
  const struct engine *engine = runtime_of(L)->engine;
  if (!engine || !engine->has_clock) return 0;
  lua_pushnumber(L, engine->ahead);
  return 1;
}

void doctor_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"key", read_key},
                                       {"store", check_store},
                                       {"clock", server_clock},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
}
