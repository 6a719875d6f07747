/* px for the Lua scripts of a program in C that has a lua_State (5.4) of its own.
 *
 * The state's standard libraries must be open. Scripts get px from require "proxylua"; the API key
 * never comes into Lua. A call of px waits where it stands, and meanwhile the tasks of px.spawn
 * run; the coroutines of the program are left alone. All of it belongs to the thread that uses the
 * state. The library leaves signals, locale, environment, the dumpable flag and Lua's globals as
 * they are, and writes nothing but messages of px.log; ignore SIGPIPE in your program, and
 * initialise libcurl first if you use it from other threads. */
#ifndef PROXYLUA_LUA_H
#define PROXYLUA_LUA_H

#include <lua.h>
#include <proxylua.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Prepares the state: require "proxylua" works from now on, with these settings, which are copied.
 * Once for each state. Returns 0, or -1 with an error of kind usage, config or internal; the state
 * has no px then. lua_close ends all calls; it waits for the outcome of a charge that was sent, at
 * most for `timeout` and 10 seconds. */
PROXYLUA_API int proxylua_lua_open(lua_State *L, const struct proxylua_settings *settings,
                                   struct proxylua_error *error);

/* A function for require and luaL_requiref: pushes px. Raises an error of Lua before
 * proxylua_lua_open. */
PROXYLUA_API int luaopen_proxylua(lua_State *L);

/* For an event loop of your own, while no call of px waits but tasks must go on: as in proxylua.h.
 * A failure of a task that no code joins goes to `log`. */
PROXYLUA_API int proxylua_lua_descriptor(lua_State *L);
PROXYLUA_API int proxylua_lua_timeout(lua_State *L);
PROXYLUA_API void proxylua_lua_turn(lua_State *L, int milliseconds);

#ifdef __cplusplus
}
#endif

#endif
