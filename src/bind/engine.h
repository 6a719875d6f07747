/* The engine of px: store, limiter, client and purchases, opened at the first call with the
 * settings that were set before the script ran. */
#ifndef PROXYLUA_BIND_ENGINE_H
#define PROXYLUA_BIND_ENGINE_H

#include <lua.h>

#include "bind/repl/countdown.h"
#include "bind/repl/question.h"
#include "engine/parts.h"

struct runtime;

struct engine {
  struct loop *loop;
  char *base_url, *store_location, *trace_path, *key_file, *key_command, *ca_file;
  struct limiter_rules rules;
  struct journal_allowance allowance;
  bool ignore_elsewhere;
  double timeout, max_wait, settle; /* seconds */
  bool dry_run, verbose, quiet, sandbox;
  void (*log)(void *arg, const char *text); /* for warnings; NULL: standard error */
  void *log_arg;
  struct countdown countdown;
  bool opened;
  struct secret *key;
  struct parts parts;
  struct ask ask;
  bool has_clock; /* a response had the server's time */
  double ahead;   /* seconds by which the server's clock was ahead of ours then */
};

/* Takes the settings from the table at `index`; a usage error when it was done before, a config
 * error for bad ones. */
void engine_configure(lua_State *L, int index);

/* The engine, opened; raises the reason when it cannot be. */
struct engine *engine_use(lua_State *L);

/* The engine with its store alone opened, which needs no API key; raises the reason when it cannot
 * be. */
struct engine *engine_use_store(lua_State *L);

/* Takes the API key from where the settings say, unless it is there already. False with the reason
 * when there is none. */
bool engine_find_key(struct runtime *runtime, struct engine *engine, struct error *err);

/* limits(): what is free in each scope, and when the next request may leave. Waits for the store.
 */
int engine_limits(lua_State *L);

/* confirm(words, total [, balance]) -> whether the user at the terminal says yes; the run may then
 * spend that total. The amounts in the question are written here, below Lua. */
int engine_confirm(lua_State *L);

/* Waits until current charges are settled. Does nothing for NULL. */
void engine_settle(struct engine *engine);

/* Closes everything. NULL is fine. */
void engine_close(struct engine *engine);

#endif
