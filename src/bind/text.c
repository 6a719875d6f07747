#include <lauxlib.h>
#include <locale.h>
#include <stdbool.h>
#include <string.h>
#include <wchar.h>

#include "api/proxy_url.h"
#include "base/text.h"
#include "bind/box.h"
#include "bind/modules.h"

#define LOCALE "proxylua.locale"

/* The columns of the character at a place, and its bytes. */
static int character(const char *text, size_t left, size_t *size)
{
  wchar_t wide;
  mbstate_t state = {0};
  *size = mbrtowc(&wide, text, left, &state);
  if (*size == 0 || *size > left) {
    *size = 1;
    return 1;
  }
  int width = wcwidth(wide);
  return width < 0 ? 1 : width;
}

/* How many bytes of a text go into so many columns, which are replaced by those that they need. */
static size_t measure(const char *text, size_t size, lua_Integer *columns)
{
  lua_Integer used = 0;
  size_t at = 0, step;
  for (; at < size; at += step) {
    int width = character(text + at, size - at, &step);
    if (used + width > *columns) break;
    used += width;
  }
  *columns = used;
  return at;
}

static int is_ascii(const char *text, size_t size)
{
  size_t at = 0;
  while (at < size && (unsigned char)text[at] < 0x80) at++;
  return at == size;
}

/* The locale is upvalue 1, of its own: what a terminal shows does not depend on the one that the
 * program was started in. */
static size_t measure_utf8(lua_State *L, const char *text, size_t size, lua_Integer *columns)
{
  locale_t locale = *(locale_t *)lua_touserdata(L, lua_upvalueindex(1));
  locale_t before = locale ? uselocale(locale) : NULL;
  size_t fitting = measure(text, size, columns);
  if (locale) uselocale(before);
  return fitting;
}

static int free_locale(lua_State *L)
{
  locale_t *locale = luaL_checkudata(L, 1, LOCALE);
  if (*locale) freelocale(*locale);
  *locale = NULL;
  return 0;
}

static void push_locale(lua_State *L)
{
  locale_t *locale = box_push(L, sizeof *locale, LOCALE, free_locale, NULL);
  *locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
}

static int width(lua_State *L)
{
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  lua_Integer columns = LUA_MAXINTEGER - 2;
  if (is_ascii(text, size))
    columns = (lua_Integer)size;
  else
    measure_utf8(L, text, size, &columns);
  lua_pushinteger(L, columns);
  return 1;
}

static int prefix(lua_State *L)
{
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  lua_Integer columns = luaL_checkinteger(L, 2);
  lua_pushlstring(L, text, columns >= 0 ? measure_utf8(L, text, size, &columns) : 0);
  return 1;
}

void text_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"width", width}, {"prefix", prefix}, {NULL, NULL}};
  luaL_newlibtable(L, functions);
  push_locale(L);
  luaL_setfuncs(L, functions, 1);
}

static int percent(lua_State *L)
{
  size_t size, at = 0;
  const char *text = luaL_checklstring(L, 1, &size);
  while (at < size && text_is_unreserved(text[at])) at++;
  lua_settop(L, 1);
  if (at == size) return 1; /* the text itself */
  luaL_Buffer out;
  char *begin = luaL_buffinitsize(L, &out, size * 3);
  luaL_pushresultsize(&out, (size_t)(text_put_percent(begin, text, size, "") - begin));
  return 1;
}

/* A % that two digits do not follow stands for itself. */
static int unpercent(lua_State *L)
{
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  lua_settop(L, 1);
  if (!memchr(text, '%', size)) return 1; /* the text itself */
  luaL_Buffer out;
  char *begin = luaL_buffinitsize(L, &out, size), *to = begin;
  for (size_t at = 0; at < size; at++) {
    int high = text[at] == '%' && size - at > 2 ? text_hex_digit(text[at + 1]) : -1;
    int low = high >= 0 ? text_hex_digit(text[at + 2]) : -1;
    *to++ = low >= 0 ? (char)(high << 4 | low) : text[at];
    if (low >= 0) at += 2;
  }
  luaL_pushresultsize(&out, (size_t)(to - begin));
  return 1;
}

/* url(protocol, user, password, host, port): the URL of a proxy, whose host stands as in a URL. */
static int proxy_url(lua_State *L)
{
  struct proxy_url url = {.host_encoded = true, .port = luaL_checkinteger(L, 5)};
  url.protocol.text = luaL_checklstring(L, 1, &url.protocol.size);
  url.username.text = luaL_checklstring(L, 2, &url.username.size);
  url.password.text = luaL_checklstring(L, 3, &url.password.size);
  url.host.text = luaL_checklstring(L, 4, &url.host.size);
  luaL_Buffer out;
  char *begin = luaL_buffinitsize(L, &out, proxy_url_most(&url));
  luaL_pushresultsize(&out, (size_t)(proxy_url_put(begin, &url) - begin));
  return 1;
}

/* Writes the escape of a byte; returns its length. */
static size_t escape(char *to, unsigned char c)
{
  static const char hex[] = "0123456789abcdef";
  static const char names[] = "\"\\\n\r\t", letters[] = "\"\\nrt";
  const char *name = c ? strchr(names, c) : NULL;
  to[0] = '\\';
  to[1] = name ? letters[name - names] : 'u';
  if (name) return 2;
  to[2] = to[3] = '0';
  to[4] = hex[c >> 4];
  to[5] = hex[c & 15];
  return 6;
}

static int json(lua_State *L)
{
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  luaL_Buffer out;
  char *to = luaL_buffinitsize(L, &out, size * 6 + 2), *begin = to;
  *to++ = '"';
  for (size_t at = 0; at < size; at++) {
    unsigned char c = (unsigned char)text[at];
    if (c >= 0x80) return 0;
    if (c < 0x20 || c == '"' || c == '\\' || c == 0x7F)
      to += escape(to, c);
    else
      *to++ = (char)c;
  }
  *to++ = '"';
  luaL_pushresultsize(&out, (size_t)(to - begin));
  return 1;
}

void quote_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"percent", percent},
                                       {"unpercent", unpercent},
                                       {"json", json},
                                       {"url", proxy_url},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
}
