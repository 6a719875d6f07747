/* The runtime: a lua_State with everything a script sees, and the engine behind it. Several can be
 * open in one process; nothing is kept outside of them. */
#ifndef PROXYLUA_BIND_RUNTIME_H
#define PROXYLUA_BIND_RUNTIME_H

#include <lua.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/error.h"
#include "bind/program.h"
#include "bind/sched/task.h"
#include "net/http.h"
#include "net/loop.h"

struct alloc;
struct bundle;
struct delivery;
struct engine;
struct repl;
struct sandbox;
struct secret;

/* State of Lua's function warn. */
struct warnings {
  bool on;
  bool continues; /* the next text belongs to the same warning */
};

struct runtime {
  lua_State *L; /* the main thread; scripts run on threads of their own */
  struct alloc *alloc;
  struct loop *loop;
  struct http *web; /* px.http: never carries the key */
  struct engine
      *engine; /* what stands behind the API (bind/engine.h); NULL before it is configured */
  struct sandbox *sandbox; /* the emulated API of --sandbox, or NULL */
  struct repl *repl;       /* the session at the prompt, or NULL */
  struct bundle *bundle;   /* the app in the program's own file, or NULL */
  struct secret *key;      /* taken from the environment at the start, or NULL */
  struct error key_error;  /* why there is none, though the environment had something */
  const char *program;     /* the name by which it was called */
  int exit_code;           /* of a script that ends well */
  struct tasks tasks;
  pid_t owner;                 /* the process that opened it */
  struct delivery *deliveries; /* queued, oldest first (bind/sched/deliver.h) */
  lua_State *volatile running; /* the thread whose code runs now, for runtime_interrupt */
  volatile sig_atomic_t interrupted;
  volatile sig_atomic_t insisting; /* see runtime_insist */
  volatile sig_atomic_t stirred;   /* since the last signal, Lua or the loop has run */
  struct warnings warnings;
};

/* The runtime that a thread belongs to. */
static inline struct runtime *runtime_of(lua_State *L)
{
  return *(struct runtime **)lua_getextraspace(L);
}

/* Whether this is a child of fork(), which a C module has called. It has none of the threads, and
 * shares connections, locks and the epoll descriptor with its parent: px does nothing there. */
static inline bool runtime_is_forked(const struct runtime *runtime)
{
  return getpid() != runtime->owner;
}

/* Raises a usage error in a child of fork(). */
void runtime_check_process(lua_State *L);

/* To be called with each thread before it runs, and when a thread that it resumed comes back: if
 * the code is to end in spite of catching errors, every instruction of the thread raises one. */
void runtime_arm(struct runtime *runtime, lua_State *thread);

/* Runs the function and its arguments on top of runtime->L as a script: as task 0, until it and all
 * its tasks have ended. Pops them. 0, or the exit code of the failure, whose text and traceback
 * then lie on top of runtime->L as one string. */
int runtime_run(struct runtime *runtime, int arguments);

#endif
