/* What a proxy of the API gets besides its fields. */
#include <lauxlib.h>
#include <string.h>

#include "base/text.h"
#include "bind/record/push.h"

static void add_encoded(luaL_Buffer *url, const char *text, size_t size, const char *plain)
{
  char *end = luaL_prepbuffsize(url, 3 * size);
  luaL_addsize(url, (size_t)(text_put_percent(end, text, size, plain) - end));
}

/* Texts of the record, which keeps them alive; "" when absent. */
struct proxy {
  const char *host, *username, *password, *protocol;
  size_t host_size, username_size, password_size;
  lua_Integer port; /* 0: none, -1: not a port */
};

static const char *text_of(lua_State *L, const char *name, int record, size_t *size)
{
  lua_pushstring(L, name);
  const char *text = "";
  *size = 0;
  if (lua_rawget(L, record) == LUA_TSTRING) text = lua_tolstring(L, -1, size);
  lua_pop(L, 1);
  return text;
}

static void read_proxy(lua_State *L, int record, struct proxy *proxy)
{
  size_t size;
  proxy->host = text_of(L, "host", record, &proxy->host_size);
  proxy->username = text_of(L, "username", record, &proxy->username_size);
  proxy->password = text_of(L, "password", record, &proxy->password_size);
  proxy->protocol = text_of(L, "protocol", record, &size);
  lua_pushliteral(L, "port");
  int type = lua_rawget(L, record);
  proxy->port = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : type == LUA_TNIL ? 0 : -1;
  lua_pop(L, 1);
}

/* The protocol as a URL's scheme: in small letters, "http" if it is not one ("HTTP/SOCKS5"). */
static void add_scheme(luaL_Buffer *url, const char *protocol)
{
  bool plain = *protocol != '\0';
  for (const char *c = protocol; *c && plain; c++)
    plain = (*c | 0x20) >= 'a' ? (*c | 0x20) <= 'z' : *c >= '0' && *c <= '9';
  for (const char *c = plain ? protocol : "http"; *c; c++)
    luaL_addchar(url, *c >= 'A' && *c <= 'Z' ? *c | 0x20 : *c);
  luaL_addstring(url, "://");
}

static void push_url(lua_State *L, const struct proxy *proxy)
{
  luaL_Buffer url;
  luaL_buffinit(L, &url);
  add_scheme(&url, proxy->protocol);
  if (proxy->username_size > 0 || proxy->password_size > 0) {
    add_encoded(&url, proxy->username, proxy->username_size, "");
    if (proxy->password_size > 0) luaL_addchar(&url, ':');
    add_encoded(&url, proxy->password, proxy->password_size, "");
    luaL_addchar(&url, '@');
  }
  bool bare_ipv6 = *proxy->host != '[' && memchr(proxy->host, ':', proxy->host_size);
  if (bare_ipv6) luaL_addchar(&url, '[');
  add_encoded(&url, proxy->host, proxy->host_size, "[:]");
  if (bare_ipv6) luaL_addchar(&url, ']');
  if (proxy->port > 0) {
    lua_pushfstring(L, ":%I", (LUAI_UACINT)proxy->port);
    luaL_addvalue(&url);
  }
  luaL_pushresult(&url);
}

void record_complete_proxy(lua_State *L, int record)
{
  struct proxy proxy;
  read_proxy(L, record, &proxy);
  if (!*proxy.protocol) {
    lua_pushliteral(L, "protocol");
    lua_pushliteral(L, "http");
    lua_rawset(L, record);
  }
  if (!*proxy.host || proxy.port < 0 || proxy.port > 65535) return;
  lua_pushliteral(L, "url");
  push_url(L, &proxy);
  lua_rawset(L, record);
}
