#include "bind/response.h"

#include <lauxlib.h>
#include <string.h>

#include "bind/json.h"

#define RESPONSE "proxylua.response"

/* The table of header lines, names in lower case, repeated ones joined by ", ". */
static void push_headers(lua_State *L, const char *head)
{
  lua_newtable(L);
  for (const char *line = head; *line;) {
    size_t size = strcspn(line, "\r\n");
    const char *colon = memchr(line, ':', size);
    if (colon) {
      luaL_Buffer name;
      luaL_buffinit(L, &name);
      for (const char *c = line; c < colon; c++) luaL_addchar(&name, *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c);
      luaL_pushresult(&name);
      const char *value = colon + 1, *end = line + size;
      while (value < end && (*value == ' ' || *value == '\t')) value++;
      while (end > value && (end[-1] == ' ' || end[-1] == '\t')) end--;
      lua_pushvalue(L, -1);
      if (lua_rawget(L, -3) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_pushlstring(L, value, (size_t)(end - value));
      } else {
        lua_pushliteral(L, ", ");
        lua_pushlstring(L, value, (size_t)(end - value));
        lua_concat(L, 3);
      }
      lua_rawset(L, -3);
    }
    line += size;
    line += strspn(line, "\r\n");
  }
}

static int response_json(lua_State *L)
{
  size_t size;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_getfield(L, 1, "body");
  const char *text = luaL_checklstring(L, -1, &size);
  json_decode(L, text, size);
  return 1;
}

static int response_index(lua_State *L)
{
  const char *name = luaL_checkstring(L, 2);
  if (strcmp(name, "headers") == 0) {
    lua_getfield(L, 1, "head");
    push_headers(L, luaL_optstring(L, -1, ""));
    lua_pushvalue(L, -1);
    lua_setfield(L, 1, "headers");
  } else if (strcmp(name, "json") == 0) {
    lua_pushcfunction(L, response_json);
  } else if (strcmp(name, "ok") == 0) {
    lua_getfield(L, 1, "status");
    lua_pushboolean(L, lua_tointeger(L, -1) / 100 == 2);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

static void set_number(lua_State *L, const char *name, double value)
{
  lua_pushnumber(L, value);
  lua_setfield(L, -2, name);
}

void response_push(lua_State *L, const struct http_exchange *x)
{
  lua_createtable(L, 0, 6);
  lua_pushinteger(L, x->status);
  lua_setfield(L, -2, "status");
  lua_pushlstring(L, x->body.data ? x->body.data : "", x->body.size);
  lua_setfield(L, -2, "body");
  lua_pushlstring(L, x->head.data ? x->head.data : "", x->head.size);
  lua_setfield(L, -2, "head");
  set_number(L, "time", (double)http_time(x, CURLINFO_TOTAL_TIME_T) / 1e6);
  set_number(L, "connect_time", (double)http_time(x, CURLINFO_CONNECT_TIME_T) / 1e6);
  if (luaL_newmetatable(L, RESPONSE)) {
    lua_pushcfunction(L, response_index);
    lua_setfield(L, -2, "__index");
  }
  lua_setmetatable(L, -2);
}
