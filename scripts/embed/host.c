/* A program with a Lua of its own, whose scripts get px:
 *
 *   make install-lib PREFIX=~/.local
 *   cc host.c -o host $(pkg-config --cflags --libs proxylua-lua)
 *   PROXYLUA_BASE_URL=… PROXYLUA_API_KEY=… ./host script.lua
 *
 * The key stays in C: a script that asks for the environment does not find it. */
#include <lauxlib.h>
#include <lualib.h>
#include <proxylua_lua.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void print_line(void *arg, const char *line)
{
  (void)arg;
  fprintf(stderr, "host: %s\n", line);
}

/* Gives the state px, as a global too. Returns 0, or -1 after an error. */
static int open_px(lua_State *L)
{
  const struct proxylua_settings settings = {.base_url = getenv("PROXYLUA_BASE_URL"),
                                             .api_key = getenv("PROXYLUA_API_KEY"),
                                             .store = getenv("PROXYLUA_STORE"),
                                             .spend_per_run = "25",
                                             .log = print_line};
  struct proxylua_error error;
  if (proxylua_lua_open(L, &settings, &error) != 0) {
    fprintf(stderr, "host: %s: %s\n", error.kind, error.message);
    return -1;
  }
  unsetenv("PROXYLUA_API_KEY");
  luaL_requiref(L, "proxylua", luaopen_proxylua, 1);
  lua_setglobal(L, "px");
  return 0;
}

int main(int argc, char **argv)
{
  lua_State *L = luaL_newstate();
  if (!L || argc < 2) return 2;
  signal(SIGPIPE, SIG_IGN);
  luaL_openlibs(L);
  int failed = open_px(L);
  if (!failed && luaL_dofile(L, argv[1]) != LUA_OK) {
    failed = 1;
    fprintf(stderr, "host: %s\n", luaL_tolstring(L, -1, NULL));
  }
  lua_close(L);
  return failed != 0;
}
