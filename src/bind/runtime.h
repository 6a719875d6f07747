/* The runtime: a lua_State with everything a script sees, and the engine behind it. Several can be
 * open in one process; nothing is kept outside of them. */
#ifndef PROXYLUA_BIND_RUNTIME_H
#define PROXYLUA_BIND_RUNTIME_H

#include <lua.h>
#include <stdbool.h>

#include "base/error.h"
#include "bind/sched/sched.h"

struct alloc;
struct bundle;
struct endpoint;
struct engine;
struct http;
struct purchase_charge;
struct repl;
struct sandbox;
struct secret;

/* State of Lua's function warn. */
struct warnings {
  bool on;
  bool continues; /* the next text belongs to the same warning */
};

struct runtime {
  struct sched sched; /* first: the registry leads to it */
  struct alloc *alloc;
  struct http *web;        /* px.http: never carries the key */
  struct engine *engine;   /* what stands behind the API; NULL before it is configured */
  struct sandbox *sandbox; /* the emulated API of --sandbox, or NULL */
  struct repl *repl;       /* the session at the prompt, or NULL */
  struct bundle *bundle;   /* the app in the program's own file, or NULL */
  struct secret *key;      /* taken from the environment at the start, or NULL */
  struct error key_error;  /* why there is none, though the environment had something */
  const char *program;     /* the name by which it was called */
  int exit_code;           /* of a script that ends well */
  bool whole_tracebacks;   /* with the frames of the program's own modules */
  struct warnings warnings;

  /* For purchase_settings.placed_late, with the runtime as its argument (bind/api.c). */
  void (*placed_late)(void *runtime, const struct purchase_charge *charge,
                      const struct endpoint *endpoint, const char *params);
};

/* The runtime that a thread belongs to. */
struct runtime *runtime_of(lua_State *L);

/* Ends a child of fork() with that code, after its buffered output is written: nothing is closed,
 * since all of it is the parent's too. Returns in the process that opened the runtime. */
void runtime_end_fork(const struct runtime *runtime, int code);

#endif
