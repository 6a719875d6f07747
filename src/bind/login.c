#include <lauxlib.h>
#include <string.h>

#include "api/secret.h"
#include "bind/engine.h"
#include "bind/error.h"
#include "bind/modules.h"
#include "bind/runtime.h"

static int read_key(lua_State *L)
{
  struct runtime *runtime = runtime_of(L);
  struct error err = ERROR_INIT;
  fflush(stdout);
  struct secret *key = secret_from_input(luaL_checkstring(L, 1), &err);
  if (!key) error_raise(L, &err);
  secret_close(runtime->key);
  runtime->key = key;
  runtime->key_error = ERROR_INIT;
  return 0;
}

/* scrub(text): the text without the API key. The sandbox has one of its own, beside that of the
 * environment. */
static int scrub(lua_State *L)
{
  const struct runtime *runtime = runtime_of(L);
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  luaL_Buffer out;
  char *copy = luaL_buffinitsize(L, &out, size + 1);
  memcpy(copy, text, size + 1);
  size = secret_scrub_bytes(runtime->key, copy, size);
  if (runtime->engine) size = secret_scrub_bytes(runtime->engine->key, copy, size);
  luaL_pushresultsize(&out, size);
  return 1;
}

static int save_key(lua_State *L)
{
  struct runtime *runtime = runtime_of(L);
  struct error err = ERROR_INIT;
  const struct secret *key = runtime->engine ? runtime->engine->key : runtime->key;
  if (!key) return error_usage(L, "there is no key to save");
  if (!secret_save(key, luaL_checkstring(L, 1), &err)) error_raise(L, &err);
  return 0;
}

static int is_in_environment(lua_State *L)
{
  struct runtime *runtime = runtime_of(L);
  lua_pushboolean(L, runtime->key || runtime->key_error.kind != ERROR_NONE);
  return 1;
}

void login_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"read", read_key},
                                       {"scrub", scrub},
                                       {"save", save_key},
                                       {"is_in_environment", is_in_environment},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
}
