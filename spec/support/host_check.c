/* host_check SCRIPT: a host of libproxylua-lua with an event loop of its own. Prints what the
 * library changed in the process, runs the script, turns the loop until the global `finished` is
 * set, and closes the state while tasks wait. */
#include <lauxlib.h>
#include <locale.h>
#include <lualib.h>
#include <poll.h>
#include <proxylua_lua.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

extern char **environ;

static const int numbers[] = {SIGINT, SIGTERM, SIGCHLD, SIGALRM, SIGWINCH, SIGHUP, SIGXFSZ};

/* What belongs to the host, as one number and texts. */
static void describe(char text[400])
{
  int size = snprintf(text, 400, "dumpable %d, locale %s, buffer %p, signals",
                      prctl(PR_GET_DUMPABLE), setlocale(LC_ALL, NULL), (void *)environ);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    struct sigaction action;
    sigaction(numbers[i], NULL, &action);
    size += snprintf(text + size, 400 - (size_t)size, " %d", action.sa_handler == SIG_DFL);
  }
}

static void log_line(void *arg, const char *line)
{
  printf("log%s: %s\n", (const char *)arg, line);
}

static int is_finished(lua_State *L)
{
  lua_getglobal(L, "finished");
  int finished = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return finished;
}

int main(int argc, char **argv)
{
  struct proxylua_settings settings = {.base_url = getenv("PROXYLUA_BASE_URL"),
                                       .store = getenv("PROXYLUA_STORE"),
                                       .spend_per_run = "25",
                                       .log = log_line,
                                       .log_arg = ""};
  struct proxylua_error error;
  char before[400], after[400];
  signal(SIGPIPE, SIG_IGN);
  describe(before);
  for (int round = 0; round < 2; round++) { /* the first has no key */
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    lua_pushcfunction(L, luaopen_proxylua);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK) printf("early: %s\n", lua_tostring(L, -1));
    if (proxylua_lua_open(L, &settings, &error) != 0)
      printf("refused: %s: %s\n", error.kind, error.message);
    settings.api_key = getenv("PROXYLUA_API_KEY");
    if (round == 1) {
      if (proxylua_lua_open(L, &settings, &error) != 0)
        printf("again: %s: %s\n", error.kind, error.message);
      if (luaL_dofile(L, argv[argc - 1]) != LUA_OK)
        printf("failed: %s\n", luaL_tolstring(L, -1, NULL));
      while (!is_finished(L)) {
        struct pollfd descriptor = {.fd = proxylua_lua_descriptor(L), .events = POLLIN};
        poll(&descriptor, 1, proxylua_lua_timeout(L));
        proxylua_lua_turn(L, 0);
      }
    }
    lua_close(L);
  }
  describe(after);
  printf("process: %s\n", strcmp(before, after) == 0 ? "unchanged" : after);
  return 0;
}
