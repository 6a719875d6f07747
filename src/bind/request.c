#include "bind/request.h"

#include <lauxlib.h>
#include <string.h>

#include "bind/door.h"
#include "bind/engine.h"
#include "bind/error.h"
#include "bind/json.h"
#include "bind/options.h"
#include "bind/query.h"

static const char *text_option(lua_State *L, int index, const char *name, bool required)
{
  int type = lua_getfield(L, index, name);
  if (type == LUA_TSTRING) return lua_tostring(L, -1);
  if (type != LUA_TNIL || required) error_usage(L, "px.request: %s is a text, not a %s", name, lua_typename(L, type));
  return NULL;
}

/* Pushes the normalised path; answers its query. */
static const char *push_path(lua_State *L, const char *text)
{
  struct buffer path = {0};
  struct error err = ERROR_INIT;
  const char *query = NULL;
  bool good = endpoint_normalise(text, strlen(text), &path, &query, &err);
  lua_pushlstring(L, path.data ? path.data : "", path.size);
  buffer_free(&path);
  if (!good) error_raise(L, &err);
  return query;
}

static void read_query(lua_State *L, const char *in_path, struct client_request *request)
{
  request->query = in_path;
  if (lua_getfield(L, 1, "query") == LUA_TNIL) return;
  query_push(L, lua_gettop(L));
  if (in_path) {
    lua_pushfstring(L, "%s&%s", in_path, lua_tostring(L, -1));
    lua_replace(L, -2);
  }
  request->query = lua_tostring(L, -1);
}

/* A path that the table does not know: a GET is safe; anything else says with max_price what it may cost. */
static void judge_unknown(lua_State *L, struct client_request *request, const struct params *params)
{
  bool reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
  request->kind = reads ? ENDPOINT_SAFE : ENDPOINT_ONCE;
  if (reads) return;
  if (!params->has_max_price)
    error_usage(
        L,
        "px.request: %s %s is not in the table of endpoints, so it might charge: say with max_price what it may "
        "cost at most (0: it charges nothing)",
        request->method, request->path);
  if (params->max_price > 0) request->kind = ENDPOINT_CHARGE;
}

/* --- a path that charges: the same checks as by name, and a body built from what was checked --- */

static void copy_fields(lua_State *L, int from, int to)
{
  for (lua_pushnil(L); lua_next(L, from);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, to);
  }
}

/* Adds the values of the ":name"s that the path holds. */
static void add_path_values(lua_State *L, const char *path, const struct endpoint *endpoint, int to)
{
  for (const char *row = endpoint->path; *row; row++, path++) {
    size_t size = strcspn(row + 1, "/"), given = strcspn(path + 1, "/");
    if (row[1] == ':') {
      if (memchr(path + 1, '%', given))
        error_usage(L, "px.request: the id in %s is none; call %s", path, endpoint->name);
      lua_pushlstring(L, row + 2, size - 1);
      lua_pushlstring(L, path + 1, given);
      lua_rawset(L, to);
    }
    row += size;
    path += given;
  }
}

static int send_charge(lua_State *L, const char *path, const char *query, const struct endpoint *endpoint)
{
  static const char *const options[] = {"key", "max_price", "timeout", "max_wait"};
  if (query || lua_getfield(L, 1, "query") != LUA_TNIL)
    return error_usage(L, "px.request: %s takes no query; its parameters go into json", endpoint->name);
  lua_newtable(L);
  int to = lua_gettop(L);
  int type = lua_getfield(L, 1, "json");
  if (type != LUA_TTABLE && type != LUA_TNIL)
    return error_usage(L, "px.request: json is a table for %s", endpoint->name);
  if (type == LUA_TTABLE) copy_fields(L, to + 1, to);
  for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
    lua_getfield(L, 1, options[i]);
    lua_setfield(L, to, options[i]);
  }
  add_path_values(L, path, endpoint, to);
  return door_call(L, endpoint, to, 0);
}

/* request{method=, path=, query=, json=, …}: what the table does not know, through the same door and the same rules. */
int request_send(lua_State *L)
{
  if (!lua_istable(L, 1)) return error_usage(L, "px.request takes a table, not a %s", luaL_typename(L, 1));
  lua_settop(L, 1);
  luaL_checkstack(L, 20, NULL);
  static const char *const known[] = {"method",    "path",    "query",    "json", "key",
                                      "max_price", "timeout", "max_wait", NULL};
  options_check(L, 1, "px.request", known);
  struct client_request request = {.max_wait = -1};
  struct params params = {0};
  const char *method = text_option(L, 1, "method", false);
  lua_pushstring(L, method ? method : "GET");
  request.method = lua_tostring(L, -1);
  if (!*request.method || strspn(request.method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(request.method))
    return error_usage(L, "px.request: method is a word in capitals such as GET");
  const char *query = push_path(L, text_option(L, 1, "path", true));
  request.path = lua_tostring(L, -1);
  const struct endpoint *endpoint = endpoint_match(request.method, request.path);
  if (endpoint && endpoint->kind == ENDPOINT_CHARGE) return send_charge(L, request.path, query, endpoint);
  read_query(L, query, &request);
  if (lua_getfield(L, 1, "json") != LUA_TNIL) {
    json_encode(L, lua_gettop(L));
    request.body = lua_tolstring(L, -1, &request.body_size);
  }
  params_read_options(L, 1, "px.request", &request, &params);
  if (endpoint) {
    const char *as_given = request.method;
    door_fill(&request, endpoint);
    request.method = as_given;
  } else {
    judge_unknown(L, &request, &params);
  }
  engine_use(L);
  return door_visit(L, &request, &params);
}
