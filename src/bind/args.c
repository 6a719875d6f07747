/* What Lua code gives to many functions alike. */
#include "bind/args.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

#include "api/endpoint.h"
#include "base/datetime.h"
#include "bind/error.h"

static bool is_among(const char *name, const char *const *known)
{
  while (*known && strcmp(*known, name) != 0) known++;
  return *known;
}

static void refuse(lua_State *L, const char *caller, const char *name, const char *const *known)
{
  const char *near = endpoint_nearest(name, known);
  lua_pushstring(L, *known);
  while (*++known) {
    lua_pushfstring(L, "%s, %s", lua_tostring(L, -1), *known);
    lua_remove(L, -2);
  }
  error_usage(L, "%s: unknown option %s%s%s; known are %s", caller, name,
              near ? ", did you mean " : "", near ? near : "", lua_tostring(L, -1));
}

void options_check(lua_State *L, int index, const char *caller, const char *const *known)
{
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : luaL_typename(L, -2);
    if (!is_among(name, known)) refuse(L, caller, name, known);
  }
}

static void add_encoded(luaL_Buffer *out, const char *text, size_t size)
{
  static const char hex[] = "0123456789ABCDEF";
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)text[i];
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
        (c && strchr("-._~", c))) {
      luaL_addchar(out, (char)c);
    } else {
      luaL_addchar(out, '%');
      luaL_addchar(out, hex[c >> 4]);
      luaL_addchar(out, hex[c & 15]);
    }
  }
}

/* Stack: name, value -> name, value, "name=value". */
static void push_field(lua_State *L)
{
  size_t name_size, value_size;
  int type = lua_type(L, -1);
  if (lua_type(L, -2) != LUA_TSTRING ||
      (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN))
    error_usage(L, "a query is a table of names and of strings, numbers or booleans");
  const char *value = luaL_tolstring(L, -1, &value_size);
  const char *name = lua_tolstring(L, -3, &name_size);
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  add_encoded(&out, name, name_size);
  luaL_addchar(&out, '=');
  add_encoded(&out, value, value_size);
  luaL_pushresult(&out);
  lua_remove(L, -2);
}

void query_push(lua_State *L, int index)
{
  index = lua_absindex(L, index);
  if (!lua_istable(L, index))
    error_usage(L, "a query is a table of names and values, not a %s", luaL_typename(L, index));
  luaL_checkstack(L, 8, NULL);
  lua_pushliteral(L, "");
  for (lua_pushnil(L); lua_next(L, index);) {
    push_field(L);
    lua_replace(L, -2); /* query, name, field */
    bool first = lua_rawlen(L, -3) == 0;
    lua_pushfstring(L, "%s%s%s", lua_tostring(L, -3), first ? "" : "&", lua_tostring(L, -1));
    lua_replace(L, -4);
    lua_pop(L, 1);
  }
}

const char *path_check(lua_State *L, int index)
{
  size_t size;
  const char *path = luaL_checklstring(L, index, &size);
  if (strlen(path) != size) error_usage(L, "a path cannot hold a NUL");
  return path;
}

bool seconds_to(lua_State *L, int index, double *seconds)
{
  size_t size;
  int type = lua_type(L, index);
  if (type == LUA_TNUMBER) *seconds = lua_tonumber(L, index);
  if (type != LUA_TSTRING) return type == LUA_TNUMBER;
  const char *text = lua_tolstring(L, index, &size);
  return strlen(text) == size && duration_parse(text, seconds);
}

size_t list_length(lua_State *L, int index, size_t most)
{
  luaL_checktype(L, index, LUA_TTABLE);
  lua_Unsigned count = lua_rawlen(L, index);
  if (count > most) error_usage(L, "a list has more than %zu items", most);
  return (size_t)count;
}
