#include "bind/params.h"

#include <lauxlib.h>
#include <string.h>

#include "base/buffer.h"
#include "bind/args.h"
#include "bind/error.h"
#include "bind/money.h"

#define MAX_PARAMS 8 /* of an endpoint */

static double seconds_option(lua_State *L, int index, const char *caller, const char *name,
                             double absent)
{
  double value = absent;
  if (lua_getfield(L, index, name) != LUA_TNIL) {
    if (!seconds_to(L, -1, &value) || !(value >= 0 && value <= 1e6))
      error_usage(L,
                  "%s: %s must be seconds from 0 to 1000000, or a text with a unit such as "
                  "\"5s\"; got %s",
                  caller, name, luaL_tolstring(L, -1, NULL));
  }
  lua_pop(L, 1);
  return value;
}

/* Leaves the key on the stack, where it is borrowed from. */
static void read_key(lua_State *L, int index, const char *caller, struct params *params)
{
  size_t size = 0;
  if (lua_getfield(L, index, "key") == LUA_TNIL) return;
  struct error err = ERROR_INIT;
  params->key = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &size) : "";
  if (!endpoint_check_key(caller, params->key, size, &err)) error_raise(L, &err);
}

static void read_max_price(lua_State *L, int index, const char *caller, struct params *params)
{
  if (lua_getfield(L, index, "max_price") != LUA_TNIL) {
    params->has_max_price = true;
    params->max_price = money_option(L, lua_gettop(L), caller, "max_price");
    if (params->max_price < 0) error_usage(L, "%s: max_price cannot be negative", caller);
  }
  lua_pop(L, 1);
}

void params_read_options(lua_State *L, int index, const char *caller,
                         struct client_request *request, struct params *params)
{
  request->timeout = seconds_option(L, index, caller, "timeout", 0);
  request->max_wait = seconds_option(L, index, caller, "max_wait", -1);
  read_key(L, index, caller, params);
  read_max_price(L, index, caller, params);
}

static money budget_field(lua_State *L, int index, const char *name)
{
  lua_getfield(L, index, name);
  money amount = money_to(L, lua_gettop(L));
  lua_pop(L, 1);
  return amount > 0 ? amount : 0;
}

void params_read_budget(lua_State *L, int index, struct params *params)
{
  if (lua_isnoneornil(L, index)) return;
  luaL_checktype(L, index, LUA_TTABLE);
  lua_getfield(L, index, "prefix");
  size_t size;
  const char *prefix = luaL_checklstring(L, -1, &size);
  if (size == 0 || !params->key || strncmp(params->key, prefix, size) != 0)
    error_usage(L, "the key of a charge within a budget must begin with the budget's prefix");
  lua_pop(L, 1);
  params->budget = (struct journal_budget){.prefix = size,
                                           .per_run = budget_field(L, index, "per_run"),
                                           .per_day = budget_field(L, index, "per_day")};
}

static void check_names(lua_State *L, int index, const struct endpoint *endpoint)
{
  struct error err = ERROR_INIT;
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      error_usage(L, "%s takes named parameters, got a value at [%s]", endpoint->name,
                  luaL_tolstring(L, -2, NULL));
    const char *name = lua_tostring(L, -2);
    bool known = endpoint_param_find(endpoint, name) != NULL;
    for (int i = 0; !known && endpoint->options[i]; i++)
      known = strcmp(endpoint->options[i], name) == 0;
    if (known) continue;
    endpoint_unknown(endpoint, name, &err);
    error_raise(L, &err);
  }
}

static void wrong_type(lua_State *L, const struct endpoint *endpoint,
                       const struct endpoint_param *param)
{
  struct error err = ERROR_INIT;
  const char *given = lua_isnumber(L, -1) || lua_isboolean(L, -1)
                          ? luaL_tolstring(L, -1, NULL)
                          : lua_pushfstring(L, "a %s", luaL_typename(L, -1));
  endpoint_wrong_type(endpoint, param, given, &err);
  error_raise(L, &err);
}

/* Replaces the value on top by its text as a URL or, for an integer, JSON has it. */
static void check_value(lua_State *L, const struct endpoint *endpoint,
                        const struct endpoint_param *param)
{
  struct error err = ERROR_INIT;
  int fits, type = lua_type(L, -1);
  if (param->type == PARAM_INTEGER) {
    lua_Integer value =
        type == LUA_TNUMBER || type == LUA_TSTRING ? lua_tointegerx(L, -1, &fits) : (fits = 0);
    if (!fits) wrong_type(L, endpoint, param);
    if (!endpoint_check_integer(endpoint, param, value, &err)) error_raise(L, &err);
    lua_pop(L, 1);
    lua_pushinteger(L, value);
    lua_tostring(L, -1);
    return;
  }
  if (type != LUA_TSTRING && !(param->place == PARAM_PATH && lua_isinteger(L, -1)))
    wrong_type(L, endpoint, param);
  lua_tostring(L, -1);
  if (!endpoint_check_text(endpoint, param, lua_tostring(L, -1), lua_rawlen(L, -1), &err))
    error_raise(L, &err);
}

/* Checks all values first and leaves their texts on the stack from `first` on, nil where absent:
 * nothing is allocated outside of Lua before the last check that can raise. */
static void check_values(lua_State *L, int index, const struct endpoint *endpoint)
{
  struct error err = ERROR_INIT;
  for (const struct endpoint_param *param = endpoint->params; param->name; param++) {
    if (lua_getfield(L, index, param->name) != LUA_TNIL) {
      check_value(L, endpoint, param);
    } else if (param->required) {
      endpoint_missing(endpoint, param, &err);
      error_raise(L, &err);
    }
  }
}

static bool build(lua_State *L, int first, const struct endpoint *endpoint,
                  struct endpoint_request *built, struct error *err)
{
  for (const struct endpoint_param *param = endpoint->params; param->name; param++, first++) {
    size_t size;
    const char *value = lua_tolstring(L, first, &size);
    if (value && !endpoint_add(built, param, value, size, err)) return false;
  }
  return endpoint_finish(built, endpoint, err);
}

/* Moves a part to the Lua stack. */
static const char *keep(lua_State *L, struct buffer *part)
{
  const char *text = part->size > 0 ? lua_pushlstring(L, part->data, part->size) : NULL;
  buffer_free(part);
  return text;
}

static int64_t integer_at(lua_State *L, int index, const char *name, int64_t absent)
{
  lua_getfield(L, index, name);
  int64_t value = lua_isnil(L, -1) ? absent : lua_tointeger(L, -1);
  lua_pop(L, 1);
  return value;
}

/* The server may not say which page it sent. The defaults are the API's. */
static void read_page(lua_State *L, int index, struct params *params)
{
  params->page = integer_at(L, index, "page", 1);
  params->limit = integer_at(L, index, "limit", 20);
}

void params_read(lua_State *L, int index, const struct endpoint *endpoint,
                 struct client_request *request, struct params *params)
{
  struct error err = ERROR_INIT;
  struct endpoint_request built = {0};
  luaL_checkstack(L, MAX_PARAMS + 16, NULL);
  if (!lua_istable(L, index))
    error_usage(L, "%s takes a table of parameters, not a %s", endpoint->name,
                luaL_typename(L, index));
  check_names(L, index, endpoint);
  params_read_options(L, index, endpoint->name, request, params);
  if (endpoint->text && lua_getfield(L, index, "path") != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TSTRING)
      error_usage(L, "%s: path is the name of a file", endpoint->name);
    request->save_as = lua_tostring(L, -1);
  }
  int first = lua_gettop(L) + 1;
  check_values(L, index, endpoint);
  if (endpoint->paged) read_page(L, index, params);
  bool ok = build(L, first, endpoint, &built, &err);
  request->body_size = built.body.size;
  request->path = keep(L, &built.path);
  request->query = keep(L, &built.query);
  request->body = keep(L, &built.body);
  if (!ok) error_raise(L, &err);
}
