#include "bind/quote.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

/* For whole alphabets one look-up a byte: no locale, no calls. */
#define IS_PLAIN(c)                                                                                        \
  (((c) >= 'a' && (c) <= 'z') || ((c) >= 'A' && (c) <= 'Z') || ((c) >= '0' && (c) <= '9') || (c) == '-' || \
   (c) == '.' || (c) == '_' || (c) == '~')

static int percent(lua_State *L)
{
  static const char hex[] = "0123456789ABCDEF";
  size_t size, at = 0;
  const char *text = luaL_checklstring(L, 1, &size);
  while (at < size && IS_PLAIN(text[at])) at++;
  lua_settop(L, 1);
  if (at == size) return 1; /* the text itself */
  luaL_Buffer out;
  char *to = luaL_buffinitsize(L, &out, size * 3), *begin = to;
  for (at = 0; at < size; at++) {
    unsigned char c = (unsigned char)text[at];
    if (IS_PLAIN(c)) {
      *to++ = (char)c;
    } else {
      *to++ = '%';
      *to++ = hex[c >> 4];
      *to++ = hex[c & 15];
    }
  }
  luaL_pushresultsize(&out, (size_t)(to - begin));
  return 1;
}

/* Writes the escape of a byte; answers how many bytes it took. */
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
  static const luaL_Reg functions[] = {{"percent", percent}, {"json", json}, {NULL, NULL}};
  luaL_newlib(L, functions);
}
