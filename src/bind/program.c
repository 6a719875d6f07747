#include "bind/program.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/secret.h"
#include "base/plain.h"
#include "bind/alloc.h"
#include "bind/embedded.h"
#include "bind/engine.h"
#include "bind/error.h"
#include "bind/modules.h"
#include "bind/repl/repl.h"
#include "bind/runtime.h"
#include "bind/sched/task.h"
#include "bind/system.h"
#include "bundle/bundle.h"
#include "net/http.h"
#include "sandbox/sandbox.h"

/* Percent. Tasks have finalizers: a longer pause lets what they hold grow with each cycle. */
#define GC_PAUSE 200

/* Entries that are not absolute would be looked up in the working directory, which anybody may have
 * filled. */
static void strip_relative(lua_State *L, const char *field)
{
  lua_getfield(L, -1, field);
  luaL_Buffer kept;
  luaL_buffinit(L, &kept);
  for (const char *entry = lua_tostring(L, -2); entry && *entry;) {
    size_t size = strcspn(entry, ";");
    if (*entry == '/') {
      luaL_addlstring(&kept, entry, size);
      luaL_addchar(&kept, ';');
    }
    entry += size + (entry[size] == ';');
  }
  if (luaL_bufflen(&kept) > 0) luaL_buffsub(&kept, 1);
  luaL_pushresult(&kept);
  lua_setfield(L, -3, field);
  lua_pop(L, 1);
}

static void set_packages(lua_State *L)
{
  lua_getglobal(L, LUA_LOADLIBNAME);
  strip_relative(L, "path");
  strip_relative(L, "cpath");
  lua_getfield(L, -1, "searchers");
  for (lua_Integer i = luaL_len(L, -1); i >= 2; i--) { /* after preload, before the file system */
    lua_rawgeti(L, -1, i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushcfunction(L, embedded_searcher);
  lua_rawseti(L, -2, 2);
  lua_pop(L, 2);
}

static int open_state(lua_State *L)
{
  luaL_openlibs(L);
  coroutine_open(L);
  standard_open(L);
  set_packages(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, core_open);
  lua_setfield(L, -2, "proxylua.core");
  return 0;
}

static bool fill_state(struct runtime *runtime, struct error *err)
{
  lua_State *L = runtime->sched.L;
  sched_attach(L, &runtime->sched);
  lua_gc(L, LUA_GCINC, GC_PAUSE, 0, 0);
  lua_pushcfunction(L, open_state);
  if (lua_pcall(L, 0, 0, 0) == LUA_OK) return true;
  error_set(err, ERROR_INTERNAL, "cannot open Lua: %s", lua_tostring(L, -1));
  return false;
}

/* A program whose app was changed does nothing at all. */
static bool open_bundle(struct runtime *runtime, struct error *err)
{
  struct error damage = ERROR_INIT;
  runtime->bundle = bundle_open(&damage);
  if (damage.kind == ERROR_NONE) return true;
  *err = damage;
  return false;
}

struct runtime *runtime_open(struct secret *key, const struct error *key_error, struct error *err)
{
  struct runtime *runtime = calloc(1, sizeof *runtime);
  if (runtime) {
    runtime->sched.owner = getpid();
    runtime->key = key;
    runtime->key_error = *key_error;
    runtime->sched.loop = loop_open();
    runtime->web = runtime->sched.loop ? http_open(runtime->sched.loop) : NULL;
    runtime->alloc = alloc_open();
    runtime->sched.L = runtime->alloc ? lua_newstate(alloc_resize, runtime->alloc) : NULL;
  }
  if (!runtime || !runtime->sched.loop || !runtime->web || !runtime->sched.L)
    error_set(err, ERROR_INTERNAL, "cannot open the runtime: out of memory or file descriptors");
  else if (open_bundle(runtime, err) && fill_state(runtime, err))
    return runtime;
  if (runtime)
    runtime_close(runtime);
  else
    secret_close(key);
  return NULL;
}

void runtime_close(struct runtime *runtime)
{
  if (!runtime) return;
  runtime->sched.current = NULL;
  repl_close(runtime->repl);
  /* Tasks that report late purchases run to their end, also after an interrupt of the script.
   * Another signal ends them too. */
  runtime->sched.ending = false;
  runtime->sched.interrupted = 0;
  engine_settle(runtime->engine);
  if (runtime->sched.L) task_run_rest(&runtime->sched);
  if (runtime->sched.L) lua_close(runtime->sched.L);
  runtime->sched.all = NULL; /* they were Lua's */
  engine_close(runtime->engine);
  sandbox_stop(runtime->sandbox);
  http_close(runtime->web);
  loop_close(runtime->sched.loop);
  alloc_close(runtime->alloc);
  bundle_close(runtime->bundle);
  secret_close(runtime->key);
  free(runtime);
}

/* Pushes the report of an uncaught error: its text and its traceback; empty if the reader of
 * standard output is gone. Stack: error, traceback -> text. */
static void push_report(lua_State *L)
{
  if (system_is_closed_pipe(L, -2)) {
    lua_pop(L, 2);
    lua_pushliteral(L, "");
    return;
  }
  luaL_tolstring(L, -2, NULL);
  lua_pushliteral(L, "\n");
  lua_rotate(L, -3, -1);
  lua_concat(L, 3);
  lua_remove(L, -2);
}

/* Stack: function, arguments -> exit code, report (nil when it went well). */
static int run_script(lua_State *L)
{
  struct runtime *runtime = runtime_of(L);
  struct task *body = task_spawn(L, lua_gettop(L) - 1);
  body->kept = true;
  struct task *failed = task_run_all(&runtime->sched, body);
  if (!failed) return 0;
  lua_settop(L, 0);
  for (int i = 1; i <= 2; i++) {
    lua_pushvalue(failed->thread, i);
    lua_xmove(failed->thread, L, 1);
  }
  lua_pushinteger(L, error_test(L, 1) ? error_exit_code(error_kind_at(L, 1)) : 1);
  lua_insert(L, 1);
  push_report(L);
  return 2;
}

int runtime_run(struct runtime *runtime, int arguments)
{
  lua_State *L = runtime->sched.L;
  lua_pushcfunction(L, run_script);
  lua_insert(L, -arguments - 2);
  if (lua_pcall(L, arguments + 1, 2, 0) != LUA_OK) return 1;
  if (lua_isnil(L, -2)) {
    lua_pop(L, 2);
    return 0;
  }
  int code = (int)lua_tointeger(L, -2);
  lua_remove(L, -2);
  return code;
}

bool program_signal(struct runtime *runtime, int number)
{
  if (runtime->repl) {
    repl_signal(runtime->repl, number);
    return true;
  }
  sched_interrupt(&runtime->sched);
  return false;
}

bool program_force(struct runtime *runtime)
{
  return sched_force(&runtime->sched);
}

/* Stack: arguments -> the command line's main function, arguments. */
static int find_main(lua_State *L)
{
  lua_getglobal(L, "require");
  lua_pushliteral(L, "proxylua.cli");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "main");
  lua_replace(L, -2);
  lua_insert(L, 1);
  return lua_gettop(L);
}

static int report(lua_State *L, int code)
{
  const char *text = lua_tostring(L, -1);
  fflush(stdout);
  if (!text || *text) plain_print(text ? text : "failed without a message");
  if (text && strstr(text, "a nil value (global 'px')"))
    fputs("proxylua: begin the script with: local px = require \"proxylua\"\n", stderr);
  lua_pop(L, 1);
  return code;
}

int program_run(struct runtime *runtime, int argc, char **argv)
{
  lua_State *L = runtime->sched.L;
  int arguments = argc > 1 ? argc - 1 : 0;
  if (!lua_checkstack(L, arguments + 4)) {
    fputs("proxylua: too many arguments\n", stderr);
    return error_exit_code(ERROR_USAGE);
  }
  runtime->program = argc > 0 ? argv[0] : "proxylua";
  lua_pushcfunction(L, find_main);
  for (int i = 1; i <= arguments; i++) lua_pushstring(L, argv[i]);
  if (lua_pcall(L, arguments, LUA_MULTRET, 0) != LUA_OK)
    return report(L, error_exit_code(ERROR_INTERNAL));
  int code = runtime_run(runtime, arguments);
  return code != 0 ? report(L, code) : runtime->exit_code;
}
