#include "bind/endpoint.h"

#include <lauxlib.h>

#include "core/endpoint.h"

static void set_text(lua_State *L, const char *name, const char *text)
{
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

static void set_flag(lua_State *L, const char *name, bool value)
{
  lua_pushboolean(L, value);
  lua_setfield(L, -2, name);
}

static void set_integer(lua_State *L, const char *name, lua_Integer value)
{
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

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
  static const char *const places[] = {[PARAM_PATH] = "path", [PARAM_QUERY] = "query", [PARAM_BODY] = "body"};
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

static void push_row(lua_State *L, const struct endpoint *endpoint)
{
  lua_createtable(L, 0, 11);
  set_text(L, "name", endpoint->name);
  set_text(L, "method", endpoint->method);
  set_text(L, "path", endpoint->path);
  set_text(L, "class", endpoint_class_name(endpoint->kind));
  set_text(L, "summary", endpoint->summary);
  if (endpoint->record != RECORD_NONE) set_text(L, "record", record_kind_name(endpoint->record));
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

static int endpoints(lua_State *L)
{
  lua_newtable(L);
  for (int i = 0; endpoint_table()[i].name; i++) {
    push_row(L, &endpoint_table()[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

void endpoint_open(lua_State *L)
{
  lua_pushcfunction(L, endpoints);
}
