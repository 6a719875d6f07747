#include "base/streams.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int descriptor_of(void *cookie)
{
  return (int)(intptr_t)cookie;
}

/* False when the call failed for another reason than that it would have to wait. */
static bool wait_until_ready(int fd, short event)
{
  if (errno != EAGAIN && errno != EWOULDBLOCK) return false;
  struct pollfd ready = {.fd = fd, .events = event};
  return poll(&ready, 1, -1) >= 0;
}

ssize_t stream_read(int fd, void *bytes, size_t size)
{
  ssize_t got;
  do got = read(fd, bytes, size);
  while (got < 0 && wait_until_ready(fd, POLLIN));
  return got;
}

static ssize_t read_stream(void *cookie, char *bytes, size_t size)
{
  return stream_read(descriptor_of(cookie), bytes, size);
}

/* stdio drops what a failed write leaves over. */
static ssize_t write_stream(void *cookie, const char *bytes, size_t size)
{
  int fd = descriptor_of(cookie);
  size_t done = 0;
  while (done < size) {
    ssize_t put = write(fd, bytes + done, size - done);
    if (put >= 0)
      done += (size_t)put;
    else if (!wait_until_ready(fd, POLLOUT))
      break; /* less than asked for is an error to stdio; it takes no negative count */
  }
  return (ssize_t)done;
}

static int seek_stream(void *cookie, off64_t *offset, int whence)
{
  off_t at = lseek(descriptor_of(cookie), *offset, whence);
  if (at < 0) return -1;
  *offset = at;
  return 0;
}

static bool replace(FILE **stream, int fd, const char *mode)
{
  const cookie_io_functions_t functions = {.read = read_stream,
                                           .write = write_stream,
                                           .seek = seek_stream};
  FILE *waiting = fopencookie((void *)(intptr_t)fd, mode, functions);
  if (!waiting) return false;
  waiting->_fileno = fd; /* glibc has no other way for fileno(), which C modules call */
  *stream = waiting;
  return true;
}

bool streams_wait(void)
{
  if (!replace(&stdin, STDIN_FILENO, "r") || !replace(&stdout, STDOUT_FILENO, "w") ||
      !replace(&stderr, STDERR_FILENO, "w"))
    return false;
  setvbuf(stderr, NULL, _IONBF, 0);
  if (isatty(STDOUT_FILENO)) setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
  return true;
}

/* Output may be lost only now, or was lost before and the script did not notice. */
int streams_finish(int code, int lost)
{
  errno = 0;
  if (fflush(stdout) == 0 && !ferror(stdout)) return code;
  if (errno != EPIPE && code != lost)
    fprintf(stderr, "proxylua: cannot write to standard output: %s\n",
            errno ? strerror(errno) : "some of it is lost");
  return code != 0 ? code : lost;
}
