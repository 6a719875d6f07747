/* Waiting for tasks: until all of some have ended, or the first of them fails. A wait that no task
 * can end any more is a usage error, never a hang. */
#ifndef PROXYLUA_BIND_SCHED_JOIN_H
#define PROXYLUA_BIND_SCHED_JOIN_H

#include <lua.h>

#include "bind/sched/wait.h"

struct join;
struct task;

/* Pushes a gather for `count` tasks. */
struct join *join_push(lua_State *L, int count);

/* Adds the next task; at most `count` times. */
void join_add(struct join *gather, struct task *task);

/* Waits for all of them or the first failure, then returns what `after` returns. Its context is the
 * struct join. */
int join_wait(lua_State *L, struct join *gather, lua_KFunction after);

/* In `after`: the first task that failed, NULL when none has. Raises when the wait was cancelled or
 * cannot end. The index of the task, from 1, goes to *index. */
struct task *join_failed(lua_State *L, struct join *gather, int *index);

/* A task has ended: wakes the tasks that wait for it. */
void join_tell(struct task *task);

#endif
