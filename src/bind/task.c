/* core.task: tasks and waiting for scripts. */
#include <lauxlib.h>
#include <time.h>

#include "bind/args.h"
#include "bind/error.h"
#include "bind/modules.h"
#include "bind/sched/join.h"
#include "bind/sched/task.h"
#include "bind/sched/wait.h"
#include "net/loop.h"

#define MAX_JOINED (1 << 26) /* tasks that one wait is for */

static int spawn(lua_State *L)
{
  sched_check_process(L);
  if (!lua_isfunction(L, 1))
    return error_usage(L, "px.spawn takes a function, not a %s", luaL_typename(L, 1));
  struct task *task = task_spawn(L, lua_gettop(L) - 1);
  task->held = true;
  lua_rawgetp(L, LUA_REGISTRYINDEX, task);
  return 1;
}

static int raise_failure(lua_State *L, struct task *task)
{
  task->taken = true;
  lua_pushvalue(task->thread, 1);
  lua_xmove(task->thread, L, 1);
  return lua_error(L);
}

static int finish_join(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  int index;
  join_failed(L, (struct join *)context, &index);
  struct task *task = task_check(L, 1);
  if (task->state == TASK_FAILED) return raise_failure(L, task);
  int results = lua_gettop(task->thread);
  luaL_checkstack(L, results, "too many results");
  luaL_checkstack(task->thread, results, "too many results");
  for (int i = 1; i <= results; i++) lua_pushvalue(task->thread, i);
  lua_xmove(task->thread, L, results);
  return results;
}

static int join(lua_State *L)
{
  struct task *task = task_check(L, 1);
  struct join *gather = join_push(L, 1);
  join_add(gather, task);
  return wait_for(L, join_begin(L, gather), finish_join, (lua_KContext)gather);
}

static int finish_gather(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  int index;
  struct task *failed = join_failed(L, (struct join *)context, &index);
  if (!failed) return 0;
  lua_pushinteger(L, index);
  return 1;
}

/* gather(list): waits for all tasks of a list; nil, or the index of the first that failed, as soon
 * as it has. The handles are kept in the user value: the list is the caller's, to change meanwhile.
 */
static int gather(lua_State *L)
{
  int count = (int)list_length(L, 1, MAX_JOINED);
  struct join *all = join_push(L, count);
  lua_createtable(L, count, 0);
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, 1, i);
    join_add(all, task_check(L, -1));
    lua_rawseti(L, -2, i);
  }
  lua_setiuservalue(L, -2, 1);
  return wait_for(L, join_begin(L, all), finish_gather, (lua_KContext)all);
}

static int cancel(lua_State *L)
{
  task_cancel(task_check(L, 1));
  return 0;
}

/* status(task): "ready", "running", "waiting", "done", "failed" or "cancelled". */
static int status(lua_State *L)
{
  static const char *const names[] = {"ready", "running", "waiting", "done", "failed"};
  const struct task *task = task_check(L, 1);
  lua_pushstring(L,
                 task->cancelled && task->state == TASK_FAILED ? "cancelled" : names[task->state]);
  return 1;
}

struct sleep {
  struct wait wait;
  struct loop_timer timer;
};

static void wake(void *arg)
{
  struct sleep *sleep = arg;
  wait_done(&sleep->wait);
}

static void stop_sleep(struct wait *wait)
{
  loop_timer_clear(wait->sched->loop, &((struct sleep *)wait)->timer);
}

static int finish_sleep(lua_State *L, int unused, lua_KContext context)
{
  (void)unused;
  struct sleep *sleep = (struct sleep *)context;
  if (sleep->wait.cancelled) return wait_raise(L, false);
  return 0;
}

/* sleep(seconds). The sleep lies on the waiting thread's stack. */
static int sleep_for(lua_State *L)
{
  double seconds;
  if (!seconds_to(L, 1, &seconds) || !(seconds >= 0 && seconds <= 1e9))
    return error_usage(L,
                       "px.sleep takes 0 to 1e9 seconds, or a text with a unit such as \"5s\"; "
                       "got %s",
                       luaL_tolstring(L, 1, NULL));
  struct sleep *sleep = lua_newuserdatauv(L, sizeof *sleep, 0);
  *sleep = (struct sleep){.wait = {.cancel = stop_sleep}};
  if (!loop_timer_set(sched_of(L)->loop, &sleep->timer, (int64_t)(seconds * 1e6), wake, sleep))
    return luaL_error(L, "not enough memory");
  return wait_for(L, &sleep->wait, finish_sleep, (lua_KContext)sleep);
}

/* clock(): seconds since some moment in the past; never set back, and goes on while the machine
 * sleeps. */
static int monotonic_clock(lua_State *L)
{
  lua_pushnumber(L, (double)loop_clock() / 1e6);
  return 1;
}

/* now(): seconds since 1970 UTC. */
static int now(lua_State *L)
{
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  lua_pushnumber(L, (double)t.tv_sec + (double)(t.tv_nsec / 1000) / 1e6);
  return 1;
}

void task_open(lua_State *L)
{
  static const luaL_Reg methods[] = {{"join", join},
                                     {"cancel", cancel},
                                     {"status", status},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {{"spawn", spawn},     {"gather", gather},
                                       {"sleep", sleep_for}, {"clock", monotonic_clock},
                                       {"now", now},         {NULL, NULL}};
  task_open_types(L, methods);
  luaL_newlib(L, functions);
}
