/* Functions of Lua's standard library that scripts find changed: print and io.write raise an error
 * for output that is lost, warn prints as in lua, os.exit closes every task's variables. */
#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/streams.h"
#include "bind/modules.h"
#include "bind/program.h"
#include "bind/runtime.h"
#include "bind/sched/task.h"
#include "bind/system.h"

static int print_checked(lua_State *L)
{
  for (int i = 1, last = lua_gettop(L); i <= last; i++) {
    size_t size;
    const char *text = luaL_tolstring(L, i, &size);
    if (i > 1) system_write(L, "\t", 1);
    system_write(L, text, size);
    lua_pop(L, 1);
  }
  system_write(L, "\n", 1);
  return 0;
}

/* Upvalues: io.write and io.output of the library. The library's function runs in this frame, so
 * that its errors name the line of the caller. */
static int write_checked(lua_State *L)
{
  int results = lua_tocfunction(L, lua_upvalueindex(1))(L);
  if (results == 1) return results;
  int code = (int)lua_tointeger(L, -1);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_call(L, 0, 1);
  const luaL_Stream *output = luaL_testudata(L, -1, LUA_FILEHANDLE);
  if (output && output->f == stdout) {
    errno = code;
    return system_fail_output(L);
  }
  lua_pop(L, 1);
  return results;
}

/* As in lua: "@on" and "@off" switch, other texts are printed when it is on. Raises nothing. */
static void on_warning(void *arg, const char *text, int continues)
{
  struct runtime *runtime = arg;
  struct warnings *warnings = &runtime->warnings;
  bool begins = !warnings->continues;
  warnings->continues = continues;
  if (begins && !continues && *text == '@') {
    if (strcmp(text, "@on") == 0) warnings->on = true;
    if (strcmp(text, "@off") == 0) warnings->on = false;
  } else if (warnings->on) {
    sched_before_code(&runtime->sched);
    fprintf(stderr, "%s%s%s", begins ? "Lua warning: " : "", text, continues ? "" : "\n");
  }
}

/* The variables of the thread that calls os.exit are closed, then those of its task and of the
 * tasks that wait below it on the C stack. None of them runs again. */
static void close_running(lua_State *L, struct runtime *runtime)
{
  if (runtime->sched.current && runtime->sched.current->thread != L) lua_resetthread(L);
  if (runtime->sched.current) lua_resetthread(runtime->sched.current->thread);
  for (struct task *task = runtime->sched.all; task; task = task->next)
    if (task != runtime->sched.current && task->state == TASK_RUNNING)
      lua_resetthread(task->thread);
}

/* exit([code [, close]]) */
static int exit_process(lua_State *L)
{
  struct runtime *runtime = runtime_of(L);
  int code = lua_isboolean(L, 1) ? !lua_toboolean(L, 1) : (int)luaL_optinteger(L, 1, 0);
  bool closing = lua_toboolean(L, 2);
  if (closing) {
    alarm(0);
    signal(SIGINT, SIG_DFL); /* the runtime is about to go */
    signal(SIGTERM, SIG_DFL);
    if (!sched_is_forked(&runtime->sched)) task_end_others(&runtime->sched);
    close_running(L, runtime);
  }
  runtime_end_fork(runtime, code);
  if (closing) runtime_close(runtime);
  exit(streams_finish(code, error_exit_code(ERROR_STORE)));
}

static void set(lua_State *L, const char *library, const char *name, lua_CFunction function,
                int upvalues)
{
  lua_pushcclosure(L, function, upvalues);
  lua_getglobal(L, library);
  lua_rotate(L, -2, 1);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

void standard_open(lua_State *L)
{
  lua_getglobal(L, LUA_IOLIBNAME);
  lua_getfield(L, -1, "write");
  lua_getfield(L, -2, "output");
  set(L, LUA_IOLIBNAME, "write", write_checked, 2);
  lua_pop(L, 1);
  set(L, LUA_GNAME, "print", print_checked, 0);
  set(L, LUA_OSLIBNAME, "exit", exit_process, 0);
  lua_setwarnf(L, on_warning, runtime_of(L));
}
