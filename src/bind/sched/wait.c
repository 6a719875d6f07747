#include "bind/sched/wait.h"

#include "bind/engine.h"
#include "bind/error.h"
#include "bind/runtime.h"
#include "bind/sched/deliver.h"
#include "bind/sched/task.h"
#include "net/loop.h"

static const char mark =
    'w'; /* only its address matters: a light userdata that Lua code cannot make */

void wait_push_mark(lua_State *L)
{
  lua_pushlightuserdata(L, (void *)&mark);
}

bool wait_is_mark(lua_State *from, int results)
{
  return results == 1 && lua_touserdata(from, -1) == &mark;
}

static void stop(struct wait *wait)
{
  wait->cancel(wait);
  wait->cancelled = true;
}

void wait_give_up(struct wait *wait)
{
  stop(wait);
  wait->hopeless = true;
  if (wait->task && wait->task->state == TASK_WAITING) task_make_ready(wait->task);
}

void wait_done(struct wait *wait)
{
  wait->done = true;
  if (wait->task && wait->task->state == TASK_WAITING) task_make_ready(wait->task);
}

void wait_outlast(struct wait *wait)
{
  struct task *task = wait->task;
  wait->task = NULL; /* the code that cancels makes it ready */
  while (!wait->done) loop_turn(wait->runtime->loop, -1);
  wait->task = task;
  if (wait->runtime->engine) countdown_hide(&wait->runtime->engine->countdown);
}

static bool stopped(struct runtime *runtime, struct wait *wait)
{
  if (runtime->interrupted) task_cancel_all(runtime);
  if (wait->task ? wait->task->cancelled : runtime->interrupted) stop(wait);
  return wait->cancelled;
}

static void drive_core(struct runtime *runtime, struct wait *wait)
{
  while (!wait->done && !stopped(runtime, wait)) deliver_turn(runtime, -1);
}

static void pump_tasks(struct runtime *runtime, struct wait *wait)
{
  if (runtime->tasks.pumping) {
    wait_give_up(wait);
    return;
  }
  runtime->tasks.pumping = true;
  while (!wait->done && !wait->cancelled && !stopped(runtime, wait)) {
    bool ran = task_step(runtime);
    if (runtime->tasks.forked || (!ran && !loop_busy(runtime->loop)))
      wait_give_up(wait);
    else
      deliver_turn(runtime, ran ? 0 : -1);
  }
  runtime->tasks.pumping = false;
}

void wait_drive(struct runtime *runtime, struct wait *wait)
{
  if (wait->task) wait->task->waiting = wait;
  if (wait->on_tasks)
    pump_tasks(runtime, wait);
  else
    drive_core(runtime, wait);
  if (wait->task) wait->task->waiting = NULL;
  if (runtime->engine) countdown_hide(&runtime->engine->countdown);
}

int wait_for(lua_State *L, struct wait *wait, lua_KFunction after, lua_KContext context)
{
  struct runtime *runtime = runtime_of(L);
  struct task *task = runtime->tasks.current;
  runtime_check_process(L);
  wait->runtime = runtime;
  wait->task = task;
  if (task && task->cancelled) task_refuse(task, L);
  if (!wait->done && !wait->cancelled && task && task->cancelled) stop(wait);
  if (wait->done || wait->cancelled) return after(L, LUA_OK, context);
  if (task && lua_isyieldable(L)) {
    task->waiting = wait;
    wait_push_mark(L);
    return lua_yieldk(L, 1, context, after);
  }
  wait_drive(runtime, wait);
  return after(L, LUA_OK, context);
}

int wait_raise(lua_State *L, bool hopeless)
{
  struct error err = ERROR_INIT;
  if (hopeless) runtime_check_process(L);
  if (hopeless)
    error_set(&err, ERROR_USAGE,
              runtime_of(L)->tasks.pumping
                  ? "a second wait on tasks, inside one that began where Lua cannot yield; wait "
                    "for them one after the other"
                  : "this wait cannot end: the tasks it waits for wait for this one");
  else
    error_set(&err, ERROR_CANCELLED,
              runtime_of(L)->interrupted ? "interrupted" : "the task was cancelled");
  return error_raise(L, &err);
}
