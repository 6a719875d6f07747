#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool fail(const struct file *file, struct error *err, const char *what)
{
  int why = errno;
  error_set(err, ERROR_STORE, "cannot %s %s: %s%s", what, file->path, strerror(why),
            why == ENOSPC || why == EDQUOT ? "; nothing was kept, make room and try again" : "");
  return false;
}

/* The folder of a path, for opening files beside it. Owned by the caller. */
static char *folder_of(const char *path)
{
  const char *slash = strrchr(path, '/');
  if (!slash) return strdup(".");
  return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* A file without a name disappears with its process. File systems without O_TMPFILE get a hidden
 * name instead. */
static int open_beside(struct file *file, mode_t mode)
{
  char *folder = folder_of(file->path);
  if (!folder) return -1;
  int fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
  if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
    if (asprintf(&file->temporary, "%s/.proxylua-XXXXXX", folder) < 0) file->temporary = NULL;
    fd = file->temporary ? mkostemp(file->temporary, O_CLOEXEC) : -1;
    if (fd >= 0) fchmod(fd, mode);
  }
  free(folder);
  return fd;
}

bool file_begin(struct file *file, const char *path, mode_t mode, struct error *err)
{
  *file = FILE_INIT;
  struct stat there;
  if (stat(path, &there) == 0 && !S_ISREG(there.st_mode)) {
    error_set(err, ERROR_USAGE, "%s is there and is not a regular file; name another path", path);
    return false;
  }
  file->path = realpath(path, NULL); /* a link stays, and what it leads to is replaced */
  if (!file->path && lstat(path, &there) == 0 && S_ISLNK(there.st_mode)) {
    error_set(err, ERROR_USAGE, "%s is a link that leads nowhere; name another path", path);
    return false;
  }
  if (!file->path) file->path = strdup(path);
  if (!file->path) {
    error_set(err, ERROR_INTERNAL, "out of memory");
    return false;
  }
  file->fd = open_beside(file, mode);
  if (file->fd >= 0) return true;
  fail(file, err, "write");
  file_abandon(file);
  return false;
}

bool file_write(struct file *file, const void *bytes, size_t size, struct error *err)
{
  for (const char *from = bytes; size > 0;) {
    ssize_t written = write(file->fd, from, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail(file, err, "write");
    from += written;
    size -= (size_t)written;
    file->size += written;
  }
  return true;
}

/* linkat cannot replace a file, so a file without a name gets a hidden name first. */
static bool name_it(struct file *file)
{
  if (file->temporary) return true;
  char proc[64];
  snprintf(proc, sizeof proc, "/proc/self/fd/%d", file->fd);
  char *folder = folder_of(file->path);
  if (!folder) return false;
  int result = -1;
  for (unsigned attempt = 0; attempt < 100; attempt++) {
    free(file->temporary);
    if (asprintf(&file->temporary, "%s/.proxylua-%d-%u", folder, (int)getpid(), attempt) < 0) {
      file->temporary = NULL;
      break;
    }
    result = linkat(AT_FDCWD, proc, AT_FDCWD, file->temporary, AT_SYMLINK_FOLLOW);
    if (result == 0 || errno != EEXIST) break;
  }
  if (result != 0) {
    free(file->temporary);
    file->temporary = NULL;
  }
  free(folder);
  return result == 0;
}

void file_sync_folder(int folder, const char *path)
{
  int fd = openat(folder, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  (void)!fsync(fd);
  close(fd);
}

static void sync_name(const struct file *file)
{
  char *folder = folder_of(file->path);
  if (folder) file_sync_folder(AT_FDCWD, folder);
  free(folder);
}

bool file_commit(struct file *file, struct error *err)
{
  bool done = fsync(file->fd) == 0 && name_it(file) && rename(file->temporary, file->path) == 0;
  if (!done) fail(file, err, "complete");
  if (done) {
    sync_name(file);
    free(file->temporary);
    file->temporary = NULL;
  }
  file_abandon(file);
  return done;
}

void file_abandon(struct file *file)
{
  if (file->fd >= 0) close(file->fd);
  if (file->temporary) unlink(file->temporary);
  free(file->temporary);
  free(file->path);
  *file = FILE_INIT;
}
