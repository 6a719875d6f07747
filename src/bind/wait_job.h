/* Waiting for a job of the store. */
#ifndef PROXYLUA_BIND_WAIT_JOB_H
#define PROXYLUA_BIND_WAIT_JOB_H

#include <lua.h>

#include "bind/sched/wait.h"
#include "store/store.h"

/* A field of what lies on the waiting thread's stack, beside the job. */
struct wait_job {
  struct wait wait;
  struct store_job *job;
};

/* To be called before the job is submitted: sets its `done`, which ends the wait. */
void wait_job_begin(struct wait_job *wait, struct store_job *job);

/* Waits, once the job is submitted, and returns what `after` returns. */
int wait_job_for(lua_State *L, struct wait_job *wait, lua_KFunction after, void *context);

/* In `after`: raises the cancellation, or the error of the job, if there is one. */
void wait_job_check(lua_State *L, const struct wait_job *wait);

#endif
