#include "bind/box.h"
#include "bind/modules.h"

#include <lauxlib.h>
#include <string.h>

#include "base/sha256.h"
#include "bind/args.h"
#include "bind/error.h"
#include "bind/push.h"
#include "bundle/archive.h"

#define BOX "proxylua.archive"

/* Owned by a userdata: an error raised on the way frees it. */
struct box {
  struct archive archive;
  struct buffer bytes;
};

static int on_gc(lua_State *L)
{
  struct box *box = luaL_checkudata(L, 1, BOX);
  archive_free(&box->archive);
  buffer_free(&box->bytes);
  return 0;
}

static struct box *push_box(lua_State *L)
{
  struct box *box = box_push(L, sizeof *box, BOX, on_gc, NULL);
  *box = (struct box){.archive = ARCHIVE_INIT};
  return box;
}

static size_t field(lua_State *L, const char *name, size_t usual)
{
  if (lua_isnoneornil(L, 2)) return usual;
  lua_getfield(L, 2, name);
  lua_Integer value = luaL_optinteger(L, -1, (lua_Integer)usual);
  lua_pop(L, 1);
  luaL_argcheck(L, value > 0 || (value == 0 && usual == 0), 2, "limits are above 0");
  return (size_t)value;
}

static struct archive_limits check_limits(lua_State *L, const char *caller,
                                          const char *const *known)
{
  struct archive_limits usual = ARCHIVE_LIMITS;
  if (!lua_isnoneornil(L, 2)) {
    luaL_checktype(L, 2, LUA_TTABLE);
    options_check(L, 2, caller, known);
  }
  return (struct archive_limits){.count = field(L, "count", usual.count),
                                 .file = field(L, "file", usual.file),
                                 .total = field(L, "total", usual.total),
                                 .ratio = field(L, "ratio", usual.ratio)};
}

/* Ends the box's archive. */
static int push_files(lua_State *L, struct box *box)
{
  lua_createtable(L, (int)box->archive.count, 0);
  for (size_t i = 0; i < box->archive.count; i++) {
    const struct archive_file *file = &box->archive.files[i];
    lua_createtable(L, 0, 2);
    set_bytes(L, "name", file->name, strlen(file->name));
    set_bytes(L, "data", file->data, file->size);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  archive_free(&box->archive);
  return 1;
}

static int read_bytes(lua_State *L)
{
  static const char *const known[] = {"count", "file", "total", "ratio", NULL};
  size_t size;
  const char *bytes = luaL_checklstring(L, 1, &size);
  struct archive_limits limits = check_limits(L, "core.archive.read", known);
  struct box *box = push_box(L);
  struct error err = ERROR_INIT;
  if (!archive_read(&box->archive, bytes, size, &limits, &err)) error_raise(L, &err);
  return push_files(L, box);
}

static int load_range(lua_State *L)
{
  static const char *const known[] = {"count", "file", "total", "ratio", "offset", "size", NULL};
  const char *path = path_check(L, 1);
  struct archive_limits limits = check_limits(L, "core.archive.load", known);
  size_t offset = field(L, "offset", 0), size = field(L, "size", 0);
  struct box *box = push_box(L);
  struct error err = ERROR_INIT;
  if (!archive_load(&box->archive, path, offset, size, &limits, &err)) error_raise(L, &err);
  return push_files(L, box);
}

static const char *check_text(lua_State *L, int file, const char *name, size_t *size)
{
  if (!lua_istable(L, file) || lua_getfield(L, file, name) != LUA_TSTRING)
    error_usage(L, "the files of an archive are a list of {name=, data=}, both texts");
  return lua_tolstring(L, -1, size);
}

static struct box *check_files(lua_State *L, int index)
{
  luaL_checktype(L, index, LUA_TTABLE);
  struct box *box = push_box(L);
  struct error err = ERROR_INIT;
  for (lua_Integer i = 1, last = (lua_Integer)lua_rawlen(L, index); i <= last; i++) {
    size_t name_size, size;
    lua_rawgeti(L, index, i);
    int file = lua_gettop(L);
    const char *name = check_text(L, file, "name", &name_size),
               *data = check_text(L, file, "data", &size);
    if (!archive_add(&box->archive, name, name_size, data, size, &err)) error_raise(L, &err);
    lua_settop(L, file - 1);
  }
  return box;
}

struct archive *archive_check(lua_State *L, int index)
{
  return &check_files(L, index)->archive;
}

static int write_bytes(lua_State *L)
{
  struct error err = ERROR_INIT;
  struct box *box = check_files(L, 1);
  if (!archive_write(&box->archive, 0, &box->bytes, &err)) error_raise(L, &err);
  lua_pushlstring(L, box->bytes.data, box->bytes.size);
  return 1;
}

static int check_name(lua_State *L)
{
  size_t size;
  const char *name = luaL_checklstring(L, 1, &size);
  lua_pushstring(L, archive_check_name(name, size));
  return 1;
}

void archive_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"read", read_bytes},
                                       {"load", load_range},
                                       {"write", write_bytes},
                                       {"check_name", check_name},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
}

static int sha256(lua_State *L)
{
  struct digest_part text;
  char hex[DIGEST_HEX];
  text.bytes = luaL_checklstring(L, 1, &text.size);
  digest_hex(&text, 1, hex);
  lua_pushstring(L, hex);
  return 1;
}

void digest_open(lua_State *L)
{
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, sha256);
  lua_setfield(L, -2, "sha256");
}
