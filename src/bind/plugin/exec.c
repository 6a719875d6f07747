#include "bind/box.h"
#include "bind/modules.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/child.h"
#include "bind/args.h"
#include "bind/error.h"
#include "bind/runtime.h"
#include "bind/sched/wait.h"
#include "net/loop.h"

#define TYPE "proxylua.exec"
#define MAX_OUTPUT ((size_t)1 << 20)
#define MAX_WORDS 256
#define CHUNK ((size_t)64 << 10)
#define SIGNALLED 128 /* what a shell adds to the number of the signal */

/* Lies on the waiting thread's stack, above the words that the start borrows. */
struct run {
  struct wait wait;
  struct loop *loop;
  struct child child;
  struct loop_reader output, exit;
  struct loop_timer timer;
  struct buffer text;
  struct child_end end;
  bool late, too_much, ended;
};

static void finish(struct run *run)
{
  if (run->ended) return;
  run->ended = true;
  loop_timer_clear(run->loop, &run->timer);
  loop_stop_reading(run->loop, &run->output);
  loop_stop_reading(run->loop, &run->exit);
  loop_release(run->loop);
  run->end = child_end(&run->child);
}

static void complete(struct run *run)
{
  finish(run);
  wait_done(&run->wait);
}

/* Takes what has been written so far. False when there is nothing more to come. */
static bool take(struct run *run)
{
  while (run->text.size <= MAX_OUTPUT && buffer_reserve(&run->text, CHUNK)) {
    ssize_t got = read(run->child.socket, run->text.data + run->text.size, CHUNK);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return true;
    if (got <= 0) return false;
    run->text.size += (size_t)got;
  }
  run->too_much = true;
  return false;
}

static void on_output(void *arg)
{
  struct run *run = arg;
  if (!take(run)) loop_stop_reading(run->loop, &run->output);
  if (run->too_much) complete(run);
}

static void on_exit_of(void *arg)
{
  struct run *run = arg;
  take(run);
  complete(run);
}

static void on_late(void *arg)
{
  struct run *run = arg;
  run->late = true;
  complete(run);
}

static void stop(struct wait *wait)
{
  finish((struct run *)wait);
}

static int collect(lua_State *L)
{
  struct run *run = luaL_checkudata(L, 1, TYPE);
  if (run->loop) finish(run);
  buffer_free(&run->text);
  return 0;
}

static int after(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  struct run *run = (struct run *)context;
  struct error err = ERROR_INIT;
  if (run->wait.cancelled) return wait_raise(L, run->wait.stuck);
  if (run->late) error_set(&err, ERROR_TIMEOUT, "the program took too long, and was ended");
  if (run->too_much)
    error_set(&err, ERROR_PROTOCOL, "the program wrote more than %zu bytes, and was ended",
              MAX_OUTPUT);
  if (err.kind == ERROR_NONE && run->end.unknown)
    error_set(&err, ERROR_INTERNAL, "the program ended; its exit code is lost: %s",
              strerror(run->end.unknown));
  if (err.kind != ERROR_NONE) return error_raise(L, &err);
  lua_pushinteger(L, run->end.killed ? SIGNALLED + run->end.code : run->end.code);
  lua_pushlstring(L, run->text.data ? run->text.data : "", run->text.size);
  buffer_free(&run->text);
  return 2;
}

/* The texts of the list at an index, which holds them. */
static void read_words(lua_State *L, int index, char *words[MAX_WORDS + 1])
{
  size_t count = list_length(L, index, MAX_WORDS);
  for (size_t i = 0; i < count; i++) {
    size_t size = 0;
    const char *text = lua_rawgeti(L, index, (lua_Integer)i + 1) == LUA_TSTRING
                           ? lua_tolstring(L, -1, &size)
                           : NULL;
    if (!text || strlen(text) != size)
      error_usage(L, "the words of a program are texts without a NUL");
    words[i] = (char *)text;
    lua_pop(L, 1);
  }
  words[count] = NULL;
}

static bool begin(struct run *run, double seconds)
{
  run->output = (struct loop_reader){.fd = run->child.socket, .ready = on_output, .arg = run};
  run->exit = (struct loop_reader){.fd = run->child.handle, .ready = on_exit_of, .arg = run};
  return loop_read(run->loop, &run->output) && loop_read(run->loop, &run->exit) &&
         loop_timer_set(run->loop, &run->timer, (int64_t)(seconds * 1e6), on_late, run);
}

/* exec(path, words, environment, seconds): waits; its exit code, and what it wrote. Without an
 * environment it has that of this process. */
static int exec(lua_State *L)
{
  char *words[MAX_WORDS + 1], *environment[MAX_WORDS + 1];
  struct error err = ERROR_INIT;
  const char *path = luaL_checkstring(L, 1);
  sched_check_process(L);
  read_words(L, 2, words);
  bool inherits = lua_isnil(L, 3);
  if (!inherits) read_words(L, 3, environment);
  double seconds = luaL_checknumber(L, 4);
  struct run *run = box_push(L, sizeof *run, TYPE, collect, NULL);
  *run = (struct run){.wait = {.cancel = stop}, .child = CHILD_NONE};
  if (!child_run(&run->child, path, words, inherits ? environ : environment, &err))
    return error_raise(L, &err);
  run->loop = runtime_of(L)->sched.loop;
  loop_hold(run->loop);
  if (begin(run, seconds)) return wait_for(L, &run->wait, after, (lua_KContext)run);
  finish(run);
  return luaL_error(L, "cannot wait for a program");
}

void exec_add(lua_State *L)
{
  lua_pushcfunction(L, exec);
  lua_setfield(L, -2, "exec");
}
