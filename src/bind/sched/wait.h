/* How a C function waits. It begins an operation and calls wait_for as its last act: where Lua can
 * yield, the task yields and the others run; where it cannot (a table.sort comparator, require,
 * __gc), the loop is driven until the operation is done. Either way the result is pushed by
 * `after`. */
#ifndef PROXYLUA_BIND_SCHED_WAIT_H
#define PROXYLUA_BIND_SCHED_WAIT_H

#include <lua.h>
#include <stdbool.h>

struct runtime;
struct task;

/* A field of the operation. Set `cancel`; the rest is this module's. */
struct wait {
  void (*cancel)(
      struct wait *wait); /* stops the operation, which must not call wait_done any more */
  struct runtime *runtime;
  struct task *task; /* whose wait this is, NULL outside of tasks */
  bool done;         /* the operation has ended */
  bool cancelled;    /* it was stopped instead: `after` frees it and calls wait_raise */
  bool on_tasks;     /* only other tasks can end it: a gather (bind/sched/join.h) */
  bool hopeless;     /* none of them can any more: stopped like a cancelled one */
};

/* Waits, then returns what `after` returns. `after` frees the operation in any case; when
 * wait->cancelled is set it then calls wait_raise. May be left by a Lua error only through `after`.
 */
int wait_for(lua_State *L, struct wait *wait, lua_KFunction after, lua_KContext context);

/* The operation has ended: its task becomes ready. Called by completions; never resumes Lua. */
void wait_done(struct wait *wait);

/* A `cancel` for what cannot be called back and is over in a moment, such as a look at the store:
 * turns the loop until it has called wait_done, which makes no task ready then. */
void wait_outlast(struct wait *wait);

/* Drives the loop, and for a wait on tasks the other tasks too, until the wait has ended or is
 * cancelled. */
void wait_drive(struct runtime *runtime, struct wait *wait);

/* Stops a wait that no task can end. */
void wait_give_up(struct wait *wait);

/* Raises the error of a wait that was cancelled (kind cancelled) or cannot end (kind usage). */
int wait_raise(lua_State *L, bool hopeless);

/* The mark that a waiting thread yields on its way up to the scheduler: pushes it, and tests the
 * top of `from`. */
void wait_push_mark(lua_State *L);
bool wait_is_mark(lua_State *from, int results);

#endif
