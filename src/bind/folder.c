#include "bind/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bind/error.h"

#define BOX "proxylua.folder"

/* What scandir has found, in a userdata that frees it. */
struct box {
  struct dirent **entries;
  int count;
};

static int on_gc(lua_State *L)
{
  struct box *box = luaL_checkudata(L, 1, BOX);
  for (int i = 0; i < box->count; i++) free(box->entries[i]);
  free(box->entries);
  *box = (struct box){0};
  return 0;
}

static struct box *push_box(lua_State *L)
{
  struct box *box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = (struct box){0};
  if (luaL_newmetatable(L, BOX)) {
    lua_pushcfunction(L, on_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return box;
}

static int is_inside(const struct dirent *entry)
{
  return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
  return strcmp((*a)->d_name, (*b)->d_name);
}

/* Links are not followed. */
static const char *kind_of(lua_State *L, const char *folder, const struct dirent *entry)
{
  unsigned char type = entry->d_type;
  struct stat there;
  if (type == DT_UNKNOWN) { /* some file systems do not say */
    lua_pushfstring(L, "%s/%s", folder, entry->d_name);
    bool found = lstat(lua_tostring(L, -1), &there) == 0;
    lua_pop(L, 1);
    if (found) type = S_ISREG(there.st_mode) ? DT_REG : S_ISDIR(there.st_mode) ? DT_DIR : DT_LNK;
  }
  return type == DT_REG ? "file" : type == DT_DIR ? "folder" : type == DT_LNK ? "link" : "other";
}

static int list(lua_State *L)
{
  const char *path = luaL_checkstring(L, 1);
  struct box *box = push_box(L);
  box->count = scandir(path, &box->entries, is_inside, by_bytes);
  if (box->count < 0) {
    box->count = 0;
    lua_pushnil(L);
    lua_pushstring(L, strerror(errno));
    return 2;
  }
  lua_createtable(L, box->count, 0);
  for (int i = 0; i < box->count; i++) {
    lua_createtable(L, 0, 2);
    lua_pushstring(L, box->entries[i]->d_name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, kind_of(L, path, box->entries[i]));
    lua_setfield(L, -2, "kind");
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static int sync_names(lua_State *L)
{
  const char *path = luaL_checkstring(L, 1);
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), why = errno;
  bool done = fd >= 0 && fsync(fd) == 0;
  if (fd >= 0) {
    why = errno;
    close(fd);
  }
  if (done) return 0;
  struct error err = ERROR_INIT;
  error_set(&err, ERROR_STORE, "cannot put the folder %s on disk: %s", path, strerror(why));
  return error_raise(L, &err);
}

void folder_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"list", list}, {"sync", sync_names}, {NULL, NULL}};
  luaL_newlib(L, functions);
}
