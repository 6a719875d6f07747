#include "plugin/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fs.h"

#define CHUNK ((size_t)64 << 10)
#define MODE 0600 /* of new files: what plugins write may hold passwords of proxies */

static bool refuse(const struct confined_path *where, const char *what, struct error *err)
{
  error_set(err, ERROR_FORBIDDEN, "%s %s", where->path, what);
  return false;
}

/* The error of a path that leaves the folder must not reveal whether the target exists. */
static bool fail(const struct confined_path *where, struct error *err)
{
  switch (errno) {
    case EXDEV:
    case ELOOP:
      return refuse(where, "leads out of the folder, or through a link", err);
    case ENOENT:
    case ENOTDIR:
      error_set(err, ERROR_NOT_FOUND, "%s does not exist", where->path);
      return false;
    default:
      error_set(err, ERROR_STORE, "%s: %s", where->path, strerror(errno));
      return false;
  }
}

/* The real path of what is open, and below it that of a name, unless that is NULL. */
static bool find_path(int fd, const char *name, char path[PATH_MAX])
{
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, path, PATH_MAX - 1);
  if (size < 0) return false;
  path[size] = '\0';
  if (!name) return true;
  if (path[size - 1] == '/') size--;
  return snprintf(path + size, PATH_MAX - (size_t)size, "/%s", name) < PATH_MAX - (int)size;
}

static bool is_hidden(const struct confined_path *where, int fd, const char *name)
{
  char real[PATH_MAX];
  if (!find_path(fd, name, real)) return true;
  for (const char *const *hidden = where->hidden; *hidden; hidden++) {
    size_t length = strlen(*hidden);
    if (strncmp(real, *hidden, length) == 0 && (real[length] == '/' || real[length] == '\0'))
      return true;
  }
  return false;
}

/* Whether an open file is hidden or lies in a hidden folder under another of its names: a hard
 * link, or a path of which a part was mounted twice. Folders are searched only for a file with
 * several names; hard links do not leave a file system. True if this cannot be determined. */
static bool is_hidden_file(const struct confined_path *where, const struct stat *file)
{
  if (!*where->hidden) return false; /* fts_read of no paths is undefined */
  FTS *tree = fts_open((char *const *)where->hidden, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
  if (!tree) return true;
  bool found = false;
  errno = 0;
  for (FTSENT *entry; !found && (entry = fts_read(tree)); errno = 0) {
    const struct stat *there = entry->fts_statp;
    if (entry->fts_info == FTS_NS || entry->fts_info == FTS_DP) continue;
    found = there->st_dev == file->st_dev && there->st_ino == file->st_ino;
    if (entry->fts_info == FTS_D && (file->st_nlink < 2 || there->st_dev != file->st_dev))
      fts_set(tree, entry, FTS_SKIP);
  }
  bool failed = errno != 0;
  fts_close(tree);
  return found || failed;
}

/* Whether the name that the kernel reports for an open file leads to that file. */
static bool has_name(int fd, const struct stat *file)
{
  char real[PATH_MAX];
  struct stat there;
  return find_path(fd, NULL, real) && lstat(real, &there) == 0 && there.st_dev == file->st_dev &&
         there.st_ino == file->st_ino;
}

/* A file that is replaced while it is opened loses the name that identifies it. The name is checked
 * after the comparison, so that the file still had it then. */
static bool check_open(const struct confined_path *where, int fd, struct error *err)
{
  struct stat there;
  if (fstat(fd, &there) != 0) return fail(where, err);
  if (is_hidden(where, fd, NULL) || (S_ISREG(there.st_mode) && is_hidden_file(where, &there)))
    return refuse(where, "belongs to proxylua; plugins cannot use it", err);
  if (!has_name(fd, &there) || fstat(fd, &there) != 0 || there.st_nlink == 0)
    return refuse(where, "was removed or replaced while it was opened", err);
  return true;
}

/* Negative with an error when it cannot be opened, or must not. */
static int open_confined(const struct confined_path *where, const char *path, unsigned flags,
                         struct error *err)
{
  struct open_how how = {.flags = flags | O_CLOEXEC,
                         .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
  int folder = open(where->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  int fd = folder < 0 ? -1 : (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
  if (fd < 0) fail(where, err);
  if (folder >= 0) close(folder);
  if (fd < 0 || check_open(where, fd, err)) return fd;
  close(fd);
  return -1;
}

static bool read_all(const struct confined_path *where, int fd, size_t most, struct buffer *bytes,
                     struct error *err)
{
  for (;;) {
    if (!buffer_reserve(bytes, CHUNK)) break;
    ssize_t got = read(fd, bytes->data + bytes->size, CHUNK);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(where, err);
    if (got == 0) return true;
    bytes->size += (size_t)got;
    if (bytes->size > most) return refuse(where, "is too large for a plugin", err);
  }
  errno = ENOMEM;
  return fail(where, err);
}

bool confine_read(const struct confined_path *where, size_t most, struct buffer *bytes,
                  struct error *err)
{
  struct stat there;
  int fd = open_confined(where, where->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, err);
  if (fd < 0) return false;
  bool ok = fstat(fd, &there) == 0 && S_ISREG(there.st_mode);
  ok = ok ? read_all(where, fd, most, bytes, err) : refuse(where, "is not a regular file", err);
  close(fd);
  return ok;
}

/* Refuses proxylua's own files, existing or not. An existing target must be a regular file; its
 * permissions are kept. */
static bool look_at_target(const struct confined_path *where, int folder, const char *name,
                           mode_t *mode, struct error *err)
{
  struct stat there;
  if (is_hidden(where, folder, name))
    return refuse(where, "belongs to proxylua; plugins cannot use it", err);
  if (fstatat(folder, name, &there, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT || fail(where, err);
  if (!S_ISREG(there.st_mode)) return refuse(where, "is not a regular file", err);
  *mode = there.st_mode & 0777;
  return true;
}

static bool write_all(int fd, const char *bytes, size_t size)
{
  while (size > 0) {
    ssize_t put = write(fd, bytes, size);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    bytes += put;
    size -= (size_t)put;
  }
  return fsync(fd) == 0;
}

/* The file has a temporary name until its bytes are on disk. The folder stays open, and renaming
 * follows no link: the file arrives in this folder even if other processes rename folders
 * meanwhile. */
static bool write_into(const struct confined_path *where, int folder, const char *name,
                       const void *bytes, size_t size, struct error *err)
{
  char temporary[64];
  uint64_t random;
  mode_t mode = 0;
  if (!look_at_target(where, folder, name, &mode, err)) return false;
  if (getrandom(&random, sizeof random, 0) != sizeof random) return fail(where, err);
  snprintf(temporary, sizeof temporary, ".proxylua-%016" PRIx64, random);
  int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MODE);
  if (fd < 0) return fail(where, err);
  bool ok = (mode == 0 || fchmod(fd, mode) == 0) && write_all(fd, bytes, size) &&
            renameat(folder, temporary, folder, name) == 0;
  if (!ok) fail(where, err);
  close(fd);
  if (ok) file_sync_folder(folder, ".");
  if (!ok) unlinkat(folder, temporary, 0);
  return ok;
}

bool confine_write(const struct confined_path *where, const void *bytes, size_t size,
                   struct error *err)
{
  char parent[PATH_MAX];
  const char *slash = strrchr(where->path, '/'), *name = slash ? slash + 1 : where->path;
  size_t length = slash ? (size_t)(slash - where->path) : 0;
  if (length >= sizeof parent || !*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
    return refuse(where, "is not a valid name for a file", err);
  memcpy(parent, where->path, length);
  parent[length] = '\0';
  int folder = open_confined(where, length > 0 ? parent : ".", O_PATH | O_DIRECTORY, err);
  if (folder < 0) return false;
  bool ok = write_into(where, folder, name, bytes, size, err);
  close(folder);
  return ok;
}
