#include "bind/program.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/plain.h"
#include "base/streams.h"
#include "bind/runtime.h"

/* Stack: arguments -> the command line's main function, arguments. */
static int find_main(lua_State *L)
{
  lua_getglobal(L, "require");
  lua_pushliteral(L, "proxylua.cli");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "main");
  lua_replace(L, -2);
  lua_insert(L, 1);
  return lua_gettop(L);
}

static int report(lua_State *L, int code)
{
  const char *text = lua_tostring(L, -1);
  fflush(stdout);
  if (!text || *text) plain_print(text ? text : "failed without a message");
  if (text && strstr(text, "a nil value (global 'px')"))
    fputs("proxylua: begin the script with: local px = require \"proxylua\"\n", stderr);
  lua_pop(L, 1);
  return code;
}

void program_end_fork(struct runtime *runtime, int code)
{
  if (!runtime_is_forked(runtime)) return;
  code = streams_finish(code, error_exit_code(ERROR_STORE));
  fflush(NULL);
  _exit(code);
}

int program_run(struct runtime *runtime, int argc, char **argv)
{
  lua_State *L = runtime->L;
  int arguments = argc > 1 ? argc - 1 : 0;
  if (!lua_checkstack(L, arguments + 4)) {
    fputs("proxylua: too many arguments\n", stderr);
    return error_exit_code(ERROR_USAGE);
  }
  runtime->program = argc > 0 ? argv[0] : "proxylua";
  lua_pushcfunction(L, find_main);
  for (int i = 1; i <= arguments; i++) lua_pushstring(L, argv[i]);
  if (lua_pcall(L, arguments, LUA_MULTRET, 0) != LUA_OK)
    return report(L, error_exit_code(ERROR_INTERNAL));
  int code = runtime_run(runtime, arguments);
  return code != 0 ? report(L, code) : runtime->exit_code;
}
