#include "bind/box.h"
#include "bind/modules.h"

#include <curl/curl.h>
#include <lauxlib.h>
#include <string.h>

#include "bind/args.h"
#include "bind/error.h"
#include "net/curl_library.h"
#include "plugin/confine.h"

#define MAX_HIDDEN 1000
#define READER "proxylua.confined"

/* Arguments: folder, path in it, list of real paths that are hidden. The texts stay where they are.
 */
static void read_place(lua_State *L, struct confined_path *where,
                       const char *hidden[MAX_HIDDEN + 1])
{
  where->folder = path_check(L, 1);
  where->path = path_check(L, 2);
  size_t count = list_length(L, 3, MAX_HIDDEN);
  for (size_t i = 0; i < count; i++) {
    if (lua_rawgeti(L, 3, (lua_Integer)i + 1) != LUA_TSTRING)
      error_usage(L, "a hidden path is a text, not a %s", luaL_typename(L, -1));
    hidden[i] = path_check(L, -1);
    lua_pop(L, 1); /* the list holds it */
  }
  hidden[count] = NULL;
  where->hidden = hidden;
}

static int free_bytes(lua_State *L)
{
  buffer_free(luaL_checkudata(L, 1, READER));
  return 0;
}

/* read_confined(folder, path, hidden, most): the text */
static int read_confined(lua_State *L)
{
  const char *hidden[MAX_HIDDEN + 1];
  struct confined_path where;
  struct error err = ERROR_INIT;
  read_place(L, &where, hidden);
  size_t most = (size_t)luaL_checkinteger(L, 4);
  struct buffer *bytes = box_push(L, sizeof *bytes, READER, free_bytes, NULL);
  if (!confine_read(&where, most, bytes, &err)) return error_raise(L, &err);
  lua_pushlstring(L, bytes->data ? bytes->data : "", bytes->size);
  buffer_free(bytes);
  return 1;
}

/* write_confined(folder, path, hidden, text) */
static int write_confined(lua_State *L)
{
  const char *hidden[MAX_HIDDEN + 1];
  struct confined_path where;
  struct error err = ERROR_INIT;
  size_t size;
  read_place(L, &where, hidden);
  const char *text = luaL_checklstring(L, 4, &size);
  if (!confine_write(&where, text, size, &err)) error_raise(L, &err);
  return 0;
}

static void push_part(lua_State *L, CURLU *url, CURLUPart part, unsigned flags)
{
  char *text = NULL;
  if (curl_url_get(url, part, &text, flags) == CURLUE_OK)
    lua_pushstring(L, text);
  else
    lua_pushnil(L);
  curl_free(text);
}

/* url(text, base): the whole URL (`text` may be relative to `base`), its scheme, host, port and
 * user; nothing when it is none. */
static int read_url(lua_State *L)
{
  const char *text = path_check(L, 1), *base = lua_isnoneornil(L, 2) ? NULL : path_check(L, 2);
  struct error err = ERROR_INIT;
  luaL_checkstack(L, 8, NULL);
  if (!curl_library_open(&err)) return error_raise(L, &err);
  CURLU *url = curl_url();
  if (!url) return luaL_error(L, "not enough memory");
  bool ok = !base || curl_url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK;
  if (!ok || curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK) {
    curl_url_cleanup(url);
    return 0;
  }
  push_part(L, url, CURLUPART_URL, 0);
  push_part(L, url, CURLUPART_SCHEME, 0);
  push_part(L, url, CURLUPART_HOST, 0);
  push_part(L, url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  push_part(L, url, CURLUPART_USER, 0);
  curl_url_cleanup(url);
  return 5;
}

void grants_add(lua_State *L)
{
  static const luaL_Reg functions[] = {{"read_confined", read_confined},
                                       {"write_confined", write_confined},
                                       {"url", read_url},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
