/* A plugin's process as an object: start it, call into it, reply to what it asks. Calls wait as
 * every wait of a task does; what it asks is handed to a function, which starts a task for it. */
#include "bind/modules.h"

#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/child.h"
#include "bind/error.h"
#include "bind/plugin/marshal.h"
#include "bind/plugin/protocol.h"
#include "bind/runtime.h"
#include "bind/sched/sched.h"
#include "bind/sched/wait.h"
#include "net/loop.h"
#include "plugin/frame.h"
#include "plugin/jail.h"

#define TYPE "proxylua.plugin"
#define CALL_TYPE "proxylua.plugin.call"
/* Questions of the plugin's without a reply, and what they hold: more of them wait in the socket.
 */
#define MAX_ASKED 256
#define MAX_ASKED_BYTES ((size_t)64 << 20)
#define VALUE_BYTES 64 /* of a value in Lua, about */
#define LEISURE 10     /* wall-clock seconds that earn a call one more second of processor time */
#define SECOND INT64_C(1000000)

enum { ON_MESSAGE = 1, ON_END, SELF }; /* on the worker's stack */
#define COURIER 1                      /* the object's user value */

/* A call into the plugin; lies on the waiting thread's stack, above the plugin. */
struct call {
  struct wait wait;
  struct plugin *plugin;
  uint32_t number;
  struct call *next;
  bool failed;
  char *bytes; /* of the reply; NULL when the plugin ended without one */
  size_t size;
};

struct question {
  uint32_t number;
  size_t size; /* bytes of the message and of its values in Lua */
};

/* A message on its way from the loop's callback to the scheduler. */
struct letter {
  struct letter *next;
  enum message_kind kind;
  uint32_t number;
  size_t size;
  char bytes[];
};

struct plugin {
  struct runtime *runtime;
  struct child child;
  struct channel channel;
  struct loop_reader reader;
  lua_State *handler; /* the thread on which messages are handed over */
  struct call *calls;
  uint32_t last;                        /* the number of our last call */
  struct question questions[MAX_ASKED]; /* without a reply: the first `asked` */
  unsigned asked;
  size_t asked_bytes;
  struct letter *letters, *last_letter; /* not delivered yet */
  struct delivery delivery;
  bool delivering, ended, told; /* `told`: on_end was called */
  struct error why;             /* of the end */
  int64_t budget;               /* seconds of processor time a call */
  int64_t used, since, allowed; /* when the first of the present calls began: CPU, clock (both us),
                                   and the limit (s) */
  unsigned kinds, charges;      /* bits: those of the errors that its questions ended with */
  char name[64];
};

static struct plugin *check(lua_State *L)
{
  return luaL_checkudata(L, 1, TYPE);
}

static const char *code_of(const struct child_end *end)
{
  if (!end->killed) return "plugin_ended";
  return end->code == SIGSYS    ? "plugin_forbidden"
         : end->code == SIGXCPU ? "plugin_budget"
                                : "plugin_ended";
}

static void explain(struct plugin *plugin, const struct child_end *end)
{
  struct error *why = &plugin->why;
  const char *name = plugin->name;
  if (why->kind != ERROR_NONE) return;
  snprintf(why->code, sizeof why->code, "%s", code_of(end));
  if (end->unknown)
    error_set(why, ERROR_INTERNAL, "the process of the plugin %s ended; its exit code is lost: %s",
              name, strerror(end->unknown));
  else if (!end->killed)
    error_set(why, ERROR_INTERNAL, "the process of the plugin %s ended with exit code %d", name,
              end->code);
  else if (end->code == SIGSYS)
    error_set(why, ERROR_INTERNAL,
              "the plugin %s was ended: it tried a system call, and plugins have none", name);
  else if (end->code == SIGXCPU)
    error_set(why, ERROR_INTERNAL, "the plugin %s was ended: it computed for more than %d s", name,
              (int)plugin->budget);
  else
    error_set(why, ERROR_INTERNAL, "the process of the plugin %s was ended by signal %d (%s)", name,
              end->code, strsignal(end->code));
}

static void finish_call(struct plugin *plugin, struct call *call)
{
  loop_release(plugin->runtime->sched.loop);
  wait_done(&call->wait);
}

static void drop_letters(struct plugin *plugin)
{
  while (plugin->letters) {
    struct letter *letter = plugin->letters;
    plugin->letters = letter->next;
    free(letter);
  }
}

static void release(struct plugin *plugin)
{
  loop_stop_reading(plugin->runtime->sched.loop, &plugin->reader);
  struct child_end end = child_end(&plugin->child);
  plugin->ended = true;
  explain(plugin, &end);
  channel_free(&plugin->channel);
  drop_letters(plugin);
}

static void end(struct plugin *plugin)
{
  if (plugin->ended) return;
  release(plugin);
  for (struct call *next, *call = plugin->calls; call; call = next) {
    next = call->next;
    finish_call(plugin, call);
  }
  plugin->calls = NULL;
  deliver_soon(&plugin->runtime->sched, &plugin->delivery);
}

/* For what no honest plugin does. */
static void expel(struct plugin *plugin, const char *what)
{
  snprintf(plugin->why.code, sizeof plugin->why.code, "plugin_forged");
  error_set(&plugin->why, ERROR_INTERNAL, "the plugin %s was ended: %s", plugin->name, what);
  end(plugin);
}

/* --- processor time: a budget for the time between two idle moments, and a tenth of a processor
 * for calls that take long --- */

static void allow_more(struct plugin *plugin)
{
  int64_t earned = (loop_clock() - plugin->since) / LEISURE;
  int64_t seconds = plugin->budget + (plugin->used + earned + SECOND / 2) / SECOND;
  if (seconds <= plugin->allowed) return;
  plugin->allowed = seconds;
  child_allow_cpu(&plugin->child, seconds);
}

static void begin_work(struct plugin *plugin)
{
  plugin->used = child_cpu(&plugin->child);
  plugin->since = loop_clock();
  allow_more(plugin);
}

static bool may_ask(const struct plugin *plugin)
{
  return plugin->asked < MAX_ASKED && plugin->asked_bytes < MAX_ASKED_BYTES;
}

static void begin_question(struct plugin *plugin, const struct message *message)
{
  plugin->questions[plugin->asked++] = (struct question){message->number, message->size};
  plugin->asked_bytes += message->size;
}

/* A byte can be a table, which takes much more than a byte once it is read. */
static void weigh_question(struct plugin *plugin, uint32_t number, size_t values)
{
  for (unsigned at = 0; at < plugin->asked; at++) {
    if (plugin->questions[at].number != number) continue;
    plugin->questions[at].size += values * VALUE_BYTES;
    plugin->asked_bytes += values * VALUE_BYTES;
    return;
  }
}

static void end_question(struct plugin *plugin, uint32_t number)
{
  unsigned at = 0;
  while (at < plugin->asked && plugin->questions[at].number != number) at++;
  if (at == plugin->asked) return;
  plugin->asked_bytes -= plugin->questions[at].size;
  plugin->questions[at] = plugin->questions[--plugin->asked];
}

static void take_reply(struct plugin *plugin, const struct message *message)
{
  struct call **at = &plugin->calls;
  while (*at && (*at)->number != message->number) at = &(*at)->next;
  struct call *call = *at;
  if (!call) {
    /* The response to a cancelled call is ignored. A response to a call that was never made is
     * forged. */
    if (message->number == 0 || message->number > plugin->last)
      expel(plugin, "it sent a response without a call");
    return;
  }
  *at = call->next;
  call->failed = message->kind == MESSAGE_ERROR;
  call->size = message->size;
  call->bytes = malloc(message->size + 1);
  if (call->bytes) memcpy(call->bytes, message->bytes, message->size);
  finish_call(plugin, call);
}

struct handover {
  struct plugin *plugin;
  const struct letter *letter; /* NULL: the end of the process */
  bool malformed;
};

/* Protected. Stack: handover, on_message or on_end. */
static int hand_over(lua_State *L)
{
  struct handover *handover = lua_touserdata(L, 1);
  const struct letter *letter = handover->letter;
  if (!letter) {
    error_push(L, &handover->plugin->why);
    lua_call(L, 1, 0);
    return 0;
  }
  char kind = (char)letter->kind;
  size_t values;
  lua_pushlstring(L, &kind, 1);
  lua_pushinteger(L, letter->number);
  int count = value_read(L, letter->bytes, letter->size, &values);
  handover->malformed = count < 0;
  if (handover->malformed) return 0;
  if (letter->kind == MESSAGE_CALL) weigh_question(handover->plugin, letter->number, values);
  lua_call(L, count + 2, 0);
  return 0;
}

static void deliver_letter(struct plugin *plugin, const struct letter *letter)
{
  lua_State *L = plugin->handler;
  struct handover handover = {.plugin = plugin, .letter = letter};
  lua_pushcfunction(L, hand_over);
  lua_pushlightuserdata(L, &handover);
  lua_pushvalue(L, letter ? ON_MESSAGE : ON_END);
  bool failed = lua_pcall(L, 2, 0, 0) != LUA_OK;
  if (failed) lua_pop(L, 1);
  if (letter && (failed || handover.malformed))
    expel(plugin, "it sent a message that cannot be read");
}

static void flush(struct plugin *plugin);

/* In the scheduler. One at a time: a finalizer that waits while a message is decoded may bring the
 * next one here. The main thread's stack keeps the plugin and its worker alive meanwhile. */
static void deliver(void *arg)
{
  struct plugin *plugin = arg;
  lua_State *main = plugin->runtime->sched.L;
  if (plugin->delivering) return;
  if (!lua_checkstack(main, 1) || !lua_checkstack(plugin->handler, 8)) return;
  plugin->delivering = true;
  lua_pushvalue(plugin->handler, SELF);
  lua_xmove(plugin->handler, main, 1);
  while (plugin->letters) {
    struct letter *letter = plugin->letters;
    plugin->letters = letter->next;
    deliver_letter(plugin, letter);
    free(letter);
  }
  plugin->delivering = false;
  if (plugin->ended && !plugin->told) {
    plugin->told = true;
    deliver_letter(plugin, NULL);
  }
  if (!plugin->ended) flush(plugin);
  lua_pop(main, 1);
}

static bool put_letter(struct plugin *plugin, const struct message *message)
{
  struct letter *letter = malloc(sizeof *letter + message->size);
  if (!letter) return false;
  *letter =
      (struct letter){.kind = message->kind, .number = message->number, .size = message->size};
  memcpy(letter->bytes, message->bytes, message->size);
  *(plugin->letters ? &plugin->last_letter->next : &plugin->letters) = letter;
  plugin->last_letter = letter;
  if (message->kind == MESSAGE_CALL) begin_question(plugin, message);
  deliver_soon(&plugin->runtime->sched, &plugin->delivery);
  return true;
}

static void await(struct plugin *plugin, enum channel_state flushed)
{
  if (!plugin->ended)
    loop_await(plugin->runtime->sched.loop, &plugin->reader, may_ask(plugin),
               flushed == CHANNEL_FULL);
}

/* Passes responses to the calls that wait for them, all other messages to the scheduler. */
static void sort_messages(struct plugin *plugin)
{
  enum channel_state state = CHANNEL_OPEN;
  const char *bytes = NULL;
  size_t size;
  struct message message;
  while (!plugin->ended && may_ask(plugin) &&
         (bytes = channel_next(&plugin->channel, &size, &state))) {
    if (!message_read(bytes, size, &message))
      expel(plugin, "it sent a message that cannot be read");
    else if (message.kind == MESSAGE_RESULT || message.kind == MESSAGE_ERROR)
      take_reply(plugin, &message);
    else if (!put_letter(plugin, &message))
      expel(plugin, "there is no memory for what it says");
  }
  if (!plugin->ended && state == CHANNEL_BROKEN)
    expel(plugin, "it sent a message that is too large");
}

static void flush(struct plugin *plugin)
{
  enum channel_state state = channel_flush(&plugin->channel);
  await(plugin, state); /* reading reports a closed socket */
}

static void on_ready(void *arg)
{
  struct plugin *plugin = arg;
  enum channel_state state = channel_fill(&plugin->channel);
  sort_messages(plugin);
  if (!plugin->ended && state == CHANNEL_BROKEN)
    expel(plugin, "there is no memory for what it says");
  if (plugin->ended) return;
  if (state == CHANNEL_CLOSED)
    end(plugin);
  else
    flush(plugin);
}

static int collect_call(lua_State *L)
{
  struct call *call = luaL_checkudata(L, 1, CALL_TYPE);
  free(call->bytes);
  call->bytes = NULL;
  return 0;
}

static void unlink_call(struct call *call)
{
  struct call **at = &call->plugin->calls;
  while (*at && *at != call) at = &(*at)->next;
  if (!*at) return;
  *at = call->next;
  loop_release(call->plugin->runtime->sched.loop);
}

static void stop(struct wait *wait)
{
  struct call *call = (struct call *)wait;
  struct plugin *plugin = call->plugin;
  unlink_call(call);
  if (plugin->ended) return;
  if (!message_put(plugin->handler, &plugin->channel, MESSAGE_CANCEL, call->number, 1, 0))
    flush(plugin);
}

static int raise_end(lua_State *L, const struct plugin *plugin)
{
  return error_raise(L, &plugin->why);
}

/* Pushes a text of the plugin with its name in front, and its further lines indented: none of them
 * looks like a line of proxylua's own. */
static void push_marked(lua_State *L, const struct plugin *plugin, const char *text)
{
  luaL_Buffer marked;
  luaL_buffinit(L, &marked);
  luaL_addstring(&marked, "plugin ");
  luaL_addstring(&marked, plugin->name);
  luaL_addstring(&marked, ": ");
  luaL_addgsub(&marked, text, "\n", "\n  ");
  luaL_pushresult(&marked);
}

/* The kinds of the errors that its questions ended with, and of those that it makes in its own
 * process: with another kind it would choose the exit code. */
static bool may_raise(const struct plugin *plugin, enum error_kind kind)
{
  unsigned own = 1u << ERROR_USAGE | 1u << ERROR_TIMEOUT;
  return (own | plugin->kinds) >> kind & 1;
}

/* Stack: an error value -> the same, as the plugin's. Money has moved only if proxylua has said so
 * to the plugin. */
static void mark_error(lua_State *L, const struct plugin *plugin)
{
  enum error_kind kind = error_kind_at(L, -1);
  enum error_charge charge = error_charge_at(L, -1);
  int error = lua_gettop(L);
  lua_pushliteral(L, "message");
  const char *text = lua_rawget(L, error) == LUA_TSTRING ? lua_tostring(L, -1) : "no message";
  push_marked(L, plugin, text);
  lua_setfield(L, error, "message");
  if (!may_raise(plugin, kind)) {
    lua_pushstring(L, error_kind_name(ERROR_INTERNAL));
    lua_setfield(L, error, "kind");
  }
  if (charge != CHARGE_NONE && !(plugin->charges >> charge & 1)) {
    lua_pushnil(L);
    lua_setfield(L, error, "charge");
  }
  lua_settop(L, error);
}

/* Raises an error value as one; other errors as texts, which say where in the plugin. A
 * cancellation was of a task in the plugin, and must not cancel the caller. */
static int raise_failure(lua_State *L, const struct plugin *plugin, int count)
{
  if (count == 1 && error_kind_at(L, -1) == ERROR_CANCELLED)
    push_marked(L, plugin, "a task of its own was cancelled");
  else if (count == 1 && error_test(L, -1))
    mark_error(L, plugin);
  else
    push_marked(L, plugin,
                count == 1 && lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "failed");
  return lua_error(L);
}

static int after_call(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  struct call *call = (struct call *)context;
  struct plugin *plugin = call->plugin;
  if (call->wait.cancelled) return wait_raise(L, call->wait.stuck);
  if (!call->bytes) return raise_end(L, plugin);
  int count = value_read(L, call->bytes, call->size, NULL);
  bool failed = call->failed;
  free(call->bytes);
  call->bytes = NULL;
  if (count < 0) {
    expel(plugin, "it sent a message that cannot be read");
    return raise_end(L, plugin);
  }
  return failed ? raise_failure(L, plugin, count) : count;
}

/* plugin:call(what, …) -> the results of the plugin's function. */
static int call(lua_State *L)
{
  struct plugin *plugin = check(L);
  sched_check_process(L);
  if (plugin->ended) return raise_end(L, plugin);
  int last = lua_gettop(L);
  struct call *one = lua_newuserdatauv(L, sizeof *one, 0);
  *one = (struct call){.wait = {.cancel = stop}, .plugin = plugin};
  luaL_setmetatable(L, CALL_TYPE);
  if (!plugin->calls && plugin->asked == 0)
    begin_work(plugin);
  else
    allow_more(plugin);
  one->number = ++plugin->last;
  const char *why = message_put(L, &plugin->channel, MESSAGE_CALL, one->number, 2, last);
  if (why) return error_usage(L, "the plugin %s cannot be handed %s", plugin->name, why);
  one->next = plugin->calls;
  plugin->calls = one;
  loop_hold(plugin->runtime->sched.loop);
  flush(plugin);
  return wait_for(L, &one->wait, after_call, (lua_KContext)one);
}

/* plugin:answer(number, ok, …): results, or the error. Nothing happens when it has ended. */
static int reply(lua_State *L)
{
  struct plugin *plugin = check(L);
  uint32_t number = (uint32_t)luaL_checkinteger(L, 2);
  enum message_kind kind = lua_toboolean(L, 3) ? MESSAGE_RESULT : MESSAGE_ERROR;
  if (plugin->ended) return 0;
  if (kind == MESSAGE_ERROR && error_test(L, 4)) {
    plugin->kinds |= 1u << error_kind_at(L, 4);
    plugin->charges |= 1u << error_charge_at(L, 4);
  }
  end_question(plugin, number);
  const char *why = message_put(L, &plugin->channel, kind, number, 4, lua_gettop(L));
  if (why) {
    lua_settop(L, 3);
    lua_pushfstring(L, "the reply is %s", why);
    if (message_put(L, &plugin->channel, MESSAGE_ERROR, number, 4, 4))
      expel(plugin, "it does not read what it asked for");
  }
  if (plugin->ended) return 0;
  allow_more(plugin);
  sort_messages(plugin);
  if (!plugin->ended) flush(plugin);
  return 0;
}

/* plugin:close() */
static int close_plugin(lua_State *L)
{
  struct plugin *plugin = check(L);
  if (plugin->ended) return 0;
  error_set(&plugin->why, ERROR_CANCELLED, "the plugin %s was closed", plugin->name);
  end(plugin);
  return 0;
}

static int collect(lua_State *L)
{
  struct plugin *plugin = check(L);
  if (!plugin->runtime) return 0;
  if (!plugin->ended) release(plugin);
  deliver_forget(&plugin->runtime->sched, &plugin->delivery);
  return 0;
}

/* plugin:status(): nil while it lives, or why it ended; plugin:pid() */
static int status(lua_State *L)
{
  struct plugin *plugin = check(L);
  if (!plugin->ended) return 0;
  error_push(L, &plugin->why);
  return 1;
}

static int pid(lua_State *L)
{
  lua_pushinteger(L, check(L)->child.pid);
  return 1;
}

static lua_Integer number_of(lua_State *L, const char *name)
{
  lua_getfield(L, 1, name);
  lua_Integer number = luaL_checkinteger(L, -1);
  luaL_argcheck(L, number > 0, 1, "limits are above 0");
  lua_pop(L, 1);
  return number;
}

static bool begin(struct plugin *plugin, lua_Integer memory, bool calls_free, struct error *err)
{
  char bytes[24], seconds[24], folder[4096 + 32] = "";
  const char *lua = getenv("PROXYLUA_LUA_DIR");
  if (lua && *lua &&
      snprintf(folder, sizeof folder, "PROXYLUA_LUA_DIR=%s", lua) >= (int)sizeof folder)
    *folder = '\0';
  char *environment[] = {*folder ? folder : NULL, NULL};
  snprintf(bytes, sizeof bytes, "%lld", (long long)memory);
  snprintf(seconds, sizeof seconds, "%lld", (long long)plugin->budget);
  char *arguments[] = {"proxylua", PLUGIN_ARGUMENT, plugin->name,
                       bytes,      seconds,         calls_free ? "free" : "jailed",
                       NULL};
  if (!child_start(&plugin->child, arguments, environment, err)) return false;
  plugin->channel.socket = plugin->child.socket;
  plugin->reader =
      (struct loop_reader){.fd = plugin->child.socket, .ready = on_ready, .arg = plugin};
  if (loop_read(plugin->runtime->sched.loop, &plugin->reader)) return true;
  error_set(err, ERROR_INTERNAL, "cannot wait for a plugin");
  return false;
}

/* start(options, on_message, on_end): options are name, memory (bytes), cpu (seconds) and
 * calls_free; on_message(kind, number, …) is called for what the plugin asks and must not wait;
 * on_end(why) when its process has ended. */
static int start(lua_State *L)
{
  sched_check_process(L);
  struct error err = ERROR_INIT;
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  lua_settop(L, 3);
  lua_getfield(L, 1, "name");
  const char *name = luaL_checkstring(L, 4);
  lua_Integer memory = number_of(L, "memory"), cpu = number_of(L, "cpu");
  lua_getfield(L, 1, "calls_free");
  bool calls_free = lua_toboolean(L, -1);
  struct plugin *plugin = lua_newuserdatauv(L, sizeof *plugin, 1);
  *plugin = (struct plugin){.child = CHILD_NONE, .why = ERROR_INIT, .budget = cpu, .ended = true};
  luaL_setmetatable(L, TYPE);
  snprintf(plugin->name, sizeof plugin->name, "%s", name);
  plugin->handler = lua_newthread(L);
  lua_setiuservalue(L, -2, COURIER);
  for (int i = 2; i <= 3; i++) {
    lua_pushvalue(L, i);
    lua_xmove(L, plugin->handler, 1);
  }
  lua_pushvalue(L, -1);
  lua_xmove(L, plugin->handler, 1);
  plugin->delivery = (struct delivery){.run = deliver, .arg = plugin};
  plugin->runtime = runtime_of(L);
  plugin->ended = false;
  if (!begin(plugin, memory, calls_free, &err)) return error_raise(L, &err);
  return 1;
}

/* can_jail(): whether the kernel filters system calls here. */
static int can_jail(lua_State *L)
{
  lua_pushboolean(L, jail_is_possible());
  return 1;
}

static void make_type(lua_State *L, const char *name, const luaL_Reg *methods)
{
  luaL_newmetatable(L, name);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

void plugin_open(lua_State *L)
{
  static const luaL_Reg methods[] = {{"call", call},     {"answer", reply}, {"close", close_plugin},
                                     {"status", status}, {"pid", pid},      {"__gc", collect},
                                     {NULL, NULL}};
  static const luaL_Reg call_methods[] = {{"__gc", collect_call}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"start", start}, {"can_jail", can_jail}, {NULL, NULL}};
  make_type(L, TYPE, methods);
  make_type(L, CALL_TYPE, call_methods);
  luaL_newlib(L, functions);
  grants_add(L);
  exec_add(L);
}
