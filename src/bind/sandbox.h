/* The emulated API inside the process: `core.sandbox`. */
#ifndef PROXYLUA_BIND_SANDBOX_H
#define PROXYLUA_BIND_SANDBOX_H

#include "sandbox/sandbox.h"

/* Pushes the table:
 *   start(options) -> {url=, key=, admin_url=, trace_url=}; one sandbox a runtime. `port` is the API's (default: a free one);
 *     every other option is a setting of lua/proxylua/sandbox/settings.lua: a text, number or boolean; faults and keys also
 *     take a list
 *   stop(): harmless when none runs
 *   place() -> what start answered; nil when none runs */
void sandbox_open(lua_State *L);

#endif
