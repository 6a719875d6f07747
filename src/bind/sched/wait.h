/* How a C function waits. It begins an operation and calls wait_for as its last act: where Lua can
 * yield, the task yields and the others run; where it cannot (a table.sort comparator, require,
 * __gc), the loop is driven until the operation is done. Either way the result is pushed by
 * `after`. */
#ifndef PROXYLUA_BIND_SCHED_WAIT_H
#define PROXYLUA_BIND_SCHED_WAIT_H

#include <lua.h>
#include <stdbool.h>

#include "bind/sched/sched.h"

/* Waits, then returns what `after` returns. `after` frees the operation in any case; when
 * wait->cancelled is set it then calls wait_raise. May be left by a Lua error only through `after`.
 */
int wait_for(lua_State *L, struct wait *wait, lua_KFunction after, lua_KContext context);

/* A `cancel` for what cannot be called back and is over in a moment, such as a job of the store:
 * turns the loop until it has called wait_done, which makes no task ready then. */
void wait_outlast(struct wait *wait);

/* Drives the loop until the wait has ended or is cancelled; for a wait on tasks, and one of a
 * host's own code, the other tasks too. */
void wait_drive(struct sched *sched, struct wait *wait);

/* The mark that a waiting thread yields on its way up to the scheduler: pushes it, and tests the
 * top of `from`. */
void wait_push_mark(lua_State *L);
bool wait_is_mark(lua_State *from, int results);

#endif
