/* The operating system for the command line: small functions over system calls, one failure shape.
 */
#include "bind/system.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/streams.h"
#include "base/trust.h"
#include "bind/args.h"
#include "bind/box.h"
#include "bind/embedded.h"
#include "bind/error.h"
#include "bind/push.h"
#include "bind/runtime.h"

#define DESCRIPTOR "proxylua.descriptor"
#define MODE 0666 /* of written files, before the umask */

static int fail(lua_State *L, const char *what, const char *path)
{
  struct error err = ERROR_INIT;
  error_set(&err, ERROR_STORE, "cannot %s %s: %s", what, path, strerror(errno));
  error_raise(L, &err);
}

static int is_terminal(lua_State *L)
{
  lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
  return 1;
}

static int terminal_width(lua_State *L)
{
  struct winsize size;
  if (ioctl((int)luaL_checkinteger(L, 1), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 0;
  lua_pushinteger(L, size.ws_col);
  return 1;
}

static int terminal_height(lua_State *L)
{
  struct winsize size;
  if (ioctl((int)luaL_checkinteger(L, 1), TIOCGWINSZ, &size) != 0 || size.ws_row == 0) return 0;
  lua_pushinteger(L, size.ws_row);
  return 1;
}

static const char closed_pipe[] = "closed_pipe"; /* the code of that error */

bool system_is_closed_pipe(lua_State *L, int index)
{
  if (!error_test(L, index)) return false;
  lua_getfield(L, index, "code");
  bool closed = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), closed_pipe) == 0;
  lua_pop(L, 1);
  return closed;
}

static int is_closed_pipe(lua_State *L)
{
  lua_pushboolean(L, system_is_closed_pipe(L, 1));
  return 1;
}

int system_fail_output(lua_State *L)
{
  struct error err = ERROR_INIT;
  error_set(&err, ERROR_STORE, "cannot write to standard output: %s", strerror(errno));
  snprintf(err.code, sizeof err.code, "%s", errno == EPIPE ? closed_pipe : "");
  error_raise(L, &err);
}

void system_write(lua_State *L, const char *bytes, size_t size)
{
  if (fwrite(bytes, 1, size, stdout) != size) system_fail_output(L);
}

static int write_texts(lua_State *L)
{
  for (int i = 1, last = lua_gettop(L); i <= last; i++) {
    size_t size;
    const char *text = luaL_checklstring(L, i, &size);
    system_write(L, text, size);
  }
  return 0;
}

static int flush(lua_State *L)
{
  if (fflush(stdout) != 0) system_fail_output(L);
  return 0;
}

static int close_descriptor(lua_State *L)
{
  int *fd = luaL_checkudata(L, 1, DESCRIPTOR);
  if (*fd >= 0) close(*fd);
  *fd = -1;
  return 0;
}

static int *push_descriptor(lua_State *L)
{
  static const luaL_Reg methods[] = {{"__gc", close_descriptor},
                                     {"__close", close_descriptor},
                                     {"close", close_descriptor},
                                     {NULL, NULL}};
  int *fd = box_push(L, sizeof *fd, DESCRIPTOR, NULL, methods);
  *fd = -1;
  return fd;
}

static int refuse_read(lua_State *L, const char *why)
{
  lua_pushnil(L);
  lua_pushstring(L, why);
  return 2;
}

static int read_all(lua_State *L, int fd, lua_Integer most)
{
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  for (;;) {
    ssize_t got = stream_read(fd, luaL_prepbuffer(&text), LUAL_BUFFERSIZE);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return refuse_read(L, strerror(errno));
    luaL_addsize(&text, (size_t)got);
    if ((lua_Integer)luaL_bufflen(&text) > most) return refuse_read(L, "it is too large");
    if (got == 0) break;
  }
  luaL_pushresult(&text);
  return 1;
}

static int read_file(lua_State *L)
{
  const char *path = path_check(L, 1);
  lua_Integer most = luaL_checkinteger(L, 2);
  if (strcmp(path, "-") == 0) return read_all(L, STDIN_FILENO, most);
  int *fd = push_descriptor(L);
  *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (*fd < 0) return refuse_read(L, strerror(errno));
  int results = read_all(L, *fd, most);
  close(*fd);
  *fd = -1;
  return results;
}

/* read_trusted(path, limit, what): the text of a regular file that only this user and root can
 * change or replace; a config error that begins with `what`. */
static int read_trusted(lua_State *L)
{
  const char *path = path_check(L, 1), *what = luaL_checkstring(L, 3);
  lua_Integer most = luaL_checkinteger(L, 2);
  struct stat status;
  struct error err = ERROR_INIT;
  int *fd = push_descriptor(L);
  *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO would block */
  if (*fd < 0 || fstat(*fd, &status) != 0)
    error_set(&err, ERROR_CONFIG, "%s %s: %s", what, path, strerror(errno));
  else if (!S_ISREG(status.st_mode))
    error_set(&err, ERROR_CONFIG, "%s %s: it is not a regular file", what, path);
  else
    trust_file(path, &status, ERROR_CONFIG, what, &err);
  if (err.kind != ERROR_NONE) return error_raise(L, &err);
  if (read_all(L, *fd, most) == 2) {
    error_set(&err, ERROR_CONFIG, "%s %s: %s", what, path, lua_tostring(L, -1));
    return error_raise(L, &err);
  }
  close(*fd);
  *fd = -1;
  return 1;
}

static int write_file(lua_State *L)
{
  size_t size;
  const char *path = path_check(L, 1), *text = luaL_checklstring(L, 2, &size);
  mode_t mode = (mode_t)luaL_optinteger(L, 3, MODE);
  struct error err = ERROR_INIT;
  struct file file;
  if (!file_begin(&file, path, mode, &err)) error_raise(L, &err);
  bool written = file_write(&file, text, size, &err);
  if (written)
    written = file_commit(&file, &err);
  else
    file_abandon(&file);
  if (!written) error_raise(L, &err);
  return 0;
}

static int make_folder(lua_State *L)
{
  char path[PATH_MAX];
  if (snprintf(path, sizeof path, "%s/", path_check(L, 1)) >= (int)sizeof path)
    return error_usage(L, "the path of the folder is too long");
  for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    if (mkdir(path, 0700) != 0 && errno != EEXIST) fail(L, "make the folder", path);
    *slash = '/';
  }
  return 0;
}

static int kind(lua_State *L)
{
  struct stat there;
  if (stat(path_check(L, 1), &there) != 0) return 0;
  lua_pushstring(L, S_ISREG(there.st_mode) ? "file" : S_ISDIR(there.st_mode) ? "folder" : "other");
  return 1;
}

/* status(path): a table: mode (permission bits), own (belongs to this user or root), writable; nil
 * when nothing is there. */
static int status(lua_State *L)
{
  struct stat there;
  const char *path = path_check(L, 1);
  if (stat(path, &there) != 0) return 0;
  lua_createtable(L, 0, 3);
  set_integer(L, "mode", there.st_mode & 07777);
  set_flag(L, "own", there.st_uid == geteuid() || there.st_uid == 0);
  set_flag(L, "writable", access(path, W_OK) == 0);
  return 1;
}

static int real_path(lua_State *L)
{
  char path[PATH_MAX];
  if (!realpath(path_check(L, 1), path)) return 0;
  lua_pushstring(L, path);
  return 1;
}

/* A lock dies with its descriptor, so the kernel frees it with the process. */

static int lock(lua_State *L)
{
  const char *path = path_check(L, 1);
  int command = lua_toboolean(L, 2) ? F_OFD_SETLKW : F_OFD_SETLK;
  int *fd = push_descriptor(L);
  *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
  if (*fd < 0) fail(L, "open the lock file", path);
  struct stat status;
  struct error err = ERROR_INIT;
  if (fstat(*fd, &status) != 0) fail(L, "examine the lock file", path);
  if (!S_ISREG(status.st_mode))
    return error_usage(L, "the lock file %s is not a regular file", path);
  if (!trust_file(path, &status, ERROR_CONFIG, "cannot use the lock file", &err))
    return error_raise(L, &err);
  struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  if (fcntl(*fd, command, &whole) == 0) return 1;
  if (errno != EAGAIN && errno != EACCES) fail(L, "lock", path);
  lua_pushnil(L);
  return 1;
}

/* embedded(name): the bytes of a text that the program carries; nil when it has none of that name.
 */
static int embedded(lua_State *L)
{
  const struct embedded_file *file = embedded_find(luaL_checkstring(L, 1));
  if (file) lua_pushlstring(L, (const char *)file->data, file->size);
  return file ? 1 : 0;
}

static int set_exit_code(lua_State *L)
{
  lua_Integer code = luaL_checkinteger(L, 1);
  luaL_argcheck(L, code >= 0 && code <= 255, 1, "an exit code is 0 to 255");
  runtime_of(L)->exit_code = (int)code;
  return 0;
}

static int exit_code(lua_State *L)
{
  enum error_kind kind = error_kind_at(L, 1);
  lua_pushinteger(L, kind != ERROR_NONE ? error_exit_code(kind) : 1);
  return 1;
}

static int program(lua_State *L)
{
  lua_pushstring(L, runtime_of(L)->program);
  return 1;
}

static int pid(lua_State *L)
{
  lua_pushinteger(L, getpid());
  return 1;
}

void system_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"isatty", is_terminal},
                                       {"terminal_width", terminal_width},
                                       {"terminal_height", terminal_height},
                                       {"write", write_texts},
                                       {"flush", flush},
                                       {"is_closed_pipe", is_closed_pipe},
                                       {"read_file", read_file},
                                       {"read_trusted", read_trusted},
                                       {"write_file", write_file},
                                       {"make_folder", make_folder},
                                       {"kind", kind},
                                       {"status", status},
                                       {"real_path", real_path},
                                       {"lock", lock},
                                       {"embedded", embedded},
                                       {"set_exit_code", set_exit_code},
                                       {"exit_code", exit_code},
                                       {"pid", pid},
                                       {"program", program},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
}
