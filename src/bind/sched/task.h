/* Tasks: coroutines that the scheduler resumes when what they wait for is there. One runs at a
 * time, and until it waits. */
#ifndef PROXYLUA_BIND_SCHED_TASK_H
#define PROXYLUA_BIND_SCHED_TASK_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

#include "bind/sched/sched.h"

/* Makes the types of the handles, whose methods these are. */
void task_open_types(lua_State *L, const luaL_Reg *methods);

/* Makes a task of the function and its arguments on top of L and pops them. */
struct task *task_spawn(lua_State *L, int arguments);

/* The task behind the handle at a stack index, or a usage error. */
struct task *task_check(lua_State *L, int index);

/* Counts a wait that a cancelled task began on this thread; ends the task if it has begun many. */
void task_refuse(struct task *task, lua_State *thread);

/* Cancels all tasks and runs them until they have ended, but for those whose code is running: it
 * called this. */
void task_end_others(struct sched *sched);

/* Resumes the first ready task. False when none is ready. */
bool task_step(struct sched *sched);

/* Resumes the tasks that are ready now, each once. */
void task_run_ready(struct sched *sched);

/* Takes the failure of a task that was not joined so far and pushes its error and its traceback;
 * false when there is none. A holder of its handle can still join it. */
bool task_take_failed(lua_State *L);

/* Runs all tasks until all have ended or the script has failed: because `body` did, or a task whose
 * failure no task can take any more. The rest is then cancelled and run to its end. The task that
 * failed, or NULL. */
struct task *task_run_all(struct sched *sched, struct task *body);

/* Runs the tasks that deliveries began after task_run_all. */
void task_run_rest(struct sched *sched);

#endif
