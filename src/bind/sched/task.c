#include "bind/sched/task.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bind/args.h"
#include "bind/engine.h"
#include "bind/error.h"
#include "bind/modules.h"
#include "bind/runtime.h"
#include "bind/sched/deliver.h"
#include "bind/sched/join.h"
#include "bind/sched/wait.h"
#include "net/loop.h"

#define HANDLE "proxylua.task"
#define FAILED_HANDLE "proxylua.task.failed"
#define MAX_JOINED (1 << 26) /* tasks that one wait is for */
#define COLLECTION_SHARE \
  20 /* for each second of collections that look for failures, seconds without */
#define MAX_REFUSED                                                             \
  1000 /* waits of a cancelled task; code that begins more never ends by itself \
        */

static void link_task(struct tasks *tasks, struct task *task)
{
  task->next = tasks->all;
  if (task->next) task->next->previous = task;
  tasks->all = task;
  task->linked = true;
}

static void unlink_task(struct task *task)
{
  struct tasks *tasks = &task->runtime->tasks;
  if (!task->linked) return;
  if (task->previous)
    task->previous->next = task->next;
  else
    tasks->all = task->next;
  if (task->next) task->next->previous = task->previous;
  task->linked = false;
}

/* It ended, and only its handles need it from now on. */
static void release(struct task *task)
{
  unlink_task(task);
  lua_pushnil(task->runtime->L);
  lua_rawsetp(task->runtime->L, LUA_REGISTRYINDEX, task);
}

static const char failed_key; /* the registry's key of the metatable of failed tasks */

/* Leaves a task whose failure no code has taken to its handles, and learns when the last one goes.
 * Only such tasks have a finalizer: it would keep each of them, and what its thread refers to, for
 * one more cycle of the collector. Allocates nothing: the registry's entry stays in place. */
static void watch_handle(struct task *task)
{
  lua_State *L = task->runtime->L;
  lua_rawgetp(L, LUA_REGISTRYINDEX, task);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &failed_key);
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
  lua_pushboolean(L, false);
  lua_rawsetp(L, LUA_REGISTRYINDEX, task);
}

void task_make_ready(struct task *task)
{
  struct tasks *tasks = &task->runtime->tasks;
  task->state = TASK_READY;
  task->next_ready = NULL;
  if (tasks->first_ready)
    tasks->last_ready->next_ready = task;
  else
    tasks->first_ready = task;
  tasks->last_ready = task;
}

/* --- the life of one: a protected call of its function, in which its variables are closed as part
 * of the task --- */

/* The registry's key of a failed task's traceback, between the error and its end. */
static const void *traceback_key(const struct task *task)
{
  return &task->state;
}

/* Message handler. */
static int keep_traceback(lua_State *L)
{
  traceback_push(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, traceback_key(runtime_of(L)->tasks.current));
  lua_settop(L, 1);
  return 1;
}

/* Stack: handler, results -> results; or handler, error -> error, traceback. */
static int finish_body(lua_State *L, int status, lua_KContext context)
{
  (void)context;
  lua_sethook(L, NULL, 0, 0); /* the return from here would be one more event to raise at */
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - 1;
  struct task *task = runtime_of(L)->tasks.current;
  task->broke = true;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, traceback_key(task)) != LUA_TSTRING) {
    lua_pop(L, 1);
    lua_pushliteral(L, "stack traceback:");
  }
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, traceback_key(task));
  return 2;
}

static int raise_cancelled(lua_State *L)
{
  return wait_raise(L, false);
}

/* Stack: function, arguments -> the results of finish_body. */
static int task_body(lua_State *L)
{
  if (runtime_of(L)->tasks.current->cancelled) { /* before it began */
    lua_settop(L, 0);
    lua_pushcfunction(L, raise_cancelled);
  }
  lua_pushcfunction(L, keep_traceback);
  lua_insert(L, 1);
  return finish_body(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, 0, finish_body), 0);
}

static const char hook_key; /* the registry's key of debug.gethook and debug.sethook */

static void keep_hook_functions(lua_State *L)
{
  lua_createtable(L, 2, 0);
  lua_getglobal(L, LUA_DBLIBNAME);
  lua_getfield(L, -1, "gethook");
  lua_rawseti(L, -3, 1);
  lua_getfield(L, -1, "sethook");
  lua_rawseti(L, -3, 2);
  lua_pop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &hook_key);
}

/* debug.sethook is for one thread. Tools that follow a program, such as those that count the lines
 * that ran, cannot know of the threads of tasks: these take over the hook. */
static void inherit_hook(lua_State *L, struct task *task)
{
  if (!lua_gethook(L)) return;
  luaL_checkstack(L, 8, NULL);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &hook_key);
  lua_rawgeti(L, -1, 2);
  lua_pushthread(task->thread);
  lua_xmove(task->thread, L, 1);
  lua_rawgeti(L, -3, 1);
  lua_call(L, 0, 3);         /* function, mask, count */
  if (lua_isfunction(L, -3)) /* else it is the hook of C code */
    lua_call(L, 4, 0);
  else
    lua_pop(L, 5);
  lua_pop(L, 1);
}

struct task *task_spawn(lua_State *L, int arguments)
{
  struct runtime *runtime = runtime_of(L);
  luaL_checkstack(L, 4, NULL);
  struct task *task = lua_newuserdatauv(L, sizeof *task, 1);
  *task = (struct task){.runtime = runtime,
                        .arguments = arguments + 1,
                        .serial = ++runtime->tasks.spawned,
                        .cancelled = runtime->tasks.ending};
  luaL_setmetatable(L, HANDLE);
  task->thread = lua_newthread(L);
  lua_setiuservalue(L, -2, 1);
  lua_insert(L, -arguments - 2);
  if (!lua_checkstack(task->thread, arguments + 3)) luaL_error(L, "too many arguments to a task");
  inherit_hook(L, task);
  lua_pushcfunction(task->thread, task_body);
  lua_xmove(L, task->thread, arguments + 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, task);
  link_task(&runtime->tasks, task);
  runtime->tasks.alive++;
  task_make_ready(task);
  return task;
}

static bool is_cancellation(lua_State *L, int index)
{
  return error_kind_at(L, index) == ERROR_CANCELLED;
}

/* Its thread holds the results, or the error and its traceback; or, when memory was out even for
 * that, an error alone. */
static void end(struct task *task, int status)
{
  struct tasks *tasks = &task->runtime->tasks;
  tasks->alive--;
  task->state = status == LUA_OK && !task->broke ? TASK_DONE : TASK_FAILED;
  if (status != LUA_OK) {
    lua_resetthread(task->thread);
    lua_pushliteral(task->thread, "stack traceback:");
  }
  if (task->state == TASK_FAILED && task->cancelled && is_cancellation(task->thread, 1))
    task->taken = true;
  join_tell(task);
  if (task->state == TASK_FAILED && !task->taken) {
    tasks->failed = true;
    if (task->held) watch_handle(task);
  } else if (!task->kept) {
    release(task);
  }
}

static void resume(struct task *task)
{
  struct runtime *runtime = task->runtime;
  struct task *current = runtime->tasks.current;
  lua_State *running = runtime->running;
  int arguments = task->arguments, results;
  task->arguments = 0;
  task->state = TASK_RUNNING;
  task->waiting = NULL;
  runtime->tasks.current = task;
  runtime->running = task->thread;
  runtime_arm(runtime, task->thread);
  if (runtime->engine) countdown_hide(&runtime->engine->countdown);
  int status = lua_resume(task->thread, running ? running : runtime->L, arguments, &results);
  runtime->running = running;
  runtime->tasks.current = current;
  if (status != LUA_YIELD) {
    if (runtime_is_forked(runtime)) {
      runtime->tasks.forked = task;
      task->kept = true;
    }
    end(task, status);
    return;
  }
  lua_pop(task->thread, results); /* the mark of a wait: nothing else can yield here */
  task->state = TASK_WAITING;
  if (task->waiting->done || task->waiting->cancelled) task_make_ready(task);
}

bool task_step(struct runtime *runtime)
{
  struct tasks *tasks = &runtime->tasks;
  struct task *task = tasks->first_ready;
  if (!task) return false;
  tasks->first_ready = task->next_ready;
  resume(task);
  return true;
}

void task_cancel(struct task *task)
{
  task->cancelled = true;
  struct wait *wait = task->waiting;
  if (task->state != TASK_WAITING || wait->done || wait->cancelled) return;
  wait->cancel(wait);
  wait->cancelled = true;
  task_make_ready(task);
}

void task_cancel_all(struct runtime *runtime)
{
  runtime->tasks.ending = true;
  for (struct task *task = runtime->tasks.all; task; task = task->next) task_cancel(task);
}

void task_refuse(struct task *task, lua_State *thread)
{
  if (++task->refused < MAX_REFUSED) return;
  task->insisting = true;
  runtime_arm(task->runtime, thread);
  runtime_arm(task->runtime, task->thread);
}

/* A failure that no task can take any more: the body's, one whose handle is gone, or any once all
 * have ended. A handle that is merely not collected yet would hide it, so a failure asks for a
 * collection first; with many failures, these take a small part of the time. */
static struct task *find_failed(struct runtime *runtime)
{
  struct tasks *tasks = &runtime->tasks;
  if (tasks->failed) {
    int64_t before = loop_clock(), after;
    lua_gc(runtime->L, LUA_GCCOLLECT);
    after = loop_clock();
    tasks->next_search = after + COLLECTION_SHARE * (after - before);
  }
  tasks->failed = false;
  for (struct task *task = tasks->all; task; task = task->next)
    if (task->state == TASK_FAILED && !task->taken && (!task->held || tasks->alive == 0))
      return task;
  return NULL;
}

bool task_take_failed(lua_State *L)
{
  struct tasks *tasks = &runtime_of(L)->tasks;
  if (!tasks->failed) return false;
  struct task *task = tasks->all;
  while (task && (task->state != TASK_FAILED || task->taken)) task = task->next;
  tasks->failed = task;
  if (!task) return false;
  for (int i = 1; i <= 2; i++) {
    lua_pushvalue(task->thread, i);
    lua_xmove(task->thread, L, 1);
  }
  task->taken = true;
  if (!task->held) release(task);
  return true;
}

static void run_ready(struct runtime *runtime)
{
  const struct task *last = runtime->tasks.last_ready;
  for (const struct task *task; (task = runtime->tasks.first_ready);) {
    task_step(runtime);
    if (task == last || runtime->tasks.forked) break;
  }
}

static bool is_due(const struct tasks *tasks)
{
  return tasks->failed && loop_clock() >= tasks->next_search;
}

/* How long the loop may wait for something to happen. */
static int64_t patience(const struct tasks *tasks, bool searching)
{
  if (tasks->first_ready) return 0;
  if (!searching || !tasks->failed) return -1;
  int64_t left = tasks->next_search - loop_clock();
  return left > 0 ? left : 0;
}

/* Runs tasks until all have ended or, given a body, until that has failed or failures are to be
 * looked for. */
static void run_until_ended(struct runtime *runtime, const struct task *body)
{
  struct tasks *tasks = &runtime->tasks;
  while (tasks->alive > 0) {
    if (runtime->interrupted) task_cancel_all(runtime);
    run_ready(runtime);
    if (tasks->forked) return;
    if (body && (body->state == TASK_FAILED || is_due(tasks))) break;
    if (tasks->alive > 0) deliver_turn(runtime, patience(tasks, body != NULL));
  }
}

static bool all_run(const struct tasks *tasks)
{
  for (const struct task *task = tasks->all; task; task = task->next)
    if (task->state == TASK_READY || task->state == TASK_WAITING) return false;
  return true;
}

/* The code of a task may be running: it ends the process. */
static void run_others(struct runtime *runtime)
{
  while (!all_run(&runtime->tasks)) {
    if (runtime->interrupted) task_cancel_all(runtime);
    run_ready(runtime);
    if (!all_run(&runtime->tasks)) deliver_turn(runtime, patience(&runtime->tasks, false));
  }
}

void task_end_others(struct runtime *runtime)
{
  task_cancel_all(runtime);
  run_others(runtime);
}

struct task *task_run_all(struct runtime *runtime, struct task *body)
{
  struct task *failed = NULL;
  for (;;) {
    run_until_ended(runtime, body);
    if (runtime->tasks.forked)
      return runtime->tasks.forked->state == TASK_FAILED ? runtime->tasks.forked : NULL;
    failed = body->state == TASK_FAILED ? body : find_failed(runtime);
    if (failed || runtime->tasks.alive == 0) break;
  }
  if (failed) failed->taken = failed->kept = true;
  task_cancel_all(runtime);
  run_until_ended(runtime, NULL);
  return failed;
}

void task_run_rest(struct runtime *runtime)
{
  if (runtime->L) run_others(runtime);
}

struct task *task_check(lua_State *L, int index)
{
  struct task *task = luaL_testudata(L, index, HANDLE);
  if (!task) task = luaL_testudata(L, index, FAILED_HANDLE);
  return task ? task : luaL_checkudata(L, index, HANDLE);
}

static int spawn(lua_State *L)
{
  runtime_check_process(L);
  if (!lua_isfunction(L, 1))
    return error_usage(L, "px.spawn takes a function, not a %s", luaL_typename(L, 1));
  struct task *task = task_spawn(L, lua_gettop(L) - 1);
  task->held = true;
  lua_rawgetp(L, LUA_REGISTRYINDEX, task);
  return 1;
}

/* No handle is left of a task that failed. */
static int on_gc(lua_State *L)
{
  struct task *task = luaL_checkudata(L, 1, FAILED_HANDLE);
  if (task->taken && !task->kept) {
    release(task);
    return 0;
  }
  task->held = false;
  task->runtime->tasks.failed = true;
  lua_pushvalue(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, task);
  return 0;
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
  return join_wait(L, gather, finish_join);
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
  return join_wait(L, all, finish_gather);
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
  loop_timer_clear(wait->runtime->loop, &((struct sleep *)wait)->timer);
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
  if (!loop_timer_set(runtime_of(L)->loop, &sleep->timer, (int64_t)(seconds * 1e6), wake, sleep))
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
  keep_hook_functions(L);
  static const luaL_Reg methods[] = {{"join", join},
                                     {"cancel", cancel},
                                     {"status", status},
                                     {NULL, NULL}};
  luaL_newmetatable(L, HANDLE);
  luaL_newlib(L, methods);
  luaL_newmetatable(L, FAILED_HANDLE);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, HANDLE);
  lua_setfield(L, -2, "__name");
  lua_pushcfunction(L, on_gc);
  lua_setfield(L, -2, "__gc");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &failed_key);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  static const luaL_Reg functions[] = {{"spawn", spawn},     {"gather", gather},
                                       {"sleep", sleep_for}, {"clock", monotonic_clock},
                                       {"now", now},         {NULL, NULL}};
  luaL_newlib(L, functions);
}
