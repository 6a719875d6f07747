/* Waiting for tasks: until all of some have ended, or the first of them fails. A wait that no task
 * can end any more is a usage error, never a hang. */
#ifndef PROXYLUA_BIND_SCHED_JOIN_H
#define PROXYLUA_BIND_SCHED_JOIN_H

#include <lua.h>

#include "bind/sched/sched.h"

struct join;

/* Pushes a join for `count` tasks. */
struct join *join_push(lua_State *L, int count);

/* Adds the next task; at most `count` times. */
void join_add(struct join *join, struct task *task);

/* Begins the wait for all of them or the first failure, for wait_for. */
struct wait *join_begin(lua_State *L, struct join *join);

/* In `after`: the first task that failed, NULL when none has. Raises when the wait was cancelled or
 * cannot end. The index of the task, from 1, goes to *index. */
struct task *join_failed(lua_State *L, struct join *join, int *index);

/* A task has ended: wakes the tasks that wait for it. */
void join_end(struct task *task);

#endif
