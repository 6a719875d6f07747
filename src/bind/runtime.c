#include "bind/runtime.h"

#include <stdio.h>

#include "base/streams.h"

struct runtime *runtime_of(lua_State *L)
{
  return (struct runtime *)sched_of(L);
}

void runtime_end_fork(const struct runtime *runtime, int code)
{
  if (!sched_is_forked(&runtime->sched)) return;
  code = streams_finish(code, error_exit_code(ERROR_STORE));
  fflush(NULL);
  _exit(code);
}
