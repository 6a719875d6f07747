#include "bind/sched/wait.h"

#include "bind/sched/task.h"
#include "net/loop.h"

/* Only its address matters: a light userdata that Lua code cannot make. */
static const char mark = 'w';

void wait_push_mark(lua_State *L)
{
  lua_pushlightuserdata(L, (void *)&mark);
}

bool wait_is_mark(lua_State *from, int results)
{
  return results == 1 && lua_touserdata(from, -1) == &mark;
}

void wait_outlast(struct wait *wait)
{
  struct task *task = wait->task;
  wait->task = NULL; /* the code that cancels makes it ready */
  while (!wait->done) loop_turn(wait->sched->loop, -1);
  wait->task = task;
  sched_before_code(wait->sched);
}

static bool stopped(struct sched *sched, struct wait *wait)
{
  if (sched->interrupted) task_cancel_all(sched);
  if (wait->task ? wait->task->cancelled : sched->interrupted) wait_stop(wait);
  return wait->cancelled;
}

static void drive_core(struct sched *sched, struct wait *wait)
{
  while (!wait->done && !stopped(sched, wait)) deliver_turn(sched, -1);
}

static void pump_tasks(struct sched *sched, struct wait *wait)
{
  if (sched->pumping) {
    wait_give_up(wait);
    return;
  }
  sched->pumping = true;
  while (!wait->done && !wait->cancelled && !stopped(sched, wait)) {
    bool ran = task_step(sched);
    if (sched->forked || (!ran && !loop_busy(sched->loop)))
      wait_give_up(wait);
    else
      deliver_turn(sched, ran ? 0 : -1);
  }
  sched->pumping = false;
}

void wait_drive(struct sched *sched, struct wait *wait)
{
  if (wait->task) wait->task->waiting = wait;
  bool at_top = sched->plain_coroutines && !wait->task && !sched->pumping;
  if (wait->on_tasks || at_top)
    pump_tasks(sched, wait);
  else
    drive_core(sched, wait);
  if (wait->task) wait->task->waiting = NULL;
  sched_before_code(sched);
}

int wait_for(lua_State *L, struct wait *wait, lua_KFunction after, lua_KContext context)
{
  struct sched *sched = sched_of(L);
  struct task *task = sched->current;
  sched_check_process(L);
  wait->sched = sched;
  wait->task = task;
  if (task && task->cancelled) task_refuse(task, L);
  if (!wait->done && !wait->cancelled && task && task->cancelled) wait_stop(wait);
  if (wait->done || wait->cancelled) return after(L, LUA_OK, context);
  if (task && lua_isyieldable(L) && (!sched->plain_coroutines || task->thread == L)) {
    task->waiting = wait;
    wait_push_mark(L);
    return lua_yieldk(L, 1, context, after);
  }
  wait_drive(sched, wait);
  return after(L, LUA_OK, context);
}
