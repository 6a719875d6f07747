#include "bind/text.h"

#include <lauxlib.h>
#include <locale.h>
#include <string.h>
#include <wchar.h>

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

/* In a locale of its own: what a terminal shows does not depend on the one that the program was started in. */
static size_t measure_utf8(const char *text, size_t size, lua_Integer *columns)
{
  locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
  locale_t before = locale ? uselocale(locale) : NULL;
  size_t fitting = measure(text, size, columns);
  if (locale) {
    uselocale(before);
    freelocale(locale);
  }
  return fitting;
}

static int width(lua_State *L)
{
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  lua_Integer columns = LUA_MAXINTEGER - 2;
  if (is_ascii(text, size))
    columns = (lua_Integer)size;
  else
    measure_utf8(text, size, &columns);
  lua_pushinteger(L, columns);
  return 1;
}

static int prefix(lua_State *L)
{
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  lua_Integer columns = luaL_checkinteger(L, 2);
  lua_pushlstring(L, text, columns >= 0 ? measure_utf8(text, size, &columns) : 0);
  return 1;
}

void text_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"width", width}, {"prefix", prefix}, {NULL, NULL}};
  luaL_newlib(L, functions);
}
