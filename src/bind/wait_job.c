#include "bind/wait_job.h"

#include "bind/error.h"

static void on_done(struct store_job *job)
{
  struct wait_job *wait = job->arg;
  wait_done(&wait->wait);
}

void wait_job_begin(struct wait_job *wait, struct store_job *job)
{
  *wait = (struct wait_job){.wait = {.cancel = wait_outlast}, .job = job};
  job->done = on_done;
  job->arg = wait;
  job->err = ERROR_INIT;
}

int wait_job_for(lua_State *L, struct wait_job *wait, lua_KFunction after, void *context)
{
  return wait_for(L, &wait->wait, after, (lua_KContext)context);
}

void wait_job_check(lua_State *L, const struct wait_job *wait)
{
  if (wait->wait.cancelled) wait_raise(L, false);
  if (wait->job->err.kind != ERROR_NONE) error_raise(L, &wait->job->err);
}
