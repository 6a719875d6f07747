/* The functions of proxylua_lua.h: px in a lua_State that belongs to another program. */
#include "proxylua_lua.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/secret.h"
#include "bind/box.h"
#include "bind/embedded.h"
#include "bind/engine.h"
#include "bind/error.h"
#include "bind/modules.h"
#include "bind/push.h"
#include "bind/runtime.h"
#include "bind/sched/task.h"
#include "net/http.h"
#include "sandbox/sandbox.h"

#define HOST "proxylua.host"

/* Its finalizer is the last one of px: Lua calls them in the reverse order. */
struct host {
  struct runtime runtime;
  void (*log)(void *arg, const char *line);
  void *log_arg;
};

static void print(void *arg, const char *line)
{
  const struct host *host = arg;
  if (host->log) host->log(host->log_arg, line);
}

static int close_host(lua_State *L)
{
  struct runtime *runtime = &((struct host *)luaL_checkudata(L, 1, HOST))->runtime;
  struct sched *sched = &runtime->sched;
  if (sched->loop && runtime->web && !sched_is_forked(sched)) {
    task_end_others(sched);
    sched->ending = false; /* tasks that report late purchases run to their end */
    engine_settle(runtime->engine);
    task_run_rest(sched);
  }
  engine_close(runtime->engine);
  sandbox_stop(runtime->sandbox);
  http_close(runtime->web);
  loop_close(sched->loop);
  *runtime = (struct runtime){0};
  return 0;
}

static int find_module(lua_State *L)
{
  return embedded_own(L, luaL_checkstring(L, 1));
}

/* Makes require find the modules of proxylua, before it looks for files. */
static void add_searcher(lua_State *L)
{
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "package") != LUA_TTABLE ||
      lua_getfield(L, -1, "searchers") != LUA_TTABLE)
    error_usage(L, "the state has no package library; call luaL_openlibs before");
  for (lua_Integer i = luaL_len(L, -1); i >= 2; i--) {
    lua_rawgeti(L, -1, i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushcfunction(L, find_module);
  lua_rawseti(L, -2, 2);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, core_open);
  lua_setfield(L, -2, "proxylua.core");
  lua_pop(L, 4);
}

static struct host *push_host(lua_State *L)
{
  struct host *host = box_push(L, sizeof *host, HOST, close_host, NULL);
  lua_rawsetp(L, LUA_REGISTRYINDEX, host);
  return host;
}

static void set_seconds(lua_State *L, const char *name, double seconds)
{
  if (seconds != 0) set_number(L, name, seconds);
}

/* The settings as the table of engine_configure. */
static void push_settings(lua_State *L, const struct proxylua_settings *given)
{
  lua_newtable(L);
  set_text(L, "base_url", given->base_url ? given->base_url : PARTS_BASE_URL);
  set_text(L, "store", given->store);
  set_text(L, "limits", given->limits ? given->limits : PARTS_LIMITS);
  set_text(L, "ca_file", given->ca_file);
  set_text(L, "trace", given->trace);
  set_seconds(L, "timeout", given->timeout);
  set_seconds(L, "max_wait", given->max_wait);
  set_seconds(L, "settle", given->settle);
  set_flag(L, "dry_run", given->dry_run);
  set_flag(L, "quiet", true); /* a host has no terminal on which to ask or to show waits */
  lua_newtable(L);
  set_text(L, "per_run", given->spend_per_run);
  set_text(L, "per_day", given->spend_per_day);
  set_text(L, "per_order", given->spend_per_order);
  set_flag(L, "ignore_elsewhere", given->spend_ignore_elsewhere);
  lua_setfield(L, -2, "spend");
}

/* Stack: light userdata of the settings. */
static int open_host(lua_State *L)
{
  const struct proxylua_settings *given = lua_touserdata(L, 1);
  struct error err = ERROR_INIT;
  if (sched_of(L)) return error_usage(L, "px is open already in this state");
  struct host *host = push_host(L);
  struct runtime *runtime = &host->runtime;
  host->log = given->log;
  host->log_arg = given->log_arg;
  runtime->program = "proxylua";
  runtime->sched.owner = getpid();
  runtime->sched.plain_coroutines = true;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  runtime->sched.L = lua_tothread(L, -1);
  lua_pop(L, 1);
  runtime->sched.loop = loop_open();
  runtime->web = runtime->sched.loop ? http_open(runtime->sched.loop) : NULL;
  if (!runtime->web) return luaL_error(L, "not enough memory or descriptors");
  sched_attach(L, &runtime->sched);
  add_searcher(L);
  luaL_requiref(L, "proxylua.core", core_open, 0);
  push_settings(L, given);
  engine_configure(L, lua_gettop(L));
  runtime->engine->log = print;
  runtime->engine->log_arg = host;
  error_set(&err, ERROR_CONFIG, "there is no api_key");
  if (given->api_key) runtime->engine->key = secret_from_text(given->api_key, &err);
  return runtime->engine->key ? 0 : error_raise(L, &err);
}

/* Stack: the error value. */
static void copy_error(lua_State *L, struct proxylua_error *to)
{
  enum error_kind kind = error_kind_at(L, -1);
  if (error_test(L, -1)) lua_getfield(L, -1, "message");
  const char *message = lua_tostring(L, -1);
  *to = (struct proxylua_error){.kind = error_kind_name(kind != ERROR_NONE ? kind : ERROR_INTERNAL),
                                .charge = error_charge_name(CHARGE_NONE),
                                .retry_after = -1};
  snprintf(to->message, sizeof to->message, "%s", message ? message : "out of memory");
}

int proxylua_lua_open(lua_State *L, const struct proxylua_settings *settings,
                      struct proxylua_error *error)
{
  int top = lua_gettop(L);
  if (!lua_checkstack(L, 8)) {
    if (error) *error = (struct proxylua_error){"internal", "none", .message = "out of memory"};
    return -1;
  }
  lua_pushcfunction(L, open_host);
  lua_pushlightuserdata(L, (void *)settings);
  bool opened = lua_pcall(L, 1, 0, 0) == LUA_OK;
  if (!opened && error) copy_error(L, error);
  lua_settop(L, top);
  return opened ? 0 : -1;
}

int luaopen_proxylua(lua_State *L)
{
  if (!sched_of(L)) return luaL_error(L, "call proxylua_lua_open before px is required");
  lua_getglobal(L, "require");
  lua_pushliteral(L, "proxylua");
  lua_call(L, 1, 1);
  return 1;
}

int proxylua_lua_descriptor(lua_State *L)
{
  return loop_descriptor(sched_of(L)->loop);
}

int proxylua_lua_timeout(lua_State *L)
{
  const struct sched *sched = sched_of(L);
  if (sched->first_ready || sched->deliveries) return 0;
  int64_t next = loop_next(sched->loop);
  return next < 0 ? -1 : next > INT32_MAX ? INT32_MAX : (int)((next + 999) / 1000);
}

static int report_failures(lua_State *L)
{
  while (task_take_failed(L)) {
    print(runtime_of(L), luaL_tolstring(L, -2, NULL));
    lua_settop(L, 0);
  }
  return 0;
}

void proxylua_lua_turn(lua_State *L, int milliseconds)
{
  struct sched *sched = sched_of(L);
  int64_t wait = milliseconds < 0 ? -1 : (int64_t)milliseconds * 1000;
  deliver_turn(sched, sched->first_ready ? 0 : wait);
  task_run_ready(sched);
  lua_pushcfunction(L, report_failures);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) lua_pop(L, 1);
}
