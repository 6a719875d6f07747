/* count_calls.so: loaded before the other libraries (LD_PRELOAD), adds a line to the file
 * $COUNT_CALLS for each time that data is written to the disk, or sent through a socket in the file
 * system. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEEN __attribute__((visibility("default")))

static void *next(const char *name)
{
  void *function = dlsym(RTLD_NEXT, name);
  if (!function) abort();
  return function;
}

static void count(const char *line)
{
  const char *path = getenv("COUNT_CALLS");
  int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
  if (fd < 0 || write(fd, line, strlen(line)) < 0) abort();
  close(fd);
}

SEEN int fdatasync(int fd)
{
  int (*real)(int fd);
  void *found = next("fdatasync");
  memcpy(&real, &found, sizeof real);
  count("fdatasync\n");
  return real(fd);
}

SEEN ssize_t send(int fd, const void *data, size_t size, int flags)
{
  ssize_t (*real)(int fd, const void *data, size_t size, int flags);
  void *found = next("send");
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  memcpy(&real, &found, sizeof real);
  if (getpeername(fd, (struct sockaddr *)&address, &length) == 0 && address.ss_family == AF_UNIX)
    count("send\n");
  return real(fd, data, size, flags);
}
