/* Tasks: coroutines that the scheduler resumes when what they wait for is there. One runs at a
 * time, and until it waits. */
#ifndef PROXYLUA_BIND_SCHED_TASK_H
#define PROXYLUA_BIND_SCHED_TASK_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct runtime;
struct wait;
struct join_link;

enum task_state { TASK_READY, TASK_RUNNING, TASK_WAITING, TASK_DONE, TASK_FAILED };

/* A userdata, which is its handle in Lua; its user value is the thread. Its results, or its error
 * and then its traceback, stay on the thread's stack. While it is alive it is in the registry under
 * its address; later, only while it failed, no code took the failure, and no handle is left. */
struct task {
  struct runtime *runtime;
  lua_State *thread;
  enum task_state state;
  bool cancelled;   /* every wait raises from now on */
  bool broke;       /* its function raised an error */
  bool taken;       /* its failure was handed to somebody */
  bool held;        /* a handle may exist in Lua */
  bool kept;        /* the runtime looks at it after its end */
  bool linked;      /* it is in tasks->all */
  bool insisting;   /* it went on after many refused waits: see runtime_arm */
  int refused;      /* waits since it was cancelled */
  int patience;     /* instructions until the next error that is to end it; 0 before the first */
  int arguments;    /* waiting on the thread's stack for the first resume */
  unsigned serial;  /* the first is 1 */
  unsigned visited; /* the last search for a possible progress that came by (bind/sched/join.c) */
  struct wait *waiting;      /* what its code stands in */
  struct join_link *joiners; /* who waits for its end */
  struct task *next_ready;
  struct task *next, *previous; /* all tasks */
};

struct tasks {
  struct task *all; /* alive, or failed and not taken or collected */
  int alive;        /* how many have not ended */
  struct task *first_ready, *last_ready;
  struct task *current; /* whose code runs now */
  struct task *forked;  /* in a child of fork(): the task that called it, once it has ended */
  bool pumping;         /* a wait on tasks is being driven where Lua cannot yield */
  int64_t
      next_search; /* loop_clock() from which failures that no task can take are looked for again */
  bool failed;     /* a task failed while no other task waited for it */
  bool ending;     /* all were cancelled, and new ones are from their start */
  unsigned searches;
  unsigned spawned; /* so far */
};

/* Pushes the table of task functions: spawn, gather, sleep, clock, now; tasks have methods: join,
 * cancel, status. */
void task_open(lua_State *L);

/* Runs the tasks that deliveries began after task_run_all. */
void task_run_rest(struct runtime *runtime);

/* Makes a task of the function and its arguments on top of L and pops them. */
struct task *task_spawn(lua_State *L, int arguments);

/* The task behind the handle at a stack index, or a usage error. */
struct task *task_check(lua_State *L, int index);

/* Puts a waiting task at the end of the ready ones. */
void task_make_ready(struct task *task);

/* Cancels a task: what it waits for is stopped, and every wait of it raises. Harmless on one that
 * has ended. */
void task_cancel(struct task *task);
void task_cancel_all(struct runtime *runtime);

/* Counts a wait that a cancelled task began on this thread; ends the task if it has begun many. */
void task_refuse(struct task *task, lua_State *thread);

/* Cancels all tasks and runs them until they have ended, but for those whose code is running: it
 * called this. */
void task_end_others(struct runtime *runtime);

/* Resumes the first ready task. False when none is ready. */
bool task_step(struct runtime *runtime);

/* Takes the failure of a task that was not joined so far and pushes its error and its traceback;
 * false when there is none. A holder of its handle can still join it. */
bool task_take_failed(lua_State *L);

/* Runs all tasks until all have ended or the script has failed: because `body` did, or a task whose
 * failure no task can take any more. The rest is then cancelled and run to its end. The task that
 * failed, or NULL. */
struct task *task_run_all(struct runtime *runtime, struct task *body);

#endif
