/* Files and folders for Lua: paths; a file that is written whole or not at all; what is in a
 * folder; a file that is read piece by piece, each of which is there as soon as it comes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "bind/args.h"
#include "bind/box.h"
#include "bind/error.h"
#include "bind/modules.h"
#include "bind/push.h"
#include "bind/runtime.h"
#include "bind/sched/wait.h"

#define NAME "proxylua.file"
#define PRIVATE 0600 /* what is written so holds passwords */

static struct file *check_file(lua_State *L)
{
  struct file *file = luaL_checkudata(L, 1, NAME);
  if (file->fd < 0) error_usage(L, "the file is closed");
  return file;
}

/* file:write(text…) */
static int write_texts(lua_State *L)
{
  struct file *file = check_file(L);
  for (int i = 2, last = lua_gettop(L); i <= last; i++) {
    struct error err = ERROR_INIT;
    size_t size;
    const char *text = luaL_checklstring(L, i, &size);
    if (!file_write(file, text, size, &err)) error_raise(L, &err);
  }
  return 0;
}

/* file:commit(): it takes its name. */
static int commit_file(lua_State *L)
{
  struct error err = ERROR_INIT;
  if (!file_commit(check_file(L), &err)) error_raise(L, &err);
  return 0;
}

static int abandon_file(lua_State *L)
{
  file_abandon(luaL_checkudata(L, 1, NAME));
  return 0;
}

/* Gives the new file the mode of the one that it replaces. */
static bool keep_mode(const struct file *file, const char *path, struct error *err)
{
  struct stat there;
  if (stat(path, &there) != 0 || fchmod(file->fd, there.st_mode & 0777) == 0) return true;
  error_set(err, ERROR_STORE, "cannot write %s: %s", path, strerror(errno));
  return false;
}

/* create(path, keeps_mode): begins a file that other users cannot read, or that has the mode of
 * the one that it replaces. */
static int create_file(lua_State *L)
{
  static const luaL_Reg methods[] = {{"write", write_texts},    {"commit", commit_file},
                                     {"close", abandon_file},   {"__gc", abandon_file},
                                     {"__close", abandon_file}, {NULL, NULL}};
  const char *path = path_check(L, 1);
  lua_settop(L, 2);
  struct file *file = box_push(L, sizeof *file, NAME, NULL, methods);
  *file = FILE_INIT;
  struct error err = ERROR_INIT;
  bool begun = file_begin(file, path, PRIVATE, &err);
  if (!begun || (lua_toboolean(L, 2) && !keep_mode(file, path, &err))) error_raise(L, &err);
  return 1;
}

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
  struct box *box = box_push(L, sizeof *box, BOX, on_gc, NULL);
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

static int list_folder(lua_State *L)
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
    set_text(L, "name", box->entries[i]->d_name);
    set_text(L, "kind", kind_of(L, path, box->entries[i]));
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
  static const luaL_Reg functions[] = {{"list", list_folder}, {"sync", sync_names}, {NULL, NULL}};
  luaL_newlib(L, functions);
}

#define SOURCE "proxylua.source"
#define READING "proxylua.source.reading"
#define MAX_PIECE (1 << 20) /* bytes of a piece */

/* A file that is read. Tasks that wait for the same one share its reader in the loop. */
struct source {
  int fd;                  /* -1: closed */
  struct reading *waiting; /* one for each task that waits */
  struct loop *loop;       /* NULL while none waits */
  struct loop_reader reader;
};

/* A wait for something to read; lies on the waiting thread's stack, above its source. */
struct reading {
  struct wait wait;
  struct source *source; /* NULL when it is over */
  struct reading *next;
};

static void finish_reading(struct reading *reading)
{
  struct source *source = reading->source;
  if (!source) return;
  struct reading **at = &source->waiting;
  while (*at != reading) at = &(*at)->next;
  *at = reading->next;
  reading->source = NULL;
  if (source->waiting) return;
  loop_stop_reading(source->loop, &source->reader);
  loop_release(source->loop);
  source->loop = NULL;
}

/* Those that wait look at the source again, and wait again if another took all there was. */
static void wake_readers(void *arg)
{
  struct source *source = arg;
  while (source->waiting) {
    struct reading *reading = source->waiting;
    finish_reading(reading);
    wait_done(&reading->wait);
  }
}

static void stop_reading(struct wait *wait)
{
  finish_reading((struct reading *)wait);
}

static int collect_reading(lua_State *L)
{
  finish_reading(luaL_checkudata(L, 1, READING));
  return 0;
}

/* False when the loop cannot wait for it: another source may read the same terminal. */
static bool watch(struct source *source, struct loop *loop)
{
  if (source->loop) return true;
  source->reader = (struct loop_reader){.fd = source->fd, .ready = wake_readers, .arg = source};
  if (!loop_read(loop, &source->reader)) return false;
  source->loop = loop;
  loop_hold(loop);
  return true;
}

/* False when it need not, or cannot, be waited for; a file of a disk is always ready. */
static bool begin_waiting(lua_State *L, struct source *source, struct reading **begun)
{
  struct pollfd now = {.fd = source->fd, .events = POLLIN};
  if (poll(&now, 1, 0) != 0) return false;
  struct reading *reading = box_push(L, sizeof *reading, READING, collect_reading, NULL);
  *reading = (struct reading){.wait = {.cancel = stop_reading}};
  if (!watch(source, runtime_of(L)->sched.loop)) return false;
  reading->source = source;
  reading->next = source->waiting;
  source->waiting = reading;
  *begun = reading;
  return true;
}

static int read_when_ready(lua_State *L);

static int read_some(lua_State *L, const struct source *source)
{
  lua_Integer most = lua_tointeger(L, 2);
  luaL_Buffer text;
  char *bytes = luaL_buffinitsize(L, &text, (size_t)most);
  ssize_t got;
  do got = read(source->fd, bytes, (size_t)most);
  while (got < 0 && errno == EINTR);
  int why = errno;
  luaL_pushresultsize(&text, got > 0 ? (size_t)got : 0);
  if (got > 0) return 1;
  if (got < 0 && (why == EAGAIN || why == EWOULDBLOCK)) { /* another process took what was there */
    lua_settop(L, 2);
    return read_when_ready(L);
  }
  lua_pushnil(L);
  if (got == 0) return 1;
  lua_pushstring(L, strerror(why));
  return 2;
}

static int after_reading(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  const struct reading *reading = (const struct reading *)context;
  if (reading->wait.cancelled) return wait_raise(L, reading->wait.stuck);
  lua_settop(L, 2);
  return read_when_ready(L);
}

/* Stack: source, number of bytes. */
static int read_when_ready(lua_State *L)
{
  struct source *source = luaL_checkudata(L, 1, SOURCE);
  if (source->fd < 0) return error_usage(L, "the file is closed");
  sched_check_process(L);
  struct reading *reading;
  if (begin_waiting(L, source, &reading))
    return wait_for(L, &reading->wait, after_reading, (lua_KContext)reading);
  return read_some(L, source);
}

/* source:read(most): waits for at least one byte; nil at the end. */
static int read_piece(lua_State *L)
{
  luaL_checkudata(L, 1, SOURCE);
  lua_Integer most = luaL_checkinteger(L, 2);
  luaL_argcheck(L, most > 0 && most <= MAX_PIECE, 2, "out of range");
  lua_settop(L, 2);
  return read_when_ready(L);
}

/* source:close(): reads of other tasks fail. The loop forgets the descriptor before its number is
 * free for the next file. */
static int close_source(lua_State *L)
{
  struct source *source = luaL_checkudata(L, 1, SOURCE);
  int fd = source->fd;
  source->fd = -1;
  wake_readers(source);
  if (fd > STDIN_FILENO) close(fd);
  return 0;
}

static int open_source(lua_State *L)
{
  static const luaL_Reg methods[] = {{"read", read_piece},
                                     {"close", close_source},
                                     {"__gc", close_source},
                                     {"__close", close_source},
                                     {NULL, NULL}};
  const char *path = path_check(L, 1);
  struct source *source = box_push(L, sizeof *source, SOURCE, NULL, methods);
  *source = (struct source){.fd = -1};
  source->fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (source->fd >= 0) return 1;
  int why = errno;
  lua_pushnil(L);
  lua_pushstring(L, strerror(why));
  lua_pushboolean(L, why == ENOENT || why == ENOTDIR);
  return 3;
}

void file_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"create", create_file},
                                       {"source", open_source},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
}
