/* A C module as scripts use them: fork(), and wait for the end of a child. */
#include <lauxlib.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

int luaopen_forking(lua_State *L);

static int start(lua_State *L)
{
  lua_pushinteger(L, fork());
  return 1;
}

/* Exit code of the child; the negative number of the signal that ended it. */
static int finish(lua_State *L)
{
  int status = 0;
  waitpid((pid_t)luaL_checkinteger(L, 1), &status, 0);
  lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
  return 1;
}

static int send(lua_State *L)
{
  lua_pushinteger(L, raise((int)luaL_checkinteger(L, 1)));
  return 1;
}

__attribute__((visibility("default"))) int luaopen_forking(lua_State *L)
{
  static const luaL_Reg functions[] = {{"start", start},
                                       {"finish", finish},
                                       {"raise", send},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
