#include "bind/source.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "bind/error.h"
#include "bind/path.h"
#include "bind/runtime.h"
#include "bind/wait.h"

#define SOURCE "proxylua.source"
#define READING "proxylua.source.reading"
#define MOST (1 << 20) /* bytes of a piece */

/* A wait for something to read; lies on the waiting thread's stack, above its source. */
struct reading {
  struct wait wait;
  struct loop *loop; /* NULL when it is over */
  struct loop_reader reader;
};

/* --- waiting --- */

static void finish(struct reading *reading)
{
  if (!reading->loop) return;
  loop_stop_reading(reading->loop, &reading->reader);
  loop_release(reading->loop);
  reading->loop = NULL;
}

static void on_ready(void *arg)
{
  struct reading *reading = arg;
  finish(reading);
  wait_done(&reading->wait);
}

static void stop(struct wait *wait)
{
  finish((struct reading *)wait);
}

static int collect(lua_State *L)
{
  finish(luaL_checkudata(L, 1, READING));
  return 0;
}

/* False when it need not, or cannot, be waited for: a file of a disk is always ready, and another may read the same terminal. */
static bool begin_waiting(lua_State *L, int fd, struct reading **begun)
{
  struct pollfd now = {.fd = fd, .events = POLLIN};
  if (poll(&now, 1, 0) != 0) return false;
  struct reading *reading = lua_newuserdatauv(L, sizeof *reading, 0);
  *reading = (struct reading){.wait = {.cancel = stop}};
  reading->reader = (struct loop_reader){.fd = fd, .ready = on_ready, .arg = reading};
  if (luaL_newmetatable(L, READING)) {
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  struct loop *loop = runtime_of(L)->loop;
  if (!loop_read(loop, &reading->reader)) return false;
  reading->loop = loop;
  loop_hold(loop);
  *begun = reading;
  return true;
}

/* --- methods --- */

static int read_some(lua_State *L)
{
  const int *fd = luaL_checkudata(L, 1, SOURCE);
  lua_Integer most = lua_tointeger(L, 2);
  luaL_Buffer text;
  char *bytes = luaL_buffinitsize(L, &text, (size_t)most);
  ssize_t got;
  do got = read(*fd, bytes, (size_t)most);
  while (got < 0 && errno == EINTR);
  int why = errno;
  luaL_pushresultsize(&text, got > 0 ? (size_t)got : 0);
  if (got > 0) return 1;
  lua_pushnil(L);
  if (got == 0) return 1;
  lua_pushstring(L, strerror(why));
  return 2;
}

static int after(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  const struct reading *reading = (const struct reading *)context;
  return reading->wait.cancelled ? wait_raise(L, reading->wait.hopeless) : read_some(L);
}

static int read_piece(lua_State *L)
{
  const int *fd = luaL_checkudata(L, 1, SOURCE);
  lua_Integer most = luaL_checkinteger(L, 2);
  luaL_argcheck(L, most > 0 && most <= MOST, 2, "out of range");
  if (*fd < 0) return error_usage(L, "the file is closed");
  struct reading *reading;
  if (begin_waiting(L, *fd, &reading)) return wait_for(L, &reading->wait, after, (lua_KContext)reading);
  return read_some(L);
}

static int close_source(lua_State *L)
{
  int *fd = luaL_checkudata(L, 1, SOURCE);
  if (*fd > STDIN_FILENO) close(*fd);
  *fd = -1;
  return 0;
}

int source_open(lua_State *L)
{
  static const luaL_Reg methods[] = {{"read", read_piece},
                                     {"close", close_source},
                                     {"__gc", close_source},
                                     {"__close", close_source},
                                     {NULL, NULL}};
  const char *path = path_check(L, 1);
  int *fd = lua_newuserdatauv(L, sizeof *fd, 0);
  *fd = -1;
  if (luaL_newmetatable(L, SOURCE)) {
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
  }
  lua_setmetatable(L, -2);
  *fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (*fd >= 0) return 1;
  lua_pushnil(L);
  lua_pushstring(L, strerror(errno));
  return 2;
}
