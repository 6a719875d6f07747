#include "gateway/gateway.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bind/args.h"
#include "bind/box.h"
#include "bind/engine.h"
#include "bind/error.h"
#include "bind/modules.h"
#include "bind/push.h"
#include "bind/runtime.h"
#include "bind/sched/wait.h"

#define GATEWAY "proxylua.gateway"

/* What a script holds: the gateway, until it was closed. */
struct held {
  struct gateway *gateway;
  struct wait *serving; /* of the task in serve */
};

struct serve {
  struct wait wait;
  struct held *held;
  double drain; /* seconds */
};

static struct held *check_held(lua_State *L)
{
  return luaL_checkudata(L, 1, GATEWAY);
}

static struct gateway *check_gateway(lua_State *L)
{
  struct gateway *gateway = check_held(L)->gateway;
  if (!gateway) error_usage(L, "the gateway is closed");
  return gateway;
}

static const char *text_field(lua_State *L, int index, const char *name)
{
  int type = lua_getfield(L, index, name);
  if (type == LUA_TNIL) return NULL; /* the value stays on the stack, which keeps the text */
  size_t size;
  const char *text = luaL_checklstring(L, -1, &size);
  if (strlen(text) != size) error_usage(L, "px.gateway: %s cannot hold a NUL", name);
  return text;
}

static double number_field(lua_State *L, int index, const char *name)
{
  lua_getfield(L, index, name);
  double value = luaL_checknumber(L, -1);
  lua_pop(L, 1);
  return value;
}

/* -1 without a log; "-" is standard output. */
static int open_log(lua_State *L, const char *path)
{
  if (!path) return -1;
  int fd = strcmp(path, "-") == 0
               ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
               : open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
  if (fd < 0) error_usage(L, "cannot open the log %s: %s", path, strerror(errno));
  return fd;
}

static int add_user(lua_State *L)
{
  if (!gateway_add_user(check_gateway(L), luaL_checkstring(L, 2), luaL_checkstring(L, 3)))
    return luaL_error(L, "not enough memory");
  return 0;
}

/* rule(allow, text) -> nil, or why it is not one */
static int add_rule(lua_State *L)
{
  lua_pushstring(L,
                 gateway_add_rule(check_gateway(L), lua_toboolean(L, 2), luaL_checkstring(L, 3)));
  return 1;
}

/* listen(address, port, metrics) -> port */
static int listen_on(lua_State *L)
{
  struct error err = ERROR_INIT;
  int port = gateway_listen(check_gateway(L), luaL_checkstring(L, 2), (int)luaL_checkinteger(L, 3),
                            lua_toboolean(L, 4), &err);
  if (port == 0) return error_raise(L, &err);
  lua_pushinteger(L, port);
  return 1;
}

/* The record of a proxy at an index; its texts stay on the stack. */
static void put_proxy(lua_State *L, struct gateway *gateway, int index)
{
  static const char *const protocols[] = {"http", "https", "socks4", "socks4a", "socks5", NULL};
  struct gateway_proxy proxy = {0};
  int top = lua_gettop(L);
  luaL_checkstack(L, 10, NULL);
  proxy.url = text_field(L, index, "url");
  proxy.host = text_field(L, index, "host");
  proxy.user = text_field(L, index, "username");
  proxy.password = text_field(L, index, "password");
  proxy.country = text_field(L, index, "country");
  lua_getfield(L, index, "protocol");
  proxy.protocol = (enum gateway_protocol)luaL_checkoption(L, -1, "http", protocols);
  lua_getfield(L, index, "port");
  proxy.port = (int)luaL_checkinteger(L, -1);
  if (!proxy.url || !proxy.host) error_usage(L, "px.gateway: a proxy has no url");
  if (!gateway_put(gateway, &proxy)) luaL_error(L, "not enough memory");
  lua_settop(L, top);
}

/* update(list of records): replaces the list */
static int update(lua_State *L)
{
  struct gateway *gateway = check_gateway(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_Integer count = (lua_Integer)list_length(L, 2, 10000000);
  gateway_begin_list(gateway);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, 2, i);
    luaL_checktype(L, -1, LUA_TTABLE);
    put_proxy(L, gateway, lua_gettop(L));
    lua_pop(L, 1);
  }
  gateway_end_list(gateway);
  return 0;
}

struct rows {
  lua_State *L;
  lua_Integer count;
};

static void push_row(void *arg, const struct gateway_row *row)
{
  struct rows *rows = arg;
  lua_State *L = rows->L;
  lua_createtable(L, 0, 10);
  set_text(L, "proxy", row->label);
  if (row->country) {
    set_text(L, "country", row->country);
  }
  set_integer(L, "requests", (int64_t)row->requests);
  set_integer(L, "failures", (int64_t)row->failures);
  set_integer(L, "sent", (int64_t)row->sent);
  set_integer(L, "received", (int64_t)row->received);
  set_integer(L, "open", (int64_t)(uint64_t)row->open);
  set_number(L, "quarantine", row->left);
  if (row->latency >= 0) {
    set_number(L, "latency", row->latency);
  }
  lua_rawseti(L, -2, ++rows->count);
}

static int get_stats(lua_State *L)
{
  const struct gateway *gateway = check_gateway(L);
  const struct gateway_totals totals = gateway_count(gateway);
  struct rows rows = {.L = L};
  luaL_checkstack(L, 6, NULL);
  lua_createtable(L, 0, 12);
  set_integer(L, "connections", (int64_t)totals.connections);
  set_integer(L, "requests", (int64_t)totals.requests);
  set_integer(L, "refused", (int64_t)totals.refused);
  set_integer(L, "failed", (int64_t)totals.failed);
  set_integer(L, "retried", (int64_t)totals.retried);
  set_integer(L, "sent", (int64_t)totals.sent);
  set_integer(L, "received", (int64_t)totals.received);
  set_integer(L, "open", (int64_t)(uint64_t)totals.open);
  lua_newtable(L);
  gateway_each(gateway, push_row, &rows);
  lua_setfield(L, -2, "proxies");
  return 1;
}

static void close_held(struct held *held)
{
  gateway_close(held->gateway);
  held->gateway = NULL;
}

static void on_drained(void *arg)
{
  struct serve *serve = arg;
  wait_done(&serve->wait);
}

/* The task was cancelled, or the program interrupted: what is under way may end, and no other task
 * runs meanwhile. */
static void drain(struct wait *wait)
{
  struct serve *serve = (struct serve *)wait;
  struct task *task = wait->task;
  wait->task = NULL; /* it is made ready by its canceller */
  if (serve->held->gateway && serve->drain > 0) {
    gateway_drain(serve->held->gateway, serve->drain, on_drained, serve);
    while (!wait->done) loop_turn(wait->sched->loop, -1);
    wait->done = false;
  }
  wait->task = task;
}

static int finish_serve(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  struct serve *serve = (struct serve *)context;
  struct held *held = serve->held;
  loop_release(runtime_of(L)->sched.loop);
  held->serving = NULL;
  bool cancelled = serve->wait.cancelled;
  close_held(held);
  return cancelled ? wait_raise(L, false) : 0;
}

/* serve(seconds to drain): waits until the gateway is stopped, or the task is cancelled; then it is
 * closed */
static int serve(lua_State *L)
{
  struct held *held = check_held(L);
  double seconds = luaL_checknumber(L, 2);
  if (!held->gateway) return 0; /* stopped before its task began */
  if (held->serving) error_usage(L, "the gateway runs already");
  struct serve *serve = lua_newuserdatauv(L, sizeof *serve, 0);
  *serve = (struct serve){.wait = {.cancel = drain}, .held = held, .drain = seconds};
  held->serving = &serve->wait;
  loop_hold(runtime_of(L)->sched.loop);
  return wait_for(L, &serve->wait, finish_serve, (lua_KContext)serve);
}

/* stop(seconds to drain): the wait in serve ends when the connections have */
static int stop(lua_State *L)
{
  struct held *held = check_held(L);
  double seconds = luaL_checknumber(L, 2);
  if (!held->gateway) return 0;
  if (held->serving)
    gateway_drain(held->gateway, seconds, on_drained, held->serving);
  else
    close_held(held);
  return 0;
}

static int on_gc(lua_State *L)
{
  close_held(luaL_checkudata(L, 1, GATEWAY));
  return 0;
}

/* open{strategy, quarantine, timeout, idle, connections, resolve_locally, sticky, log} */
static int open_gateway(lua_State *L)
{
  static const luaL_Reg methods[] = {{"user", add_user},    {"rule", add_rule},
                                     {"listen", listen_on}, {"update", update},
                                     {"stats", get_stats},  {"serve", serve},
                                     {"stop", stop},        {NULL, NULL}};
  sched_check_process(L);
  static const char *const strategies[] = {"round_robin", "random", "least_latency", NULL};
  struct gateway_options options = {.loop = runtime_of(L)->sched.loop};
  struct error err = ERROR_INIT;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_getfield(L, 1, "strategy");
  options.strategy = (enum pool_strategy)luaL_checkoption(L, -1, NULL, strategies);
  lua_getfield(L, 1, "sticky");
  options.sticky = lua_toboolean(L, -1);
  lua_getfield(L, 1, "resolve_locally");
  options.resolve_locally = lua_toboolean(L, -1);
  options.quarantine = number_field(L, 1, "quarantine");
  options.timeout = number_field(L, 1, "timeout");
  options.idle = number_field(L, 1, "idle");
  options.max_connections = (int)number_field(L, 1, "connections");
  const struct engine *engine = runtime_of(L)->engine;
  const char *ca_file = engine ? engine->ca_file : NULL;
  struct held *held = box_push(L, sizeof *held, GATEWAY, on_gc, methods);
  options.log = open_log(L, text_field(L, 1, "log"));
  if (ca_file && !(options.ca_file = strdup(ca_file))) {
    if (options.log >= 0) close(options.log);
    return luaL_error(L, "not enough memory");
  }
  held->gateway = gateway_open(&options, &err);
  if (!held->gateway) {
    free((char *)options.ca_file);
    return error_raise(L, &err);
  }
  lua_settop(L, lua_gettop(L) - 1);
  return 1;
}

void gateway_module_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"open", open_gateway}, {NULL, NULL}};
  luaL_newlib(L, functions);
}
