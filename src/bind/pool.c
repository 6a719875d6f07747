#include "pool/pool.h"

#include <lauxlib.h>
#include <string.h>

#include "bind/box.h"
#include "bind/error.h"
#include "bind/modules.h"
#include "bind/push.h"
#include "net/loop.h"

#define POOL "proxylua.pool"
#define MICROSECONDS 1e6

static double clock_now(void)
{
  return (double)loop_clock() / MICROSECONDS;
}

static struct pool *check_pool(lua_State *L)
{
  return *(struct pool **)luaL_checkudata(L, 1, POOL);
}

static const char *check_url(lua_State *L, int index)
{
  size_t size;
  const char *url = luaL_checklstring(L, index, &size);
  if (strlen(url) != size) error_usage(L, "px.pool: the URL of a proxy holds a NUL");
  return url;
}

static int add_proxy(lua_State *L)
{
  enum pool_change change = pool_add(check_pool(L), check_url(L, 2));
  if (change == POOL_NO_MEMORY) return luaL_error(L, "not enough memory");
  lua_pushboolean(L, change == POOL_CHANGED);
  return 1;
}

static int remove_proxy(lua_State *L)
{
  lua_pushboolean(L, pool_remove(check_pool(L), check_url(L, 2)));
  return 1;
}

/* Pushes the bytes of a key: a number and a text that look alike are two keys, 1 and 1.0 are one.
 */
static void push_key(lua_State *L, int index)
{
  int type = lua_type(L, index), is_integer;
  if (type != LUA_TSTRING && type != LUA_TNUMBER)
    error_usage(L, "px.pool: the key must be a string or a number, got a %s",
                luaL_typename(L, index));
  lua_pushstring(L, type == LUA_TSTRING ? "s" : "n");
  lua_Integer integer = lua_tointegerx(L, index, &is_integer);
  if (type == LUA_TNUMBER && is_integer)
    lua_pushinteger(L, integer);
  else
    lua_pushvalue(L, index);
  lua_concat(L, 2);
}

static int pick_proxy(lua_State *L)
{
  struct pool *pool = check_pool(L);
  struct pool_query query = {.now = clock_now(), .random = (uint64_t)luaL_checkinteger(L, 3)};
  int last = lua_gettop(L);
  luaL_argcheck(L, last - 3 <= POOL_MAX_TRIED, last, "too many were tried");
  for (int i = 4; i <= last; i++) query.tried[query.tried_count++] = check_url(L, i);
  if (!lua_isnil(L, 2)) {
    push_key(L, 2);
    query.key = lua_tolstring(L, -1, &query.key_size);
  }
  const char *url;
  if (!pool_pick(pool, &query, &url)) return luaL_error(L, "not enough memory");
  lua_pushstring(L, url);
  return 1;
}

static int report_outcome(lua_State *L)
{
  static const char *const names[] = {"worked", "failed", "other", NULL};
  struct pool *pool = check_pool(L);
  const char *url = check_url(L, 2);
  enum pool_outcome outcome = (enum pool_outcome)luaL_checkoption(L, 3, NULL, names);
  double latency = luaL_optnumber(L, 4, -1);
  lua_pushboolean(L, pool_report(pool, url, outcome, latency, clock_now()));
  return 1;
}

static int count_proxies(lua_State *L)
{
  lua_pushinteger(L, (lua_Integer)pool_count(check_pool(L)));
  return 1;
}

struct rows {
  lua_State *L;
  double now;
  lua_Integer count;
};

static void push_row(void *arg, const struct pool_row *row)
{
  struct rows *rows = arg;
  lua_State *L = rows->L;
  lua_createtable(L, 0, 5);
  set_text(L, "url", row->url);
  set_integer(L, "requests", (lua_Integer)row->requests);
  set_integer(L, "failures", (lua_Integer)row->failures);
  if (row->latency >= 0) {
    set_number(L, "latency", row->latency);
  }
  if (row->until > rows->now) {
    set_number(L, "left", row->until - rows->now);
  }
  lua_rawseti(L, -2, ++rows->count);
}

static int list_rows(lua_State *L)
{
  struct rows rows = {.L = L, .now = clock_now()};
  const struct pool *pool = check_pool(L);
  luaL_checkstack(L, 4, NULL);
  lua_createtable(L, (int)pool_count(pool), 0);
  pool_each(pool, push_row, &rows);
  return 1;
}

static int on_pool_gc(lua_State *L)
{
  struct pool **pool = luaL_checkudata(L, 1, POOL);
  pool_free(*pool);
  *pool = NULL;
  return 0;
}

static int new_pool(lua_State *L)
{
  static const char *const strategies[] = {"round_robin", "random", "least_latency", NULL};
  static const luaL_Reg methods[] = {{"add", add_proxy},
                                     {"remove", remove_proxy},
                                     {"pick", pick_proxy},
                                     {"report", report_outcome},
                                     {"count", count_proxies},
                                     {"rows", list_rows},
                                     {NULL, NULL}};
  enum pool_strategy strategy = (enum pool_strategy)luaL_checkoption(L, 1, NULL, strategies);
  double quarantine = luaL_checknumber(L, 2);
  struct pool **pool = box_push(L, sizeof *pool, POOL, on_pool_gc, methods);
  *pool = pool_new(strategy, quarantine);
  if (!*pool) return luaL_error(L, "not enough memory");
  return 1;
}

void pool_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"new", new_pool}, {NULL, NULL}};
  luaL_newlib(L, functions);
}
