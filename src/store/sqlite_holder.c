/* Which process keeps the file of a store locked, for the message of a failure. /proc/locks shows
 * it; the files are not opened, since closing a descriptor drops the locks that SQLite has on
 * them. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "store/sqlite.h"

#define WRITE_LOCK 120 /* byte of the -shm file that one who writes in WAL mode locks */

static uint64_t inode_of(const char *path, const char *ending)
{
  char full[PATH_MAX];
  struct stat file;
  int size = snprintf(full, sizeof full, "%s%s", path, ending);
  return size < (int)sizeof full && stat(full, &file) == 0 ? (uint64_t)file.st_ino : 0;
}

/* A line is "1: POSIX  ADVISORY  WRITE 4711 08:01:1234 120 120"; one who waits has an arrow. The
 * device is not compared, since a layered file system shows another one here. */
static int64_t holder_in(const char *line, uint64_t database, uint64_t index)
{
  int64_t pid, from, to;
  uint64_t inode;
  int read =
      sscanf(line, "%*d: POSIX ADVISORY WRITE %" SCNd64 " %*x:%*x:%" SCNu64 " %" SCNd64 " %" SCNd64,
             &pid, &inode, &from, &to);
  if (read < 3 || pid <= 0 || inode == 0) return 0;
  bool all = read == 3; /* "EOF" is not a number */
  bool writes = inode == index && from <= WRITE_LOCK && (all || to >= WRITE_LOCK);
  return writes || inode == database ? pid : 0;
}

bool sqlite_find_holder(const char *path, struct process_view *view)
{
  uint64_t database = inode_of(path, ""), index = inode_of(path, "-shm");
  char line[256];
  int64_t pid = 0;
  FILE *locks = fopen("/proc/locks", "re");
  while (locks && pid == 0 && fgets(line, sizeof line, locks))
    pid = holder_in(line, database, index);
  if (locks) fclose(locks);
  return pid > 0 && process_look(pid, view);
}
