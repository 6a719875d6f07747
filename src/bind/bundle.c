#include "bind/box.h"
#include "bind/modules.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "api/secret.h"
#include "bind/engine.h"
#include "bind/error.h"
#include "bind/push.h"
#include "bind/runtime.h"
#include "bundle/bundle.h"

#define BYTES "proxylua.bundle.bytes"

static const struct bundle *check_here(lua_State *L)
{
  const struct bundle *bundle = runtime_of(L)->bundle;
  if (!bundle) error_usage(L, "this program has no app of its own");
  return bundle;
}

static int get_here(lua_State *L)
{
  if (!runtime_of(L)->bundle) return 0;
  lua_pushstring(L, program_invocation_name);
  return 1;
}

static int free_bytes(lua_State *L)
{
  buffer_free(luaL_checkudata(L, 1, BYTES));
  return 0;
}

/* Freed when Lua raises. */
static struct buffer *push_bytes(lua_State *L)
{
  struct buffer *bytes = box_push(L, sizeof *bytes, BYTES, free_bytes, NULL);
  return bytes;
}

static int read_file(lua_State *L)
{
  const struct bundle *bundle = check_here(L);
  const char *name = luaL_checkstring(L, 1);
  struct error err = ERROR_INIT;
  if (!bundle_has(bundle, name)) return 0;
  struct buffer *bytes = push_bytes(L);
  if (!bundle_read(bundle, name, bytes, &err)) error_raise(L, &err);
  lua_pushlstring(L, bytes->data, bytes->size);
  buffer_free(bytes);
  return 1;
}

static int list_files(lua_State *L)
{
  const struct bundle *bundle = check_here(L);
  struct bundle_file file;
  lua_newtable(L);
  for (size_t i = 0; bundle_list(bundle, i, &file); i++) {
    lua_createtable(L, 0, 2);
    set_bytes(L, "name", file.name, file.name_size);
    set_integer(L, "size", (lua_Integer)file.size);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* Takes the API key from where the settings say, so that it can be looked for; none is fine. */
static void find_key(lua_State *L, struct runtime *runtime)
{
  struct engine *engine = runtime->engine;
  struct error err = ERROR_INIT;
  bool known =
      engine && (engine->key_file || engine->key_command || runtime->key_error.kind != ERROR_NONE);
  if (known && !engine_find_key(runtime, engine, &err)) error_raise(L, &err);
}

/* The sandbox's key is no secret, and leaves the real one where it was. */
static void refuse_key(lua_State *L, const struct archive *archive)
{
  struct runtime *runtime = runtime_of(L);
  find_key(L, runtime);
  const struct secret *key = runtime->engine ? runtime->engine->key : NULL;
  for (size_t i = 0; i < archive->count; i++) {
    const struct archive_file *file = &archive->files[i];
    if (secret_is_in(runtime->key, file->data, file->size) ||
        secret_is_in(key, file->data, file->size))
      error_usage(L,
                  "%s holds your API key, and anyone who gets the bundle could read it; take it "
                  "out",
                  file->name);
  }
}

static int write_bundle(lua_State *L)
{
  const char *path = luaL_checkstring(L, 1);
  struct error err = ERROR_INIT;
  struct archive *archive = archive_check(L, 2);
  refuse_key(L, archive);
  if (!bundle_write(archive, path, &err)) error_raise(L, &err);
  return 0;
}

void bundle_module_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"here", get_here},
                                       {"read", read_file},
                                       {"files", list_files},
                                       {"write", write_bundle},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
}
