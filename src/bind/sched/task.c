#include "bind/sched/task.h"

#include <lauxlib.h>
#include <lualib.h>

#include "bind/error.h"
#include "bind/modules.h"
#include "bind/push.h"
#include "bind/sched/join.h"

#define HANDLE "proxylua.task"
#define FAILED_HANDLE "proxylua.task.failed"

/* For each second of collections that look for failures, seconds without. */
#define COLLECTION_SHARE 20

/* Waits of a cancelled task; code that begins more never ends by itself. */
#define MAX_REFUSED 1000

static void link_task(struct sched *sched, struct task *task)
{
  task->next = sched->all;
  if (task->next) task->next->previous = task;
  sched->all = task;
  task->linked = true;
}

static void unlink_task(struct task *task)
{
  struct sched *sched = task->sched;
  if (!task->linked) return;
  if (task->previous)
    task->previous->next = task->next;
  else
    sched->all = task->next;
  if (task->next) task->next->previous = task->previous;
  task->linked = false;
}

/* It ended, and only its handles need it from now on. */
static void release(struct task *task)
{
  unlink_task(task);
  lua_pushnil(task->sched->L);
  lua_rawsetp(task->sched->L, LUA_REGISTRYINDEX, task);
}

static const char failed_key; /* the registry's key of the metatable of failed tasks */

/* Leaves a task whose failure no code has taken to its handles, and learns when the last one goes.
 * Only such tasks have a finalizer: it would keep each of them, and what its thread refers to, for
 * one more cycle of the collector. Allocates nothing: the registry's entry stays in place. */
static void watch_handle(struct task *task)
{
  lua_State *L = task->sched->L;
  lua_rawgetp(L, LUA_REGISTRYINDEX, task);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &failed_key);
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
  lua_pushboolean(L, false);
  lua_rawsetp(L, LUA_REGISTRYINDEX, task);
}

/* Whether the error at the index is that of a task that was cancelled: it is not reported. */
static bool is_cancellation(const struct task *task, lua_State *L, int index)
{
  return task->cancelled && error_kind_at(L, index) == ERROR_CANCELLED;
}

/* The registry's key of a failed task's traceback, between the error and its end. */
static const void *traceback_key(const struct task *task)
{
  return &task->state;
}

/* Message handler. */
static int keep_traceback(lua_State *L)
{
  const struct sched *sched = sched_of(L);
  const struct task *task = sched->current;
  /* The traceback of what a signal interrupts is shown. */
  if (!sched->interrupted && is_cancellation(task, L, 1)) return 1;
  traceback_push(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, traceback_key(task));
  lua_settop(L, 1);
  return 1;
}

/* Stack: handler, results -> results; or handler, error -> error, traceback. */
static int finish_body(lua_State *L, int status, lua_KContext context)
{
  (void)context;
  lua_sethook(L, NULL, 0, 0); /* the return from here would be one more event to raise at */
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - 1;
  struct task *task = sched_of(L)->current;
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
  if (sched_of(L)->current->cancelled) { /* before it began */
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
  struct sched *sched = sched_of(L);
  luaL_checkstack(L, 4, NULL);
  struct task *task = lua_newuserdatauv(L, sizeof *task, 1);
  *task = (struct task){.sched = sched,
                        .arguments = arguments + 1,
                        .serial = ++sched->spawned,
                        .cancelled = sched->ending};
  luaL_setmetatable(L, HANDLE);
  task->thread = lua_newthread(L);
  lua_setiuservalue(L, -2, 1);
  lua_insert(L, -arguments - 2);
  if (!lua_checkstack(task->thread, arguments + 3)) luaL_error(L, "too many arguments to a task");
  inherit_hook(L, task);
  lua_pushcfunction(task->thread, task_body);
  lua_xmove(L, task->thread, arguments + 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, task);
  link_task(sched, task);
  sched->alive++;
  task_make_ready(task);
  return task;
}

/* Its thread holds the results, or the error and its traceback; or, when memory was out even for
 * that, an error alone. */
static void end(struct task *task, int status)
{
  struct sched *sched = task->sched;
  sched->alive--;
  task->state = status == LUA_OK && !task->broke ? TASK_DONE : TASK_FAILED;
  if (status != LUA_OK) {
    lua_resetthread(task->thread);
    lua_pushliteral(task->thread, "stack traceback:");
  }
  if (task->state == TASK_FAILED && is_cancellation(task, task->thread, 1)) task->taken = true;
  join_end(task);
  if (task->state == TASK_FAILED && !task->taken) {
    sched->failed = true;
    if (task->held) watch_handle(task);
  } else if (!task->kept) {
    release(task);
  }
}

static void resume(struct task *task)
{
  struct sched *sched = task->sched;
  struct task *current = sched->current;
  lua_State *running = sched->running;
  int arguments = task->arguments, results;
  task->arguments = 0;
  task->state = TASK_RUNNING;
  task->waiting = NULL;
  sched->current = task;
  sched->running = task->thread;
  sched_arm(sched, task->thread);
  sched_before_code(sched);
  int status = lua_resume(task->thread, running ? running : sched->L, arguments, &results);
  sched->running = running;
  sched->current = current;
  if (status != LUA_YIELD) {
    if (sched_is_forked(sched)) {
      sched->forked = task;
      task->kept = true;
    }
    end(task, status);
    return;
  }
  lua_pop(task->thread, results); /* the mark of a wait: nothing else can yield here */
  task->state = TASK_WAITING;
  if (task->waiting->done || task->waiting->cancelled) task_make_ready(task);
}

bool task_step(struct sched *sched)
{
  struct task *task = sched->first_ready;
  if (!task) return false;
  sched->first_ready = task->next_ready;
  resume(task);
  return true;
}

void task_refuse(struct task *task, lua_State *thread)
{
  if (++task->refused < MAX_REFUSED) return;
  task->forced = true;
  sched_arm(task->sched, thread);
  sched_arm(task->sched, task->thread);
}

/* A failure that no task can take any more: the body's, one whose handle is gone, or any once all
 * have ended. A handle that is merely not collected yet would hide it, so a failure asks for a
 * collection first; with many failures, these take a small part of the time. */
static struct task *find_failed(struct sched *sched)
{
  if (sched->failed) {
    int64_t before = loop_clock(), after;
    lua_gc(sched->L, LUA_GCCOLLECT);
    after = loop_clock();
    sched->next_search = after + COLLECTION_SHARE * (after - before);
  }
  sched->failed = false;
  for (struct task *task = sched->all; task; task = task->next)
    if (task->state == TASK_FAILED && !task->taken && (!task->held || sched->alive == 0))
      return task;
  return NULL;
}

bool task_take_failed(lua_State *L)
{
  struct sched *sched = sched_of(L);
  if (!sched->failed) return false;
  struct task *task = sched->all;
  while (task && (task->state != TASK_FAILED || task->taken)) task = task->next;
  sched->failed = task;
  if (!task) return false;
  for (int i = 1; i <= 2; i++) {
    lua_pushvalue(task->thread, i);
    lua_xmove(task->thread, L, 1);
  }
  task->taken = true;
  if (!task->held) release(task);
  return true;
}

void task_run_ready(struct sched *sched)
{
  const struct task *last = sched->last_ready;
  for (const struct task *task; (task = sched->first_ready);) {
    task_step(sched);
    if (task == last || sched->forked) break;
  }
}

static bool is_due(const struct sched *sched)
{
  return sched->failed && loop_clock() >= sched->next_search;
}

/* How long the loop may wait for something to happen. */
static int64_t longest_wait(const struct sched *sched, bool searching)
{
  if (sched->first_ready) return 0;
  if (!searching || !sched->failed) return -1;
  int64_t left = sched->next_search - loop_clock();
  return left > 0 ? left : 0;
}

/* Runs tasks until all have ended or, given a body, until that has failed or failures are to be
 * looked for. */
static void run_until_ended(struct sched *sched, const struct task *body)
{
  while (sched->alive > 0) {
    if (sched->interrupted) task_cancel_all(sched);
    task_run_ready(sched);
    if (sched->forked) return;
    if (body && (body->state == TASK_FAILED || is_due(sched))) break;
    if (sched->alive > 0) deliver_turn(sched, longest_wait(sched, body != NULL));
  }
}

static bool all_run(const struct sched *sched)
{
  for (const struct task *task = sched->all; task; task = task->next)
    if (task->state == TASK_READY || task->state == TASK_WAITING) return false;
  return true;
}

/* The code of a task may be running: it ends the process. */
static void run_others(struct sched *sched)
{
  while (!all_run(sched)) {
    if (sched->interrupted) task_cancel_all(sched);
    task_run_ready(sched);
    if (!all_run(sched)) deliver_turn(sched, longest_wait(sched, false));
  }
}

void task_end_others(struct sched *sched)
{
  task_cancel_all(sched);
  run_others(sched);
}

struct task *task_run_all(struct sched *sched, struct task *body)
{
  struct task *failed = NULL;
  for (;;) {
    run_until_ended(sched, body);
    if (sched->forked) return sched->forked->state == TASK_FAILED ? sched->forked : NULL;
    failed = body->state == TASK_FAILED ? body : find_failed(sched);
    if (failed || sched->alive == 0) break;
  }
  if (failed) failed->taken = failed->kept = true;
  task_cancel_all(sched);
  run_until_ended(sched, NULL);
  return failed;
}

void task_run_rest(struct sched *sched)
{
  run_others(sched);
}

struct task *task_check(lua_State *L, int index)
{
  struct task *task = luaL_testudata(L, index, HANDLE);
  if (!task) task = luaL_testudata(L, index, FAILED_HANDLE);
  return task ? task : luaL_checkudata(L, index, HANDLE);
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
  task->sched->failed = true;
  lua_pushvalue(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, task);
  return 0;
}

void task_open_types(lua_State *L, const luaL_Reg *methods)
{
  keep_hook_functions(L);
  luaL_newmetatable(L, HANDLE);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  luaL_newmetatable(L, FAILED_HANDLE);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "__index");
  set_text(L, "__name", HANDLE);
  lua_pushcfunction(L, on_gc);
  lua_setfield(L, -2, "__gc");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &failed_key);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
