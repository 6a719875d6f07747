/* The emulated API on loopback: an HTTP server and real forward proxies, on a thread of their own.
 * Rules in Lua (lua/proxylua/sandbox) make the responses; only this thread runs their lua_State.
 * Several sandboxes can run in one process. */
#ifndef PROXYLUA_SANDBOX_SANDBOX_H
#define PROXYLUA_SANDBOX_SANDBOX_H

#include <lua.h>
#include <stddef.h>

#include "base/error.h"

struct sandbox;

struct sandbox_options {
  int port; /* of the API; 0: a free one */
  const char *const
      *settings; /* "name=value" texts (lua/proxylua/sandbox/settings.lua), NULL-terminated */
  lua_CFunction prepare; /* called in the new lua_State: opens what the rules require, returns the
                            JSON module */
};

/* Starts a sandbox; the options are not needed afterwards. NULL with the reason: config for
 * settings and ports, store for the state file, internal when memory or threads are out. */
struct sandbox *sandbox_start(const struct sandbox_options *options, struct error *err);

/* The port of the API. */
int sandbox_port(const struct sandbox *sandbox);

/* The API key that it takes, owned by the sandbox. */
const char *sandbox_key(const struct sandbox *sandbox);

/* Closes every connection, joins the thread and frees everything. NULL is fine. */
void sandbox_stop(struct sandbox *sandbox);

#endif
