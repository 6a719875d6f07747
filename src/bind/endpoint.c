#include "bind/modules.h"

#include <lauxlib.h>

#include "api/endpoint.h"
#include "bind/error.h"
#include "bind/push.h"

static void set_names(lua_State *L, const char *name, const char *const *list)
{
  lua_newtable(L);
  for (lua_Integer i = 1; *list; list++, i++) {
    lua_pushstring(L, *list);
    lua_rawseti(L, -2, i);
  }
  lua_setfield(L, -2, name);
}

static void push_param(lua_State *L, const struct endpoint_param *param)
{
  static const char *const types[] = {[PARAM_TEXT] = "text", [PARAM_INTEGER] = "integer"};
  static const char *const places[] =
      {[PARAM_PATH] = "path", [PARAM_QUERY] = "query", [PARAM_BODY] = "body"};
  lua_createtable(L, 0, 8);
  set_text(L, "name", param->name);
  set_text(L, "type", types[param->type]);
  set_text(L, "where", places[param->place]);
  set_text(L, "summary", param->summary);
  set_flag(L, "required", param->required);
  if (param->min != 0) set_integer(L, "min", param->min);
  if (param->max != 0) set_integer(L, "max", param->max);
  if (param->values) set_names(L, "values", param->values);
}

/* Sets the list of the canonical fields of its records: name, type. */
static void set_fields(lua_State *L, enum record_kind kind)
{
  static const char *const types[] =
      {[RECORD_TEXT] = "text",       [RECORD_ID] = "text",     [RECORD_EXACT] = "text",
       [RECORD_INTEGER] = "integer", [RECORD_MONEY] = "money", [RECORD_TIME] = "time",
       [RECORD_ANY] = "any"};
  const struct record_field *fields = record_fields(kind);
  lua_newtable(L);
  for (int i = 0; fields[i].name; i++) {
    lua_createtable(L, 0, 2);
    set_text(L, "name", fields[i].name);
    set_text(L, "type", types[fields[i].type]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "fields");
}

static void push_row(lua_State *L, const struct endpoint *endpoint)
{
  lua_createtable(L, 0, 12);
  set_text(L, "name", endpoint->name);
  set_text(L, "method", endpoint->method);
  set_text(L, "path", endpoint->path);
  set_text(L, "class", endpoint_class_name(endpoint->kind));
  set_text(L, "summary", endpoint->summary);
  if (endpoint->record != RECORD_NONE) set_text(L, "record", record_kind_name(endpoint->record));
  set_fields(L, endpoint->record);
  set_flag(L, "list", endpoint->list);
  set_flag(L, "paged", endpoint->paged);
  set_flag(L, "text", endpoint->text);
  set_names(L, "options", endpoint->options);
  lua_newtable(L);
  for (int i = 0; endpoint->params[i].name; i++) {
    push_param(L, &endpoint->params[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "params");
}

static int rows(lua_State *L)
{
  lua_newtable(L);
  for (int i = 0; endpoint_table()[i].name; i++) {
    push_row(L, &endpoint_table()[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* check_path(text): the path and its query, nil without one; raises what is wrong with it. */
static int check_path(lua_State *L)
{
  size_t size, path_size;
  const char *text = luaL_checklstring(L, 1, &size);
  struct error err = ERROR_INIT;
  if (!endpoint_check_path(text, size, &path_size, &err)) return error_raise(L, &err);
  lua_pushlstring(L, text, path_size);
  if (path_size == size) return 1;
  lua_pushlstring(L, text + path_size + 1, size - path_size - 1);
  return 2;
}

static int match(lua_State *L)
{
  const struct endpoint *endpoint = endpoint_match(luaL_checkstring(L, 1), luaL_checkstring(L, 2));
  lua_pushstring(L, endpoint ? endpoint->name : NULL);
  return 1;
}

static int path_of(lua_State *L)
{
  const struct endpoint *endpoint = endpoint_find(luaL_checkstring(L, 1));
  if (!endpoint) return error_usage(L, "there is no endpoint %s", lua_tostring(L, 1));
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_getfield(L, 2, "id");
  struct endpoint_value values[] = {{lua_isstring(L, -1) ? "id" : NULL, lua_tostring(L, -1)},
                                    {NULL, NULL}};
  struct buffer path = {0};
  struct error err = ERROR_INIT;
  bool good = endpoint_path(endpoint, values, &path, &err);
  lua_pushlstring(L, path.data ? path.data : "", path.size);
  buffer_free(&path);
  return good ? 1 : error_raise(L, &err);
}

static int nearest(lua_State *L)
{
  lua_pushstring(L, endpoint_name_nearest(luaL_checkstring(L, 1)));
  return 1;
}

void endpoint_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"check_path", check_path},
                                       {"match", match},
                                       {"path", path_of},
                                       {"nearest", nearest},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, rows);
  lua_setfield(L, -2, "__call");
  lua_setmetatable(L, -2);
}
