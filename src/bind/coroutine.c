/* coroutine.* for scripts: as in Lua's library, except that a wait inside a user's coroutine is
 * handed on upward to the scheduler instead of surfacing as a yield in the user's code. */
#include "bind/modules.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>

#include "bind/push.h"
#include "bind/runtime.h"
#include "bind/sched/wait.h"

/* The registry's set of threads that stand in a wait, and of the tasks' own threads that scripts
 * have got hold of: neither resumable nor closable by others. Its keys are weak. */
static const char waiting_set = 's';

static void set_waiting(lua_State *L, int index, bool waiting)
{
  index = lua_absindex(L, index);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &waiting_set);
  lua_pushvalue(L, index);
  if (waiting)
    lua_pushboolean(L, 1);
  else
    lua_pushnil(L);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

static bool is_waiting(lua_State *L, int index)
{
  index = lua_absindex(L, index);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &waiting_set);
  lua_pushvalue(L, index);
  bool waiting = lua_rawget(L, -2) != LUA_TNIL;
  lua_pop(L, 2);
  return waiting;
}

static lua_State *check_thread(lua_State *L)
{
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "thread");
  return co;
}

/* Resumes and restores what runs now, for interrupts. */
static int resume(struct runtime *runtime, lua_State *co, lua_State *from, int arguments,
                  int *results)
{
  lua_State *before = runtime->sched.running;
  runtime->sched.running = co;
  sched_arm(&runtime->sched, co);
  int status = lua_resume(co, from, arguments, results);
  runtime->sched.running = before;
  sched_arm(&runtime->sched, from);
  return status;
}

/* Resumes the thread at index 1 with the arguments on its stack until it yields to the user,
 * returns or fails. Returns the count of values on its stack, or -1 for an error value there; after
 * a wait through `after`. */
static int advance(lua_State *L, int arguments, lua_KFunction after)
{
  struct runtime *runtime = runtime_of(L);
  lua_State *co = lua_tothread(L, 1);
  for (;;) {
    int results;
    int status = resume(runtime, co, L, arguments, &results);
    if (status != LUA_YIELD) return after(L, status, status == LUA_OK ? results : -1);
    if (!wait_is_mark(co, results)) return after(L, LUA_YIELD, results);
    lua_pop(co, 1);
    set_waiting(L, 1, true);
    if (lua_isyieldable(L)) {
      wait_push_mark(L);
      return lua_yieldk(L, 1, -2, after);
    }
    wait_drive(&runtime->sched, runtime->sched.current->waiting);
    set_waiting(L, 1, false);
    arguments = 0;
  }
}

static int finish_resume(lua_State *L, int status, lua_KContext results)
{
  (void)status;
  lua_State *co = lua_tothread(L, 1);
  if (results == -2) { /* the wait is over */
    set_waiting(L, 1, false);
    return advance(L, 0, finish_resume);
  }
  lua_settop(L, 1);
  lua_pushboolean(L, results >= 0);
  int count = results < 0 ? 1 : (int)results;
  if (!lua_checkstack(L, count + 1)) {
    lua_pop(co, count);
    lua_pushboolean(L, 0);
    lua_pushliteral(L, "too many results to resume");
    return 2;
  }
  lua_xmove(co, L, count);
  return count + 1;
}

/* Moves the arguments over; or pushes why the coroutine cannot take them. Lua itself refuses dead
 * ones and those that resumed this one. */
static bool hand_over(lua_State *L, lua_State *co, int arguments)
{
  if (co == L || is_waiting(L, 1)) {
    lua_pushliteral(L, "cannot resume non-suspended coroutine");
    return false;
  }
  if (!lua_checkstack(co, arguments)) {
    lua_pushliteral(L, "too many arguments to resume");
    return false;
  }
  lua_xmove(L, co, arguments);
  return true;
}

static int co_resume(lua_State *L)
{
  lua_State *co = check_thread(L);
  int arguments = lua_gettop(L) - 1;
  if (hand_over(L, co, arguments)) return advance(L, arguments, finish_resume);
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

/* As luaB_auxwrap does: a failed coroutine is closed, and a string error gets its position. */
static int raise_from(lua_State *L, lua_State *co)
{
  int status = lua_status(co);
  if (status != LUA_OK && status != LUA_YIELD) lua_resetthread(co);
  lua_xmove(co, L, 1);
  if (lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int finish_wrap(lua_State *L, int status, lua_KContext results)
{
  (void)status;
  lua_State *co = lua_tothread(L, 1);
  if (results == -2) {
    set_waiting(L, 1, false);
    return advance(L, 0, finish_wrap);
  }
  lua_settop(L, 1);
  if (results < 0) return raise_from(L, co);
  luaL_checkstack(L, (int)results, "too many results");
  lua_xmove(co, L, (int)results);
  return (int)results;
}

static int call_wrapped(lua_State *L)
{
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  int arguments = lua_gettop(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  if (hand_over(L, co, arguments)) return advance(L, arguments, finish_wrap);
  return luaL_error(L, "%s", lua_tostring(L, -1));
}

static int co_create(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  return 1;
}

static int co_wrap(lua_State *L)
{
  co_create(L);
  lua_pushcclosure(L, call_wrapped, 1);
  return 1;
}

/* A task's own thread belongs to the scheduler: a yield there would reach it instead of the user's
 * code. */
static bool is_task_thread(lua_State *L)
{
  const struct task *task = runtime_of(L)->sched.current;
  return task && task->thread == L;
}

static int co_yield (lua_State *L)
{
  if (is_task_thread(L)) return luaL_error(L, "attempt to yield from outside a coroutine");
  return lua_yield(L, lua_gettop(L));
}

static int co_isyieldable(lua_State *L)
{
  lua_State *co = lua_isnone(L, 1) ? L : check_thread(L);
  lua_pushboolean(L, lua_isyieldable(co) && !is_task_thread(co));
  return 1;
}

/* A task's own thread is what the main one is to Lua's own program. */
static int co_running(lua_State *L)
{
  bool is_main = lua_pushthread(L) || is_task_thread(L);
  if (is_main) set_waiting(L, -1, true);
  lua_pushboolean(L, is_main);
  return 2;
}

/* status and close: the library's own, kept as upvalue 1, except for a thread that waits. */
static int co_status(lua_State *L)
{
  if (check_thread(L) != L && is_waiting(L, 1)) {
    lua_pushliteral(L, "normal");
    return 1;
  }
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

static int co_close(lua_State *L)
{
  if (check_thread(L) != L && is_waiting(L, 1))
    return luaL_error(L, "cannot close a normal coroutine");
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 1, LUA_MULTRET);
  return lua_gettop(L);
}

static void replace_with(lua_State *L, const char *name, lua_CFunction function)
{
  lua_getfield(L, -1, name);
  lua_pushcclosure(L, function, 1);
  lua_setfield(L, -2, name);
}

void coroutine_open(lua_State *L)
{
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  set_text(L, "__mode", "k");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &waiting_set);
  lua_getglobal(L, LUA_COLIBNAME);
  static const luaL_Reg functions[] = {{"create", co_create},
                                       {"resume", co_resume},
                                       {"wrap", co_wrap},
                                       {"yield", co_yield },
                                       {"isyieldable", co_isyieldable},
                                       {"running", co_running},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  replace_with(L, "status", co_status);
  replace_with(L, "close", co_close);
  lua_pop(L, 1);
}
