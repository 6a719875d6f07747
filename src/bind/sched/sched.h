/* The state of the scheduler: tasks, what they wait for, and what callbacks of the loop have for
 * Lua. It knows neither the engine nor the terminal. */
#ifndef PROXYLUA_BIND_SCHED_SCHED_H
#define PROXYLUA_BIND_SCHED_SCHED_H

#include <lua.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#include "net/loop.h"

struct join_link;
struct sched;

enum task_state { TASK_READY, TASK_RUNNING, TASK_WAITING, TASK_DONE, TASK_FAILED };

/* A userdata, which is its handle in Lua; its user value is the thread. Its results, or its error
 * and then its traceback, stay on the thread's stack. While it is alive it is in the registry under
 * its address; later, only while it failed, no code took the failure, and no handle is left. */
struct task {
  struct sched *sched;
  lua_State *thread;
  enum task_state state;
  bool cancelled;   /* every wait raises from now on */
  bool broke;       /* its function raised an error */
  bool taken;       /* its failure was handed to other code */
  bool held;        /* a handle may exist in Lua */
  bool kept;        /* the program reads it after its end */
  bool linked;      /* it is in sched->all */
  bool forced;      /* it went on after many refused waits: see sched_arm */
  int refused;      /* waits since it was cancelled */
  int instructions; /* until the next error that is to end it; 0 before the first */
  int arguments;    /* waiting on the thread's stack for the first resume */
  unsigned serial;  /* the first is 1 */
  unsigned visited; /* the last search for a possible progress that came by (bind/sched/join.c) */
  struct wait *waiting;      /* what its code stands in */
  struct join_link *joiners; /* waits for its end */
  struct task *next_ready;
  struct task *next, *previous; /* all tasks */
};

/* A field of an operation that a C function waits for (bind/sched/wait.h). Set `cancel`; the rest
 * is the scheduler's. */
struct wait {
  void (*cancel)(
      struct wait *wait); /* stops the operation, which must not call wait_done any more */
  struct sched *sched;
  struct task *task; /* whose wait this is, NULL outside of tasks */
  bool done;         /* the operation has ended */
  bool cancelled;    /* it was stopped instead: `after` frees it and calls wait_raise */
  bool on_tasks;     /* only other tasks can end it: a join (bind/sched/join.h) */
  bool stuck;        /* none of them can any more: stopped like a cancelled one */
};

/* What a callback of the loop has for Lua; a field of the object that it is for. */
struct delivery {
  void (*run)(void *arg); /* raises nothing */
  void *arg;
  struct delivery *next;
  bool queued;
};

struct sched {
  lua_State *L; /* the main thread; scripts run on threads of their own */
  struct loop *loop;
  pid_t owner;           /* the process that opened it */
  bool plain_coroutines; /* coroutines of Lua's own library: only a task's own thread can yield */

  struct task *all; /* alive, or failed and not taken or collected */
  int alive;        /* how many have not ended */
  struct task *first_ready, *last_ready;
  struct task *current; /* whose code runs now */
  struct task *forked;  /* in a child of fork(): the task that called it, once it has ended */
  bool pumping;         /* a wait on tasks is being driven where Lua cannot yield */
  bool failed;          /* a task failed while no other task waited for it */
  bool ending;          /* all were cancelled, and new ones are from their start */
  int64_t next_search;  /* loop_clock() from which failures that no task can take are looked for */
  unsigned searches;
  unsigned spawned; /* so far */

  struct delivery *deliveries; /* queued, oldest first */

  lua_State *volatile running; /* the thread whose code runs now, for sched_interrupt */
  volatile sig_atomic_t interrupted;
  volatile sig_atomic_t forced;  /* see sched_force */
  volatile sig_atomic_t stirred; /* since the last signal, Lua or the loop has run */

  /* Called before code of Lua goes on after the loop has turned; may be NULL. */
  void (*before_code)(void *arg);
  void *before_code_arg;
};

/* The scheduler of a state: set once, by the code that opens it. */
void sched_attach(lua_State *L, struct sched *sched);
struct sched *sched_of(lua_State *L);

void sched_before_code(const struct sched *sched);

/* Whether this is a child of fork(), which a C module has called. It has none of the threads, and
 * shares connections, locks and the epoll descriptor with its parent: px does nothing there. */
static inline bool sched_is_forked(const struct sched *sched)
{
  return getpid() != sched->owner;
}

/* Raises a usage error in a child of fork(). */
void sched_check_process(lua_State *L);

/* Puts a waiting task at the end of the ready ones. */
void task_make_ready(struct task *task);

/* Cancels a task: what it waits for is stopped, and every wait of it raises. Harmless on one that
 * has ended. */
void task_cancel(struct task *task);
void task_cancel_all(struct sched *sched);

/* The operation has ended: its task becomes ready. Called by completions; never resumes Lua. */
void wait_done(struct wait *wait);

/* Stops a wait; and one that no task can end. */
void wait_stop(struct wait *wait);
void wait_give_up(struct wait *wait);

/* Raises the error of a wait that was cancelled (kind cancelled) or cannot end (kind usage). */
int wait_raise(lua_State *L, bool stuck);

/* Runs the delivery once, after this turn of the loop or in the next. Touches no lua_State. */
void deliver_soon(struct sched *sched, struct delivery *delivery);

/* Harmless for one that is not queued. */
void deliver_forget(struct sched *sched, struct delivery *delivery);

/* A turn of the loop, as loop_turn, and the deliveries: they run where Lua code may run, and wait.
 */
void deliver_turn(struct sched *sched, int64_t max_wait);

/* Async-signal-safe, on the runtime's thread: ends the script as cancelled, whether it computes or
 * waits. */
void sched_interrupt(struct sched *sched);

/* Async-signal-safe, on the runtime's thread: after sched_interrupt, ends code that goes on by
 * catching the error: from now on every instruction of Lua raises it. Returns false if one call of
 * C has run since the last signal, so that neither Lua nor the loop could notice that. */
bool sched_force(struct sched *sched);

/* To be called with each thread before it runs, and when a thread that it resumed comes back: if
 * the code is to end in spite of catching errors, every instruction of the thread raises one. */
void sched_arm(struct sched *sched, lua_State *thread);

#endif
