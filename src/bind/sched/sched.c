#include "bind/sched/sched.h"

#include <lauxlib.h>

#include "bind/error.h"

#define MAX_INSTRUCTIONS 10000 /* between the errors that end code which catches them */

static const char sched_key; /* the registry's key of the scheduler */

void sched_attach(lua_State *L, struct sched *sched)
{
  lua_pushlightuserdata(L, sched);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &sched_key);
}

struct sched *sched_of(lua_State *L)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &sched_key);
  struct sched *sched = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return sched;
}

void sched_before_code(const struct sched *sched)
{
  if (sched->before_code) sched->before_code(sched->before_code_arg);
}

void sched_check_process(lua_State *L)
{
  if (sched_is_forked(sched_of(L)))
    error_usage(L, "px does not work in a child of fork(); start another proxylua for it");
}

void task_make_ready(struct task *task)
{
  struct sched *sched = task->sched;
  task->state = TASK_READY;
  task->next_ready = NULL;
  if (sched->first_ready)
    sched->last_ready->next_ready = task;
  else
    sched->first_ready = task;
  sched->last_ready = task;
}

void task_cancel(struct task *task)
{
  task->cancelled = true;
  struct wait *wait = task->waiting;
  if (task->state != TASK_WAITING || wait->done || wait->cancelled) return;
  wait_stop(wait);
  task_make_ready(task);
}

void task_cancel_all(struct sched *sched)
{
  sched->ending = true;
  for (struct task *task = sched->all; task; task = task->next) task_cancel(task);
}

void wait_stop(struct wait *wait)
{
  wait->cancel(wait);
  wait->cancelled = true;
}

static void wake(const struct wait *wait)
{
  if (wait->task && wait->task->state == TASK_WAITING) task_make_ready(wait->task);
}

void wait_give_up(struct wait *wait)
{
  wait_stop(wait);
  wait->stuck = true;
  wake(wait);
}

void wait_done(struct wait *wait)
{
  wait->done = true;
  wake(wait);
}

int wait_raise(lua_State *L, bool stuck)
{
  struct error err = ERROR_INIT;
  if (stuck) sched_check_process(L);
  if (stuck)
    error_set(&err, ERROR_USAGE,
              sched_of(L)->pumping
                  ? "a second wait on tasks, inside one that began where Lua cannot yield; wait "
                    "for them one after the other"
                  : "this wait cannot end: the tasks it waits for wait for this one");
  else
    error_set(&err, ERROR_CANCELLED,
              sched_of(L)->interrupted ? "interrupted" : "the task was cancelled");
  return error_raise(L, &err);
}

void deliver_soon(struct sched *sched, struct delivery *delivery)
{
  if (delivery->queued) return;
  struct delivery **at = &sched->deliveries;
  while (*at) at = &(*at)->next;
  *at = delivery;
  delivery->next = NULL;
  delivery->queued = true;
}

void deliver_forget(struct sched *sched, struct delivery *delivery)
{
  if (!delivery->queued) return;
  struct delivery **at = &sched->deliveries;
  while (*at != delivery) at = &(*at)->next;
  *at = delivery->next;
  delivery->queued = false;
}

void deliver_turn(struct sched *sched, int64_t max_wait)
{
  sched->stirred = 1;
  loop_turn(sched->loop, sched->deliveries ? 0 : max_wait);
  for (struct delivery *delivery; (delivery = sched->deliveries);) {
    deliver_forget(sched, delivery);
    delivery->run(delivery->arg);
  }
}

static bool is_forced(const struct sched *sched)
{
  return sched->forced || (sched->current && sched->current->forced);
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
static int next_instructions(struct task *task)
{
  if (!task) return 1;
  task->instructions = task->instructions == 0 ? MAX_INSTRUCTIONS : task->instructions / 10;
  if (task->instructions < 1) task->instructions = 1;
  return task->instructions;
}

/* Raises once, so that the code can end in good order; again and again when that did not help. */
static void on_interrupt(lua_State *L, lua_Debug *where)
{
  (void)where;
  struct sched *sched = sched_of(L);
  bool forced = is_forced(sched);
  sched->stirred = 1;
  if (forced)
    hook(L, next_instructions(sched->current));
  else
    lua_sethook(L, NULL, 0, 0);
  if (forced || sched->interrupted) wait_raise(L, false);
}

void sched_interrupt(struct sched *sched)
{
  sched->interrupted = 1;
  sched->stirred = 0;
  if (sched->running) hook(sched->running, 1);
  loop_wake(sched->loop);
}

bool sched_force(struct sched *sched)
{
  bool stuck = !sched->stirred && !loop_is_turning(sched->loop);
  /* Few instructions may take long where they call C. */
  if (sched->forced && sched->current) sched->current->instructions = 1;
  sched->forced = 1;
  sched->stirred = 0;
  if (sched->running) hook(sched->running, 1);
  return !stuck;
}

void sched_arm(struct sched *sched, lua_State *thread)
{
  if (!is_forced(sched)) return;
  const struct task *task = sched->current;
  int instructions = task && task->instructions > 0 ? task->instructions : 1;
  if (lua_gethook(thread) != on_interrupt || lua_gethookcount(thread) != instructions)
    hook(thread, instructions); /* which begins to count anew */
}
