#include "bind/runtime.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "api/secret.h"
#include "bind/alloc.h"
#include "bind/embedded.h"
#include "bind/engine.h"
#include "bind/error.h"
#include "bind/modules.h"
#include "bind/repl/repl.h"
#include "bind/sched/wait.h"
#include "bind/system.h"
#include "bundle/bundle.h"
#include "sandbox/sandbox.h"

/* Percent. Tasks have finalizers: a longer pause lets what they hold grow with each cycle. */
#define GC_PAUSE 200

#define MAX_PATIENCE 10000 /* instructions between the errors that end code which catches them */

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
  lua_State *L = runtime->L;
  *(struct runtime **)lua_getextraspace(L) = runtime;
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
    runtime->owner = getpid();
    runtime->key = key;
    runtime->key_error = *key_error;
    runtime->loop = loop_open();
    runtime->web = runtime->loop ? http_open(runtime->loop) : NULL;
    runtime->alloc = alloc_open();
    runtime->L = runtime->alloc ? lua_newstate(alloc_resize, runtime->alloc) : NULL;
  }
  if (!runtime || !runtime->loop || !runtime->web || !runtime->L)
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
  runtime->tasks.current = NULL;
  repl_close(runtime->repl);
  /* Tasks that report late purchases run to their end, also after an interrupt of the script.
   * Another signal ends them too. */
  runtime->tasks.ending = false;
  runtime->interrupted = 0;
  engine_settle(runtime->engine);
  task_run_rest(runtime);
  if (runtime->L) lua_close(runtime->L);
  runtime->tasks.all = NULL; /* they were Lua's */
  engine_close(runtime->engine);
  sandbox_stop(runtime->sandbox);
  http_close(runtime->web);
  loop_close(runtime->loop);
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
  struct task *failed = task_run_all(runtime, body);
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
  lua_State *L = runtime->L;
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

void runtime_check_process(lua_State *L)
{
  if (runtime_is_forked(runtime_of(L)))
    error_usage(L, "px does not work in a child of fork(); start another proxylua for it");
}

static bool is_insisting(const struct runtime *runtime)
{
  return runtime->insisting || (runtime->tasks.current && runtime->tasks.current->insisting);
}

static void on_interrupt(lua_State *L, lua_Debug *where);

static void hook(lua_State *thread, int instructions)
{
  int mask =
      instructions > 1 ? LUA_MASKCOUNT : LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT;
  lua_sethook(thread, on_interrupt, mask, instructions);
}

/* Code that catches the error in a loop meets it again after fewer instructions, at last at each
 * one. Before that, there is time for the metamethods that close variables. */
static int next_patience(struct task *task)
{
  if (!task) return 1;
  task->patience = task->patience == 0 ? MAX_PATIENCE : task->patience / 10;
  if (task->patience < 1) task->patience = 1;
  return task->patience;
}

/* Raises once, so that the code can end in good order; again and again when that did not help. */
static void on_interrupt(lua_State *L, lua_Debug *where)
{
  (void)where;
  struct runtime *runtime = runtime_of(L);
  bool insisting = is_insisting(runtime);
  runtime->stirred = 1;
  if (insisting)
    hook(L, next_patience(runtime->tasks.current));
  else
    lua_sethook(L, NULL, 0, 0);
  if (insisting || runtime->interrupted) wait_raise(L, false);
}

void runtime_interrupt(struct runtime *runtime)
{
  runtime->interrupted = 1;
  runtime->stirred = 0;
  if (runtime->running) hook(runtime->running, 1);
  loop_wake(runtime->loop);
}

bool runtime_insist(struct runtime *runtime)
{
  bool stuck = !runtime->stirred && !loop_is_turning(runtime->loop);
  runtime->insisting = 1;
  runtime->stirred = 0;
  if (runtime->running) hook(runtime->running, 1);
  return !stuck;
}

void runtime_arm(struct runtime *runtime, lua_State *thread)
{
  if (!is_insisting(runtime)) return;
  const struct task *task = runtime->tasks.current;
  int instructions = task && task->patience > 0 ? task->patience : 1;
  if (lua_gethook(thread) != on_interrupt || lua_gethookcount(thread) != instructions)
    hook(thread, instructions); /* which begins to count anew */
}

bool runtime_signal(struct runtime *runtime, int number)
{
  if (runtime->repl) {
    repl_signal(runtime->repl, number);
    return true;
  }
  runtime_interrupt(runtime);
  return false;
}
