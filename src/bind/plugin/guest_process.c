#include "bind/plugin/guest_process.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "api/secret.h"
#include "base/child.h"
#include "base/version.h"
#include "bind/alloc.h"
#include "bind/embedded.h"
#include "bind/error.h"
#include "bind/json.h"
#include "bind/modules.h"
#include "bind/money.h"
#include "bind/plugin/marshal.h"
#include "bind/plugin/protocol.h"
#include "bind/push.h"
#include "bind/record/record.h"
#include "plugin/frame.h"
#include "plugin/jail.h"

#define ARGUMENTS 6 /* program, PLUGIN_ARGUMENT, name, memory, seconds, "jailed" or "free" */
#define OVERHEAD 3  /* times the memory of Lua: its allocator's, the messages', the stack */
#define ROOM ((size_t)64 << 20)
#define FAILED 70

/* Memory of Lua is counted, so that too much is an error of Lua's at the same place every time. */
struct memory {
  struct alloc *pool;
  size_t left;
};

struct process {
  struct channel channel;
  struct memory memory;
  struct jail_limits limits;
};

static void *resize(void *arg, void *block, size_t old_size, size_t new_size)
{
  struct memory *memory = arg;
  size_t before = block ? old_size : 0;
  if (new_size > before && new_size - before > memory->left) return NULL;
  void *moved = alloc_resize(memory->pool, block, old_size, new_size);
  if (moved || new_size == 0) memory->left = memory->left + before - new_size;
  return moved;
}

static struct process *process_of(lua_State *L)
{
  return lua_touserdata(L, lua_upvalueindex(1));
}

/* A parent that has gone wants nothing any more. */
static void flush(struct process *process)
{
  if (channel_flush(&process->channel) != CHANNEL_OPEN) _exit(0);
}

/* send(kind, number, …): nil, or why that cannot be. */
static int send_message(lua_State *L)
{
  struct process *process = process_of(L);
  const char *kind = luaL_checkstring(L, 1);
  uint32_t number = (uint32_t)luaL_checkinteger(L, 2);
  const char *why =
      message_put(L, &process->channel, (enum message_kind) * kind, number, 3, lua_gettop(L));
  if (!why) flush(process);
  lua_pushstring(L, why);
  return 1;
}

/* receive(): kind, number, … of the next message; waits for it. */
static int receive(lua_State *L)
{
  struct process *process = process_of(L);
  enum channel_state state;
  const char *bytes;
  size_t size;
  struct message message;
  lua_settop(L, 0);
  while (!(bytes = channel_next(&process->channel, &size, &state)))
    if (state != CHANNEL_OPEN || channel_fill(&process->channel) != CHANNEL_OPEN) _exit(0);
  if (!message_read(bytes, size, &message)) _exit(FAILED);
  char kind = (char)message.kind;
  lua_pushlstring(L, &kind, 1);
  lua_pushinteger(L, message.number);
  if (value_read(L, message.bytes, message.size, NULL) < 0) _exit(FAILED);
  return lua_gettop(L);
}

/* clock(): seconds since some moment in the past; now(): since 1970 UTC. */
static int push_time(lua_State *L, clockid_t clock)
{
  struct timespec time;
  clock_gettime(clock, &time);
  lua_pushnumber(L, (double)time.tv_sec + (double)time.tv_nsec / 1e9);
  return 1;
}

static int read_clock(lua_State *L)
{
  return push_time(L, CLOCK_MONOTONIC);
}

static int read_now(lua_State *L)
{
  return push_time(L, CLOCK_REALTIME);
}

static void push_core(lua_State *L, struct process *process)
{
  static const struct {
    const char *name;
    void (*open)(lua_State *L);
  } parts[] = {{"money", money_open},   {"json", json_open},
               {"error", error_open},   {"endpoints", endpoint_open},
               {"record", record_open}, {"quote", quote_open},
               {"digest", digest_open}, {"document", document_module_open},
               {"decode", decode_open}, {"tally", tally_open},
               {"arity", arity_open}};
  static const luaL_Reg functions[] = {{"send", send_message},
                                       {"receive", receive},
                                       {"embedded", embedded_searcher},
                                       {"clock", read_clock},
                                       {"now", read_now},
                                       {NULL, NULL}};
  luaL_newlibtable(L, functions);
  lua_pushlightuserdata(L, process);
  luaL_setfuncs(L, functions, 1);
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    parts[i].open(L);
    lua_setfield(L, -2, parts[i].name);
  }
  set_text(L, "version", PROXYLUA_VERSION);
  set_flag(L, "is_in_folder",
           getenv("PROXYLUA_LUA_DIR") !=
               NULL); /* the program's own modules, for their developers */
}

/* Leaves a library with these of its functions alone, or without them. */
static void keep(lua_State *L, const char *library, const char *const *names)
{
  lua_getglobal(L, library);
  lua_newtable(L);
  for (; *names; names++) {
    lua_getfield(L, -2, *names);
    lua_setfield(L, -2, *names);
  }
  lua_setglobal(L, library);
  lua_pop(L, 1);
}

static void remove_field(lua_State *L, const char *library, const char *name)
{
  lua_getglobal(L, library);
  lua_pushnil(L);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

static void open_libraries(lua_State *L)
{
  static const luaL_Reg libraries[] = {{LUA_GNAME, luaopen_base},
                                       {LUA_TABLIBNAME, luaopen_table},
                                       {LUA_STRLIBNAME, luaopen_string},
                                       {LUA_MATHLIBNAME, luaopen_math},
                                       {LUA_UTF8LIBNAME, luaopen_utf8},
                                       {LUA_COLIBNAME, luaopen_coroutine},
                                       {LUA_OSLIBNAME, luaopen_os}};
  static const char *const of_os[] = {"time", "date", "difftime", "clock", NULL};
  for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
    luaL_requiref(L, libraries[i].name, libraries[i].func, 1);
    lua_pop(L, 1);
  }
  keep(L, LUA_OSLIBNAME, of_os);
  remove_field(L, LUA_STRLIBNAME, "dump");
  remove_field(L, LUA_GNAME, "dofile");
  remove_field(L, LUA_GNAME, "loadfile");
}

/* Protected. Stack: process -> the function that serves. The guest may come from a file, so it is
 * loaded before the process is jailed. No code of the plugin was loaded yet. */
static int prepare(lua_State *L)
{
  struct process *process = lua_touserdata(L, 1);
  open_libraries(L);
  lua_pushcfunction(L, embedded_searcher);
  lua_pushliteral(L, "proxylua.plugin.guest");
  lua_call(L, 1, 1);
  push_core(L, process);
  lua_call(L, 1, 1);
  return 1;
}

/* Reports to the parent why this process ends: the top of the stack, if that is a string. */
static void fail(lua_State *L, struct process *process)
{
  if (L && lua_type(L, -1) == LUA_TSTRING) {
    lua_pushliteral(L, "failed");
    lua_insert(L, -2);
    int top = lua_gettop(L);
    if (!message_put(L, &process->channel, MESSAGE_NOTE, 0, top - 1, top))
      channel_flush(&process->channel);
  }
  _exit(FAILED);
}

/* The locale's time zone is a file, and files are out of reach later on. */
static void fix_time_zone(void)
{
  if (setenv("TZ", "UTC0", 1) == 0) tzset();
}

static void read_arguments(struct process *process, char **argv)
{
  process->memory.left = strtoull(argv[3], NULL, 10);
  process->limits = (struct jail_limits){.memory = process->memory.left * OVERHEAD + ROOM,
                                         .cpu = (unsigned)strtoul(argv[4], NULL, 10),
                                         .calls_free = strcmp(argv[5], "free") == 0};
}

bool plugin_process_asked(int argc, char **argv)
{
  int type;
  socklen_t size = sizeof type;
  return argc == ARGUMENTS && strcmp(argv[1], PLUGIN_ARGUMENT) == 0 &&
         getsockopt(CHILD_SOCKET, SOL_SOCKET, SO_DOMAIN, &type, &size) == 0 && type == AF_UNIX;
}

void plugin_process_run(int argc, char **argv)
{
  (void)argc;
  struct process process = {.channel = {.socket = CHILD_SOCKET}};
  struct error err = ERROR_INIT;
  secret_disable_dumps();
  (void)!prctl(PR_SET_NAME, "proxylua-plugin", 0, 0, 0); /* else "exe", from /proc/self/exe */
  fix_time_zone();
  read_arguments(&process, argv);
  process.memory.pool = alloc_open();
  lua_State *L =
      process.memory.pool && child_follow_parent() ? lua_newstate(resize, &process.memory) : NULL;
  if (!L) fail(L, &process);
  lua_pushcfunction(L, prepare);
  lua_pushlightuserdata(L, &process);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) fail(L, &process);
  if (!jail_enter(CHILD_SOCKET, &process.limits, &err)) {
    lua_pushstring(L, err.message);
    fail(L, &process);
  }
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) fail(L, &process);
  _exit(0);
}
